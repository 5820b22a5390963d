-- A hostile or broken server in AUTH (R05, R16, R17, T11, T19, T20): a typed
-- error, nothing sent that should not be, and no login that is none.

local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

after_each(server.stop_all)

local function lines(...)
  return table.concat({ ... }, "\r\n") .. "\r\n.\r\n"
end

local function offering(mechanisms, steps)
  local all = { "S: +OK ready", "C: CAPA",
    { send = lines("+OK", "SASL " .. mechanisms, "USER") } }
  for _, step in ipairs(steps) do all[#all + 1] = step end
  return { all }
end

--- login() fails so, and the connection is closed, or not.
local function ends(steps, mechanisms, kind, name, closed, options)
  local report, err = server.talk({ complaints = true,
    connections = offering(mechanisms, steps) }, function(conn)
    local err = claims.fails(kind, name, conn.login, conn, "me", "secret",
      { auth = mechanisms })
    assert.equal(closed, conn:info().closed)
    if not closed then conn:noop() end
    return err
  end, options or { timeout = 20 })
  return err, report
end

describe("T20 a SCRAM server", function()
  local rows = {
    { "whose signature is wrong", { fault = "signature" }, "auth", "unproven" },
    { "whose signature is cut", { fault = "cut-signature" } },
    { "that says +OK without one", { fault = "no-signature" }, "auth",
      "unproven" },
    { "that says +OK at once", { fault = "early-ok" }, "auth", "unproven" },
    { "that proves itself too early", { fault = "early" }, "proto",
      "malformed" },
    { "with a nonce of its own", { fault = "nonce" }, "proto", "malformed" },
    { "that adds nothing to the nonce", { fault = "nonce-same" }, "proto",
      "malformed" },
    { "with an extension that is mandatory", { fault = "mandatory" }, "proto",
      "malformed" },
    { "without a salt", { first = "r=%(nonce)s,s=,i=4096" }, "proto",
      "malformed" },
    { "with a salt that is not base64", { first = "r=%(nonce)s,s=a,i=4096" },
      "proto", "malformed" },
    { "without a count", { first = "r=%(nonce)s,s=%(salt)s" }, "proto",
      "malformed" },
    { "with a count that is no number",
      { first = "r=%(nonce)s,s=%(salt)s,i=4096x" }, "proto", "malformed" },
    { "with no iterations", { iterations = 0 }, "proto", "malformed" },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. " is not believed, and is left", function()
      local options = { password = "secret" }
      for key, value in pairs(row[2]) do options[key] = value end
      local err = ends({ { scram = options } },
        "SCRAM-SHA-256", row[3] or "auth", row[4] or "unproven", true)
      assert.equal("SCRAM-SHA-256", err.mechanism)
    end)
  end

  it("with 1 or 4095 iterations learns nothing to guess from", function()
    for _, count in ipairs { 1, 4095 } do
      local err, report = ends({
        { scram = { password = "secret", iterations = count } },
        "C: NOOP", "S: +OK" }, "SCRAM-SHA-1", "auth", "iterations", false)
      assert.matches("4096", err.message, 1, true)
      assert.equal("*", report.commands[3])
    end
  end)

  it("with 2^31 iterations costs nothing", function()
    local err, report = ends({
      { scram = { password = "secret", iterations = 2147483648 } },
      "C: NOOP", "S: +OK" }, "SCRAM-SHA-1", "limit", "iterations", false)
    assert.matches("2147483648", err.message, 1, true)
    assert.equal("*", report.commands[3])
  end)

  it("that says why it refuses is quoted", function()
    local err = ends({ { scram = { password = "secret", fault = "error" } },
      "C: NOOP", "S: +OK" }, "SCRAM-SHA-256", "auth", "refused", false)
    assert.matches("other-error", err.detail, 1, true)
  end)

  it("that hangs up in the middle has closed", function()
    ends({ { scram = { password = "secret", fault = "hang-up" } } },
      "SCRAM-SHA-256", "closed", "eof", true)
  end)

  -- What +OK says counts for nothing: a QUIT behind it would have committed.
  it("that is unproven is told nothing more", function()
    local report = server.talk({ complaints = true, connections = offering(
      "SCRAM-SHA-256", { { scram = { password = "secret",
        fault = "no-signature" } }, { eof = true } }) }, function(conn)
      claims.fails("auth", "unproven", conn.login, conn, "me", "secret",
        { stat = true, quit = true })
      claims.fails("auth", "unproven", conn.quit, conn)
    end)
    assert.equal(3, #report.commands) -- CAPA, AUTH, the client's proof
  end)
end)

describe("T19 a mechanism that somebody took out of the list", function()
  local function gs2(capa, options, tls)
    local script = offering(capa, { { match = "AUTH SCRAM-SHA-256 .*" },
      "S: -ERR [AUTH] no" })
    if tls then
      table.insert(script[1], 1, { tls = certificates.server "exact" })
    end
    local report = server.talk(script, function(conn)
      claims.fails("auth", "refused", conn.login, conn, "me", "secret",
        options)
    end, tls and { tls = "implicit", cafile = certificates.cafile,
      servername = certificates.name } or {})
    local mime = report.commands[2]:match("^AUTH %S+ (.*)$")
    local pipe = io.popen("printf %s " .. mime .. " | base64 -d")
    local text = pipe:read("*a")
    pipe:close()
    return text:match("^([^,]*),")
  end

  it("is noticed by a server that has it, because we say that we could",
    function()
      assert.equal("y", gs2("SCRAM-SHA-256", nil, true))
    end)

  it("is noticed, too, where somebody left one that nobody has", function()
    assert.equal("y", gs2("SCRAM-SHA-256 SCRAM-SHA-999-PLUS", nil, true))
  end)

  it("is not asked after without TLS, nor where nobody wants it",
    function()
      assert.equal("n", gs2("SCRAM-SHA-256", nil, false))
      assert.equal("n", gs2("SCRAM-SHA-256",
        { channel_binding = "disable" }, true))
    end)

  it("is not spoken of where TLS is the host's", function()
    local said = {}
    local answers = { "+OK ready\r\n",
      lines("+OK", "SASL SCRAM-SHA-256 SCRAM-SHA-256-PLUS"),
      "-ERR [AUTH] no\r\n" }
    local conn = pop3.POP3_SSL("mail.example.org", 995, {
      tls_engine = "transport", transport = {
        send = function(_, octets)
          said[#said + 1] = octets
          return #octets
        end,
        receive = function() return table.remove(answers, 1), "timeout" end,
        secure = function() return true end,
        close = function() end,
      } })
    claims.fails("proto", "unsupported", conn.login, conn, "me", "secret",
      { channel_binding = "require" })
    claims.fails("auth", "refused", conn.login, conn, "me", "secret")
    assert.matches("^AUTH SCRAM%-SHA%-256 biws", said[2]) -- "n,,"
    conn:close()
  end)

  it("is missed where a binding is required", function()
    local script = offering("SCRAM-SHA-256 PLAIN", { { eof = true } })
    table.insert(script[1], 1, { tls = certificates.server "exact" })
    local report = server.talk(script, function(conn)
      claims.fails("proto", "unsupported", conn.login, conn, "me", "secret",
        { channel_binding = "require" })
    end, { tls = "implicit", cafile = certificates.cafile,
      servername = certificates.name })
    assert.same({ "CAPA" }, report.commands)
  end)
end)

describe("A challenge", function()
  local bad = { "VXNl\tcm5hbWU6", "VXNlcm5hbWU", "V===", "VXNl=cm5hbWU6",
    "VXNlcm5hbWU6 ", "VXN-cm5hbWU6", "\200\200\200\200", "=" }

  it("that is not strict base64 ends the connection (R16)", function()
    for _, text in ipairs(bad) do
      local err = ends({ "C: AUTH CRAM-MD5", "S: + " .. text, "C: *",
        "S: -ERR cancelled", { eof = true } }, "CRAM-MD5", "proto",
        "malformed", true)
      assert.matches("base64", err.message, 1, true)
    end
  end)

  it("that never ends is a limit (R06)", function()
    local err = ends({ "C: AUTH CRAM-MD5",
      { send = "+ " .. ("A"):rep(70000) .. "\r\n" }, { eof = true } },
      "CRAM-MD5", "limit", "challenge", true)
    assert.matches("max_challenge = 65536", err.message, 1, true)
    assert.equal("CRAM-MD5", err.mechanism)
  end)

  it("that comes 10,000 times is a limit (T11)", function()
    local rounds = 0
    server.talk({ complaints = true, connections = { { "S: +OK", {
      auto = { { "AUTH .*|YQ==", "+ YQ==\r\n" } } } } } }, function(conn)
      local err = claims.fails("limit", "rounds", conn.authenticate, conn, "X",
        function()
          rounds = rounds + 1
          return "a"
        end)
      assert.matches("max_rounds = 32", err.message, 1, true)
      assert.equal("X", err.mechanism)
    end)
    assert.equal(32, rounds)
    rounds = 0
    server.talk({ complaints = true, connections = { { "S: +OK", {
      auto = { { "AUTH .*|YQ==", "+ YQ==\r\n" } } } } } }, function(conn)
      claims.fails("limit", "rounds", conn.authenticate, conn, "X",
        function()
          rounds = rounds + 1
          return "a"
        end)
    end, { max_rounds = 10000 })
    assert.equal(10000, rounds)
  end)

  it("too many of a mechanism is malformed, not answered", function()
    local _, report = ends({ "C: AUTH LOGIN", "S: +", "C: bWU=", "S: +",
      "C: c2VjcmV0", "S: + QWdhaW46", "C: *", "S: -ERR", { eof = true } },
      "LOGIN", "proto", "malformed", true)
    assert.equal("*", report.commands[5])
  end)

  it("after the end is nobody's", function()
    ends({ "C: AUTH LOGIN", { send = "+ \r\n+ \r\n" }, { eof = true } },
      "LOGIN", "proto", "unsolicited", true)
  end)
end)

describe("R05 a secret with a line end", function()
  it("is refused by every mechanism, though base64 would hide it", function()
    local names = { "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "USER",
      "APOP", "XOAUTH2", "OAUTHBEARER" }
    for _, name in ipairs(names) do
      for _, octet in ipairs { "\r", "\n", "\0" } do
        local seen = server.talk({ { "S: +OK <1.2@example.org>",
          { eof = true } } }, function(conn)
          local text = "a" .. octet .. "b"
          local token = name:find "O?AUTH" ~= nil
          claims.misuse(conn.login, conn, text, not token and "x" or nil,
            { auth = name, token = token and "x" or nil })
          claims.misuse(conn.login, conn, "me", not token and text or nil,
            { auth = name, token = token and text or nil })
        end)
        assert.equal("", seen.received)
      end
    end
  end)

  it("and \\1 in an OAuth user or token", function()
    for _, name in ipairs { "XOAUTH2", "OAUTHBEARER" } do
      for _, row in ipairs { { "m\1e", "t" }, { "me", "t\1" } } do
        local report = server.talk(offering(name, { { eof = true } }),
          function(conn)
            local err = claims.failure(conn.login, conn, row[1], nil,
              { token = row[2] })
            assert.equal("argument", err.kind)
          end)
        assert.same({ "CAPA" }, report.commands)
      end
    end
  end)
end)

-- A host draws frames while a key is derived. Slices are counted, so that no
-- clock decides: a step that has no time left makes one, and gives way without
-- anything to wait for.
describe("SCRAM with 1,000,000 iterations", function()
  local core = require "pop3.core"
  local turn = core.turn

  teardown(function() core.turn = turn end)

  it("is derived in slices, one for each step that has no more time", function()
    local s = server.start(offering("SCRAM-SHA-256", {
      { scram = { password = "secret", iterations = 1000000 } }, "C: STAT",
      "S: +OK 0 0" }))
    local slices = 0
    local function count(word, waiter, interests, ...)
      if word == "wait" and #interests == 0 then slices = slices + 1 end
      return word, waiter, interests, ...
    end
    core.turn = function(conn) return count(turn(conn)) end
    local task = pop3.start(function()
      local conn = pop3.POP3(s.host, s.port, { timeout = 60 })
      conn:login("me", "secret")
      local messages = conn:stat()
      conn:close()
      return messages
    end)
    local state, messages
    repeat state, messages = task:step(65536, 1e-9) until state ~= "waiting"
    core.turn = turn
    assert.same({ "done", 0 }, { state, messages })
    assert(slices > 500, slices .. " slices")
  end)

  it("does not outlast total_timeout", function()
    ends({ { scram = { password = "secret", iterations = 5000000 } },
      { eof = true } }, "SCRAM-SHA-256", "timeout", "total", true,
      { total_timeout = 0.1 })
  end)
end)
