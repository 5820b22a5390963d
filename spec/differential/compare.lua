--- Compares the outcomes of client.py and client.lua, session by session, up
-- to the first difference: behind it the two are no longer in the same place.

local deviations = require "spec.differential.deviations"
local oracle = require "spec.differential.oracle"
local same = require "spec.differential.same"

local compare = {}

-- The commands of each call, in their order.
local words = {
  user = { "USER" }, pass_ = { "PASS" }, rpop = { "RPOP" }, apop = { "APOP" },
  stat = { "STAT" }, list = { "LIST" }, retr = { "RETR" }, top = { "TOP" },
  dele = { "DELE" }, noop = { "NOOP" }, rset = { "RSET" }, uidl = { "UIDL" },
  capa = { "CAPA" }, utf8 = { "UTF8" }, quit = { "QUIT" },
  stls = { "CAPA", "STLS" }, getwelcome = {}, close = {},
}

--- What came behind the end of a reply.
local function rest_of(call, reply)
  local read = oracle.reply(call, reply)
  return read and read.rest or ""
end

--- The server's answer to a call, from its reply `at` on.
-- @return the octets, the number of the reply behind, octets too many
local function answer(session, call, at)
  local text, rest = "", ""
  for _, word in ipairs(words[call[1]]) do
    local reply = session.replies[at]
    if reply and reply[1] == word then
      local single = call[1] == "stls" and { word:lower() } or call
      text, rest = text .. reply[2], rest .. rest_of(single, reply[2])
      at = at + 1
    end
  end
  return text, at, rest
end

-- Behind these there is nothing to compare: we are closed, poplib reads on.
local last = {
  goodbye = true, unsolicited = true, line = true, eof = true,
}

local function is_last(d)
  return last[d.lua.name]
    or d.lua.name == "malformed" and d.call[1] ~= "stat" -- whose line ended
end

--- Lua's numbers end at 2^63, or at 2^53; poplib's do not.
local function close_to(python, lua)
  local a, b = tonumber(python), tonumber(lua)
  return python == lua
    or math.abs(a) >= 2^53 and math.abs(a - b) <= math.abs(a) * 1e-15
end

local function same_value(python, lua)
  if type(python) ~= "table" or not python.count then
    return same(python, lua)
  end
  return type(lua) == "table" and close_to(python.count, lua.count)
    and close_to(python.octets, lua.octets)
end

--- Same outcome? Errors are equal if their class is and, for error_proto,
-- their text.
local function equal(python, lua)
  if python.ok ~= nil or lua.ok ~= nil then
    return same_value(python.ok, lua.ok)
  end
  if python.error ~= lua.error then
    return python.error == "socket"
      and (lua.kind == "io" or lua.kind == "tls" and lua.name ~= "injection")
  end
  return python.error ~= "proto" or python.text == lua.text
end

local function explain(d)
  for _, rule in ipairs(deviations) do
    if rule[3](d) then return rule[1], rule[2] end
  end
end

local function closed_by(call, lua)
  if call[1] == "close" then return "closed" end
  if call[1] ~= "quit" then return nil end
  return lua.ok and "closed" or "refused quit"
end

--- Walk along a session's calls.
-- @return nil if all is equal, else what deviations.lua's tests get
local function first_difference(session, python, lua)
  local at = 1 -- the next reply of the server
  local d = { session = session, rest = "" }
  for i = 1, math.max(#python, #lua) do
    d.call = session.calls[i - 1] or { "connect" }
    d.python, d.lua = python[i] or {}, lua[i] or {}
    d.reply, d.inside = session.greeting, rest_of(d.call, session.greeting)
    if i > 1 then d.reply, at, d.inside = answer(session, d.call, at) end
    d.partial = session.cut and at > #session.replies
    if not equal(d.python, d.lua) then return d end
    if is_last(d) then return nil, d end
    d.closed = d.closed or closed_by(d.call, d.lua)
    if d.reply ~= "" then d.rest = d.inside end
    d.previous = d.call[1]
  end
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("[^\n]*\n") do lines[#lines + 1] = line end
  return lines
end

--- All outcomes are equal: so is what was sent, but for the digest where the
-- greeting has not exactly one timestamp.
local function explain_sent(session, python, lua)
  if python == lua then return nil end
  local theirs, ours = lines_of(python), lines_of(lua)
  if #theirs ~= #ours or oracle.has_timestamp(session.greeting) then
    return "unexplained"
  end
  for i, line in ipairs(theirs) do
    local apop = line:find("^APOP .") and ours[i]:find("^APOP .")
    if line ~= ours[i] and not apop then return "unexplained" end
  end
  return 10
end

--- Compare one session.
-- @return number of a deviation and its text; nil if equal; "unexplained" and
-- the difference
function compare.session(session, python, lua, python_sent, lua_sent)
  local d, last_one = first_difference(session, python, lua)
  if not d and last_one and last_one.lua.name == "goodbye" then
    return 13, "the goodbye is read before anything is sent"
  end
  if d then
    local number, text = explain(d)
    if number then return number, text end
    return "unexplained", d
  end
  -- We are closed and send no more; what was sent before is the same.
  if last_one then python_sent = python_sent:sub(1, #lua_sent) end
  local number = explain_sent(session, python_sent, lua_sent)
  if number ~= "unexplained" then return number, "another timestamp" end
  return number, { session = session, call = { "what was sent" }, reply = "",
                   python = { ok = python_sent }, lua = { ok = lua_sent } }
end

return compare
