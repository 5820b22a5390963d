-- stream.lua - what GET /newest does: see stream.conf.

local pop3 = require "resty.pop3"

local HOST = assert(os.getenv "POP3_HOST", "POP3_HOST is not set")
local PORT = tonumber(os.getenv "POP3_PORT" or 110)
local OPTIONS = {
  tls = "starttls",                     -- or "implicit", with port 995
  context = require("pop3").context { cafile = os.getenv "POP3_CAFILE" },
}
local STATUS = { auth = 401, busy = 503, timeout = 504 } -- or 502

local function refuse(status, text)
  -- The response has begun: cut it, or a part would pass for the whole.
  if ngx.headers_sent then return ngx.exit(ngx.ERROR) end
  ngx.status = status
  ngx.header.content_type = "text/plain"
  if status == 401 then ngx.header.www_authenticate = 'Basic realm="mail"' end
  ngx.say(text)
end

local function fail(c, message, err)
  c:close()
  ngx.log(ngx.ERR, "POP3: ", message)  -- where a stranger does not read it
  local kind = err.code == "IN-USE" and "busy" or err.kind
  refuse(STATUS[kind] or 502, "the mailbox server says no: " .. kind)
end

local function credentials()
  local coded = (ngx.var.http_authorization or ""):match("^[Bb]asic (.+)$")
  local text = coded and ngx.decode_base64(coded) or ""
  return text:match("^([^:%c]+):([^%c]+)$") -- no command carries controls
end

-- flush waits until the client has read, and fails when it is gone.
local function send(chunk)
  if not chunk then return end
  ngx.print(chunk)
  return ngx.flush(true)
end

local function newest()
  local user, password = credentials()
  if not user then return refuse(401, "a user and a password, please") end
  local c = pop3:new()
  c:set_timeouts(5000, 10000, 10000)    -- connect, send, read: milliseconds
  local ok, message, err = c:connect(HOST, PORT, OPTIONS)
  if ok then ok, message, err = c:login(user, password) end
  if ok then ok, message, err = c:stat() end
  if ok and ok > 0 then
    ngx.header.content_type = "message/rfc822"
    ok, message, err = c:retr_to(ok, send)
  elseif ok then
    refuse(404, "the mailbox is empty")
  end
  if not ok then return fail(c, message, err) end
  c:quit()
end

return { newest = newest }
