--- Before busted under wine: what it and the specs take from the system there.
-- shell.c is the shell.

local counter = 0

--- A name in a folder that Windows' programs and the shell's both know.
function os.tmpname() -- luacheck: ignore
  counter = counter + 1
  local name = ("/tmp/pop3-wine-%d-%d-%d"):format(os.time(),
    math.random(0, 2^30), counter)
  assert(io.open(name, "wb")):close()
  return name
end

package.preload["system"] = function()
  local core = require "pop3.core"
  return { gettime = os.time, monotime = core.now, sleep = function(seconds)
    core.poll({}, seconds)
  end }
end

package.preload["term"] = function()
  return { isatty = function() return false end }
end

-- The specs look for their neighbours at the slashes of their own paths.
table.insert(package.searchers, 2, function(name)
  local path, reason = package.searchpath(name, package.path, ".", "/")
  if not path then return reason end
  return assert(loadfile(path)), path
end)
