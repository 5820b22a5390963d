--- Several accounts from a file:
--
--     # what holds for all accounts
--     timeout = 30
--
--     [work]
--     url = pop3s://joe@mail.example.org
--     maildir = ~/Mail/work
--     password-command = pass show work
--
-- The keys are the long options of the command line. A value is the rest of
-- the line, without the blanks around it; nothing in it is special. Lines that
-- begin with # or ; are comments. The file is data: nothing of it is run but
-- what password-command says, and so it has to be the user's own.
--
-- @module pop3.cli.config

local stat = require "posix.sys.stat"
local unistd = require "posix.unistd"
local mechanisms = require "pop3.cli.mechanisms"
local problem = require "pop3.cli.problem"
local values = require "pop3.cli.values"

local config = {}

-- ------------------------------------------------------------ values

local function as_text(value) return value end

local WORDS = { yes = true, ["true"] = true, no = false, ["false"] = false }

local function as_choice(value)
  if WORDS[value] == nil then return nil, "is yes or no" end
  return WORDS[value]
end

local function as_seconds(value)
  local number = tonumber(value)
  if number and number > 0 and number < math.huge then return number end
  return nil, "is a number of seconds, more than 0"
end

local function as_eol(value)
  if value == "lf" or value == "crlf" then return value end
  return nil, "is lf or crlf"
end

-- Relative paths are relative to the file, ~/ is the home.
local function as_path(value, folder)
  if value:sub(1, 2) == "~/" then
    local home = os.getenv("HOME")
    if not home then return nil, "needs the variable HOME for ~/" end
    return home .. value:sub(2)
  end
  return value:sub(1, 1) == "/" and value or folder .. value
end

local function as_auth(value)
  local name, reason = mechanisms.check(value)
  return name, reason and "cannot be: " .. reason
end

local function as_proxy(value)
  local proxy, reason = values.proxy(value)
  return proxy, reason and "cannot be: " .. reason
end

