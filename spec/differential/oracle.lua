--- What a reply means by the RFCs and our table of deviations, read the slow
-- and obvious way. The deviations are decided with it, so that "poplib
-- differs here" is never said without "and this is what is right".

local oracle = {}

--- The next line of `text` at `from` and where the next one starts. Lines end
-- in CRLF, or in any LF if `lenient`; an unfinished line is none.
-- @return the line, the position behind it, the octets of line and end
function oracle.line(text, from, lenient)
  local ending = lenient and "\n" or "\r\n"
  local at, last = text:find(ending, from, true)
  if not at then return nil end
  local line = text:sub(from, at - 1)
  if lenient then line = line:gsub("\r$", "") end
  return line, last + 1, last - from + 1
end

--- A listing or message behind its status line.
-- @return lines and octets as poplib counts them, the position behind the
-- terminator; nil if it has no end
function oracle.body(text, from, lenient)
  local lines, octets = {}, 0
  while true do
    local line, next_at, size = oracle.line(text, from, lenient)
    if not line then return nil end
    if line == "." then return lines, octets, next_at end
    if line:sub(1, 1) == "." then
      line, size = line:sub(2), size - 1
    end
    lines[#lines + 1] = line
    octets = octets + size
    from = next_at
  end
end

local message = { retr = true, top = true }

--- Does a listing or message follow the status line of this call?
function oracle.is_long(call)
  local method = call[1]
  if method == "list" or method == "uidl" then return call[2] == nil end
  return message[method] or method == "capa"
end

--- A reply: the status line and, where there are, lines and octets.
-- @return table, or nil if the reply has no end
function oracle.reply(call, text)
  local status, at = oracle.line(text, 1, true)
  if not status then return nil end
  local reply = { resp = status, rest = text:sub(at) }
  if status:sub(1, 1) ~= "+" or not oracle.is_long(call) then return reply end
  local lines, octets, after = oracle.body(text, at, not message[call[1]])
  if not lines then return nil end
  reply.lines, reply.octets, reply.rest = lines, octets, text:sub(after)
  return reply
end

--- Is this no line of a CAPA reply? They are printable ASCII and blanks.
function oracle.is_malformed_capability(line)
  return line:find("[^\t\v\f\r -~]") ~= nil
end

--- CAPA's lines as names and arguments: blank lines are skipped, the last of
-- several lines with one name counts.
-- @return table, or nil where a line is malformed
function oracle.capabilities(lines)
  local capabilities = {}
  for _, line in ipairs(lines) do
    if oracle.is_malformed_capability(line) then return nil end
    local words = {}
    for word in line:gmatch("[^ \t\v\f\r]+") do words[#words + 1] = word end
    local name = table.remove(words, 1)
    if name then capabilities[name] = words end
  end
  return capabilities
end

--- Has the greeting exactly one APOP timestamp, and is it well-formed?
function oracle.has_timestamp(greeting)
  local inner = greeting:match("^%+[^<>]*<([^<>]*)>[^<>]*$")
  if not inner or inner:find("[^!-~]") then return false end
  return inner:find("^[^@]+@[^@]+$") ~= nil
end

return oracle
