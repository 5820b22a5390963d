--- Run a piece of Lua in a process of its own, with the interpreter and the
-- modules of this one:
--
--     local result = child.run{
--       script = [[ local pop3, port = require "pop3", ... ]],
--       arguments = {port},
--       env = {SHIM_ALARM = "1000"}, shim = true,   -- shim.c, preloaded
--       host = true,                                -- in host.c's program
--       nofile = 2048, signal = 2, deadline = 20,   -- see child.py
--     }
--     result.status, result.out, result.err, result.seconds, result.after
local json = require "spec.support.json"

local child = {}

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"

local python = os.getenv("PYTHON") or "python3"

local lua = require "spec.support.lua"
local quote = require("spec.support.files").quote
local write_file = require("spec.support.files").temporary
local interpreter = require("spec.support.files").interpreter

local host

--- host.c, linked with this Lua, once a run: a program to run scripts in.
-- @return its path
function child.host()
  if host then return host end
  host = os.tmpname()
  local done = os.execute(("cc -O1 -Wall -Wextra -o %s %s $(pkg-config --cflags --libs %s)")
                          :format(quote(host), quote(here .. "host.c"), lua.name))
  assert(done == true or done == 0, "host.c does not compile")
  return host
end

local function find_modules()
  return ("package.path, package.cpath = %q, %q\n"):format(package.path,
                                                           package.cpath)
end

local shim

--- shim.c, compiled once a run.
-- @return the path of the shared object
function child.shim()
  if shim then return shim end
  shim = os.tmpname()
  local done = os.execute(("%s -shared -fPIC -O1 -Wall -Wextra -o %s %s -ldl")
    :format(os.getenv("CC") or "cc", quote(shim), quote(here .. "shim.c")))
  assert(done == true or done == 0, "shim.c does not compile")
  return shim
end

--- Remove what child.shim and child.host made.
function child.clean()
  if shim then os.remove(shim) end
  if host then os.remove(host) end
  shim, host = nil, nil
end

local function environment(request)
  local env = {}
  for key, value in pairs(request.env or {}) do env[key] = value end
  if request.shim then
    local others = os.getenv("LD_PRELOAD")
    local preload = (others and others .. ":" or "") .. child.shim()
    if os.getenv("POP3_EMULATED") then -- the emulator is of another machine
      env.QEMU_SET_ENV = "LD_PRELOAD=" .. preload
    else
      env.LD_PRELOAD = preload
    end
  end
  return env
end

--- Run request.script and wait for its end.
function child.run(request)
  local script = write_file(find_modules() .. request.script)
  local argv = {request.host and child.host() or interpreter(), script}
  for _, argument in ipairs(request.arguments or {}) do
    argv[#argv + 1] = tostring(argument)
  end
  local env = environment(request)
  local file = write_file(json.encode{
    argv = argv, nofile = request.nofile, signal = request.signal,
    deadline = request.deadline or 30, env = next(env) and env or nil,
  })
  local pipe = assert(io.popen(("exec %s %s %s"):format(
    quote(python), quote(here .. "child.py"), quote(file))))
  local answer = pipe:read("*a")
  pipe:close()
  os.remove(script)
  os.remove(file)
  return json.decode(answer)
end

--- Run request.script, which must end well and complain of nothing.
-- @return the lines that it wrote
function child.lines(request)
  local result = child.run(request)
  if result.err ~= "" or result.status ~= 0 then
    error(("status %s: %s"):format(result.status, result.err), 2)
  end
  local lines = {}
  for line in result.out:gmatch("[^\n]+") do lines[#lines + 1] = line end
  return lines
end

return child
