-- bin/pop3 probe: what it says where the login, or what comes behind it, is not
-- as it should be; nothing that it says is more than what was seen.
local certificates = require "spec.support.certificates"
local json = require "spec.support.json"
local program = require "spec.bin.program"
local server = require "spec.support.server"

local CAPA = "+OK\r\nUSER\r\nUIDL\r\nPIPELINING\r\n.\r\n"

describe("bin/pop3 probe", function()
  after_each(server.stop_all)

  -- A server with a good certificate, which answers by rules; and its URL.
  local function start(rules)
    local steps = { { tls = certificates.server("exact") }, "S: +OK ready",
      { auto = rules } }
    local s = server.start { accepts = 0, connections = { steps } }
    return "pop3s://otto@127.0.0.1:" .. s.port, s
  end

  local function run(words, options)
    local all = { "probe", "--cafile", certificates.cafile, "--servername",
      certificates.name }
    for _, word in ipairs(words) do all[#all + 1] = word end
    local result = program.run(all, options or { password = "x" })
    assert.equal("", result.err)
    return result
  end

  local function document(words, options)
    words[#words + 1] = "--json"
    local result = run(words, options)
    local found = json.decode(result.out)
    assert.equal(result.status, found.exit)
    return found, found.ports[1]
  end

  local function quirk(port, name)
    for _, one in ipairs(port.quirks) do
      if one.name == name then return one.text end
    end
  end

  -- A server behind whose login the answers are these.
  local function inside(...)
    return start { { "CAPA", CAPA }, { "USER .*|PASS .*", "+OK\r\n" }, ... }
  end

  it("takes a refusal at one port for an answer at all", function()
    local first = start { { "CAPA", CAPA }, { "USER .*", "+OK\r\n" },
      { "PASS .*", "-ERR [AUTH] no\r\n" } }
    local second = inside({ "STAT", "+OK 1 3\r\n" })
    local found = document { first, second }
    assert.same({ 77, false, first }, { found.exit, found.safe,
      (found.url:gsub("://", "://otto@")) })
    assert.equal("one in a run is enough", found.ports[2].login.untried)
  end)

  for _, row in ipairs {
    { "command fails", "exit 3", 77, "no token: command failed" },
    { "command prints nothing", "true", 77, "no token: command is empty" },
    { "command prints two lines", "echo a; echo b", 65, "cannot be sent" },
  } do
    it("gives the page though the token's " .. row[1], function()
      local url, s = start { { "CAPA", "+OK\r\nSASL XOAUTH2\r\n.\r\n" } }
      local found, port = document({ url, "--token-command", row[2] }, {})
      assert.same({ row[3], false, false },
        { found.exit, port.login.tried, port.login.ok })
      assert.truthy(port.verdict:find(row[4], 1, true), port.verdict)
      assert.equal(port.verdict, port.login.untried)
      local page = run({ url, "--token-command", row[2] }, {})
      assert.truthy(page.out:find("FAILED: ", 1, true), page.out)
      for _, connection in ipairs(s:report().connections) do
        for _, line in ipairs(connection.commands) do
          assert.is_nil(line:find("^AUTH"))
        end
      end
    end)
  end

  it("says that a token is what the server does not take", function()
    local url = start { { "CAPA", "+OK\r\nSASL PLAIN\r\nUSER\r\n.\r\n" } }
    local found, port = document({ url, "--token-command", "echo x" }, {})
    assert.equal(69, found.exit)
    assert.truthy(found.verdict:find("it takes no token", 1, true))
    assert.equal("there is none that takes a token", port.login.untried)
  end)

  it("logs in by the best of all SASL lines", function()
    local url = start {
      { "CAPA", "+OK\r\nSASL PLAIN\r\nSASL CRAM-MD5\r\n.\r\n" },
      { "AUTH PLAIN .*", "+OK\r\n" }, { "STAT", "+OK 0 0\r\n" } }
    local found, port = document { url }
    assert.same({ 0, "PLAIN" }, { found.exit, port.login.mechanism })
    assert.same({ "CRAM-MD5", "PLAIN" }, port.mechanisms)
  end)

  for _, row in ipairs {
    { "is refused", "-ERR [SYS/PERM] no POP for you\r\n", "no POP for you" },
    { "is malformed", "+OK many\r\n", "STAT" },
    { "is the end", { { close = true } }, "ended the connection" },
  } do
    it("counts no messages where STAT " .. row[1], function()
      local url = inside({ "STAT", row[2] })
      local found, port = document { url }
      assert.same({ 0, true }, { found.exit, port.login.ok })
      assert.is_nil(port.login.messages)
      local text = quirk(port, "fails-after-login")
      assert.truthy(text and text:find(row[3], 1, true), text)
      local page = run { url }
      assert.truthy(page.out:find("otto logged in\n", 1, true), page.out)
    end)
  end

  it("does not call PIPELINING broken where LIST is refused", function()
    local url = inside({ "STAT", "+OK 1 3\r\n" }, { "LIST", "-ERR no\r\n" },
      { "UIDL", "+OK\r\n1 a\r\n.\r\n" })
    local _, port = document { url }
    assert.same({ announced = true, untried = "the server refused LIST" },
      port.pipelining)
    assert.is_nil(quirk(port, "pipelining-broken"))
  end)

  it("says why PIPELINING was not tried", function()
    local url = start { { "CAPA", "+OK\r\nUSER\r\nPIPELINING\r\n.\r\n" },
      { "USER .*|PASS .*", "+OK\r\n" }, { "STAT", "+OK 1 3\r\n" } }
    local _, port = document { url }
    assert.same({ announced = true,
      untried = "there is no UIDL to try it with" }, port.pipelining)
    local page = run { url }
    assert.truthy(page.out:find("not tried: there is no UIDL", 1, true))
  end)
end)
