-- T22: a password that was sent is nowhere in the process any more: not in
-- its memory, in traces, in errors or in what tostring shows; and not in a core
-- file. A child does the session and is searched from outside; see
-- support/memory.py.

local certificates = require "spec.support.certificates"
local json = require "spec.support.json"
local server = require "spec.support.server"

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"

--- In no pattern that a program could hold by chance.
local SECRET = "zQ7vK2mXw9TfRb4Lc8HpYn5Gd3Js6UaE0oViMtZk"

--- One of letters for which SCRAM needs a library, by their octets: Cyrillic
-- ones, then Latin ones with accents among those of ASCII.
local FOREIGN = ("29173f94807d2636e51823c7"):gsub("%x", function(digit)
  return "\208" .. string.char(176 + tonumber(digit, 16))
end) .. "k\195\169Q7\195\188vX\195\1822m\195\1779w\195\184T\195\166b"

-- `call` is a piece of Lua that logs `conn` in by `secret`; `plant` one that
-- leaves a copy of what is in `path`. Whatever can be shown is shown, and kept
-- until the search is over: errors, tracebacks, tostring, debug texts.
local CHILD = [[
local port, path, how, cafile, servername, source, call, plant = ...
local pop3 = require "pop3"
local load = require("spec.support.lua").load

local options = { cafile = cafile, servername = servername, tls = how,
                  timeout = 20 }
local secret = pop3.secret { path = path }
if source == "command" then
  secret = pop3.secret { command = "cat " .. path }
end
local connect = how == "implicit" and pop3.POP3_SSL or pop3.POP3
if how == "none" then options.cafile, options.servername = nil, nil end
if source == "flight" then options.pipelining = true end
local conn = connect("127.0.0.1", tonumber(port), options)

local trace = {}
conn:set_debuglevel(2, function(line) trace[#trace + 1] = line end)
local shown = { tostring(conn), tostring(secret) }
local good, reply, extras = xpcall(function()
  return assert(load("local conn, secret = ... " .. call))(conn, secret)
end, function(err)
  shown[#shown + 1] = debug.traceback(tostring(err))
  for key, value in pairs(type(err) == "table" and err or {}) do
    shown[#shown + 1] = tostring(key) .. tostring(value)
  end
  return err
end)
shown[#shown + 1] = tostring(reply) .. tostring(extras)
shown[#shown + 1] = table.concat(trace, "\n")
local kept = assert(load("local path = ... " .. plant))(path)
print(#trace > 0 and (good and "ready" or "refused") or "no trace")
io.stdout:flush()
io.read("*a")
conn:close()
print(kept and #kept, #shown)
]]

local quote = require("spec.support.files").quote
local interpreter = require("spec.support.files").interpreter
local write_file = require("spec.support.files").temporary

local SESSION = {
  auto = {
    { "USER .*", "+OK\r\n" },
    { "PASS .*|APOP .*", "+OK logged in\r\n" },
    { "STAT", "+OK 0 0\r\n" },
    { "LIST|UIDL", "+OK\r\n.\r\n" },
  },
}
local REFUSAL = {
  auto = { { "USER .*", "+OK\r\n" }, { "PASS .*", "-ERR [AUTH] no\r\n" } },
}

--- Steps of a login by `name`; `last` is what the server thinks of it.
local function sasl_session(name, last, secret)
  local steps = { "C: CAPA", { send = "+OK\r\nSASL " .. name .. "\r\n.\r\n" } }
  local function add(...)
    for _, step in ipairs { ... } do steps[#steps + 1] = step end
    steps[#steps + 1] = last or "S: +OK"
    return steps
  end
  if name:find "SCRAM" then
    steps[3] = { scram = { password = last and "another" or secret or SECRET,
      digest = name:gsub("^SCRAM%-", ""):gsub("%-", ""):lower() } }
    return steps
  elseif name == "PLAIN" then
    return add { match = "AUTH PLAIN .+" }
  elseif name == "LOGIN" then
    return add("C: AUTH LOGIN", "S: +", { match = ".+" }, "S: +",
      { match = ".+" })
  elseif name == "CRAM-MD5" then
    return add("C: AUTH CRAM-MD5", "S: + PDEuMkBleGFtcGxlLm9yZz4=",
      { match = ".+" })
  end
  return add("C: AUTH " .. name, "S: +", { match = ".+" })
end

local function steps(how, session)
  local tls = { tls = certificates.server("exact") }
  local greeting = "S: +OK ready <1.2@example.org>"
  if session[1] then
    local all = { tls, greeting }
    for _, step in ipairs(session) do all[#all + 1] = step end
    return all
  end
  if how == "none" then return { greeting, session } end
  if how == "implicit" then return { tls, greeting, session } end
  return { greeting, "C: CAPA", { send = "+OK\r\nSTLS\r\n.\r\n" },
           "C: STLS", "S: +OK", tls, session }
end

local function python(options, words)
  for i, word in ipairs(words) do words[i] = quote(word) end
  local pipe = assert(io.popen(("%s %s %s %s"):format(
    os.getenv("PYTHON") or "python3", quote(here .. "support/memory.py"),
    options, table.concat(words, " "))))
  local answer = json.decode(pipe:read("*a"))
  pipe:close()
  return answer
end

--- What is searched: `how` (is TLS), `call`, `session` (what the server plays),
-- `source` (of the secret), `secret` (another one), `times` (how often it is
-- in what is sent), `plant`, `refused` (true: the login has to fail),
-- `sends` (what reaches the server; false: nothing that can be told), `core`
-- (true: a core file, not the memory).
-- @return memory.py's answer
local function search(row)
  local how = row.how or "implicit"
  local s = server.start { steps(how, row.session or SESSION) }
  local secret = row.secret or SECRET
  local path, own = write_file(secret), write_file(secret:rep(row.times or 1))
  local script = write_file(
    ("package.path, package.cpath = %q, %q\n"):format(package.path,
                                                     package.cpath) .. CHILD)
  local answer = python(row.core and "--core" or "", {
    path, interpreter(), script, tostring(s.port), own, how,
    certificates.cafile, certificates.name, row.source or "",
    row.call or "return conn:login('alice', secret, { auth = 'USER' })",
    row.plant or "" })
  os.remove(path)
  os.remove(own)
  os.remove(script)
  if answer.lacking then return answer end
  assert.equal(row.refused and "refused" or "ready", answer.said)
  assert.equal(row.core and -6 or 0, answer.status) -- SIGABRT
  assert(answer.octets > 1e6, "the search saw too little")
  local report = s:report().connections[1]
  assert.same({}, report.errors)
  if row.sends ~= false then
    assert(report.received:find(row.sends or SECRET, 1, true),
      "nothing was sent")
  end
  return answer
end

-- ------------------------------------------------------------ ways to log in

local USER_PASS = "conn:user('alice') return conn:pass_(secret)"

--- Each is searched as it succeeds.
local ways = {
  { "user() and pass_() in clear", how = "none", call = USER_PASS },
  { "user() and pass_() by TLS", call = USER_PASS },
  { "user() and pass_() after STLS", how = "starttls", call = USER_PASS },
  { "login() by USER and PASS" },
  { "login() as it likes, APOP here", sends = "APOP alice ",
    call = "return conn:login('alice', secret)" },
  { "login(), the secret from a command", source = "command" },
  { "login() with more in its flight", source = "flight",
    call = "return conn:login('alice', secret, "
      .. "{ auth = 'USER', stat = true, listing = true })" },
  { "apop()", how = "none", call = "return conn:apop('alice', secret)",
    sends = "APOP alice " },
  { "pass_() that is refused", call = USER_PASS, session = REFUSAL,
    refused = true },
  { "login() that is refused", session = REFUSAL, refused = true },
}

--- The wire hides the secret, and sometimes half of what is made of it: what
-- the server expects is told by its steps.
for _, name in ipairs { "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1",
  "SCRAM-SHA-256", "SCRAM-SHA-512", "XOAUTH2", "OAUTHBEARER" } do
  local what = name:find "AUTH" and "nil, { token = secret, " or "secret, { "
  local call = ("return conn:login('alice', %sauth = %q })"):format(what, name)
  ways[#ways + 1] = { "login() by " .. name, call = call, sends = false,
    session = sasl_session(name) }
  ways[#ways + 1] = { "login() by " .. name .. ", refused", call = call,
    sends = false, refused = true,
    session = sasl_session(name, "S: -ERR [AUTH] no") }
end

for _, name in ipairs { "SCRAM-SHA-1", "SCRAM-SHA-256" } do
  ways[#ways + 1] = { "login() by " .. name .. ", and it is not ASCII",
    call = ("return conn:login('alice', secret, { auth = %q })"):format(name),
    sends = false, secret = FOREIGN,
    session = sasl_session(name, nil, FOREIGN) }
end

-- As long as they may be: in many records, blocks and buffers.
for _, name in ipairs { "XOAUTH2", "OAUTHBEARER" } do
  ways[#ways + 1] = { "login() by " .. name .. ", 64 KiB",
    call = ("return conn:login('alice', nil, { token = secret, auth = %q })")
      :format(name),
    sends = false, times = 1600, session = sasl_session(name) }
end

--- A copy that nobody wiped.
local PLAIN = "return io.open(path, 'rb'):read('*a')"
local BASE64 = "return io.popen('tail -c +2 ' .. path .. ' | base64 -w 0')"
  .. ":read('*a')" -- of what follows the first octet
local POINTS = "return io.popen('iconv -f UTF-8 -t UTF-32LE ' .. path):read('*a')"

describe("T22 a secret that was sent", function()
  after_each(server.stop_all)

  for _, row in ipairs(ways) do
    it("is nowhere in the process: " .. row[1], function()
      assert.same({}, search(row).found)
    end)
  end

  it("would be found as a string", function()
    local found = search({ plant = PLAIN }).found
    assert.equal("plain", assert(found[1])[1])
  end)

  it("would be found in base64", function()
    local found = search({ plant = BASE64 }).found
    assert.equal("base64 at 1", assert(found[1])[1])
  end)

  it("would be found as code points", function()
    local found = search({ plant = POINTS }).found
    assert.equal("code points", assert(found[1])[1])
  end)

  --- A core file of this row, unless this system writes none.
  local function dump(row)
    local answer = search(row)
    if answer.lacking then return pending(answer.lacking) end
    return answer.found
  end

  it("is nowhere in a core file", function()
    local found = dump { core = true }
    if found then assert.same({}, found) end
  end)

  it("would be found in a core file", function()
    local found = dump { core = true, plant = PLAIN }
    if found then assert.same({ "plain", "core" }, found[1]) end
  end)
end)
