-- T22: a password that was sent is nowhere in the process any more: not in
-- its memory, in traces, in errors or in what tostring shows. A child does
-- the session and is searched from outside; see support/memory.py.

local certificates = require "spec.support.certificates"
local json = require "spec.support.json"
local server = require "spec.support.server"

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"

--- In no pattern that a program could hold by chance.
local SECRET = "zQ7vK2mXw9TfRb4Lc8HpYn5Gd3Js6UaE0oViMtZk"

local CHILD = [[
local port, path, how, plant, cafile, servername = ...
local pop3 = require "pop3"

local options = { cafile = cafile, servername = servername, tls = how,
                  timeout = 20 }
local secret = pop3.secret { path = path }
if plant == "command" then
  secret = pop3.secret { command = "cat " .. path }
end
local connect = how == "implicit" and pop3.POP3_SSL or pop3.POP3
if how == "none" then options.cafile, options.servername = nil, nil end
if plant == "flight" then options.pipelining = true end
local conn = connect("127.0.0.1", tonumber(port), options)

local trace = {}
conn:set_debuglevel(2, function(line) trace[#trace + 1] = line end)
if not plant:find "^by " then conn:user("alice") end
local reply, err
if plant == "refused" then
  reply, err = pcall(conn.pass_, conn, secret)
elseif plant == "apop" then
  reply, err = pcall(conn.apop, conn, "alice", secret)
elseif plant == "login" then
  reply, err = pcall(conn.login, conn, "alice", secret, { auth = "USER" })
elseif plant:find "^by " then
  local name = plant:match "^by (.*)$"
  local token = name:find "AUTH" ~= nil
  reply, err = pcall(conn.login, conn, "alice", not token and secret or nil,
    { auth = name, token = token and secret or nil })
  assert(reply, err)
elseif plant == "flight" then
  reply, err = conn:login("alice", secret,
    { auth = "USER", stat = true, listing = true })
  assert(err.stat.count == 0, "STAT was not answered")
else
  reply, err = conn:pass_(secret)
end

local shown = { tostring(conn), tostring(secret), tostring(reply),
                tostring(err), table.concat(trace, "\n") }
local kept
if plant == "string" or plant == "base64" then
  kept = assert(io.open(path, "rb")):read("*a")
end
if plant == "base64" then -- of what follows the first octet
  kept = io.popen("tail -c +2 " .. path .. " | base64 -w 0"):read("*a")
end
print(#trace > 0 and #shown > 0 and "ready" or "no trace")
io.stdout:flush()
io.read("*a")
conn:close()
print(kept and #kept)
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

--- Of a login by `name`, whose wire hides the secret in base64.
local function sasl_session(name)
  local steps = { "C: CAPA", { send = "+OK\r\nSASL " .. name .. "\r\n.\r\n" } }
  local function add(...)
    for _, step in ipairs { ... } do steps[#steps + 1] = step end
  end
  if name:find "SCRAM" then
    add { scram = { password = SECRET } }
  elseif name == "PLAIN" then
    add({ match = "AUTH PLAIN .+" }, "S: +OK")
  elseif name == "LOGIN" then
    add("C: AUTH LOGIN", "S: +", { match = ".+" }, "S: +", { match = ".+" },
      "S: +OK")
  else
    add("C: AUTH " .. name, "S: +", { match = ".+" }, "S: +OK")
  end
  return steps
end

local function steps(how, session)
  local tls = { tls = certificates.server("exact") }
  local greeting = "S: +OK ready <1.2@example.org>"
  if session[1] then
    table.insert(session, 1, tls)
    table.insert(session, 2, greeting)
    return session
  end
  if how == "none" then return { greeting, session } end
  if how == "implicit" then return { tls, greeting, session } end
  return { greeting, "C: CAPA", { send = "+OK\r\nSTLS\r\n.\r\n" },
           "C: STLS", "S: +OK", tls, session }
end

--- Run the child and search it; memory.py's answer.
local function search(how, plant)
  local name = (plant or ""):match "^by (.*)$"
  local s = server.start {
    steps(how, name and sasl_session(name)
      or plant == "refused" and REFUSAL or SESSION),
  }
  local path = write_file(SECRET)
  local script = write_file(
    ("package.path, package.cpath = %q, %q\n"):format(package.path,
                                                     package.cpath) .. CHILD)
  local words = { os.getenv("PYTHON") or "python3", here .. "support/memory.py",
                  path, interpreter(), script, tostring(s.port), path, how,
                  plant or "", certificates.cafile, certificates.name }
  for i, word in ipairs(words) do words[i] = quote(word) end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local answer = json.decode(pipe:read("*a"))
  pipe:close()
  os.remove(path)
  os.remove(script)
  assert.equal("ready", answer.said)
  assert.equal(0, answer.status)
  assert(answer.octets > 1e6, "the search saw too little")
  local report = s:report().connections[1]
  assert.same({}, report.errors)
  if plant ~= "apop" and not name then
    assert(report.received:find(SECRET, 1, true), "the secret was not sent")
  end
  return answer.found
end

local DOORS = { none = "plain", implicit = "implicit TLS", starttls = "STLS" }

describe("T22 a secret that was sent", function()
  after_each(server.stop_all)

  for how, name in pairs(DOORS) do
    it("is nowhere in the process: " .. name, function()
      assert.same({}, search(how))
    end)
  end

  local ways = {
    refused = "after a refusal",
    login = "after login()",
    flight = "after a login with more in its flight",
    command = "from a command",
  }
  for plant, name in pairs(ways) do
    it("is nowhere in the process: " .. name, function()
      assert.same({}, search("implicit", plant))
    end)
  end

  for _, name in ipairs { "PLAIN", "LOGIN", "SCRAM-SHA-256", "XOAUTH2",
    "OAUTHBEARER" } do
    it("is nowhere in the process: after a login by " .. name, function()
      assert.same({}, search("implicit", "by " .. name))
    end)
  end

  it("is nowhere in the process: after APOP", function()
    assert.same({}, search("none", "apop"))
  end)

  it("would be found as a string", function()
    local found = search("none", "string")
    assert.equal("plain", assert(found[1])[1])
  end)

  it("would be found in base64", function()
    local found = search("none", "base64")
    assert.equal("base64 at 1", assert(found[1])[1])
  end)
end)
