--- Let every allocation of a function fail in turn.
--
--     local starve = require "spec.support.starve"
--     starve.each(function() ... end, function(n, ok, err) ... end)

local lua = require "spec.support.lua"
local quote = require("spec.support.files").quote

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"

local starve = {}

local library

--- starve.c, compiled for the running Lua, once.
local function load()
  if library then return library end
  local path = os.tmpname()
  local command = "cc -shared -fPIC -O1 -Wall -Wextra -o %s %s $(pkg-config --cflags %s)"
  local done = os.execute(command:format(quote(path), quote(here .. "starve.c"),
    lua.name))
  assert(done == true or done == 0, "starve.c does not compile")
  library = assert(package.loadlib(path, "luaopen_starve"))()
  os.remove(path)
  return library
end

--- Call `f` again and again: the first time its first allocation fails, the
-- next time its second one, until it needs no more.
-- @tparam function f
-- @tparam function look is called after each with the place, and what pcall
-- returned
-- @tparam[opt=1] number times how many allocations fail in a row
-- @treturn number places
function starve.each(f, look, times)
  local lib = load()
  local place = 0
  lua.compile(false) -- recording a trace would fail outside of our pcall
  while true do
    place = place + 1
    lib.start(place, times or 1)
    local ok, err = pcall(f)
    local _, failed = lib.stop()
    look(place, ok, err)
    if not failed then break end
  end
  lua.compile(true)
  return place
end

return starve
