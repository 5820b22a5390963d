--- Streams of LuaSocket: one that is connected already, perhaps through a proxy
-- or under LuaSec's TLS, or with `loop = "luasocket"` one that is made here.
-- They block.
--
--     local sock = assert(socket.connect("mail.example.org", 110))
--     local wrap = require("pop3.loop.luasocket").wrap
--     local M = pop3.POP3("mail.example.org", { transport = wrap(sock) })
--
-- @module pop3.loop.luasocket

local call = require "pop3.call"
local class = require "pop3.class"
local core = require "pop3.core"
local library = require "pop3.loop.library"

local Loop = {}

-- ------------------------------------------------------------ a stream

local Transport = {}
local meta = class("pop3.loop.luasocket.transport", Transport)

-- What the socket waits for: LuaSec says so, plain ones say "timeout".
local MODES = { wantread = "r", wantwrite = "w" }

-- How soon to look again where nobody may wait for a descriptor, seconds.
local SOON = 0.01

-- pop3.restrict keeps descriptors from scripts, these too, unless `fds = true`.
local function wait_for(fd, mode, seconds)
  local ok, err = pcall(core.poll, { { fd, mode } }, seconds)
  if ok then return end
  if type(err) ~= "table" or err.kind ~= "policy" then error(err, 0) end
  core.poll({}, math.min(seconds, SOON))
end

-- Wait after a try that moved nothing, and say why nothing was moved.
local function wait(self, reason, mode, seconds)
  if reason ~= "timeout" and not MODES[reason] then return nil, reason end
  wait_for(self.sock:getfd(), MODES[reason] or mode, seconds)
  return nil, "timeout"
end

--- Send some octets.
-- @tparam string octets
-- @tparam number seconds to wait, if none can be sent
-- @treturn number how many were; or nil and a reason
function Transport:send(octets, seconds)
  local last, reason, part = self.sock:send(octets)
  if last then return last end
  if part and part > 0 then return part end
  return wait(self, reason, "w", seconds)
end

--- Receive what is there, or comes.
-- @tparam number max octets at most
-- @tparam number seconds to wait, if none are there
-- @treturn string at least one octet; or nil and a reason
function Transport:receive(max, seconds)
  local all, reason, part = self.sock:receive(max)
  if all then return all end
  if part and #part > 0 then return part end
  return wait(self, reason, "r", seconds)
end

function Transport:close() self.sock:close() end

--- With LuaSec the stream is secure already: for `tls_engine = "transport"`.
-- Whom it trusts, and whether it looks at the server's name, was for those to
-- say who made it.
function Transport:secure()
  if self.sock.dohandshake then return true end
  return nil, "LuaSocket has no TLS: leave 'tls_engine' out"
end

local function is_socket(sock)
  local kind = type(sock) -- LuaSec's are tables
  return (kind == "userdata" or kind == "table") and sock.getfd ~= nil
    and sock.settimeout ~= nil
end

--- Make a transport of a socket that is connected. It is the transport's then:
-- it does not block any more, and is closed with the connection.
-- @param sock LuaSocket's, or LuaSec's behind its handshake
-- @return a transport
function Loop.wrap(sock)
  if not is_socket(sock) then
    call.bad_argument(1, "wrap", "connected socket", sock)
  end
  sock:settimeout(0)
  return setmetatable({ sock = sock }, meta)
end

-- ------------------------------------------------------------ connecting

-- LuaSocket's texts for what is known by a word.
local WORDS = {
  ["host or service not provided, or not known"] = "not_found",
  ["temporary failure in name resolution"] = "again",
}

--- Connect to the first address that answers. Looking up the name blocks for as
-- long as the system's resolver likes.
-- @tparam string host
-- @tparam number port
-- @tparam number seconds for all addresses together
-- @return a transport; or nil and a reason
function Loop.connect(_, host, port, seconds)
  local socket = library.find("socket", "pop3.loop.luasocket", "luasocket")
  local addresses, reason = socket.dns.getaddrinfo(host)
  local deadline = core.now() + seconds
  for _, address in ipairs(addresses or {}) do
    local sock = address.family == "inet6" and socket.tcp6() or socket.tcp4()
    sock:settimeout(math.max(0, deadline - core.now()))
    local done
    done, reason = sock:connect(address.addr, port)
    if done then return Loop.wrap(sock) end
    sock:close()
  end
  return nil, WORDS[reason] or reason
end

--- Files may be sinks: they block no more than the rest.
Loop.files = true

--- What a host of one connection has to wait for beside it: a slow sink.
function Loop.wait(_, interests, deadline)
  core.poll(interests, deadline - core.now())
end

return Loop
