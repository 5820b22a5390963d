--- Descriptors of this process, by the kernel's list of them (Linux).

local lfs = require "lfs"

local descriptors = {}

--- How many there are.
function descriptors.count()
  local count = 0
  for _ in lfs.dir("/proc/self/fd") do count = count + 1 end
  return count
end

--- The same, without those that nobody holds any more.
function descriptors.held()
  for _ = 1, 2 do collectgarbage() end
  return descriptors.count()
end

--- That of an open file.
function descriptors.of(path)
  for name in lfs.dir("/proc/self/fd") do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    if target == path then return tonumber(name) end
  end
  error("not open: " .. path)
end

return descriptors
