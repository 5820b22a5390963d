--- Commands for specs, and the programs that they build.
--
--     local shell = require "spec.support.shell"
--     local out, err, good = shell.run("cc --version")
--     local out = shell.succeed("cc -o %s %s", path, source)  -- or an error

local files = require "spec.support.files"

local shell = {}

--- Run a command of the shell.
-- @return its output, its error output, did it succeed?
function shell.run(command)
  local out, err = os.tmpname(), os.tmpname()
  local status = os.execute(("{ %s\n} >%s 2>%s"):format(command, out, err))
  local output, errors = files.read(out), files.read(err)
  os.remove(out)
  os.remove(err)
  return output, errors, status == true or status == 0
end

--- What a command writes, however it ends.
function shell.output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

--- Run a command that must succeed. The words that follow are string.format's,
-- and quoted for the shell.
-- @return its output, its error output
function shell.succeed(command, ...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = files.quote(tostring(word)) end
  if #words > 0 then command = command:format((unpack or table.unpack)(words)) end
  local output, errors, good = shell.run(command)
  if not good then
    error(("failed: %s\n%s%s"):format(command, output, errors), 2)
  end
  return output, errors
end

return shell
