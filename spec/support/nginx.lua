--- A real nginx for specs: a folder of its own with configuration, sockets and
-- logs, started in the foreground and ended with the spec.
--
--     local nginx = require "spec.support.nginx"
--     after_each(nginx.stop_all)
--
--     local host = nginx.start {
--       content = { hello = [[ ngx.print("hello ", ngx.var.arg_name) ]] },
--     }
--     host:get("/hello?name=x")        --> "hello x", 200
--
-- It listens on a socket in its folder, so that no port can be taken. The Lua
-- code of `content` is what a location's content_by_lua_file runs.

local shell = require "spec.support.shell"
local socket = require "socket"
local unix = require "socket.unix"
local files = require "spec.support.files"

local nginx = {}

local Host = {}
Host.__index = Host

local Request = {}
Request.__index = Request

local here = debug.getinfo(1, "S").source:match("^@(.*/)[^/]*$") or "./"
local running = {}

local root = shell.output("cd " .. files.quote(here .. "../..") .. " && pwd -P")
  :match("^[^\n]*")

--- Where the tree is.
nginx.root = root

local program = os.getenv("POP3_NGINX") or "nginx"

-- ------------------------------------------------------------ configuration

-- Debian's nginx loads Lua as a module; OpenResty has it inside.
local function modules()
  local version = shell.output(files.quote(program) .. " -V 2>&1")
  local folder = version:match("%-%-modules%-path=(%S+)")
  local lines = {}
  for _, name in ipairs { "ndk_http_module", "ngx_http_lua_module" } do
    local path = tostring(folder) .. "/" .. name .. ".so"
    local file = io.open(path)
    if file then
      file:close()
      lines[#lines + 1] = "load_module " .. path .. ";"
    end
  end
  return table.concat(lines, "\n")
end

-- Workers of a master that is root would be somebody else, who may not look
-- into a folder of root's.
local function user()
  return shell.output("id -u"):match("^0\n") and "user root;" or ""
end

local CONFIGURATION = [[
$modules
$user
daemon off;
worker_processes $workers;
worker_shutdown_timeout 20s;
pid pid;
error_log error.log $level;
events { worker_connections 4096; }
$main
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  lua_package_path "$root/lua/?.lua;$root/?.lua;;";
  lua_package_cpath "$root/build/luajit/?.so;;";
  lua_socket_log_errors off;
  lua_http10_buffering off;
  init_by_lua_file init.lua;
  init_worker_by_lua_file worker.lua;
  $http
  server {
    listen unix:http.sock;
    $server
    $locations
  }
}
]]

local WORKER = [[
if ngx.worker.id() == 0 then
  io.stdout:write("WORKER ", ngx.worker.pid(), "\n")
  io.stdout:flush()
end
]]

-- Errors of a handler are its answer. `show` prints whatever values.
local CONTENT = [[
local function show(...) -- luacheck: ignore
  local words = { ... }
  for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
  ngx.say(table.concat(words, " "))
end
local function handler() %s
end
local ok, err = xpcall(handler, function(err)
  return type(err) == "table" and tostring(err) or debug.traceback(err)
end)
if not ok then ngx.print("ERROR ", err) end
]]

local function fill(template, values)
  return (template:gsub("%$(%l+)", values))
end

