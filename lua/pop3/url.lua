--- POP URLs: `pop://` as RFC 2384 has it, `pop3://` and `pop3s://` alike.
--
--     pop://user;AUTH=mechanism@host:port
--
-- `pop://` says nothing about TLS, `pop3://` asks for STLS and `pop3s://` for
-- TLS from the first octet (port 995). A slash may end it, and nothing more. A
-- URL never holds a password (RFC 2384 has no place for one), and no message of
-- this module shows a part of what it was given: it may be one.
--
-- @module pop3.url

local url = {}

-- tls: the connection's option; nil where the caller has to decide.
local SCHEMES = {
  pop = { port = 110 },
  pop3 = { port = 110, tls = "starttls" },
  pop3s = { port = 995, tls = "implicit" },
}

-- RFC 2384 8: achar = unreserved / escape / "&" / "=" / "~".
local ACHAR = "^[%w$_.+!*'(),&=~%%-]+$"

local PASSWORD = "a password does not belong into a URL, where others can "
  .. "see it (change it if it was a real one)"

--- `%XX` to octets, or nil and what is wrong.
local function decode(text)
  if text:gsub("%%%x%x", ""):find("%", 1, true) then
    return nil, "the user name has a % without two hexadecimal digits"
  end
  local decoded = text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  if decoded:find("[%z\1-\31\127]") then
    return nil, "the user name has a control character"
  end
  return decoded
end

local function check_achars(text, what)
  if text == "" then return nil, what .. " is empty" end
  if text:find(ACHAR) then return text end
  return nil, what .. " has a character that must be written as %XX"
end

--- `user;AUTH=mechanism` to two strings; the mechanism in upper case.
local function split_userinfo(text)
  local user, auth = text:match("^([^;]*);[Aa][Uu][Tt][Hh]=(.*)$")
  if not user and text:find(";", 1, true) then
    return nil, "only ;AUTH= may follow the user name"
  end
  local ok, err = check_achars(user or text, "the user name")
  if not ok then return nil, err end
  user, err = decode(user or text)
  if not user then return nil, err end
  if not auth then return user, "*" end
  ok, err = check_achars(auth, "the mechanism behind ;AUTH=")
  if not ok then return nil, err end
  auth, err = decode(auth)
  if not auth then return nil, err end
  return user, auth:upper()
end

local function check_host(host)
  if host == "" then return nil, "the host is missing" end
  if host:find("[\128-\255]") then
    return nil, "the host has letters outside ASCII: use its A-label (xn--...)"
  end
  if host:find("^%[[%x:.]+%]$") then return host:sub(2, -2) end
  if not host:find("^[%w_.-]+$") then
    return nil, "the host is neither a name nor an address"
  end
  return host
end

--- `host[:port]`; an IPv6 address stands in brackets (RFC 3986).
local function split_server(text, default)
  text = text:gsub("/$", "")
  if text:find("[/?#]") then
    return nil, "nothing may follow the host and port"
  end
  if text:find("^%x*:[%x:.]*:") then
    return nil, "an IPv6 address stands in brackets, as [2001:db8::25]"
  end
  local host, port = text:match("^(%[.*%]):(.*)$")
  if not host then host, port = text:match("^([^:%[]*):(.*)$") end
  local name, err = check_host(host or text)
  if not name then return nil, err end
  if not port then return name, default end
  local number = port:find("^%d%d?%d?%d?%d?$") and tonumber(port)
  if not number or number < 1 or number > 65535 then
    return nil, "the port is not a number from 1 to 65535"
  end
  return name, number, true
end

--- Take a URL apart.
-- @tparam string text
-- @treturn table `scheme`, `host`, `port`, `numbered` (is the port the URL's?),
-- `tls` (`"starttls"`, `"implicit"` or nil), and, where the URL names a user,
-- `user` and `auth` (`"*"`, `"+APOP"` or a SASL mechanism's name)
-- @return or nil and a sentence that says what is wrong
function url.parse(text)
  local scheme, rest = text:match("^(%a[%w+.-]*)://(.*)$")
  local row = scheme and SCHEMES[scheme:lower()]
  if not row then
    return nil, "a URL starts with pop://, pop3:// or pop3s://"
  end
  local userinfo, server = rest:match("^(.*)@(.*)$")
  if userinfo and userinfo:find(":", 1, true) then return nil, PASSWORD end

  local parts = { scheme = scheme:lower(), tls = row.tls }
  local second
  if userinfo then
    parts.user, second = split_userinfo(userinfo)
    if not parts.user then return nil, second end
    parts.auth = second
  end
  parts.host, second, parts.numbered = split_server(server or rest, row.port)
  if not parts.host then return nil, second end
  parts.port = second
  return parts
end

--- When TLS starts on a connection to what a URL names. Where the URL does not
-- say it, it is STLS; who allows cleartext does without where there is none.
-- @tparam table parts of `url.parse`
-- @tparam boolean allow_cleartext
-- @treturn string the option `tls`
function url.tls(parts, allow_cleartext)
  if parts.tls then return parts.tls end
  return allow_cleartext and "opportunistic" or "starttls"
end

return url
