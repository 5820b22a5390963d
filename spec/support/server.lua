--- The scripted server for specs: starts spec/support/scripted.py, which is a
-- process of its own, and hands back its report. What a script may hold is
-- told there.
--
--     local server = require "spec.support.server"
--     after_each(server.stop_all)
--
--     local s = server.start { { "S: +OK ready", "C: NOOP", "S: +OK" } }
--     local conn = pop3.POP3("127.0.0.1", s.port)
--     conn:noop()
--     conn:close()
--     assert.same({ "NOOP" }, s:report().connections[1].commands)
--
-- A script is either the whole object (with the key `connections`) or just
-- the list of connections.

local json = require "spec.support.json"

local server = {}

local Server = {}
Server.__index = Server

local running = {}

--- The folder of the file that calls (or of the file `level` calls up).
local function here(level)
  local source = debug.getinfo(level or 2, "S").source
  return source:match("^@(.*)/[^/]*$") or "."
end

local program = here(1) .. "/scripted.py"

local quote = require("spec.support.files").quote
local write_file = require("spec.support.files").write

-- Two ways to have one. A channel has the first line, `ask` for the report in
-- one of two ways, `await` for the one that comes by itself, and `close`, which
-- ends the server.

-- In a process of its own.
local function start_process(script)
  local path = os.tmpname()
  write_file(path, script)
  local python = os.getenv("PYTHON") or "python3"
  local pipe = assert(io.popen("exec " .. quote(python) .. " "
    .. quote(program) .. " " .. quote(path), "r"))
  local line = pipe:read("*l")
  os.remove(path)
  local pid = (line or ""):match("PID (%d+)$")
  local function ask(how)
    local signal = how == "cut" and "TERM" or "USR1"
    os.execute("kill -" .. signal .. " " .. pid .. " 2>&-")
    return pipe:read("*l")
  end
  local function await() return pipe:read("*l") end
  local function close() pipe:close() end
  return { line = line, pid = tonumber(pid), ask = ask, await = await,
    close = close }
end

-- In the process of servers.py, whose port is in POP3_SERVERS: for hosts that
-- cannot start processes, and for many servers.
local function start_hosted(script)
  local control = assert(require("socket").tcp())
  control:settimeout(30)
  assert(control:connect("127.0.0.1", tonumber(os.getenv "POP3_SERVERS")))
  assert(control:send(script .. "\n"))
  local function ask(how)
    assert(control:send(how .. "\n"))
    return control:receive("*l")
  end
  local function await() return control:receive("*l") end
  local function close()
    control:send("stop\n")
    control:receive("*a")
    control:close()
  end
  return { line = control:receive("*l"), ask = ask, await = await,
    close = close }
end

--- Start a server.
-- @tparam table script see scripted.py
-- @return an object with `port`, `host`, and `pid` where the process is its
-- own, and the methods below
function server.start(script)
  if not script.connections and script.accept == nil then
    script = { connections = script }
  end
  local start = os.getenv "POP3_SERVERS" and start_hosted or start_process
  local channel = start(json.encode(script))
  local port = (channel.line or ""):match("^PORT (%d+)")
  if not port then
    channel.close()
    error("the scripted server did not start: " .. tostring(channel.line), 2)
  end
  local self = setmetatable({
    host = script.host or "127.0.0.1",
    port = tonumber(port),
    pid = channel.pid,
    channel = channel,
  }, Server)
  running[self] = true
  return self
end

--- Get the report in one of the three ways and decode it.
local function collect(self, get, how)
  if not self.result then
    local line = self.channel[get](how)
    self:stop()
    if not line then error("the server left no report", 3) end
    self.result = json.decode(line)
  end
  return self.result
end

--- The report, once every connection was played that the server can see by
-- now. A connection that is still open keeps it waiting (ten seconds at most),
-- so close it first. May be called again.
function Server:report()
  return collect(self, "ask", "report")
end

--- The report, once as many connections as `accepts` says were played, whenever
-- they come.
function Server:await()
  return collect(self, "await")
end

--- The report right now, of what has happened so far.
function Server:cut()
  return collect(self, "ask", "cut")
end

--- End the server, whatever it does: closing its channel tells it.
function Server:stop()
  local channel = self.channel
  if not channel then return end
  self.channel = nil
  running[self] = nil
  channel.close()
end

--- End all that run; for after_each, so that a failed spec leaves nothing.
function server.stop_all()
  for self in pairs(running) do self:stop() end
end

--- Start, connect with pop3.POP3, run `use(conn, s)`, close, report.
-- The server's complaints become an error, unless `script.complaints` is true.
-- @tparam table script as of `start`
-- @tparam function use gets the connection and the server
-- @tparam[opt] table options of the connection
-- @return the report of the connection, then what `use` returned (one value)
function server.talk(script, use, options)
  local pop3 = require "pop3"
  local s = server.start(script)
  local conn
  local ok, result = pcall(function()
    conn = pop3.POP3(s.host, s.port, options or {})
    return use(conn, s)
  end)
  if conn then conn:close() end
  if not ok then
    s:stop()
    error(result, 0)
  end
  local report = s:report()
  if report.failed > 0 and not script.complaints then
    error("the server complains: " .. json.encode(report), 2)
  end
  return report.connections[1], result
end

--- A port of this host at which nobody listens.
function server.closed_port()
  local s = server.start { connections = {}, accept = false }
  s:stop()
  return s.port
end

return server
