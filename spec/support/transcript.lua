--- Sessions with servers of other people, as texts that can be read: what the
-- server of a provider was seen to say is played by scripted.py, against the
-- module.
--
--     // A comment: where the texts come from.
--     # name: what the client has to make of it
--     host pop.gmail.com        whose server it is: TLS, for those who ask for
--                               this name (SNI)
--     host mail.example.org clear     no TLS; or "starttls"
--     option pipelining = false       of the constructor
--     > M:stat()                the client calls something; M is the connection
--     C: STAT                   what has to arrive then
--     S: +OK 3 221409           and what is answered, with CRLF
--     => 3, 221409              what the call returns
--     =! code = "AUTH"          or fields of the error that it raises
--     close, cut                the server goes, with or without close_notify
--     ahead 2                   as many commands were in flight at once
--
-- In octets there may be \r \n \\ \xNN and \{N:text} for N times text; in Lua
-- `none` stands for a field that is nil. The connection is opened before the
-- first call, unless that is `open()` itself.

local assert = require "luassert"
local certificates = require "spec.support.certificates"
local pop3 = require "pop3"
local server = require "spec.support.server"

local load = require("spec.support.lua").load
local read_file = require("spec.support.files").read
local unpack = require("spec.support.lua").unpack

local transcript = {}

local none = setmetatable({}, { __tostring = function() return "none" end })

local controls = { r = "\r", n = "\n", ["\\"] = "\\" }

local function octets(text)
  text = text:gsub("\\{(%d+):([^}]*)}", function(times, piece)
    return piece:rep(tonumber(times))
  end)
  text = text:gsub("\\x(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return (text:gsub("\\([rn\\])", controls))
end

-- Of our direction only: a socket that is closed answers by a reset, sometimes.
local SHUTDOWN, CUT = { shutdown = true }, { shutdown = "abrupt" }

-- What a line adds to the transcript; the first pattern that matches.
local lines = {
  { "^host (%S+) ?(%S*)$", function(t, name, how)
    t.host, t.how = name, how == "" and "implicit" or how
  end },
  { "^option (.+)$", function(t, text) t.options[#t.options + 1] = text end },
  { "^> (.+)$", function(t, text)
    t.calls[#t.calls + 1] = { text = text, line = t.at }
  end },
  { "^=> (.+)$", function(t, text) t.calls[#t.calls].results = text end },
  { "^=! (.+)$", function(t, text) t.calls[#t.calls].failure = text end },
  { "^C: ?(.*)$", function(t, text)
    t.steps[#t.steps + 1] = { expect = octets(text) }
  end },
  { "^S: ?(.*)$", function(t, text)
    t.steps[#t.steps + 1] = { send = octets(text) .. "\r\n" }
  end },
  -- What is sent to who has gone is no mistake, but may come too late to be seen.
  { "^close$", function(t) t.gone, t.steps[#t.steps + 1] = true, SHUTDOWN end },
  { "^cut$", function(t) t.gone, t.steps[#t.steps + 1] = true, CUT end },
  { "^ahead (%d+)$", function(t, count) t.ahead = tonumber(count) end },
}

local function take(t, line)
  for _, rule in ipairs(lines) do
    local a, b = line:match(rule[1])
    if a then return rule[2](t, a, b) end
  end
  error(("%s:%d: what is this? %s"):format(t.file, t.at, line), 0)
end

--- The transcripts of a file.
function transcript.read(path)
  local found, current, at = {}, nil, 0
  for line in (read_file(path) .. "\n"):gmatch("([^\n]*)\n") do
    at = at + 1
    local name, claim = line:match("^# (%S+): (.+)$")
    if name then
      current = { name = name, claim = claim, file = path, steps = {},
        calls = {}, options = {} }
      found[#found + 1] = current
    elseif line ~= "" and not line:find("^//") then
      current.at = at
      take(current, line)
    end
  end
  return found
end

-- ------------------------------------------------------------------ play

local function evaluate(t, text, ...)
  local chunk, problem = load("local pop3, M, open, none = ... return " .. text)
  if not chunk then error(t.file .. ": " .. problem, 0) end
  return chunk(pop3, ...)
end

local function pack(...) return { n = select("#", ...), ... } end

--- What the server does about TLS, around the transcript's own steps.
local function script(t)
  local tls = certificates.server("providers", { names = { t.host },
    other = certificates.file "no-name" })
  local steps = { t.how == "implicit" and { tls = tls } or nil }
  for i, step in ipairs(t.steps) do
    steps[#steps + 1] = step
    local asked = i > 1 and t.steps[i - 1].expect
    if asked == "STLS" then steps[#steps + 1] = { tls = tls } end
  end
  return steps
end

local doors = { implicit = "implicit", starttls = "starttls", clear = "none" }

--- The options of whoever follows the guide, but for where the server is.
local function options(t, s, more)
  local own = { cafile = certificates.cafile, servername = t.host,
    timeout = 20, tls = doors[t.how] }
  for _, text in ipairs(t.options) do
    for key, value in pairs(evaluate(t, "{" .. text .. "}")) do
      own[key] = value
    end
  end
  for key, value in pairs(more or {}) do own[key] = value end
  return s.host, s.port, own
end

local function compare(t, call, outcome)
  local where = ("%s:%d: %s"):format(t.file, call.line, call.text)
  if call.failure then
    local fields = evaluate(t, "{" .. call.failure .. "}", nil, nil, none)
    assert(not outcome[1], where .. ": an error was expected")
    local err = outcome[2]
    assert(type(err) == "table", where .. ": " .. tostring(err))
    for key, wanted in pairs(fields) do
      if wanted == none then wanted = nil end
      assert.same({ [key] = wanted }, { [key] = err[key] },
        where .. ": " .. tostring(err))
    end
    return
  end
  assert(outcome[1], where .. ": " .. tostring(outcome[2]))
  if call.results then
    local wanted = pack(evaluate(t, call.results, nil, nil, none))
    assert.same(wanted, { n = outcome.n - 1, unpack(outcome, 2, outcome.n) },
      where)
  end
end

--- Play it: the server's part in its own process, the client's here.
function transcript.play(t)
  local s = server.start { script(t) }
  local M
  local function open(more)
    local host, port, own = options(t, s, more)
    if own.user then
      own.host, own.port = host, port
      local extras
      M, extras = pop3.open(own)
      return extras
    end
    M = pop3.POP3(host, port, own)
  end
  if not t.calls[1].text:find("^open") then open() end
  for _, call in ipairs(t.calls) do
    compare(t, call, pack(pcall(evaluate, t, call.text, M, open, none)))
  end
  if M then M:close() end
  local report = s:report().connections[1]
  assert.same({}, report.errors)
  if not t.gone then assert.same("", report.extra) end
  if t.ahead then assert.equal(t.ahead, report.waiting) end
  return report
end

return transcript
