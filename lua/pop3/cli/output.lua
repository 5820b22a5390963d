--- Standard output, which may be full or closed.
--
-- @module pop3.cli.output

local problem = require "pop3.cli.problem"

local output = {}

local function check(done, reason)
  if done then return end
  problem.raise(problem.IO, "cannot write to standard output: " .. reason)
end

--- Raises a problem when it cannot be written.
function output.put(text) check(io.stdout:write(text)) end

--- What was put is out, or a problem is raised.
function output.flush() check(io.stdout:flush()) end

return output
