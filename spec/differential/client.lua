--- Runs the sessions of generate.py through our module; the outcomes have the
-- shape that client.py describes. Errors carry `name` and `kind`, too.

local pop3 = require "pop3"

local client = {}

local TIMEOUT = 20 -- seconds; no session needs it
local LAST_WORDS = { ["-ERR EOF"] = true, ["line too long"] = true }

local function failed(err)
  if type(err) ~= "table" then
    return { error = "argument", text = tostring(err) }
  end
  local class, text = err.kind, tostring(err)
  if pop3.is_error_proto(err) then class = "proto" end
  -- The line itself: tostring escapes what a terminal might obey.
  if err.name == "refused" then text = err.response or "" end
  return { error = class, text = text, kind = err.kind, name = err.name }
end

local function decimal(number)
  if number % 1 == 0 and math.abs(number) < 2^53 then
    return ("%.0f"):format(number) -- %d may have 32 bits
  end
  return tostring(number):find("^%-?%d+$") and tostring(number)
    or ("%.0f"):format(number)
end

local function plain(first) return first == nil and true or first end

local function long(resp, lines, octets)
  if octets == nil then return plain(resp) end
  return { resp = resp, lines = lines, octets = octets }
end

local values = {
  stat = function(count, octets)
    return { count = decimal(count), octets = decimal(octets) }
  end,
  capa = function(capabilities) return { capa = capabilities } end,
  list = long, uidl = long, retr = long, top = long,
}

local function attempt(method, run, ...)
  local got = { pcall(run, ...) }
  if not got[1] then return failed(got[2]) end
  return { ok = (values[method] or plain)(got[2], got[3], got[4]) }
end

local function session_outcomes(session, port)
  local conn
  local outcomes = { attempt("connect", function()
    conn = pop3.POP3("127.0.0.1", port, { timeout = TIMEOUT })
    return conn:getwelcome()
  end) }
  for _, call in ipairs(session.calls) do
    if not conn or LAST_WORDS[outcomes[#outcomes].text] then break end
    local method = call[1]
    outcomes[#outcomes + 1] = attempt(method, conn[method], conn,
      call[2], call[3])
  end
  if conn then conn:close() end
  return outcomes
end

local function timed_out(outcomes)
  for _, outcome in ipairs(outcomes) do
    if outcome.kind == "timeout" then return true end
  end
  return false
end

--- The outcomes of all sessions, in their order.
function client.run(sessions, port)
  local results = {}
  for i, session in ipairs(sessions) do
    local outcomes = session_outcomes(session, port)
    results[i] = { seed = session.seed, outcomes = outcomes }
    if timed_out(outcomes) then
      error("we and the server wait for each other: session " .. session.seed)
    end
  end
  return results
end

return client
