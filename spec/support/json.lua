--- JSON between the specs and their programs in Python. Octets above 127 pass
-- as they are, both ways: in those programs each is one character.

local dkjson = require "dkjson" -- busted's own; its encoder would touch octets

local json = {}

local function escape(octet) return ("\\u%04x"):format(octet:byte()) end

local encode

local function list(value)
  local items = {}
  for i, item in ipairs(value) do items[i] = encode(item) end
  return "[" .. table.concat(items, ",") .. "]"
end

local function object(value)
  local items = {}
  for key, item in pairs(value) do
    items[#items + 1] = encode(tostring(key)) .. ":" .. encode(item)
  end
  return "{" .. table.concat(items, ",") .. "}"
end

local by_type = {
  string = function(value)
    return '"' .. value:gsub('[%c"\\]', escape) .. '"'
  end,
  number = function(value) return ("%.17g"):format(value) end,
  boolean = tostring,
  table = function(value)
    return (#value > 0 and list or object)(value)
  end,
}

function encode(value) return by_type[type(value)](value) end

--- @return text in which an empty table is an object
json.encode = encode

--- @return the value; null is nil
function json.decode(text)
  local value, _, problem = dkjson.decode(text, 1, nil, nil, nil)
  if problem then error(problem, 2) end
  return value
end

return json
