--- nginx and OpenResty: connections over cosockets, so that a request waits and
-- its worker does not.
--
-- `pop3` finds it by itself inside nginx; `resty.pop3` is the face with the
-- habits of lua-resty libraries. See docs/nginx.md.
--
-- A cosocket belongs to the request that made it, and so does the connection:
-- another request's call is a `state` error, `misplaced`. It is closed with the
-- connection and never kept alive for a later one: a POP3 session is one user's
-- only, holds the maildrop's lock, and commits its deletions when it ends.
--
-- @classmod pop3.loop.nginx

local ngx = rawget(_G, "ngx")
if not ngx then
  error('pop3.loop.nginx works inside nginx only; loop = "poll" and others do '
    .. "elsewhere", 2)
end

local class = require "pop3.class"
local get_request = require("resty.core.base").get_request
local semaphore = require "ngx.semaphore"

local spawn, kill = ngx.thread.spawn, ngx.thread.kill
local running = coroutine.running

-- ------------------------------------------------------------ where

-- Where nginx lets Lua wait, by the names of ngx.get_phase.
local PHASES = {
  rewrite = true, access = true, content = true, timer = true,
  server_rewrite = true, preread = true, ssl_cert = true,
  ssl_session_fetch = true, ssl_client_hello = true,
}

local CANNOT_WAIT = "nginx cannot wait in the phase '%s': do it in "
  .. "ngx.timer.at(0, function() ... end)"

-- Why nobody can wait here, or nil.
local function phase_problem()
  local phase = ngx.get_phase()
  if not PHASES[phase] then return CANNOT_WAIT:format(phase) end
end

-- ------------------------------------------------------------ time

-- As short as nginx's timers are. Without OpenResty's patches a timer of 0 that
-- is set by another one is run before nginx looks for events again.
local MOMENT = 0.001

local LONGEST = 1000000000 -- milliseconds; nginx takes 2^31

-- At least one: to a cosocket 0 means its default.
local function milliseconds(seconds)
  return math.max(1, math.min(math.ceil(seconds * 1000), LONGEST))
end

-- Mostly it is the same as the last time.
local function set_time(self, seconds)
  local ms = milliseconds(seconds)
  if ms == self.ms then return end
  self.ms = ms
  self.sock:settimeouts(ms, ms, ms)
end

-- ------------------------------------------------------------ the stream

local Transport = {}
local of_transport = class("pop3.loop.nginx.transport", Transport)

local ANOTHER = "the connection belongs to another request, or its stream "
  .. "ended with its request or light thread: make one for each request"

-- A request's address may come again, but its cosockets end with it.
local function is_mine(self)
  return get_request() == self.request
end

--- Why the caller cannot use it here, or nil. Phases that cannot wait have no
-- threads of their own: a thread that could wait once can do so again.
function Transport:unusable()
  if not is_mine(self) or not self.sock:getreusedtimes() then return ANOTHER end
  local thread = running()
  if thread and thread == self.thread then return nil end
  local problem = phase_problem()
  if not problem then self.thread = thread end
  return problem
end

-- Closed by somebody else while its user waited: now nobody does.
local function finish(self, ...)
  if self.closed then
    self.sock:close()
    return nil, "closed"
  end
  return ...
end

--- All of the octets leave. After a timeout nobody knows how many did, so that
-- there is no second try.
function Transport:send(octets, seconds)
  if self.stuck then
    ngx.sleep(MOMENT)
    return nil, "timeout"
  end
  set_time(self, seconds)
  local sent, reason = self.sock:send(octets)
  self.stuck = reason == "timeout"
  return finish(self, sent, reason)
end

--- What is there, up to `max` octets, as soon as there are any.
function Transport:receive(max, seconds)
  set_time(self, seconds)
  return finish(self, self.sock:receiveany(max))
end

--- Close it: now, or when the light thread that uses it is back. Another
-- request's is left alone, and ends with that.
function Transport:close()
  self.closed = true
  if is_mine(self) then self.sock:close() end
