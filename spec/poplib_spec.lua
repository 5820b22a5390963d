--- poplib's surface, method by method: what each sends, what it returns, how
-- it fails. The differential spec compares the same with poplib itself.

local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"
local unpack = require("spec.support.lua").unpack

after_each(server.stop_all)

local OPTIONS = { timeout = 20 }
local TIMESTAMP = "<1896.697170952@dbc.mtview.ca.us>" -- RFC 1939's

--- Call `method` where the server gives one reply (or, in a table, several).
-- @return what the method returned as a table, the lines that were sent
local function say(reply, method, ...)
  local replies = type(reply) == "table" and reply or { reply }
  local steps = { "S: +OK ready " .. TIMESTAMP }
  for _, octets in ipairs(replies) do
    steps[#steps + 1] = { expect = true }
    steps[#steps + 1] = { send = octets }
  end
  local arguments, count = { ... }, select("#", ...)
  local report, got = server.talk({ steps }, function(conn)
    return { conn[method](conn, unpack(arguments, 1, count)) }
  end, OPTIONS)
  return got, report.commands
end

--- Call `method` where the server gives one reply and it must fail.
local function refuse(reply, method, ...)
  local s = server.start { { "S: +OK ready", { expect = true },
                             { send = reply }, { eof = true } } }
  local conn = pop3.POP3(s.host, s.port, OPTIONS)
  local err = claims.failure(conn[method], conn, ...)
  conn:close()
  return err, s:report().connections[1].commands
end

-- ---------------------------------------------------------------- module

describe("module", function()
  it("has poplib's constants", function()
    assert.equal(110, pop3.POP3_PORT)
    assert.equal(995, pop3.POP3_SSL_PORT)
    assert.equal("\r", pop3.CR)
    assert.equal("\n", pop3.LF)
    assert.equal("\r\n", pop3.CRLF)
    assert.equal(2048, pop3._MAXLINE)
    assert.truthy(pop3._VERSION:find("%d+%.%d+"))
  end)

  it("takes the limit of a status line from _MAXLINE", function()
    finally(function() pop3._MAXLINE = 2048 end)
    pop3._MAXLINE = 40
    local err = refuse("+OK " .. ("x"):rep(40) .. "\r\n", "noop")
    assert.equal("line too long", tostring(err))
    assert.is_true(pop3.is_error_proto(err))
  end)

  it("tells error_proto from the socket's errors", function()
    local err = refuse("-ERR no\r\n", "noop")
    assert.equal(pop3.error_proto, err.class)
    assert.is_true(pop3.is_error_proto(err))
    local refused = claims.fails("io", "econnrefused", pop3.POP3,
      "127.0.0.1", server.closed_port())
    assert.is_nil(refused.class)
    assert.is_false(pop3.is_error_proto(refused))
    assert.is_false(pop3.is_error_proto("-ERR"))
  end)

  it("has a default timeout like Python's socket module", function()
    local before = pop3.getdefaulttimeout()
    finally(function() pop3.setdefaulttimeout(before) end)
    assert.equal(60, before)
    pop3.setdefaulttimeout(0.2)
    assert.equal(0.2, pop3.getdefaulttimeout())
    local s = server.start { { "S: +OK", { stall = true } } }
    local conn = pop3.POP3(s.host, s.port)
    claims.fails("timeout", "idle", conn.noop, conn)
  end)

  it("returns nil, message, error where it is pop3.safe", function()
    local safe = require "pop3.safe"
    assert.equal(safe, pop3.safe)
    local s = server.start { { "S: +OK", "C: NOOP", "S: -ERR no" } }
    local conn = assert(safe.POP3(s.host, s.port, OPTIONS))
    local ok, message, err = conn:noop()
    conn:close()
    assert.is_nil(ok)
    assert.equal("-ERR no", message)
    assert.equal("refused", err.name)
  end)
end)

-- ---------------------------------------------------------- construction

describe("POP3", function()
  it("keeps the greeting, without its line end", function()
    server.talk({ { "S: +OK ready <a@b>" } }, function(conn)
      assert.equal("+OK ready <a@b>", conn:getwelcome())
    end, OPTIONS)
  end)

  it("raises a greeting that is no +, as error_proto", function()
    for _, line in ipairs { "-ERR busy", "220 smtp", "hello" } do
      local s = server.start { { "S: " .. line } }
      local err = claims.failure(pop3.POP3, s.host, s.port, OPTIONS)
      assert.is_true(pop3.is_error_proto(err))
      assert.equal(line, tostring(err))
      s:stop()
    end
  end)

  it("raises -ERR EOF where the server says nothing", function()
    local s = server.start { { { close = true } } }
    local err = claims.failure(pop3.POP3, s.host, s.port, OPTIONS)
    assert.is_true(pop3.is_error_proto(err))
    assert.equal("-ERR EOF", tostring(err))
  end)

  it("has host and port", function()
    server.talk({ { "S: +OK", { eof = true } } }, function(conn, s)
      assert.equal("127.0.0.1", conn.host)
      assert.equal(s.port, conn.port)
    end, OPTIONS)
  end)

  it("takes the timeout in the third place, or by name", function()
    for _, arguments in ipairs { { 0.2 }, { { timeout = 0.2 } } } do
      local s = server.start { { "S: +OK", { stall = true } } }
      local conn = pop3.POP3(s.host, s.port, arguments[1])
      claims.fails("timeout", "idle", conn.noop, conn)
      s:stop()
    end
  end)

  it("refuses a timeout of zero, with poplib's text, or less", function()
    local text = claims.misuse(pop3.POP3, "127.0.0.1", 110, 0)
    assert.truthy(text:find(
      "Non-blocking socket (timeout=0) is not supported", 1, true))
    claims.misuse(pop3.POP3, "127.0.0.1", 110, -1)
  end)

  it("names the place of a wrong argument", function()
    assert.truthy(claims.misuse(pop3.POP3):find(
      "bad argument #1 to 'POP3'", 1, true))
    assert.truthy(claims.misuse(pop3.POP3, "127.0.0.1", "pop"):find(
      "bad argument #2 to 'POP3'", 1, true))
    assert.truthy(claims.misuse(pop3.POP3, "127.0.0.1", 1, {timout = 1}):find(
      "timeout", 1, true))
  end)

  it("connects by IPv6", function()
    local s = server.start { host = "::1", connections = { { "S: +OK six" } } }
    local conn = pop3.POP3("::1", s.port, OPTIONS)
    assert.equal("+OK six", conn:getwelcome())
    conn:close()
  end)
end)

describe("POP3_SSL", function()
  local function secured(options)
    return server.start { { { tls = certificates.server("exact", options) },
      "S: +OK secure", { auto = { { "NOOP", "+OK\r\n" } } } } }
  end

  local function trusting(more)
    local options = { timeout = 20, cafile = certificates.cafile,
                      servername = certificates.name }
    for key, value in pairs(more or {}) do options[key] = value end
    return options
  end

  it("starts TLS right after connect", function()
    local s = secured()
    local conn = pop3.POP3_SSL(s.host, s.port, trusting())
    assert.equal("+OK secure", conn:getwelcome())
    assert.equal("+OK", conn:noop())
    conn:close()
    local connection = s:report().connections[1]
    assert.equal("", connection.clear)
    assert.equal("NOOP\r\n", connection.secure)
    assert.equal(certificates.name, connection.tls.servername)
  end)

  it("verifies by default (deviation 1)", function()
    local s = secured()
    claims.fails("tls", "certificate", pop3.POP3_SSL, s.host, s.port,
      { timeout = 20, servername = certificates.name })
  end)

  it("takes a context as Python 3 does (deviation 12)", function()
    local context = pop3.context { cafile = certificates.cafile,
                                   servername = certificates.name }
    local s = secured()
    local conn = pop3.POP3_SSL(s.host, s.port, { context = context })
    assert.equal("+OK", conn:noop())
    conn:close()
  end)

  it("takes keyfile and certfile in Python 2's places", function()
    local s = secured { ca = certificates.cafile }
    local conn = pop3.POP3_SSL(s.host, s.port, certificates.file("key"),
      certificates.file("client"), trusting())
    assert.equal("+OK", conn:noop())
    conn:close()
  end)

  it("refuses stls() with poplib's text", function()
    local s = secured()
    local conn = pop3.POP3_SSL(s.host, s.port, trusting())
    local err = claims.fails("state", "secured", conn.stls, conn)
    assert.is_true(pop3.is_error_proto(err))
    assert.equal("-ERR TLS session already established", tostring(err))
    assert.equal("+OK", conn:noop())
    conn:close()
  end)
end)

-- ------------------------------------------------------------- the table

-- method and arguments, what is sent
local SHORT = {
  { "user", "joe", sends = "USER joe" },
  { "user", "two words", sends = "USER two words" },
  { "user", "J\195\188rgen", sends = "USER J\195\188rgen" },
  { "pass_", "s3cret word", sends = "PASS s3cret word" },
  { "rpop", "joe", sends = "RPOP joe" },
  { "list", 7, sends = "LIST 7" },
  { "uidl", 7, sends = "UIDL 7" },
  { "dele", 7, sends = "DELE 7" },
  { "dele", "foo", sends = "DELE foo" },
  { "noop", sends = "NOOP" },
  { "rset", sends = "RSET" },
  { "utf8", sends = "UTF8" },
  { "quit", sends = "QUIT" },
}

describe("a short reply", function()
  for _, row in ipairs(SHORT) do
    it("is what " .. row.sends .. " returns", function()
      local got, sent = say("+OK fine  [x] \r\n", row[1], row[2])
      assert.same({ "+OK fine  [x] " }, got)
      assert.same({ row.sends }, sent)
    end)

    it("is what " .. row.sends .. " raises if it is no +", function()
      local lines = { "-ERR no", "-", "hello", "", " +OK" }
      if row[1] == "quit" then lines = { "-ERR no" } end -- it closes
      local steps = { "S: +OK" }
      for _, line in ipairs(lines) do
        steps[#steps + 1] = { expect = row.sends }
        steps[#steps + 1] = "S: " .. line
      end
      server.talk({ steps }, function(conn)
        for _, line in ipairs(lines) do
          local err = claims.failure(conn[row[1]], conn, row[2])
          assert.is_true(pop3.is_error_proto(err))
          assert.equal("refused", err.name)
          assert.equal(line, err.response or "")
        end
      end, OPTIONS)
    end)
  end

  it("may end in a bare LF", function()
    assert.same({ "+OK" }, (say("+OK\n", "noop")))
  end)

  it("may be 2048 octets with its end, and not one more", function()
    local longest = "+OK " .. ("x"):rep(2048 - 6)
    assert.same({ longest }, (say(longest .. "\r\n", "noop")))
    local err = refuse(longest .. "x\r\n", "noop")
    assert.is_true(pop3.is_error_proto(err))
    assert.equal("line too long", tostring(err))
  end)

  it("cut before its end is -ERR EOF (deviation 3)", function()
    local s = server.start { { "S: +OK", "C: NOOP", { send = "+OK don" },
                               { shutdown = true }, { eof = true } } }
    local conn = pop3.POP3(s.host, s.port, OPTIONS)
    local err = claims.fails("closed", "eof", conn.noop, conn)
    assert.equal("-ERR EOF", tostring(err))
    assert.is_true(pop3.is_error_proto(err))
  end)
end)

describe("numbers", function()
  it("go out as whole numbers, never 1.0", function()
    for _, n in ipairs { 1, 1.0, "1", 2^20 } do
      local _, sent = say("+OK\r\n", "dele", n)
      assert.same({ ("DELE %d"):format(tonumber(n)) }, sent)
    end
  end)

  it("go out as they are, if strings: the server decides", function()
    for _, text in ipairs { "007", "-1", "foo", "18446744073709551616" } do
      local _, sent = say("+OK\r\n", "dele", text)
      assert.same({ "DELE " .. text }, sent)
    end
  end)

  it("that are none are refused before an octet leaves", function()
    server.talk({ { "S: +OK", { eof = true } } }, function(conn)
      for _, n in ipairs { -1, 1.5, 0/0, 1/0, {}, true, "", "1 2" } do
        assert.truthy(claims.misuse(conn.dele, conn, n):find(
          "bad argument #1 to 'dele'", 1, true))
        assert.truthy(claims.misuse(conn.top, conn, 1, n):find(
          "bad argument #2 to 'top'", 1, true))
      end
      assert.truthy(claims.misuse(conn.retr, conn):find(
        "bad argument #1 to 'retr'", 1, true))
    end, OPTIONS)
  end)
end)

describe("arguments (deviation 2)", function()
  -- The method, what is in front of the argument, what behind it.
  local CALLS = {
    { "user" }, { "pass_" }, { "rpop" }, { "apop", nil, "secret" },
    { "apop", "joe" }, { "list" }, { "retr" }, { "top", nil, 1 },
    { "top", 1 }, { "dele" }, { "uidl" },
  }

  local function misused(conn, call, bad)
    local method, front, behind = call[1], call[2], call[3]
    if front then
      return 2, claims.misuse(conn[method], conn, front, bad)
    end
    return 1, claims.misuse(conn[method], conn, bad, behind)
  end

  it("with CR, LF or NUL are refused before an octet leaves", function()
    local script = { { "S: +OK " .. TIMESTAMP, { eof = true } } }
    local report = server.talk(script, function(conn)
      for _, call in ipairs(CALLS) do
        for _, bad in ipairs { "a\rb", "a\nb", "a\r\nDELE 1", "a\0b", "\n" } do
          local place, text = misused(conn, call, bad)
          assert.truthy(text:find(("bad argument #%d to '%s'"):format(place,
            call[1]), 1, true), text)
        end
      end
    end, OPTIONS)
    assert.equal("", report.received)
  end)
end)

describe("stat()", function()
  it("returns count and octets, whatever follows", function()
    local got, sent = say("+OK 2 320 and more\r\n", "stat")
    assert.same({ 2, 320 }, got)
    assert.same({ "STAT" }, sent)
  end)

  it("returns whole numbers", function()
    assert.equal("2 320", table.concat((say("+OK 2 320\r\n", "stat")), " "))
    assert.same({ 1, 4294967296 }, (say("+OK 1 4294967296\r\n", "stat")))
  end)

  it("raises what is malformed as error_proto (deviation 6)", function()
    for reply, text in pairs {
      ["+OK"] = "Invalid STAT response format",
      ["+OK 2"] = "Invalid STAT response format",
      ["+OK two 320"] = "Invalid STAT response data: non-numeric values",
      ["+OK 2 3.5"] = "Invalid STAT response data: non-numeric values",
      ["+OK 1_0 5"] = "Invalid STAT response data: non-numeric values",
    } do
      local err = refuse(reply .. "\r\n", "stat")
      assert.is_true(pop3.is_error_proto(err))
      assert.equal("malformed", err.name)
      assert.equal(text, tostring(err))
      assert.equal(reply, err.response)
    end
  end)
end)

-- ------------------------------------------------------------ long replies

local LONG = {
  { "list", sends = "LIST" },
  { "uidl", sends = "UIDL" },
  { "retr", 1, sends = "RETR 1" },
  { "top", 1, 5, sends = "TOP 1 5" },
}

describe("a long reply", function()
  for _, row in ipairs(LONG) do
    local name = row.sends

    it(name .. " returns status, lines and octets", function()
      local got, sent = say("+OK 3 lines\r\n1 a\r\n\r\n2 b\r\n.\r\n", row[1],
        row[2], row[3])
      assert.same({ "+OK 3 lines", { "1 a", "", "2 b" }, 12 }, got)
      assert.same({ name }, sent)
    end)

    it(name .. " may be empty", function()
      assert.same({ "+OK", {}, 0 },
        (say("+OK\r\n.\r\n", row[1], row[2], row[3])))
    end)

    it(name .. " loses the stuffed dots and does not count them", function()
      local got = say("+OK\r\nA\r\n..dot\r\n...two\r\n\r\nlast\r\n.\r\n",
        row[1], row[2], row[3])
      assert.same({ "A", ".dot", "..two", "", "last" }, got[2])
      assert.equal(3 + 6 + 7 + 2 + 6, got[3])
    end)

    it(name .. " raises -ERR before a body is read", function()
      local err, sent = refuse("-ERR [SYS/TEMP] no\r\n", row[1], row[2],
        row[3])
      assert.is_true(pop3.is_error_proto(err))
      assert.equal("SYS/TEMP", err.code)
      assert.same({ name }, sent)
    end)

    it(name .. " takes lines over 2048 octets (deviation 4)", function()
      local long = ("x"):rep(10000)
      local got = say("+OK\r\n" .. long .. "\r\n.\r\n", row[1], row[2], row[3])
      assert.same({ "+OK", { long }, 10002 }, got)
    end)

    it(name .. " loses a line's only dot, too (deviation 8)", function()
      local got = say("+OK\r\n.foo\r\n.\r\n", row[1], row[2], row[3])
      assert.same({ "+OK", { "foo" }, 5 }, got)
    end)

    it(name .. " cut before its terminator is -ERR EOF", function()
      for _, cut in ipairs { "+OK\r\nline\r\n", "+OK\r\n.\r", "+OK\r\n." } do
        local s = server.start { { "S: +OK", { expect = true },
          { send = cut }, { shutdown = true }, { eof = true } } }
        local conn = pop3.POP3(s.host, s.port, OPTIONS)
        local err = claims.fails("closed", "eof", conn[row[1]], conn, row[2],
          row[3])
        assert.equal("-ERR EOF", tostring(err))
        s:stop()
      end
    end)
  end

  for i = 3, 4 do
    local row = LONG[i]
    it(row.sends .. " ends at CRLF only (deviation 8)", function()
      local got = say("+OK\r\na\n.\nb\rc\r\n.\r\n", row[1], row[2], row[3])
      assert.same({ "+OK", { "a\n.\nb\rc" }, 9 }, got)
    end)
  end

  it("ends at a bare LF, too, where framing is lenient", function()
    server.talk({ { "S: +OK", "C: RETR 1", { send = "+OK\na\nb\n.\n" } } },
      function(conn)
        local _, lines, octets = conn:retr(1)
        assert.same({ "a", "b" }, lines)
        assert.equal(4, octets)
      end, { timeout = 20, framing = "lenient" })
  end)

  it("is octets, whatever they are", function()
    local every = {}
    for i = 0, 255 do
      if i ~= 10 and i ~= 13 then every[#every + 1] = string.char(i) end
    end
    local line = "x" .. table.concat(every)
    local got = say("+OK\r\n" .. line .. "\r\n.\r\n", "retr", 1)
    assert.same({ line }, got[2])
  end)

  it("nil for `which` is no argument", function()
    local got, sent = say("+OK\r\n1 120\r\n.\r\n", "list", nil)
    assert.same({ "LIST" }, sent)
    assert.same({ "1 120" }, got[2])
  end)
end)

-- ------------------------------------------------------------------ capa

describe("capa()", function()
  it("returns a list of arguments for each name", function()
    local got, sent = say("+OK\r\nTOP\r\nSASL PLAIN LOGIN\r\nEXPIRE 7 USER\r\n"
      .. "IMPLEMENTATION  Some   server \r\n.\r\n", "capa")
    assert.same({ { TOP = {}, SASL = { "PLAIN", "LOGIN" },
                    EXPIRE = { "7", "USER" },
                    IMPLEMENTATION = { "Some", "server" } } }, got)
    assert.same({ "CAPA" }, sent)
  end)

  it("skips blank lines (deviation 6)", function()
    assert.same({ { TOP = {} } }, (say("+OK\r\n\r\nTOP\r\n \r\n.\r\n", "capa")))
  end)

  it("raises one text for any refusal", function()
    local err = refuse("-ERR what?\r\n", "capa")
    assert.is_true(pop3.is_error_proto(err))
    assert.equal("unsupported", err.name)
    assert.equal("-ERR CAPA not supported by server", tostring(err))
    assert.equal("-ERR what?", err.response)
  end)

  it("raises what is malformed (deviation 6)", function()
    local err = refuse("+OK\r\nX \255\r\n.\r\n", "capa")
    assert.is_true(pop3.is_error_proto(err))
    assert.equal("malformed", err.name)
  end)
end)

-- ------------------------------------------------------------------ apop

describe("apop()", function()
  it("sends the digest of timestamp and secret", function()
    local got, sent = say("+OK in\r\n", "apop", "mrose", "tanstaaf")
    assert.same({ "+OK in" }, got)
    assert.same({ "APOP mrose c4c9334bac560ecc979e58001b3e22fb" }, sent)
  end)

  it("sends nothing without a timestamp", function()
    local bad = { "", "<>", "<a>", "<a@>", "<@b>", "<a@b@c>", "<a b@c>",
                  "<a@b", "<a\233@b>", "<\1a@b>", "<<a@b>" }
    for _, timestamp in ipairs(bad) do -- deviation 10
      local script = { { "S: +OK ready " .. timestamp, { eof = true } } }
      local report = server.talk(script, function(conn)
        local err = claims.failure(conn.apop, conn, "joe", "secret")
        assert.is_true(pop3.is_error_proto(err))
        assert.equal("unsupported", err.name)
        assert.equal("-ERR APOP not supported by server", tostring(err))
      end, OPTIONS)
      assert.equal("", report.received, timestamp)
    end
  end)
end)

-- ------------------------------------------------------------------ stls

describe("stls()", function()
  local CAPA = "+OK\r\nTOP\r\nSTLS\r\n.\r\n"

  it("sends CAPA and STLS, and returns the latter's status line", function()
    local s = server.start { { "S: +OK", "C: CAPA", { send = CAPA },
      "C: STLS", "S: +OK begin", { tls = certificates.server("exact") },
      "C: NOOP", "S: +OK safe", { eof = true } } }
    local conn = pop3.POP3(s.host, s.port, { timeout = 20 })
    assert.equal("+OK begin", conn:stls { cafile = certificates.cafile,
                                          servername = certificates.name })
    assert.equal("+OK safe", conn:noop())
    local err = claims.failure(conn.stls, conn)
    assert.equal("-ERR TLS session already established", tostring(err))
    conn:close()
    local connection = s:report().connections[1]
    assert.same({}, connection.errors)
    assert.equal("CAPA\r\nSTLS\r\n", connection.clear)
    assert.equal("NOOP\r\n", connection.secure)
  end)

  it("is an error before STLS is sent if it is not offered", function()
    local err, sent = refuse("+OK\r\nTOP\r\n.\r\n", "stls")
    assert.is_true(pop3.is_error_proto(err))
    assert.equal("-ERR STLS not supported by server", tostring(err))
    assert.same({ "CAPA" }, sent)
  end)

  it("finds STLS in any case (deviation 6)", function()
    local s = server.start { { "S: +OK", "C: CAPA",
      { send = "+OK\r\nstls\r\n.\r\n" }, "C: STLS", "S: -ERR no" } }
    local conn = pop3.POP3(s.host, s.port, OPTIONS)
    assert.equal("-ERR no", tostring(claims.failure(conn.stls, conn)))
    conn:close()
  end)

  it("raises CAPA's refusal in CAPA's words", function()
    local err, sent = refuse("-ERR no\r\n", "stls")
    assert.equal("-ERR CAPA not supported by server", tostring(err))
    assert.same({ "CAPA" }, sent)
  end)

  it("raises the server's own refusal, and stays in clear", function()
    server.talk({ { "S: +OK", "C: CAPA", { send = CAPA }, "C: STLS",
                    "S: -ERR not today", "C: NOOP", "S: +OK" } },
      function(conn)
        local err = claims.failure(conn.stls, conn)
        assert.is_true(pop3.is_error_proto(err))
        assert.equal("-ERR not today", tostring(err))
        assert.equal("+OK", conn:noop())
      end, OPTIONS)
  end)

  it("fails on octets behind its +OK (deviation 7)", function()
    local s = server.start { { "S: +OK", "C: CAPA", { send = CAPA }, "C: STLS",
      { send = "+OK begin\r\n+OK injected\r\n" }, { eof = true } } }
    local conn = pop3.POP3(s.host, s.port, OPTIONS)
    claims.fails("tls", "injection", conn.stls, conn)
    assert.equal("CAPA\r\nSTLS\r\n", s:report().connections[1].received)
  end)
end)

-- ------------------------------------------------------------ the end of it

describe("quit()", function()
  it("closes, so that the server sees the end", function()
    local s = server.start { { "S: +OK", "C: QUIT", "S: +OK bye",
                               { eof = true } } }
    local conn = pop3.POP3(s.host, s.port, OPTIONS)
    assert.equal("+OK bye", conn:quit())
    assert.equal("eof", s:report().connections[1].ended)
    assert.is_true(conn:info().closed)
  end)

  it("raises a refusal, and closes all the same (deviation 5)", function()
    local s = server.start { { "S: +OK", "C: QUIT", "S: -ERR not deleted",
                               { eof = true } } }
    local conn = pop3.POP3(s.host, s.port, OPTIONS)
    local err = claims.failure(conn.quit, conn)
    assert.is_true(pop3.is_error_proto(err))
    assert.equal("-ERR not deleted", tostring(err))
    assert.equal("eof", s:report().connections[1].ended)
    claims.fails("state", "closed", conn.noop, conn)
  end)
end)

describe("close()", function()
  it("sends nothing, and may come twice", function()
    local report = server.talk({ { "S: +OK", { eof = true } } },
      function(conn)
        conn:close()
        conn:close()
      end, OPTIONS)
    assert.equal("", report.received)
    assert.equal("eof", report.ended)
  end)

  it("makes every other call a usage error (deviation 9)", function()
    server.talk({ { "S: +OK " .. TIMESTAMP, { eof = true } } }, function(conn)
      conn:close()
      for _, call in ipairs { { "user", "a" }, { "pass_", "a" }, { "stat" },
                              { "rpop", "a" }, { "apop", "a", "b" },
                              { "list" }, { "retr", 1 }, { "top", 1, 1 },
                              { "dele", 1 }, { "noop" }, { "rset" },
                              { "uidl" }, { "capa" }, { "utf8" }, { "stls" },
                              { "quit" } } do
        local err = claims.fails("state", "closed", conn[call[1]], conn,
          call[2], call[3])
        assert.truthy(tostring(err):find(call[1], 1, true))
        assert.is_false(pop3.is_error_proto(err))
      end
    end, OPTIONS)
  end)
end)

-- ----------------------------------------------------------- set_debuglevel

describe("set_debuglevel()", function()
  local function traced(level)
    local text = {}
    server.talk({ { { mailbox = { messages = { "a\r\n" } } } } },
      function(conn)
        conn:set_debuglevel(level, function(piece)
          text[#text + 1] = piece
        end)
        conn:user("joe")
        conn:pass_("s3cret")
        conn:stat()
        conn:retr(1)
      end, OPTIONS)
    return table.concat(text)
  end

  it("0 shows nothing", function()
    assert.equal("", traced(0))
  end)

  it("1 shows commands, secrets replaced", function()
    local text = traced(1)
    assert.truthy(text:find("*cmd* 'USER joe'", 1, true))
    assert.truthy(text:find("*cmd* 'STAT'", 1, true))
    assert.truthy(text:find("*stat*", 1, true))
    assert.is_nil(text:find("*get*", 1, true))
    assert.is_nil(text:find("s3cret", 1, true))
    assert.truthy(text:find("PASS", 1, true))
  end)

  it("2 shows every line", function()
    local text = traced(2)
    for _, label in ipairs { "cmd", "put", "get", "resp" } do
      assert.truthy(text:find("*" .. label .. "*", 1, true), label)
    end
    assert.is_nil(text:find("s3cret", 1, true))
  end)
end)
