--- Text of others, made fit for a terminal and for one line: control
-- characters, and whatever is not UTF-8, become \xNN.
--
-- @module pop3.cli.escape

local function hex(octets)
  return (octets:gsub(".", function(octet)
    return ("\\x%02x"):format(octet:byte())
  end))
end

-- How a character may start: pattern of its octets. C1 controls (U+0080 to
-- U+009F) do not pass: terminals obey them.
local SHAPES = {
  "^[\32-\126]",
  "^\194[\160-\191]",
  "^[\195-\223][\128-\191]",
  "^\224[\160-\191][\128-\191]",
  "^[\225-\236\238\239][\128-\191][\128-\191]",
  "^\237[\128-\159][\128-\191]",
  "^\240[\144-\191][\128-\191][\128-\191]",
  "^[\241-\243][\128-\191][\128-\191][\128-\191]",
  "^\244[\128-\143][\128-\191][\128-\191]",
}

-- Characters that reorder or hide what follows: U+200E, U+200F, U+2028 to
-- U+202E, U+2066 to U+2069.
local function is_harmful(character)
  local last = character:match("^\226\128(.)$")
  if last then return last:find("[\142\143\168-\174]") ~= nil end
  return character:find("^\226\129[\166-\169]$") ~= nil
end

local function next_character(text, at)
  local rest = text:sub(at, at + 3)
  for _, shape in ipairs(SHAPES) do
    local character = rest:match(shape)
    if character and not is_harmful(character) then return character end
  end
end

--- @tparam string text
-- @treturn string printable, without line ends
return function(text)
  if not text:find("[^\32-\126]") then return text end
  local out, at = {}, 1
  while at <= #text do
    local character = next_character(text, at)
    out[#out + 1] = character or hex(text:sub(at, at))
    at = at + #(character or " ")
  end
  return table.concat(out)
end
