--- Runs bin/pop3 for specs: without a terminal, or on one (terminal.py).

local json = require "spec.support.json"
local quote = require("spec.support.files").quote

local program = {}

local here = debug.getinfo(1, "S").source:match("^@(.*/)[^/]*$") or "./"
-- Another one in its place: POP3_PROGRAM.
program.path = os.getenv("POP3_PROGRAM") or here .. "../../bin/pop3"

local function search(path, name)
  for template in path:gmatch("[^;]+") do
    local candidate = template:gsub("%?", (name:gsub("%.", "/")))
    local file = io.open(candidate)
    if file then
      file:close()
      return candidate
    end
  end
end

-- The program runs with the Lua of the specs and the module they test, where
-- that Lua has luaposix; otherwise it chooses itself.
local function choose_lua()
  if not pcall(require, "posix.unistd") then return "" end
  local lua = require("spec.support.lua").name
  local core = search(package.cpath, "pop3.core")
  return ("POP3_LUA=%s POP3_BUILD=%s "):format(lua,
    quote(core:gsub("/pop3/core%.so$", "")))
end

local chosen = choose_lua()

-- It ends by os.exit, which leaves what it still holds to the system.
local unleaking = os.getenv("POP3_SANITIZED") and "LSAN_OPTIONS=detect_leaks=0 "
  or ""

local function slurp(path)
  local text = require("spec.support.files").read(path)
  os.remove(path)
  return text
end

local function quoted(words)
  local list = {}
  for i, word in ipairs(words) do list[i] = quote(word) end
  return table.concat(list, " ")
end

-- How the program starts, in sh; `options` as of `run`.
local function command_line(words, options)
  local environment = ""
  if options.password then
    environment = "POP3_PASSWORD=" .. quote(options.password) .. " "
  end
  return "unset POP3_PASSWORD; export LC_ALL=C; "
    .. (options.before or "") .. " exec env " .. unleaking
    .. chosen .. environment .. (options.under or "") .. " "
    .. quote(program.path) .. " " .. quoted(words)
end

--- Run it without a terminal.
-- @tparam table words of the command line
-- @tparam[opt] table options `password` (in the environment), `before` (shell
-- commands, each ended by ;), `under` (a program to run it with), `stdout`
-- @treturn table status, out, err
function program.run(words, options)
  options = options or {}
  local out, err, status = os.tmpname(), os.tmpname(), os.tmpname()
  local inner = command_line(words, options)
  os.execute(("setsid -w sh -c %s </dev/null >%s 2>%s; echo $? >%s"):format(
    quote(inner), options.stdout or out, err, status))
  return { status = tonumber(slurp(status)), out = slurp(out),
    err = slurp(err) }
end

--- Run it on a terminal of its own.
-- @tparam table words
-- @tparam table steps see terminal.py
-- @tparam[opt] table options as of `run`; `twice`: two of them at a time;
-- `behind`: a second one in the background, which is stopped by then
-- @treturn table what terminal.py reports
function program.on_terminal(words, steps, options)
  local command = command_line(words, options or {})
  if options and options.twice then
    command = ("(%s) & (%s); wait"):format(command, command)
  end
  if options and options.behind then
    command = ("set -m; (%s) & until grep -q '^State:.T' /proc/$!/status; do :; "
      .. "done; (%s); kill -9 %%1"):format(command, command)
  end
  local pipe = io.popen((os.getenv("PYTHON") or "python3") .. " "
    .. quote(here .. "terminal.py") .. " " .. quote(json.encode(steps)) .. " "
    .. quoted { "sh", "-c", command }, "r")
  local report = pipe:read("*a")
  pipe:close()
  return json.decode(report)
end

return program
