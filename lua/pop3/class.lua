--- What objects that are tables have in common, their methods, out of reach
-- for scripts: who could change them would change them for everybody
-- (docs/sandbox.md).
--
-- @module pop3.class

--- @tparam string name of the class, which `getmetatable` gives
-- @tparam table methods
-- @treturn table the metatable; other events are its maker's to add
return function(name, methods)
  return { __index = methods, __name = name, __metatable = name }
end
