--- Run specs with busted inside of a request of nginx:
--
--   luajit spec/support/in_nginx.lua FILE...
--
-- TAP on standard output; 1 if any failed. The host's name for
-- spec/hosts/host.lua comes from POP3_HOST.

local files = require "spec.support.files"
local nginx = require "spec.support.nginx"

-- Inside: busted is a program, which reads `arg`, prints and exits.
local RUN = [[
  local exit = os.exit
  arg = { [0] = "busted", "-o", "%s", "-Xoutput", "%s", "--ignore-lua", %s }
  local ended = {}
  os.exit = function() error(ended, 0) end
  local ok, err = pcall(require "busted.runner", { standalone = false })
  os.exit = exit
  if not ok and err ~= ended then error(err, 0) end
]]

local function quoted(list)
  local words = {}
  for i, word in ipairs(list) do words[i] = ("%q"):format(word) end
  return table.concat(words, ", ")
end

local environment = {}
for _, name in ipairs { "PATH", "PYTHON", "POP3_HOST", "POP3_SERVERS", "LC_ALL",
  "POP3_TEST_LANE", "PYTHONDONTWRITEBYTECODE" } do
  environment[#environment + 1] = "env " .. name .. ";"
end

local results = os.tmpname()
local host = nginx.start {
  main = table.concat(environment, " "),
  content = { run = RUN:format(nginx.root .. "/spec/support/results.lua",
    results, quoted(arg)) },
}
local body = host:get("/run")
local tap = files.read(results)
local log = host:log()
os.remove(results)
nginx.stop_all()
io.stdout:write(tap)
if body ~= "" then io.stderr:write(body, "\n") end
io.stderr:write(log)
local failed = tap:find("^not ok") or tap:find("\nnot ok") or tap == ""
os.exit(failed and 1 or 0)
