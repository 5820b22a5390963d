--- JSON, by dkjson where it is installed: pure Lua, so one package serves
-- every Lua, and it keeps the keys in the order that it is given.
--
-- @module pop3.cli.json

local escape = require("pop3.core").escape
local problem = require "pop3.cli.problem"

local json = {}

local LIST, OBJECT = { __jsontype = "array" }, { __jsontype = "object" }

--- Mark a list: an empty one is [] then, and not {}.
function json.list(values) return setmetatable(values, LIST) end

local function load()
  local found, dkjson = pcall(require, "dkjson")
  if found then return dkjson end
  problem.raise(problem.UNAVAILABLE, "--json needs the Lua module dkjson",
    "apt-get install lua-dkjson, or luarocks install dkjson")
end

--- Complain now if JSON cannot be written later.
json.check = load

-- A copy whose strings may be shown: what a server said need not be UTF-8.
local function shown(value)
  if type(value) == "string" then return escape(value) end
  if type(value) ~= "table" then return value end
  local copy = setmetatable({}, OBJECT)
  if getmetatable(value) == LIST or #value > 0 then
    for i, one in ipairs(value) do copy[i] = shown(one) end
    return json.list(copy)
  end
  for key, one in pairs(value) do copy[key] = shown(one) end
  return copy
end

--- @param value
-- @tparam table order keys, in their order
-- @treturn string with a line end
function json.encode(value, order)
  return load().encode(shown(value), { indent = true, keyorder = order })
    .. "\n"
end

return json
