--- What the specs of failures have in common.
local system = require "system"

local claims = {}

--- Call `f`, which must raise an error object.
-- @return the object
function claims.failure(f, ...)
  local ok, err = pcall(f, ...)
  if ok then error("an error was expected, none came", 2) end
  if type(err) ~= "table" then
    error("an error object was expected, not: " .. tostring(err), 2)
  end
  return err
end

--- The same, of this kind and name.
function claims.fails(kind, name, f, ...)
  local ok, err = pcall(f, ...)
  if ok then error("an error was expected, none came", 2) end
  if type(err) ~= "table" or err.kind ~= kind or err.name ~= name then
    local got = type(err) == "table" and err.kind .. "/" .. err.name .. ": "
                or ""
    error(("%s/%s was expected, not %s%s"):format(kind, name, got,
                                                  tostring(err)), 2)
  end
  return err
end

--- Call `f`, which must raise an ordinary Lua error.
-- @return its text
function claims.misuse(f, ...)
  local ok, err = pcall(f, ...)
  if ok then error("an error was expected, none came", 2) end
  if type(err) ~= "string" then
    error("an ordinary error was expected, not: " .. tostring(err), 2)
  end
  return err
end

--- There is a line for each of these words, in this order, and it has them.
function claims.lines(wanted, lines)
  if #wanted ~= #lines then
    error(("%d lines were expected, not %d:\n%s"):format(#wanted, #lines,
      table.concat(lines, "\n")), 2)
  end
  for i, words in ipairs(wanted) do
    if not lines[i]:find(words, 1, true) then
      error(("line %d lacks %q: %s"):format(i, words, lines[i]), 2)
    end
  end
end

--- Call `f`; it must come back within `seconds`.
-- @return the seconds that it took
function claims.within(seconds, f, ...)
  local start = system.monotime()
  f(...)
  local took = system.monotime() - start
  if took > seconds then
    error(("took %.2f s, at most %.2f were expected"):format(took, seconds), 2)
  end
  return took
end

-- A line of what the kernel (Linux) says of this process's memory, octets.
local function count(name)
  local file = assert(io.open("/proc/self/status"))
  local kib = file:read("*a"):match(name .. ":%s*(%d+) kB")
  file:close()
  return tonumber(kib) * 1024
end

--- Octets of this process that are in memory.
function claims.resident() return count "VmRSS" end

--- Octets that it ever asked the system for and did not give back. What was
-- freed and is used again does not count, nor which pages of it were touched.
function claims.data() return count "VmData" end

return claims