-- Several, with blanks between them.
local function as_pins(value)
  local pins = {}
  for word in value:gmatch("%S+") do
    local pin, reason = values.pin(word)
    if not pin then return nil, "cannot be: " .. reason end
    pins[#pins + 1] = pin
  end
  return pins
end

local KEYS = {
  ["url"] = as_text, ["user"] = as_text, ["servername"] = as_text,
  ["password-command"] = as_text, ["password-file"] = as_path,
  ["maildir"] = as_path, ["cafile"] = as_path, ["capath"] = as_path,
  ["timeout"] = as_seconds, ["eol"] = as_eol,
  ["auth"] = as_auth, ["token-command"] = as_text, ["pin"] = as_pins,
  ["proxy"] = as_proxy, ["proxy-password-command"] = as_text,
  ["unix-socket"] = as_path,
  ["allow-cleartext"] = as_choice, ["no-verify"] = as_choice,
  ["delete"] = as_choice, ["all"] = as_choice, ["srv"] = as_choice,
}

-- ------------------------------------------------------------ the nearest

-- How many octets have to change, come or go.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      diagonal, row[j] = row[j],
        math.min(diagonal + cost, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

-- "; the nearest is 'maildir'", by the names that are keys of `names`.
local function nearest(word, names)
  local best, found = math.huge, nil
  for name in pairs(names) do
    local far = distance(word, name)
    if far < best or (far == best and name < found) then
      best, found = far, name
    end
  end
  return found and ("the nearest is '%s'"):format(found) or nil
end

-- ------------------------------------------------------------ the file

local function wrong(path, what, remedy)
  problem.raise(problem.CONFIGURATION, path .. ": " .. what, remedy)
end

local function has_bit(mode, bit) return math.floor(mode / bit) % 2 == 1 end

-- password-command is run: nobody else may have written it.
local function check_owner(path)
  local found = stat.stat(path)
  if not found or stat.S_ISREG(found.st_mode) == 0 then
    wrong(path, found and "is not a file" or "cannot be found",
      "check --config")
  end
  if found.st_uid ~= unistd.geteuid() then
    wrong(path, "is another user's", "make it your own (chown)")
  end
  if has_bit(found.st_mode, 16) or has_bit(found.st_mode, 2) then
    wrong(path, "others can write it", "chmod go-w it")
  end
end

local function lines_of(path)
  check_owner(path)
  local file, reason = io.open(path, "rb")
  if not file then problem.raise(problem.NO_INPUT, reason) end
  local octets = file:read("*a")
  file:close()
  if not octets then wrong(path, "cannot be read") end
  return (octets:gsub("\r\n", "\n") .. "\n"):gmatch("([^\n]*)\n")
end

-- One line into the section that it belongs to. `where` is "FILE:LINE".
local function take_key(section, line, where, folder)
  local key, value = line:match("^([^=]-)%s*=%s*(.*)$")
  if not key then wrong(where, "neither [account] nor key = value") end
  if key == "password" then
    wrong(where, "a password does not belong into this file",
      "use password-file or password-command")
  end
  if not KEYS[key] then
    wrong(where, ("unknown key '%s'"):format(key), nearest(key, KEYS))
  end
  local name = key:gsub("-", "_")
  if section[name] ~= nil then wrong(where, key .. " stands here twice") end
  if value == "" then wrong(where, key .. " has no value") end
  local reason
  section[name], reason = KEYS[key](value, folder)
  if section[name] == nil then wrong(where, key .. " " .. reason) end
end

-- What holds for all, and the sections in their order and by name.
local function read(path)
  local folder = path:match("^(.*/)[^/]*$") or "./"
  local all, sections, by_name, count = {}, {}, {}, 0
  local current = all
  for raw in lines_of(path) do
    count = count + 1
    local where = path .. ":" .. count
    local line = raw:match("^%s*(.-)%s*$")
    local name = line:match("^%[%s*(.-)%s*%]$")
    if name then
      if name == "" then wrong(where, "an account needs a name") end
      if by_name[name] then wrong(where, "[" .. name .. "] is there twice") end
      current = {}
      by_name[name] = { name = name, options = current, where = where }
      sections[#sections + 1] = by_name[name]
    elseif line ~= "" and not line:find("^[#;]") then
      take_key(current, line, where, folder)
    end
  end
  if #sections == 0 then wrong(path, "no [account] in it") end
  return all, sections, by_name
end

-- ------------------------------------------------------------ the accounts

-- Options of the command line that are for all accounts; others are for one.
local FOR_ALL = { "keep", "delete", "all", "eol", "timeout", "quiet" }
local FOR_ONE = { "maildir", "user", "password_file", "password_command",
  "token_command", "auth", "pin", "proxy", "proxy_password_command",
  "unix_socket", "servername", "cafile", "capath", "allow_cleartext",
  "no_verify", "srv" }

local function refuse_for_one(options)
  for _, name in ipairs(FOR_ONE) do
    if options[name] then
      problem.raise(problem.USAGE, ("--%s is for one account, and there is no "
        .. "URL"):format((name:gsub("_", "-"))),
        "give a URL, or put it into the file")
    end
  end
end

local SECRETS = { "password-file", "password-command", "token-command" }

local function check_secrets(section)
  local found
  for _, key in ipairs(SECRETS) do
    local is_there = section.options[key:gsub("-", "_")]
    if found and is_there then
      wrong(section.where, ("[%s] has %s and %s"):format(section.name, found,
        key), "keep one of them")
    end
    found = found or is_there and key
  end
end

local function complete(section, all, options)
  local own = section.options
  for key, value in pairs(all) do
    if own[key] == nil then own[key] = value end
  end
  for _, name in ipairs(FOR_ALL) do
    if options[name] ~= nil then own[name] = options[name] end
  end
  if options.keep then own.delete = false end
  for _, key in ipairs { "url", "maildir" } do
    if not own[key] then
      wrong(section.where, ("[%s] has no %s"):format(section.name, key))
    end
  end
  check_secrets(section)
  own.no_environment = true -- one password is not for all servers
end

local function default_path()
  local base = os.getenv("XDG_CONFIG_HOME")
  if not base or base:sub(1, 1) ~= "/" then
    base = (os.getenv("HOME") or "") .. "/.config"
  end
  return base .. "/pop3/config"
end

local function find_file(options)
  if options.config then return options.config end
  local path = default_path()
  if not stat.stat(path) then
    problem.raise(problem.USAGE, "no URL, and there is no " .. path,
      "see pop3 fetch --help")
  end
  return path
end

local function select_named(sections, by_name, names, path)
  if #names == 0 then return sections end
  local chosen, is_chosen = {}, {}
  for _, name in ipairs(names) do
    if not by_name[name] then
      problem.raise(problem.USAGE, ("%s has no account '%s'"):format(path,
        name), nearest(name, by_name))
    end
    is_chosen[name] = true
  end
  for _, section in ipairs(sections) do
    if is_chosen[section.name] then chosen[#chosen + 1] = section end
  end
  return chosen
end

--- The accounts that are to be fetched.
-- @tparam table options of the command line; `what` has names, `config` a path
-- @treturn table of { name =, options = }, as the options of one account are
function config.accounts(options)
  refuse_for_one(options)
  local path = find_file(options)
  local all, sections, by_name = read(path)
  for _, section in ipairs(sections) do complete(section, all, options) end
  return select_named(sections, by_name, options.what, path)
end

return config
