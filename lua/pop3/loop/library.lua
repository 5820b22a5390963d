--- Finding an event loop's library, which nobody needs who uses another one.
--
-- @module pop3.loop.library

local library = {}

--- `require` a library, or say which package it is in.
-- @tparam string name of the module
-- @tparam string user the module that needs it
-- @tparam[opt=name] string package the LuaRocks package
-- @return the library
function library.find(name, user, package)
  local ok, found = pcall(require, name)
  if ok then return found end
  error(("%s needs the module '%s' (LuaRocks package '%s'): %s"):format(user,
    name, package or name, tostring(found)), 0)
end

return library
