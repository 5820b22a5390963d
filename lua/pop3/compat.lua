--- Where the Luas differ, for the module's own files: the only place of theirs
-- that asks which one runs. (csrc/lua_compat.h does the same for C.)
--
-- @module pop3.compat

return {
  --- Can a function yield that pcall has called? (Not in PUC Lua 5.1.)
  yields_in_pcall = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil,
  --- `table.unpack`, which 5.1 and LuaJIT have as a global.
  unpack = table.unpack or unpack, -- luacheck: ignore
}
