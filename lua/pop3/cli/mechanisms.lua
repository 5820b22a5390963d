--- What the command can log in by.
--
-- @module pop3.cli.mechanisms

local core = require "pop3.core"

local mechanisms = {}

-- Strongest first, as `login` chooses; USER is the pair of commands USER and
-- PASS, APOP the command. Those without a secret are not the command's.
local rows, by_name = {}, {}
for _, mechanism in ipairs(core.mechanisms()) do
  if mechanism.secret then
    rows[#rows + 1] = mechanism
    by_name[mechanism.name] = mechanism
  end
end

--- A name in upper case, or nil and what is wrong.
function mechanisms.check(name)
  local wanted = name:upper()
  if by_name[wanted] then return wanted end
  return nil, "this version cannot log in by " .. wanted
end

-- The words of the capability SASL, as a set; nil where there is none.
local function of_sasl(capabilities)
  if not capabilities.SASL then return nil end
  local found = {}
  for _, word in ipairs(capabilities.SASL) do found[word:upper()] = true end
  return found
end

--- What a server offers, as a set: SASL, USER, APOP. USER and PASS are older
-- than CAPA: a server that announces neither them nor SASL has them.
-- @tparam ?table capabilities names in upper case, and their words; nil where
-- there is no CAPA
-- @tparam ?string greeting nil where it came by another stream: in clear
function mechanisms.offered(capabilities, greeting)
  local sasl = of_sasl(capabilities or {})
  local found = sasl or {}
  found.USER = not sasl or capabilities.USER ~= nil or nil
  found.APOP = greeting ~= nil
    and greeting:find("<[^<>%s]+@[^<>%s]+>") ~= nil or nil
  return found
end

--- Which of them a login takes, or nil.
-- @tparam table offered a set
-- @tparam ?string auth the only one that is wanted
-- @tparam ?boolean token whether there is a token in place of a password; nil
-- where nobody has said: then a password, and a token if need be
function mechanisms.choose(offered, auth, token)
  if auth then return offered[auth] and auth or nil end
  local second
  for _, row in ipairs(rows) do
    if offered[row.name] then
      if row.token == (token or false) then return row.name end
      second = second or row.name
    end
  end
  return token == nil and second or nil
end

--- Does it take an OAuth token?
function mechanisms.takes_token(name)
  return by_name[name] and by_name[name].token
end

return mechanisms
