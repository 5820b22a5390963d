-- auth_http.lua - is this login good? See auth_http.conf, and the protocol at
-- https://nginx.org/en/docs/mail/ngx_mail_auth_http_module.html

local pop3 = require "resty.pop3"

local HOST = assert(os.getenv "POP3_HOST", "POP3_HOST is not set")
assert(HOST:find "^[%x:.]+$", "POP3_HOST is not an address")
local PORT = tonumber(os.getenv "POP3_PORT" or 110)

local ATTEMPTS = 3      -- of a connection
local UNAVAILABLE = "[SYS/TEMP] the mailbox server cannot be reached"

-- nginx escapes as URIs do, but a plus sign stays one: not ngx.unescape_uri,
-- which would turn it into a blank, and a good password into a wrong one.
local function header(name)
  local text = ngx.req.get_headers()[name]
  if type(text) ~= "string" then return "" end
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- nginx passes on what stands in Auth-Status, behind its own -ERR.
local function refuse(reason)
  local attempt = tonumber(header "Auth-Login-Attempt") or ATTEMPTS
  if attempt < ATTEMPTS then
    ngx.header["Auth-Wait"] = attempt -- seconds; without it nginx hangs up
  end
  ngx.header["Auth-Status"] = reason
end

-- The server's own words, fit for a header.
local function words(line)
  return (line:gsub("^%-ERR ", ""):gsub("%c", function(c)
    return ("\\x%02x"):format(c:byte())
  end))
end

-- Why the server does not take this login, or nil.
local function problem(user, password)
  if user == "" or password == "" or (user .. password):find("%c") then
    return "[AUTH] wrong user or password" -- no command can carry it
  end
  local c = pop3:new()
  c:set_timeouts(5000, 10000, 10000)
  local ok, message, err = c:connect(HOST, PORT)
  if ok then ok, message, err = c:login(user, password) end
  -- QUIT, not close alone: a mailbox that is still locked by us would greet
  -- the one that we let in with [IN-USE].
  c:quit()
  if ok then return end
  ngx.log(ngx.ERR, "POP3: ", message)
  return err.response and err.kind == "auth" and words(err.response)
    or UNAVAILABLE
end

local function check()
  if header "Auth-Method" ~= "plain" then
    return refuse "[SYS/PERM] only a user and a password can be checked here"
  end
  local reason = problem(header "Auth-User", header "Auth-Pass")
  if reason then return refuse(reason) end
  ngx.header["Auth-Status"] = "OK"
  ngx.header["Auth-Server"] = HOST
  ngx.header["Auth-Port"] = PORT
end

return { check = check }
