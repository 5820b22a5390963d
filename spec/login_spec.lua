-- login(): which way in it takes and what leaves for it; its options, its
-- errors; authenticate(), whose responses are the caller's. Against servers
-- that others wrote: login_servers_spec.lua; hostile ones: threats/sasl_spec.lua.

local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

local unpack = unpack or table.unpack -- luacheck: ignore

local PLAIN = "AUTH PLAIN AG1lAHNlY3JldA==" -- NUL me NUL secret

local function lines(...)
  return table.concat({ ... }, "\r\n") .. "\r\n.\r\n"
end

--- The steps of a server that announces `...` and goes on with `steps`.
local function offering(capa, steps)
  local all = { "S: +OK ready", "C: CAPA",
    { send = lines("+OK", unpack(capa)) } }
  for _, step in ipairs(steps) do all[#all + 1] = step end
  return { all }
end


--- The same by implicit TLS.
local function by_tls(capa, steps)
  local script = offering(capa, steps)
  table.insert(script[1], 1, { tls = certificates.server "exact" })
  return script
end

local function secure(more)
  local options = { tls = "implicit", cafile = certificates.cafile,
    servername = certificates.name, timeout = 20 }
  for key, value in pairs(more or {}) do options[key] = value end
  return options
end

after_each(server.stop_all)

describe("login", function()
  describe("takes", function()
    local rows = {
      { "PLAIN before LOGIN, in one line", { "SASL LOGIN PLAIN", "USER" },
        { "C: " .. PLAIN, "S: +OK" } },
      { "LOGIN where there is no PLAIN", { "SASL LOGIN", "USER" },
        { "C: AUTH LOGIN", "S: + VXNlcm5hbWU6", "C: bWU=",
          "S: + UGFzc3dvcmQ6", "C: c2VjcmV0", "S: +OK" } },
      { "USER and PASS where there is no SASL", { "TOP", "USER" },
        { "C: USER me", "S: +OK", "C: PASS secret", "S: +OK" } },
      { "USER and PASS where nothing is announced", { "TOP" },
        { "C: USER me", "S: +OK", "C: PASS secret", "S: +OK" } },
      { "what it is asked for", { "SASL LOGIN PLAIN", "USER" },
        { "C: USER me", "S: +OK", "C: PASS secret", "S: +OK" },
        { auth = { "CRAM-MD5", "user" } } },
      { "SCRAM before all", { "SASL PLAIN SCRAM-SHA-256 LOGIN" },
        { { scram = { password = "secret" } } } },
      { "SCRAM-SHA-512 before it",
        { "SASL SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512" },
        { { scram = { password = "secret", digest = "sha512" } } } },
      { "EXTERNAL when asked", { "SASL EXTERNAL PLAIN" },
        { "C: AUTH EXTERNAL bWU=", "S: +OK" },
        { auth = "EXTERNAL", authzid = "me" } },
    }
    for _, row in ipairs(rows) do
      it(row[1], function()
        server.talk(offering(row[2], row[3]), function(conn)
          local secret = "secret"
          if row[4] and row[4].auth == "EXTERNAL" then secret = nil end
          assert.matches("^%+OK", (conn:login("me", secret, row[4])))
        end)
      end)
    end

    it("USER and PASS where CAPA is refused", function()
      server.talk({ { "S: +OK", "C: CAPA", "S: -ERR what?", "C: USER me",
        "S: +OK", "C: PASS secret", "S: +OK" } }, function(conn)
        conn:login("me", "secret")
      end)
    end)

    it("CRAM-MD5 and APOP by TLS only, if not asked for", function()
      local greeting = "S: +OK <1896.697170952@dbc.mtview.ca.us>"
      local apop = "C: APOP mrose c4c9334bac560ecc979e58001b3e22fb"
      server.talk({ { greeting, "C: CAPA", { send = lines("+OK",
        "SASL CRAM-MD5", "USER") }, "C: USER mrose", "S: +OK",
        "C: PASS tanstaaf", "S: +OK" } }, function(conn)
        conn:login("mrose", "tanstaaf")
      end)
      server.talk({ { greeting, apop, "S: +OK" } }, function(conn)
        conn:login("mrose", "tanstaaf", { auth = "APOP" })
      end)
      server.talk({ { { tls = certificates.server "exact" }, greeting,
        "C: CAPA", { send = lines("+OK", "USER") }, apop, "S: +OK" } },
        function(conn) conn:login("mrose", "tanstaaf") end, secure())
      server.talk({ { { tls = certificates.server "exact" }, greeting,
        "C: CAPA", { send = lines("+OK", "SASL CRAM-MD5", "USER") },
        "C: AUTH CRAM-MD5",
        "S: + PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+",
        "C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw", "S: +OK" } },
        function(conn) conn:login("tim", "tanstaaftanstaaf") end, secure())
    end)

    it("OAUTHBEARER before XOAUTH2, and either in two lines (R17)", function()
      server.talk(by_tls({ "SASL PLAIN XOAUTH2 OAUTHBEARER" }, {
        "C: AUTH OAUTHBEARER", "S: + ", { match = "[A-Za-z0-9+/]+=*" },
        "S: +OK" }), function(conn)
        conn:login("me", nil, { token = "t" })
      end, secure())
      server.talk(by_tls({ "SASL PLAIN XOAUTH2" }, { "C: AUTH XOAUTH2",
        "S: + ", "C: dXNlcj1tZQFhdXRoPUJlYXJlciB0AQE=", "S: +OK" }),
        function(conn) conn:login("me", nil, { token = "t" }) end, secure())
    end)
  end)

  it("sends tokens of 64 KiB (R17)", function()
    local token = ("x"):rep(65536)
    local report = server.talk({ keep = 1000, connections = by_tls(
      { "SASL XOAUTH2" }, { "C: AUTH XOAUTH2", "S: +", { match = "[A-Za-z0-9+/=]*" },
        "S: +OK" }) }, function(conn)
      conn:login("me", nil, { token = token })
    end, secure())
    local size = #"user=me\1auth=Bearer \1\1" + #token
    assert.equal(#"CAPA\r\nAUTH XOAUTH2\r\n" + math.ceil(size / 3) * 4 + 2,
      report.total)
  end)

  it("asks a function for the secret or the token, once, when it is due",
    function()
      local asked = 0
      local function secret()
        asked = asked + 1
        return "secret"
      end
      server.talk(offering({ "SASL PLAIN" }, { "C: " .. PLAIN, "S: +OK" }),
        function(conn) conn:login("me", secret) end)
      server.talk(offering({ "SASL XOAUTH2" }, { "C: AUTH XOAUTH2", "S: +",
        "C: dXNlcj1tZQFhdXRoPUJlYXJlciBzZWNyZXQBAQ==", "S: +OK" }),
        function(conn) conn:login("me", nil, { token = secret }) end)
      assert.equal(2, asked)
    end)

  it("reads a pop3.secret as password and as token", function()
    local path = require("spec.support.files").temporary("secret\n")
    finally(function() os.remove(path) end)
    server.talk(offering({ "SASL PLAIN" }, { "C: " .. PLAIN, "S: +OK" }),
      function(conn) conn:login("me", pop3.secret { path = path }) end)
    server.talk(offering({ "SASL XOAUTH2" }, { "C: AUTH XOAUTH2", "S: +",
      "C: dXNlcj1tZQFhdXRoPUJlYXJlciBzZWNyZXQBAQ==", "S: +OK" }),
      function(conn)
        conn:login("me", nil, { token = pop3.secret { path = path } })
      end)
  end)

  it("acts as another user", function()
    server.talk(offering({ "SASL LOGIN PLAIN", "USER" }, {
      "C: AUTH PLAIN Ym9zcwBtZQBzZWNyZXQ=", "S: +OK" }), function(conn)
      conn:login("me", "secret", { authzid = "boss" })
    end)
  end)

  -- In a flight every line is read before the first is answered: a client that
  -- waited for an answer would wait for ever. So a server's sends are the round
  -- trips. AUTH is alone (RFC 5034 4); what follows it is not.
  describe("costs", function()
    local everything = { stat = true, listing = true, quit = true }
    local flight = { "C: STAT", "C: LIST", "C: UIDL", "C: QUIT",
      { send = "+OK 0 0\r\n+OK\r\n.\r\n+OK\r\n.\r\n+OK bye\r\n" } }

    local function with_flight(...)
      local steps = { ... }
      for _, step in ipairs(flight) do steps[#steps + 1] = step end
      return steps
    end

    it("one round trip with USER and PASS, and CAPA before it", function()
      server.talk(offering({ "PIPELINING", "SASL PLAIN", "USER" }, {
        "C: USER me", "C: PASS secret", "C: STAT", "C: LIST", "C: UIDL",
        "C: QUIT", { send = "+OK\r\n+OK\r\n+OK 0 0\r\n+OK\r\n.\r\n+OK\r\n.\r\n"
        .. "+OK bye\r\n" } }), function(conn)
        conn:login("me", "secret", everything)
      end, { timeout = 20 })
    end)

    it("one with PLAIN, and one for what rides behind it", function()
      server.talk(offering({ "PIPELINING", "SASL PLAIN" },
        with_flight("C: " .. PLAIN, "S: +OK")), function(conn)
        local _, extras = conn:login("me", "secret", everything)
        assert.equal(0, extras.stat.count)
        assert.equal("+OK bye", extras.quit)
      end, { timeout = 20 })
    end)

    it("three with SCRAM (RFC 5034 has no data with +OK)", function()
      server.talk(offering({ "PIPELINING", "SASL SCRAM-SHA-256" },
        with_flight { scram = { password = "secret" } }), function(conn)
        local _, extras = conn:login("me", "secret", everything)
        assert.equal(0, extras.stat.count)
      end, { timeout = 20 })
    end)

    it("no CAPA where the cache knows", function()
      local cache = {}
      local s = server.start { connections = {
        offering({ "SASL PLAIN", "PIPELINING" }, { "C: " .. PLAIN, "S: +OK",
          "C: CAPA", "C: STAT", { send = lines("+OK", "PIPELINING")
            .. "+OK 0 0\r\n" }, "C: QUIT", "S: +OK" })[1],
        { "S: +OK ready", "C: " .. PLAIN, "S: +OK", "C: STAT", "S: +OK 0 0",
          "C: QUIT", "S: +OK" },
      } }
      for _ = 1, 2 do
        local conn = pop3.POP3(s.host, s.port, { cache = cache, timeout = 20 })
        conn:login("me", "secret", { stat = true })
        conn:quit()
      end
      assert.equal(0, s:report().failed)
    end)
  end)

  it("forgets what was announced in clear (R03)", function()
    server.talk({ { "S: +OK", "C: CAPA", { send = lines("+OK", "STLS",
      "SASL PLAIN", "USER") }, "C: STLS", "S: +OK",
      { tls = certificates.server "exact" }, "C: CAPA",
      { send = lines("+OK", "SASL SCRAM-SHA-256 PLAIN", "USER") },
      { scram = { password = "secret" } }, "C: CAPA",
      { send = lines("+OK", "UIDL") } } }, function(conn)
      conn:login("me", "secret")
      assert.same({ UIDL = {}, uidl = true }, conn:capabilities())
    end, { tls = "starttls", cafile = certificates.cafile,
      servername = certificates.name })
  end)

  it("shows no secret in traces", function()
    local shown = {}
    server.talk(offering({ "SASL SCRAM-SHA-256" }, {
      { scram = { password = "secret" } } }), function(conn)
      conn:set_debuglevel(2, function(text) shown[#shown + 1] = text end)
      conn:login("me", "secret")
    end)
    local text = table.concat(shown)
    assert.matches("*cmd* 'AUTH SCRAM-SHA-256 ***'", text, 1, true)
    assert.matches("*put* '***\\r\\n'", text, 1, true)
    assert.matches("%*get%* '%+ [%w+/=]+\\r\\n'", text)
    shown = {}
    server.talk(offering({ "SASL LOGIN" }, { "C: AUTH LOGIN", "S: +",
      "C: bWU=", "S: +", "C: c2VjcmV0", "S: +OK" }), function(conn)
      conn:set_debuglevel(2, function(line) shown[#shown + 1] = line end)
      conn:login("me", "secret")
    end)
    text = table.concat(shown)
    assert.not_matches("c2VjcmV0", text, 1, true)
    assert.not_matches("bWU=", text, 1, true)
  end)

  describe("refused", function()
    it("says by what, what there is, and what to do", function()
      server.talk(offering({ "SASL SCRAM-SHA-256 PLAIN", "USER" }, {
        { scram = { password = "other" } }, "C: NOOP", "S: +OK" }),
        function(conn)
          local err = claims.fails("auth", "refused", conn.login, conn, "me",
            "secret")
          assert.same({ "SCRAM-SHA-256", "AUTH", "-ERR [AUTH] no" },
            { err.mechanism, err.code, err.response })
          assert.matches("-ERR [AUTH] no (login by SCRAM-SHA-256, offered: "
            .. "SASL SCRAM-SHA-256 PLAIN, USER; check user and password",
            err.message, 1, true)
          conn:noop() -- and no other mechanism was tried
        end)
    end)

    it("by APOP, says how to log in where there are only hashes", function()
      local greeting = "S: +OK ready <1.2@example.org>"
      local capa = { send = "+OK\r\nUSER\r\n.\r\n" }
      local tls = { tls = certificates.server "exact" }
      local s = server.start {
        { tls, greeting, "C: CAPA", capa, { match = "APOP me .*" },
          "S: -ERR [AUTH] no", { eof = true } },
        { tls, greeting, "C: USER me", "S: +OK", "C: PASS secret", "S: +OK",
          { eof = true } } }
      local conn = pop3.POP3(s.host, s.port, secure())
      local err = claims.fails("auth", "refused", conn.login, conn, "me",
        "secret")
      conn:close()
      local advice = err.message:match 'auth = "(%w+)" by TLS'
      conn = pop3.POP3(s.host, s.port, secure())
      conn:login("me", "secret", { auth = advice }) -- does as it is told
      conn:close()
      assert.equal(0, s:report().failed)
    end)

    it("tells OAuth's reason (T21)", function()
      local json = '{"status":"401","schemes":"bearer"}'
      for mechanism, answer in pairs { XOAUTH2 = "", OAUTHBEARER = "AQ==" } do
        server.talk(offering({ "SASL " .. mechanism }, {
          "C: AUTH " .. mechanism, "S: +", { expect = true },
          "S: + eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIn0=",
          "C: " .. answer, "S: -ERR [AUTH] expired", "C: NOOP", "S: +OK" }),
          function(conn)
            local err = claims.fails("auth", "refused", conn.login, conn,
              "me", nil, { token = "old" })
            assert.equal(json, err.detail)
            assert.equal(mechanism, err.mechanism)
            assert.matches("token may have expired", err.message, 1, true)
            conn:noop()
          end)
      end
    end)

    it("is not tried by another mechanism, unless the server has not this one",
      function()
        server.talk(offering({ "SASL LOGIN PLAIN SCRAM-SHA-1", "USER" }, {
          { match = "AUTH SCRAM-SHA-1 .*" },
          "S: -ERR Unsupported authentication mechanism.", "C: " .. PLAIN,
          "S: -ERR Unsupported authentication mechanism.", "C: NOOP",
          "S: +OK" }), function(conn)
          local err = claims.fails("auth", "refused", conn.login, conn, "me",
            "secret")
          assert.equal("PLAIN", err.mechanism)
          conn:noop()
        end)
      end)

    it("in clear says what would allow it, and sends CAPA only (T24)",
      function()
        -- A transport is never known to stay on this host.
        local said = {}
        local answers = { "+OK ready\r\n",
          lines("+OK", "SASL PLAIN LOGIN", "USER") }
        local transport = {
          send = function(_, octets)
            said[#said + 1] = octets
            return #octets
          end,
          receive = function() return table.remove(answers, 1), "timeout" end,
          close = function() end,
        }
        local conn = pop3.POP3("mail.example.org", 110,
          { transport = transport })
        local err = claims.fails("tls", "insecure", conn.login, conn, "me",
          "secret")
        assert.same({ "CAPA\r\n" }, said)
        assert.matches("allow_cleartext", err.message, 1, true)
        assert.matches("SASL PLAIN LOGIN, USER", err.message, 1, true)
        claims.fails("tls", "insecure", conn.login, conn, "me", "secret",
          { auth = "LOGIN" })
        claims.fails("tls", "insecure", conn.authenticate, conn, "PLAIN",
          function() end)
        assert.same({ "CAPA\r\n" }, said)
        conn:close()
      end)

    it("because nothing fits, says what the server offers", function()
      server.talk(offering({ "SASL GSSAPI" }, { "C: NOOP", "S: +OK" }),
        function(conn)
          local err = claims.fails("proto", "unsupported", conn.login, conn,
            "me", "secret")
          assert.matches("SASL GSSAPI", err.message, 1, true)
          assert.is_nil(err.mechanism)
          err = claims.fails("proto", "unsupported", conn.login, conn, "me",
            "secret", { auth = "SCRAM-SHA-1" })
          assert.matches("SCRAM-SHA-1; it offers SASL GSSAPI", err.message, 1,
            true)
          err = claims.fails("proto", "unsupported", conn.login, conn, "me",
            "secret", { channel_binding = "require" })
          assert.matches("channel_binding", err.message, 1, true)
          conn:noop()
        end)
    end)
  end)

  describe("complains, before anything leaves, of", function()
    local rows = {
      { "no user", { nil, "x" }, "bad argument #1 to 'login'" },
      { "no secret", { "me" }, "bad argument #2 to 'login'" },
      { "no secret beside an option", { "me", nil, { stat = true } },
        "bad argument #2 to 'login'" },
      { "a number as secret", { "me", 1 }, "bad argument #2 to 'login'" },
      { "CR in the user", { "m\re", "x" }, "bad argument #1 to 'login'" },
      { "NUL in the secret", { "me", "\0" }, "bad argument #2 to 'login'" },
      { "a secret and a token", { "me", "x", { token = "t" } },
        "bad option 'token'" },
      { "a token that is none", { "me", nil, { token = 1 } },
        "bad option 'token'" },
      { "LF in the token", { "me", nil, { token = "a\nb" } },
        "bad option 'token'" },
      { "a mechanism that is none of ours", { "me", "x", { auth = "GSSAPI" } },
        "bad option 'auth'" },
      { "one in a list", { "me", "x", { auth = { "PLAIN", "X" } } },
        "bad option 'auth'" },
      { "an empty list", { "me", "x", { auth = {} } }, "bad option 'auth'" },
      { "a list of numbers", { "me", "x", { auth = { 1 } } },
        "bad option 'auth'" },
      { "a number as mechanism", { "me", "x", { auth = 1 } },
        "bad option 'auth'" },
      { "a binding that is none", { "me", "x", { channel_binding = true } },
        "'channel_binding'" },
      { "a number as authzid", { "me", "x", { authzid = 1 } }, "'authzid'" },
      { "a typo", { "me", "x", { autzid = "a" } }, "'authzid'" },
    }
    for _, row in ipairs(rows) do
      it(row[1], function()
        local seen = server.talk({ { "S: +OK", { eof = true } } },
          function(conn)
            local text = claims.misuse(conn.login, conn, row[2][1], row[2][2],
              row[2][3])
            assert.matches(row[3], text, 1, true)
          end)
        assert.equal("", seen.received)
      end)
    end
  end)
end)

describe("authenticate", function()
  local function exchange(...)
    local steps = { "S: +OK ready" }
    for _, step in ipairs { ... } do steps[#steps + 1] = step end
    return { steps }
  end

  it("hands out challenges and sends what comes back", function()
    local heard = {}
    server.talk(exchange("C: AUTH X-ECHO AAEC", "S: + Zm9v", "C: Zm9vIQ==",
      "S: + ", "C: ", "S: +OK in"), function(conn)
      assert.equal("+OK in", conn:authenticate("X-ECHO", function(challenge)
        heard[#heard + 1] = challenge
        return challenge == "" and "" or challenge .. "!"
      end, "\0\1\2"))
    end)
    assert.same({ "foo", "" }, heard)
  end)

  it("sends a long initial response when it is asked for it", function()
    local long = ("x"):rep(200)
    local base64 = ("eHh4"):rep(66) .. "eHg="
    server.talk(exchange("C: AUTH X-ECHO", "S: + ", "C: " .. base64, "S: +OK"),
      function(conn) conn:authenticate("X-ECHO", error, long) end)
  end)

  it("takes octets of any size", function()
    local much = ("\0\255"):rep(30000)
    local report = server.talk({ keep = 100, connections = exchange(
      "C: AUTH X", "S: +", { match = "[A-Za-z0-9+/]*" }, "S: +OK") },
      function(conn) conn:authenticate("X", function() return much end) end)
    assert.equal(#"AUTH X\r\n" + 80000 + 2, report.total)
  end)

  it("cancels for nil, and the connection goes on", function()
    server.talk(exchange("C: AUTH X", "S: + Zm9v", "C: *", "S: -ERR cancelled",
      "C: NOOP", "S: +OK"), function(conn)
      local err = claims.fails("aborted", "aborted", conn.authenticate, conn,
        "X", function() return nil, "no smart card" end)
      assert.equal("no smart card", err.message)
      assert.equal("X", err.mechanism)
      conn:noop()
    end)
  end)

  it("cancels for what is raised, and raises it again", function()
    local thing = {}
    for _, M in ipairs { pop3, pop3.safe } do
      local s = server.start(exchange("C: AUTH X", "S: + Zm9v", "C: *",
        "S: -ERR cancelled", "C: NOOP", "S: +OK"))
      local conn = M.POP3(s.host, s.port)
      local ok, err = pcall(conn.authenticate, conn, "X",
        function() error(thing) end)
      assert.is_false(ok)
      assert.equal(thing, err)
      assert.equal("+OK", conn:noop())
      conn:close()
      assert.equal(0, s:report().failed)
    end
  end)

  it("says what is no response", function()
    server.talk(exchange("C: AUTH X", "S: + Zm9v", "C: *", "S: -ERR",
      "C: NOOP", "S: +OK"), function(conn)
      local text = claims.misuse(conn.authenticate, conn, "X",
        function() return 1 end)
      assert.matches("bad result of authenticate's function", text, 1, true)
      conn:noop()
    end)
  end)

  it("may be refused, and answers as pop3.safe does", function()
    local s = server.start(exchange("C: AUTH X", "S: -ERR [AUTH] no"))
    local conn = pop3.safe.POP3(s.host, s.port)
    local ok, message, err = conn:authenticate("X", error)
    assert.is_nil(ok)
    assert.equal("-ERR [AUTH] no", message)
    assert.same({ "auth", "AUTH", "X" }, { err.kind, err.code, err.mechanism })
    conn:close()
  end)

  it("is busy while its function runs, which may close", function()
    server.talk(exchange("C: AUTH X", "S: + Zm9v", { eof = true }),
      function(conn)
        local inner
        local err = claims.failure(conn.authenticate, conn, "X", function()
          inner = select(2, pcall(conn.noop, conn))
          conn:close()
          return "x"
        end)
        assert.equal("busy", inner.name)
        assert.equal("closed", err.name)
      end)
  end)

  it("logs in: what rides on that is known then", function()
    server.talk(exchange("C: CAPA", { send = lines("+OK", "SASL X") },
      "C: AUTH X", "S: +", "C: eA==", "S: +OK", "C: CAPA",
      { send = lines("+OK", "UIDL") }), function(conn)
      conn:capabilities()
      conn:authenticate("X", function() return "x" end)
      assert.same({ UIDL = {}, uidl = true }, conn:capabilities())
    end)
  end)

  describe("complains, before anything leaves, of", function()
    local function nothing() end
    local rows = {
      { "no name", { nil, nothing }, "#1" },
      { "an empty name", { "", nothing }, "#1" },
      { "a name with a blank", { "X Y", nothing }, "#1" },
      { "a name with LF", { "X\n", nothing }, "#1" },
      { "a long name", { ("X"):rep(41), nothing }, "#1" },
      { "no function", { "X" }, "#2" },
      { "a table for a function", { "X", {} }, "#2" },
      { "a number as initial response", { "X", nothing, 1 }, "#3" },
    }
    for _, row in ipairs(rows) do
      it(row[1], function()
        local seen = server.talk({ { "S: +OK", { eof = true } } },
          function(conn)
            local text = claims.misuse(conn.authenticate, conn, row[2][1],
              row[2][2], row[2][3])
            assert.matches("bad argument " .. row[3] .. " to 'authenticate'",
              text, 1, true)
          end)
        assert.equal("", seen.received)
      end)
    end
  end)
end)

describe("A function for a secret that gives none", function()
  local function none() return nil, "the user pressed Escape" end

  -- Each way to hand one over.
  local ways = {
    ["pass_"] = function(conn) return conn, none end,
    ["apop"] = function(conn) return conn, "joe", none end,
    ["login"] = function(conn) return conn, "joe", none end,
    ["login by a token"] = function(conn)
      return conn, "joe", nil, { token = none }
    end,
  }
  for name, arguments in pairs(ways) do
    it("ends " .. name .. ", and the connection goes on", function()
      server.talk({ { "S: +OK <1.2@example.org>", "C: NOOP", "S: +OK" } },
        function(conn)
          local err = claims.fails("aborted", "aborted",
            conn[name:match "^%S+"], arguments(conn))
          assert.equal("the user pressed Escape", err.message)
          conn:noop()
        end)
    end)
  end

  it("says so where it says nothing", function()
    server.talk({ { "S: +OK" } }, function(conn)
      local err = claims.fails("aborted", "aborted", conn.login, conn, "joe",
        function() end)
      assert.equal("the function for a secret gave none", err.message)
    end)
  end)
end)
