--- The option `proxy`: a URL or a table, as the flat table that the core reads.
--
--     "socks5://[user[:password]@]host[:port]"       (port 1080)
--     "socks5+tls://..."                             the same over TLS
--     "http://..." and "https://..."                 CONNECT (ports 80 and 443)
--
-- `socks5h` is `socks5`: names are always the proxy's to resolve. No message of
-- this module shows a part of a URL: it may hold a password. The environment
-- (`ALL_PROXY` and others) is not looked at.
--
-- @module pop3.proxy

local reveal = require "pop3.reveal"

local proxy = {}

local SCHEMES = {
  socks5 = { kind = "socks5", port = 1080, tls = false },
  ["socks5+tls"] = { kind = "socks5", port = 1080, tls = true },
  http = { kind = "http", port = 80, tls = false },
  https = { kind = "http", port = 443, tls = true },
}
SCHEMES.socks5h, SCHEMES["socks5h+tls"] = SCHEMES.socks5, SCHEMES["socks5+tls"]

local KNOWN = "socks5://, socks5+tls://, http:// or https://"

local KEYS = {
  url = "string", type = "string", host = "string", port = "number",
  user = "string", password = true,
}

--- `%XX` to octets, or nil.
local function decode(text)
  if text:gsub("%%%x%x", ""):find("%", 1, true) then return nil end
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- `user[:password]` into `parts`; what is wrong with it, or nil.
local function take_login(parts, text)
  local user, password = text:match("^([^:]*):?(.*)$")
  local named = text:find(":", 1, true)
  parts.user, parts.password = decode(user), named and decode(password) or nil
  if not parts.user or (named and not parts.password) then
    return "a % in the URL's login is not followed by two hexadecimal digits"
  end
  if parts.user == "" then return "the URL's login has no user" end
end

local function check_port(port)
  if type(port) == "number" and port >= 1 and port <= 65535
    and port % 1 == 0 then
    return nil
  end
  return "the proxy's port is not a number from 1 to 65535"
end

-- `host[:port]` into `parts`.
local function take_server(parts, text)
  local host, rest = text:match("^%[([%x:.]+)%](.*)$")
  if not host then host, rest = text:match("^([^:]*)(.*)$") end
  if host == "" then return "the URL's host is missing" end
  if not host:find("^[%w_.:-]+$") then
    return "the URL's host is neither a name nor an address"
  end
  parts.host = host
  if rest == "" then return nil end
  parts.port = tonumber(rest:match("^:(%d+)$"))
  return check_port(parts.port)
end

-- A URL to a flat table, or nil and what is wrong.
local function parse(url)
  local scheme, rest = url:match("^(%a[%w+.-]*)://([^/?#]*)/?$")
  local row = scheme and SCHEMES[scheme:lower()]
  if not row then return nil, "a URL as " .. KNOWN .. "host:port expected" end
  local parts = { kind = row.kind, port = row.port, tls = row.tls }
  local login, server = rest:match("^(.*)@(.-)$")
  local problem = login and take_login(parts, login)
    or take_server(parts, server or rest)
  if problem then return nil, problem end
  return parts
end

-- Where the table comes from: its URL, or its type.
local function begin(given)
  if given.url ~= nil then
    if given.type ~= nil or given.host ~= nil or given.port ~= nil then
      return nil, "url says what type, host and port would"
    end
    return parse(given.url)
  end
  local row = SCHEMES[tostring(given.type):lower()]
  if not row then
    return nil, "type is one of socks5, socks5+tls, http and https"
  end
  return { kind = row.kind, tls = row.tls, host = given.host,
    port = given.port or row.port }
end

-- A table to a flat one; or nil and what is wrong; or nil, nil and why there is
-- no password, as an error object.
local function flatten(given)
  for key, value in pairs(given) do
    local wanted = KEYS[key]
    if not wanted then
      return nil, "unknown key: url, type, host, port, user and password "
        .. "are known"
    end
    if wanted ~= true and type(value) ~= wanted then
      return nil, ("%s is a %s, not a %s"):format(key, wanted, type(value))
    end
  end
  local parts, problem = begin(given)
  if not parts then return nil, problem end
  if not parts.host then return nil, "the host is missing" end
  problem = check_port(parts.port)
  if problem then return nil, problem end
  parts.user = given.user or parts.user
  if given.password == nil then return parts end
  local refusal
  parts.password, refusal = reveal(given.password)
  return parts, nil, refusal
end

--- Turn a constructor's option into the core's.
-- @tparam table options changed in place
-- @treturn ?string what is wrong with it
-- @return ?an error object: why its password's function gave none
function proxy.choose(options)
  local given = options.proxy
  if given == nil then return nil end
  local problem, refusal
  if type(given) == "string" then
    options.proxy, problem = parse(given)
  elseif type(given) == "table" then
    options.proxy, problem, refusal = flatten(given)
  else
    problem = "a URL or a table expected, got " .. type(given)
  end
  return problem and ("bad option 'proxy' (%s)"):format(problem), refusal
end

return proxy
