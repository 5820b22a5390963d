--- Where the Luas differ, for specs: the only place of theirs that asks which
-- one runs.

local lua = {}

local jit = rawget(_G, "jit")
local version = tonumber(_VERSION:match("[%d.]+")) -- 5.1 in LuaJIT, too

--- As it is called: "lua5.4", "luajit".
lua.name = jit and "luajit" or "lua" .. _VERSION:match("[%d.]+")

--- May a coroutine give way within pcall, metamethods and iterators?
lua.yields_anywhere = version > 5.1 or jit ~= nil

--- Are there integers besides floats?
lua.has_integers = version >= 5.3

--- Does `for` close what it leaves early?
lua.closes = version >= 5.4

--- Are pointers short? Then half of the address space is a system's.
lua.is_32_bit = #tostring({}):match("%x+$") <= 8

lua.unpack = table.unpack or unpack -- luacheck: ignore

--- A function from text.
lua.load = loadstring or load -- luacheck: ignore

--- From now on let the collector run as often as it can.
function lua.collect_eagerly()
  if version >= 5.5 then
    collectgarbage("param", "pause", 100)
    collectgarbage("param", "stepmul", 1000)
  elseif version >= 5.4 then
    collectgarbage("incremental", 100, 1000)
  else
    collectgarbage("setpause", 100)
    collectgarbage("setstepmul", 1000)
  end
end

--- Switch LuaJIT's compiler on or off; it allocates, too.
function lua.compile(on)
  if jit then jit[on and "on" or "off"]() end
end

return lua
