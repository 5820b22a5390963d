--- The nginx examples for specs: an example's files in a folder of their own,
-- on ports that are free, in a real nginx.
--
--     local web = nginx.start("stream", { POP3_HOST = "127.0.0.1" })
--     web:get("/newest", { user = "joe", password = "secret" })
--     web.ports["8080"]                 -- what 8080 in the file has become
--     web:stop()

local json = require "spec.support.json"
local files = require "spec.support.files"
local shell = require "spec.support.shell"
local quote = files.quote

local nginx = {}
local Web = {}
Web.__index = Web

local root = debug.getinfo(1, "S").source:match("^@(.*/)spec/") or "./"
local python = os.getenv("PYTHON") or "python3"
local running = {}

-- Where nginx may write when it does not run as root.
local TEMPORARY = [[
http {
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
]]

-- The example as it stands, but for its ports and nginx's own folders.
local function copy(folder, name, changes)
  local conf = files.read(root .. "examples/nginx/" .. name .. ".conf")
  local program = files.read(root .. "examples/nginx/" .. name .. ".lua")
  conf = conf:gsub("http {\n", TEMPORARY, 1)
  for from, to in pairs(changes or {}) do
    local in_conf, in_program
    conf, in_conf = conf:gsub(from, to)
    program, in_program = program:gsub(from, to)
    assert(in_conf + in_program > 0, from .. " is not in the example")
  end
  files.write(folder .. "/" .. name .. ".conf", conf)
  files.write(folder .. "/" .. name .. ".lua", program)
  return conf:match("worker_processes (%d+)") or 1
end

-- What nginx.py says: the process id, and the ports.
local function parse(line)
  local pid, rest = (line or ""):match("^READY (%d+)(.*)$")
  local ports = {}
  for name, port in (rest or ""):gmatch("(%d+)=(%d+)") do ports[name] = port end
  return pid, ports
end

local function words(env)
  local list = { "exec env -u POP3_HOST" }
  for key, value in pairs(env) do
    list[#list + 1] = key .. "=" .. quote(tostring(value))
  end
  return table.concat(list, " ")
end

--- @tparam string name of the example's files
-- @tparam table env variables of nginx
-- @tparam[opt] table changes patterns of the example, and what instead
-- @return an object, or nil and what nginx says
function nginx.start(name, env, changes)
  local folder = files.make_folder()
  os.execute("chmod 755 " .. quote(folder)) -- the workers are somebody else
  local workers = copy(folder, name, changes)
  local command = ("%s %s %s %s %s.conf %s"):format(words(env), quote(python),
    quote(root .. "spec/examples/nginx.py"), quote(folder), name, workers)
  -- Both directions: what it says, and an input that ends when we do.
  local fifo = folder .. "/said"
  assert(os.execute("mkfifo " .. quote(fifo)))
  local input = assert(io.popen(command .. " > " .. quote(fifo), "w"))
  local output = assert(io.open(fifo))
  local pid, ports = parse(output:read("*l"))
  output:close()
  local self = setmetatable({
    folder = folder, input = input, pid = pid, ports = ports,
  }, Web)
  running[self] = true
  if pid then return self end
  local said = self:log()
  self:stop()
  return nil, said
end

--- What nginx and the example have logged.
function Web:log() return files.read(self.folder .. "/stderr") end

--- Process ids of the workers.
function Web:workers()
  local pids = {}
  local path = ("/proc/%s/task/%s/children"):format(self.pid, self.pid)
  for pid in files.read(path):gmatch("%d+") do pids[#pids + 1] = pid end
  return pids
end

--- The most memory that the workers had at a time, octets.
function Web:peak()
  local sum = 0
  for _, pid in ipairs(self:workers()) do
    local status = files.read("/proc/" .. pid .. "/status")
    sum = sum + tonumber(status:match("VmHWM:%s*(%d+) kB")) * 1024
  end
  return sum
end

function Web:signal(name)
  os.execute(("kill -%s %s"):format(name, self.pid))
end

local function encode64(text)
  return (shell.output("printf %s " .. quote(text) .. " | base64 -w 0"))
end

--- The same request several times at once.
-- @tparam string path
-- @tparam[opt] table options `user` and `password`, `headers`, `port`, `slow`,
-- `most`
-- @tparam[opt=1] number times
-- @treturn table of answers: see fetch.py
function Web:get_many(path, options, times)
  options = options or {}
  local headers = options.headers or {}
  if options.user then
    headers.Authorization = "Basic "
      .. encode64(options.user .. ":" .. options.password)
  end
  local requests = {}
  for i = 1, times or 1 do
    requests[i] = { port = tonumber(self.ports[options.port or "8080"]),
      path = path, headers = headers, slow = options.slow,
      most = options.most }
  end
  local request = files.temporary(json.encode(requests))
  local answer = shell.output(("%s %s < %s"):format(quote(python),
    quote(root .. "spec/examples/fetch.py"), quote(request)))
  os.remove(request)
  return json.decode(answer)
end

--- One request.
function Web:get(path, options) return self:get_many(path, options)[1] end

function Web:stop()
  if not running[self] then return end
  running[self] = nil
  self.input:close()
  files.remove_folder(self.folder)
end

function nginx.stop_all()
  for self in pairs(running) do self:stop() end
end

return nginx
