--- The Lua examples for specs: run one as its reader would, in a process of its
-- own, with the interpreter of this one.
--
--     local result = program.run("mailbox", { "127.0.0.1", 110, "joe" },
--       { POP3_PASSWORD = "secret" })
--     result.status, result.out, result.err

local child = require "spec.support.child"

local program = {}

local root = debug.getinfo(1, "S").source:match("^@(.*/)spec/") or "./"

-- As the interpreter runs a script: `arg`, and nothing on the stack. The paths
-- of modules are set before it.
local SCRIPT = [[
local path = table.remove(arg, 1)
arg[0] = path
local main = assert(loadfile(path))
main((table.unpack or unpack)(arg))
]]

--- @tparam string name the file's, without its end
-- @tparam table arguments
-- @tparam table env
-- @treturn table as child.run
function program.run(name, arguments, env)
  local words = { root .. "examples/" .. name .. ".lua" }
  for _, word in ipairs(arguments or {}) do words[#words + 1] = word end
  return child.run { script = SCRIPT, arguments = words, env = env }
end

--- It failed by saying one sentence.
function program.assert_says(result, status, text)
  local assert = require "luassert"
  assert.same({ status, text, "" }, { result.status, result.err, result.out })
end

return program
