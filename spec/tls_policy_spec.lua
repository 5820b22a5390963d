-- TLS policy: what is offered, what options change, and how a TLS stream may
-- end. Who is believed is certificates_spec.lua's matter.

local certificates = require "spec.support.certificates"
local pop3 = require "pop3"
local server = require "spec.support.server"

local NAME = certificates.name

local options_with = certificates.client

local QUIT = { auto = {} } -- answers QUIT, refuses the rest

--- Serve `steps` behind an implicit handshake, connect, run `use`; what the
-- server saw, and what `use` returned.
local function over_tls(tls, steps, options, use)
  local script = { { tls = certificates.server("exact", tls) },
                   "S: +OK ready" }
  for _, step in ipairs(steps) do script[#script + 1] = step end
  local s = server.start { script }
  local conn = pop3.POP3_SSL(s.host, s.port, options_with(options))
  local result = use and use(conn)
  conn:close()
  return s:report().connections[1], result
end

--- The error of connecting with `options` to a server with TLS options `tls`.
local function refusal(tls, options, steps)
  local s = server.start {
    steps or { { tls = certificates.server("exact", tls) }, "S: +OK ready" },
  }
  local ok, err = pcall(pop3.POP3_SSL, s.host, s.port, options_with(options))
  assert.is_false(ok)
  local report = s:cut()
  assert.equal("", (report.connections[1] or { secure = "" }).secure)
  return err
end

local function quit(conn) return conn:quit() end

describe("TLS policy", function()
  after_each(server.stop_all)

  describe("offers", function()
    it("TLS 1.3 and 1.2", function()
      local seen = over_tls({}, { QUIT }, {}, quit)
      assert.equal("TLSv1.3", seen.tls.version)
      seen = over_tls({ max_version = "1.2" }, { QUIT }, {}, quit)
      assert.equal("TLSv1.2", seen.tls.version)
    end)

    it("the server's name to names (SNI), without the root's dot", function()
      local seen = over_tls({}, { QUIT }, { servername = NAME .. "." }, quit)
      assert.equal(NAME, seen.tls.servername)
    end)

    it("no name to an address", function()
      local s = server.start { {
        { tls = certificates.server("ip") }, "S: +OK ready", QUIT,
      } }
      local conn = pop3.POP3_SSL(s.host, s.port,
        { cafile = certificates.cafile })
      conn:quit()
      assert.is_nil(s:report().connections[1].tls.servername)
    end)

    it("ALPN pop3, and does without an answer", function()
      local seen = over_tls({ alpn = { "imap", "pop3" } }, { QUIT }, {}, quit)
      assert.equal("pop3", seen.tls.alpn)
      seen = over_tls({ alpn = { "imap" } }, { QUIT }, {}, quit)
      assert.is_nil(seen.tls.alpn)
    end)

    it("no ALPN where it is switched off", function()
      local seen = over_tls({ alpn = { "pop3" } }, { QUIT }, { alpn = false },
        quit)
      assert.is_nil(seen.tls.alpn)
    end)
  end)

  describe("versions and ciphers", function()
    it("can be raised to TLS 1.3", function()
      local err = refusal({ max_version = "1.2" }, { min_version = "1.3" })
      assert.same({ "tls", "handshake" }, { err.kind, err.name })
      assert.matches("version", tostring(err), 1, true)
    end)

    it("can be lowered to TLS 1.2 at most", function()
      local seen = over_tls({}, { QUIT }, { max_version = "1.2" }, quit)
      assert.equal("TLSv1.2", seen.tls.version)
    end)

    it("can be chosen", function()
      local seen = over_tls({ max_version = "1.2" }, { QUIT },
        { ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384" }, quit)
      assert.equal("ECDHE-ECDSA-AES256-GCM-SHA384", seen.tls.cipher)
      seen = over_tls({}, { QUIT },
        { ciphersuites = "TLS_CHACHA20_POLY1305_SHA256" }, quit)
      assert.equal("TLS_CHACHA20_POLY1305_SHA256", seen.tls.cipher)
    end)

    local wrong = {
      { "min_version", "1.4" },
      { "ciphers", "NOSUCH" },
      { "ciphersuites", "NOSUCH" },
      { "groups", "NOSUCH" },
      { "cafile", "/nonexistent/ca.pem" },
      { "certfile", "/nonexistent/client.pem" },
      { "keyfile", "/nonexistent/key.pem" },
    }
    for _, row in ipairs(wrong) do
      it("names " .. row[1] .. " when it cannot be used", function()
        local err = refusal({}, {
          [row[1]] = row[2],
          certfile = row[1] == "keyfile" and certificates.file("client")
            or row[1] == "certfile" and row[2] or nil,
        })
        assert.matches(row[1], tostring(err), 1, true)
        if type(err) == "table" then
          assert.same({ "tls", "config" }, { err.kind, err.name })
        end
      end)
    end

    it("refuse a typo and name what is near (T23)", function()
      local err = refusal({}, { verfy = false })
      assert.is_string(err)
      assert.matches("verfy", err, 1, true)
      assert.matches("verify", err, 1, true)
    end)
  end)

  describe("verification", function()
    --- Does a server with certificate `name` get a QUIT under `options`?
    local function accepted(name, options)
      local s = server.start { {
        { tls = certificates.server(name) }, "S: +OK ready", QUIT,
      } }
      local conn = pop3.POP3_SSL(s.host, s.port, options)
      local info = conn:info()
      conn:quit()
      return s:report().connections[1].secure == "QUIT\r\n", info
    end

    it("can be switched off in whole", function()
      assert.is_true(accepted("self-signed",
        { verify = false, check_hostname = false }))
    end)

    it("of the name alone can be switched off", function()
      local options = { cafile = certificates.cafile, servername = NAME,
                        check_hostname = false }
      assert.is_true(accepted("mismatch", options))
      local err = refusal(nil, { check_hostname = false }, {
        { tls = certificates.server("expired") }, "S: +OK ready",
      })
      assert.equal("certificate", err.name)
    end)

    it("of the chain alone can be switched off, the name is checked", function()
      assert.is_true(accepted("self-signed",
        { verify = false, servername = NAME }))
      local err = refusal(nil, { verify = false }, {
        { tls = certificates.server("mismatch") }, "S: +OK ready",
      })
      assert.equal("hostname", err.name)
    end)

    it("trusts nothing but the system's roots by default", function()
      local s = server.start { {
        { tls = certificates.server("exact") }, "S: +OK ready",
      } }
      local ok, err = pcall(pop3.POP3_SSL, s.host, s.port,
        { servername = NAME })
      assert.is_false(ok)
      assert.equal("certificate", err.name)
    end)

    it("is told by info()", function()
      local _, info = accepted("exact", options_with())
      assert.is_true(info.tls.verified)
      assert.equal("TLSv1.3", info.tls.version)
      _, info = accepted("self-signed",
        { verify = false, check_hostname = false })
      assert.is_false(info.tls.verified)
    end)

    it("can come from a context, used twice", function()
      local context = pop3.context { cafile = certificates.cafile,
                                     servername = NAME }
      assert.is_true(accepted("exact", { context = context }))
      assert.is_true(accepted("wildcard", { context = context }))
      local ok, err = pcall(accepted, "mismatch", { context = context })
      assert.is_false(ok)
      assert.equal("hostname", err.name)
    end)

    it("serves poplib's positions of keyfile and certfile", function()
      local s = server.start { {
        { tls = certificates.server("exact", { ca = certificates.cafile }) },
        "S: +OK ready", QUIT,
      } }
      local conn = pop3.POP3_SSL(s.host, s.port, certificates.file("key"),
        certificates.file("client"), options_with())
      conn:quit()
      assert.equal("QUIT\r\n", s:report().connections[1].secure)
    end)
  end)

  describe("stls()", function()
    local function steps(name)
      return { "S: +OK ready", "C: CAPA", { send = "+OK\r\nSTLS\r\n.\r\n" },
               "C: STLS", "S: +OK begin",
               { tls = certificates.server(name) }, QUIT }
    end

    it("takes options, and verifies", function()
      local s = server.start { steps("exact") }
      local conn = pop3.POP3(s.host, s.port)
      assert.equal("+OK begin", conn:stls(options_with()))
      conn:quit()
      assert.equal("QUIT\r\n", s:report().connections[1].secure)
    end)

    it("takes a context", function()
      local s = server.start { steps("exact") }
      local conn = pop3.POP3(s.host, s.port)
      conn:stls(pop3.context { cafile = certificates.cafile,
                               servername = NAME })
      conn:quit()
      assert.equal("QUIT\r\n", s:report().connections[1].secure)
    end)

    it("refuses what the constructor would refuse, for good", function()
      local s = server.start { steps("mismatch") }
      local conn = pop3.POP3(s.host, s.port)
      local ok, err = pcall(conn.stls, conn, options_with())
      assert.is_false(ok)
      assert.same({ "tls", "hostname" }, { err.kind, err.name })
      assert.is_false((pcall(conn.user, conn, "alice")))
      conn:close()
      local seen = s:report().connections[1]
      assert.equal("", seen.secure)
      assert.equal("CAPA\r\nSTLS\r\n", seen.clear)
    end)

    it("reports a missing client certificate by the same words", function()
      local script = steps("exact")
      script[6].tls.ca = certificates.cafile
      script[6].tls.max_version = "1.2"
      local s = server.start { script }
      local conn = pop3.POP3(s.host, s.port)
      local ok, err = pcall(conn.stls, conn, options_with())
      conn:close()
      assert.is_false(ok)
      assert.matches("certfile", tostring(err), 1, true)
    end)
  end)

  describe("a stream that ends without close_notify", function()
    local body = "+OK\r\nSubject: x\r\n\r\nhalf a mes"

    --- The error of conn:retr(1) where the server ends by `ending`.
    local function cut_short(ending)
      local _, err = over_tls({}, { "C: RETR 1", { send = body }, ending }, {},
        function(conn)
          local ok, result = pcall(conn.retr, conn, 1)
          assert.is_false(ok)
          local again = { pcall(conn.noop, conn) }
          assert.is_false(again[1])
          return result
        end)
      return err
    end

    it("in a message is an error, never a short message", function()
      local err = cut_short { close = "abrupt" }
      assert.same({ "tls", "truncated" }, { err.kind, err.name })
    end)

    it("in a message is an error with close_notify, too", function()
      local err = cut_short { close = true }
      assert.same({ "closed", "eof" }, { err.kind, err.name })
    end)

    it("right before the terminator's last octets is an error", function()
      body = "+OK\r\nwhole text\r\n."
      local err = cut_short { close = "abrupt" }
      assert.same({ "tls", "truncated" }, { err.kind, err.name })
    end)

    it("instead of a status line is an error", function()
      over_tls({}, { "C: NOOP", { close = "abrupt" } }, {}, function(conn)
        local ok, err = pcall(conn.noop, conn)
        assert.is_false(ok)
        assert.same({ "tls", "truncated" }, { err.kind, err.name })
      end)
    end)

    it("is tolerated after the reply to QUIT (R15)", function()
      local _, reply = over_tls({},
        { "C: QUIT", "S: +OK bye", { close = "abrupt" } }, {}, quit)
      assert.equal("+OK bye", reply)
    end)

    it("is not tolerated instead of that reply (R15)", function()
      over_tls({}, { "C: QUIT", { close = "abrupt" } }, {}, function(conn)
        assert.is_false((pcall(conn.quit, conn)))
      end)
    end)
  end)

  describe("instead of a handshake", function()
    local rows = {
      { "a POP3 greeting", { { send = "+OK ready\r\n" }, { eof = true } } },
      { "another protocol", { { send = "HTTP/1.1 400 Bad Request\r\n\r\n" },
                              { eof = true } } },
      { "the end of the stream", { { read = 5 }, { shutdown = true },
                                   { eof = true } } },
    }
    for _, row in ipairs(rows) do
      it(row[1] .. " is a handshake error (T03, T09)", function()
        local err = refusal({}, {}, row[2])
        assert.equal("tls", err.kind)
        assert.equal("handshake", err.name)
      end)
    end

    it("a POP3 greeting gets advice", function()
      local err = refusal({}, {}, rows[1][2])
      assert.matches("does not speak TLS", tostring(err), 1, true)
    end)
  end)

  it("survives records of every size", function()
    local line = ("0123456789"):rep(4000)
    local _, lines = over_tls({}, {
      "C: RETR 1", { chop = 7 }, { send = "+OK\r\n" .. line:sub(1, 400) },
      { chop = 0 }, { send = line:sub(401) .. "\r\n.\r\n" },
    }, {}, function(conn) return select(2, conn:retr(1)) end)
    assert.same({ line }, lines)
  end)
end)