local function configure(folder, options)
  local locations = {}
  for name, code in pairs(options.content or {}) do
    files.write(folder .. "/" .. name .. ".lua", CONTENT:format(code))
    locations[#locations + 1] = ("location = /%s { content_by_lua_file %s.lua; }")
      :format(name, folder .. "/" .. name)
  end
  files.write(folder .. "/init.lua", options.init or "")
  files.write(folder .. "/worker.lua", WORKER .. (options.worker or ""))
  local text = fill(options.configuration or CONFIGURATION, {
    modules = modules(), user = user(), workers = options.workers or 1,
    level = options.level or "error", root = root, main = options.main or "",
    http = options.http or "", server = options.server or "",
    locations = table.concat(locations, "\n    "),
  })
  files.write(folder .. "/nginx.conf", (text:gsub("by_lua_file (%a+)%.lua",
    "by_lua_file " .. folder .. "/%1.lua"):gsub("unix:(%a+)%.sock",
    "unix:" .. folder .. "/%1.sock")))
end

-- ------------------------------------------------------------ the process

-- A worker has started: its pid.
local function await_worker(self)
  local line = self.pipe:read("*l")
  local pid = (line or ""):match("^WORKER (%d+)$")
  if not pid then
    error("nginx did not start: " .. tostring(line) .. "\n" .. self:log(), 3)
  end
  self.worker = tonumber(pid)
end

--- Start an nginx.
-- @tparam table options `configuration` (a whole one, in place of ours),
-- `content` (name -> Lua code), `init`, `worker` (Lua
-- code), `main`, `http`, `server` (more configuration), `workers`, `level` (of
-- the error log), `under` (words before the command, such as strace)
-- @return an object with `folder`, `worker` (a pid) and the methods below
function nginx.start(options)
  local folder = files.make_folder()
  configure(folder, options)
  local command = ("exec %s setpriv --pdeathsig TERM %s -p %s -c %s -e %s 2>%s")
    :format(options.under or "", files.quote(program), files.quote(folder),
      "nginx.conf", "error.log", files.quote(folder .. "/stderr"))
  local self = setmetatable({
    folder = folder, path = folder .. "/http.sock",
    pipe = assert(io.popen(command)),
  }, Host)
  running[self] = true
  await_worker(self)
  return self
end

--- What nginx wrote into its error log.
function Host:log()
  local text = ""
  for _, name in ipairs { "stderr", "error.log" } do
    local file = io.open(self.folder .. "/" .. name)
    if file then
      text = text .. file:read("*a")
      file:close()
    end
  end
  return text
end

function Host:signal(name)
  local pid = files.read(self.folder .. "/pid"):match("%d+")
  os.execute("kill -" .. name .. " " .. pid .. " 2>&-")
end

--- Read the configuration again; the new worker runs when this returns.
-- @treturn number the old worker's pid
function Host:reload()
  local before = self.worker
  self:signal("HUP")
  await_worker(self)
  return before
end

function Host:stop()
  if not running[self] then return end
  running[self] = nil
  pcall(self.signal, self, "TERM")
  self.pipe:close()
  files.remove_folder(self.folder)
end

function nginx.stop_all()
  for self in pairs(running) do self:stop() end
end

-- ------------------------------------------------------------ the worker

--- A line of /proc/PID/status, in octets or as it is.
function Host:status(key)
  local text = files.read("/proc/" .. self.worker .. "/status")
  local value, unit = text:match(key .. ":%s*(%d+)( ?k?B?)")
  return tonumber(value) * (unit == " kB" and 1024 or 1)
end

--- How many descriptors the worker has.
function Host:descriptors()
  local count = 0
  for _ in require("lfs").dir("/proc/" .. self.worker .. "/fd") do
    count = count + 1
  end
  return count
end

-- ------------------------------------------------------------ requests

--- Send a request, and do not wait for the answer.
-- @treturn Request
function Host:open(path)
  local stream = assert(unix())
  assert(stream:connect(self.path))
  stream:settimeout(60)
  assert(stream:send("GET " .. path .. " HTTP/1.0\r\n\r\n"))
  return setmetatable({ stream = stream, begun = socket.gettime() }, Request)
end

--- The answer's body and status; nil and a reason.
function Request:answer()
  local text, reason = self.stream:receive("*a")
  self.stream:close()
  if not text then return nil, reason end
  self.seconds = socket.gettime() - self.begun
  local head, body = text:match("^(.-)\r\n\r\n(.*)$")
  if not head then return text, 0 end
  return body, tonumber(head:match("^HTTP/%S+ (%d+)"))
end

--- Some octets of the answer, head included.
function Request:read(count) return self.stream:receive(count) end

--- Hang up.
function Request:abort() self.stream:close() end

--- A request and its answer.
-- @treturn string body
-- @treturn number status
-- @treturn number seconds
function Host:get(path)
  local request = self:open(path)
  local body, status = request:answer()
  return body, status, request.seconds
end

return nginx