end

local TRUST = " (nginx trusts what lua_ssl_trusted_certificate names)"

-- What nginx has not said of certificates.
local UNTOLD = "nginx refuses the certificate, or its name"

-- What nginx says of certificates; OpenSSL's reasons begin with a number.
local function certificate_problem(reason)
  if reason == "certificate host mismatch" then return "hostname", reason end
  local told = reason == UNTOLD or reason:match("^%d+: ")
  if told then return "certificate", reason .. TRUST end
end

-- nginx's handshake: true, or nil and a reason. One that is through at once, as
-- with a server that is near, is said to be good although nginx has found the
-- certificate bad, and closed the socket.
local function shake_hands(self, host)
  local loop = self.loop
  local ok, reason = self.sock:sslhandshake(false, host, loop.verify,
    loop.send_status_req)
  if not ok then return nil, reason end
  if self.closed or self.sock:getreusedtimes() then return true end
  return nil, UNTOLD
end

--- TLS by nginx (`tls_engine = "transport"`), by its lua_ssl_* directives.
function Transport:secure(host, seconds)
  set_time(self, seconds)
  local ok, reason = shake_hands(self, host)
  if ok then return finish(self, true) end
  reason = tostring(reason)
  local word, detail = certificate_problem(reason)
  return nil, word or reason, detail
end

-- ------------------------------------------------------------ connecting

-- nginx's words for what its resolver found, by the number in them: RFC 1035's
-- RCODE 3 is a name that does not exist.
local function resolver_problem(reason)
  local code = reason:match("could not be resolved %((%d+)")
  if code then return code == "3" and "not_found" or "again" end
  if reason:find("^failed to parse host name") then return "not_found" end
  return reason:find("^no resolver defined") and "again"
end

local function explain(reason)
  reason = tostring(reason)
  local word = resolver_problem(reason)
  if word then return nil, word, reason end
  return nil, reason
end

-- A cosocket's own timeout does not cover the name: it may take as long as
-- resolver_timeout says.
local function connect_in_time(sock, host, port, seconds)
  local done, ok, reason = semaphore.new(), nil, "timeout"
  local thread = spawn(function()
    ok, reason = sock:connect(host, port)
    done:post()
  end)
  done:wait(seconds)
  kill(thread)
  return ok, reason
end

local Loop = { verify = true, send_status_req = false }
local of_loop = class("pop3.loop.nginx", Loop)

--- A stream to a host, by nginx's resolver.
-- @tparam string host name or address
-- @tparam number port
-- @tparam number seconds
-- @return transport, or nil, reason, detail
function Loop:connect(host, port, seconds)
  local problem = phase_problem()
  if problem then return nil, "misplaced", problem end
  local transport = setmetatable({ sock = ngx.socket.tcp(), loop = self,
    request = get_request() }, of_transport)
  local bare = host:find(":", 1, true) and "[" .. host .. "]" or host
  set_time(transport, seconds)
  local ok, reason = connect_in_time(transport.sock, bare, port,
    transport.ms / 1000)
  if not ok then return explain(reason) end
  return transport
end

local last_turn

--- Let other requests have their turn: there are no descriptors to wait for.
-- Nothing to do if they had it since the last time: nginx looks at the clock
-- when it looks for events.
function Loop:wait() -- luacheck: ignore self
  if ngx.now() == last_turn and not phase_problem() then ngx.sleep(MOMENT) end
  last_turn = ngx.now()
end

--- nginx with other TLS, for `tls_engine = "transport"`.
-- @tparam table options `verify` (true), `send_status_req` (false: ask for an
-- OCSP response), as sslhandshake's
-- @return a loop, for the option `loop`
function Loop.new(options)
  return setmetatable({
    verify = options.verify ~= false,
    send_status_req = options.send_status_req == true,
  }, of_loop)
end

return Loop
