--- Where the Luas differ, for the module's own files: the only place of theirs
-- that asks which one runs. (csrc/lua_compat.h does the same for C.)
--
-- @module pop3.compat

-- PUC 5.1's pcall lets no coroutine yield through it. (Trying that out would be
-- a yield itself, which nginx does not allow while a file is loaded.)
local passes = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

return {
  --- `table.unpack`, which 5.1 and LuaJIT have as a global.
  unpack = table.unpack or unpack, -- luacheck: ignore

  --- `pcall`; but where `fn` might yield, and could not through it, a plain
  -- call: then what it raises is not caught.
  protected = function(fn, ...)
    if passes or not coroutine.running() then return pcall(fn, ...) end
    return true, fn(...)
  end,
}
