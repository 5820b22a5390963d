--- Why an outcome may differ from poplib's: the numbers of the README's table
-- of deviations, each with a test that is as narrow as can be. A test gets
--
--     d.session  the session
--     d.call     the call, { method, arguments... }; "connect" is the first
--     d.reply    the octets that answered it, "" if none
--     d.partial  the stream ends inside that reply
--     d.previous the method called before
--     d.closed   an earlier call has closed our connection
--     d.rest     octets behind the end of the reply before
--     d.inside   octets behind the end of a reply to this call
--     d.python   poplib's outcome
--     d.lua      ours
--
-- and is true if the difference is of its kind.

local oracle = require "spec.differential.oracle"
local same = require "spec.differential.same"

local function is(outcome, kind, name)
  return outcome.kind == kind and (name == nil or outcome.name == name)
end

local function method(d, ...)
  for _, name in ipairs { ... } do
    if d.call[1] == name then return true end
  end
  return false
end

local function control(d)
  for i = 2, #d.call do
    if tostring(d.call[i]):find("[\r\n%z]") then return true end
  end
  return false
end

--- Our outcome is what the oracle reads.
local function right(d)
  local reply = oracle.reply(d.call, d.reply)
  if not reply or not d.lua.ok then return false end
  if method(d, "capa") then
    return same(d.lua.ok.capa, oracle.capabilities(reply.lines or {}))
  end
  return type(d.lua.ok) == "table" and d.lua.ok.resp == reply.resp
    and same(d.lua.ok.lines, reply.lines) and d.lua.ok.octets == reply.octets
end

local function longest_line(text)
  local longest = 0
  for line in text:gmatch("[^\n]*\n?") do longest = math.max(longest, #line) end
  return longest
end

local function ended(d)
  return is(d.lua, "closed", "eof")
end

local truncated = { 3, "a truncated last line is no line", function(d)
  return d.partial and d.reply:sub(-1) ~= "\n" and ended(d)
end }

local injected = { 2, "CR, LF and NUL in arguments are refused", function(d)
  return control(d) and d.lua.error == "argument"
end }

local long_lines = { 4, "lines of a body may be longer than 2048", function(d)
  local complains = d.python.text == "line too long"
    or (method(d, "capa") and d.python.error == "proto")
  return complains and longest_line(d.reply) > 2048 and right(d)
end }

local quit_closes = { 5, "quit() closes on every outcome", function(d)
  return d.closed == "refused quit" and is(d.lua, "state", "closed")
end }

local stat = { 6, "malformed STAT is error_proto", function(d)
  return method(d, "stat") and is(d.lua, "proto", "malformed")
    and (d.python.ok ~= nil or d.python.error == "ValueError"
      or d.python.error == "IndexError")
end }

local blank_capa = { 6, "blank CAPA lines are skipped", function(d)
  return method(d, "capa") and d.python.error == "IndexError" and right(d)
end }

local bad_capa = { 6, "malformed CAPA is error_proto", function(d)
  if not method(d, "capa") or not is(d.lua, "proto", "malformed") then
    return false
  end
  for line in d.reply:gmatch("\n([^\n]*)") do
    if oracle.is_malformed_capability(line) then return true end
  end
  return false
end }

local stls_name = { 6, "STLS is found in any case", function(d)
  return method(d, "stls") and d.reply:find("\nstls\r") ~= nil
    and d.python.text == "-ERR STLS not supported by server"
    and d.lua.text ~= d.python.text
end }

local injection = { 7, "octets behind STLS's +OK are fatal", function(d)
  return method(d, "stls") and d.python.error == "socket"
    and is(d.lua, "tls", "injection")
end }

local after_refusal = { 7, "as are those behind its -ERR", function(d)
  return d.rest ~= "" and d.previous == "stls"
    and is(d.lua, "tls", "injection")
end }

local one_dot = { 8, "a line's one dot goes; only CRLF ends it", function(d)
  return oracle.is_long(d.call) and d.python.ok ~= nil and right(d)
end }

local after_close = { 9, "use after close is a usage error", function(d)
  return d.closed == "closed" and is(d.lua, "state", "closed")
end }

local apop = { 10, "APOP needs a well-formed timestamp", function(d)
  return method(d, "apop") and not oracle.has_timestamp(d.session.greeting)
    and d.lua.text == "-ERR APOP not supported by server"
end }

local apop_anywhere = { 10, "the timestamp may stand anywhere", function(d)
  return method(d, "apop") and oracle.has_timestamp(d.session.greeting)
    and not d.session.greeting:find("^%+OK.[^<]*<")
    and d.python.text == "-ERR APOP not supported by server"
end }

local unasked = { 13, "a reply that nobody asked for ends it", function(d)
  return (d.rest ~= "" or method(d, "stls") and d.inside ~= "")
    and (is(d.lua, "closed", "goodbye") or is(d.lua, "proto", "unsolicited"))
end }

return { injected, quit_closes, after_close, unasked, truncated, long_lines,
         stat, blank_capa, bad_capa, stls_name, injection, after_refusal,
         one_dot, apop, apop_anywhere }
