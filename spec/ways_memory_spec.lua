--- T22 for proxies: a password that a proxy was told is nowhere in the process
-- any more. As memory_spec.lua, which has the other secrets.

local certificates = require "spec.support.certificates"
local files = require "spec.support.files"
local json = require "spec.support.json"
local server = require "spec.support.server"

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"

--- In no pattern that a program could hold by chance.
local SECRET = "wB6tN1qZr8VxMf3Kd9JpSc4Ge7Hy2LuTaEiOoXnQ"

local CHILD = [[
local url, path, plant, cafile, servername = ...
local pop3 = require "pop3"
local ok, conn = pcall(pop3.POP3, "192.0.2.1", 110, {
  proxy = { url = url, user = "alice", password = pop3.secret { path = path } },
  proxy_tls = url:find "^https" and { cafile = cafile, servername = servername }
    or nil,
})
assert(ok == (plant ~= "refused"), tostring(conn))
local shown = tostring(conn) .. (ok and conn:info().proxy or "")
local kept = plant == "string" and assert(io.open(path, "rb")):read("*a")
print "ready"
io.stdout:flush()
io.read("*a")
print(#shown, kept and #kept)
]]

local SOCKS = { { read = 4 }, { send = "\5\2" }, { read = 1 + 6 + 1 + #SECRET },
  { send = "\1\0" }, { read = 10 }, { send = "\5\0\0\1\0\0\0\0\0\0" }, "S: +OK" }

local function http(status, before)
  local steps = before or {}
  for _ = 1, 4 do steps[#steps + 1] = { expect = true } end
  steps[#steps + 1] = "S: HTTP/1.1 " .. status .. "\r\n\r\n"
  steps[#steps + 1] = "S: +OK"
  return steps
end

--- Run the child and search it; what memory.py found.
local function search(scheme, steps, plant)
  local s = server.start { steps }
  local path = files.temporary(SECRET)
  local script = files.temporary(
    ("package.path, package.cpath = %q, %q\n"):format(package.path,
                                                     package.cpath) .. CHILD)
  local words = { os.getenv("PYTHON") or "python3", here .. "support/memory.py",
    path, files.interpreter(), script, ("%s://127.0.0.1:%d"):format(scheme,
    s.port), path, plant or "", certificates.cafile, certificates.name }
  for i, word in ipairs(words) do words[i] = files.quote(word) end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local answer = json.decode(pipe:read("*a"))
  pipe:close()
  os.remove(path)
  os.remove(script)
  assert.equal("ready", answer.said)
  assert.equal(0, answer.status)
  s:cut()
  return answer.found
end

describe("T22 a secret that a proxy was told", function()
  after_each(server.stop_all)

  it("is nowhere in the process: SOCKS5", function()
    assert.same({}, search("socks5", SOCKS))
  end)

  it("is nowhere in the process: CONNECT", function()
    assert.same({}, search("http", http "200 OK"))
  end)

  it("is nowhere in the process: CONNECT over TLS", function()
    assert.same({}, search("https", http("200 OK",
      { { tls = certificates.server "exact" } })))
  end)

  it("is nowhere in the process: after a refusal", function()
    assert.same({}, search("http", http "407 Again", "refused"))
  end)

  it("would be found", function()
    assert.equal("plain", assert(search("socks5", SOCKS, "string")[1])[1])
  end)
end)
