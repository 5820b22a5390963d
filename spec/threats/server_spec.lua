--- threats.md: what a malicious or broken server, or the sender of a mail, can
-- put into replies.
local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

local unpack = require("spec.support.lua").unpack

local MIB = 1024 * 1024

local cafile = certificates.cafile

after_each(server.stop_all)

local function connect(s, options)
  options = options or {}
  options.timeout = options.timeout or 20
  return pop3.POP3(s.host, s.port, options)
end

--- A connection to a server that answers one command with these steps.
local function replying(command, ...)
  return server.start{{"S: +OK ready", "C: " .. command, ...}}
end

--- Call a method against one reply.
-- @return what pcall does, then the connection, still open
local function ask(reply, options, method, ...)
  local s = server.start{{"S: +OK ready", {expect = true}, {send = reply}}}
  local conn = connect(s, options)
  local result = {pcall(conn[method], conn, ...)}
  result.conn, result.server = conn, s
  return result
end

-- ------------------------------------------------------------------- R06

describe("A line that never ends", function()
  local endless = {send = ("a"):rep(65536), times = 16384} -- 1 GiB

  --- Run `use` in a child; its memory must not grow with the line.
  local function flat(s, body)
    local result = child.run{
      script = [[
        local pop3, claims = require "pop3", require "spec.support.claims"
        local port = tonumber((...))
        local before = claims.resident()
        local ok, err = pcall(function()
          local conn = pop3.POP3("127.0.0.1", port, {timeout = 20})
          ]] .. body .. [[
        end)
        print(ok, err.kind, err.name)
        print(claims.resident() - before)
      ]], arguments = {s.port},
    }
    s:stop()
    local verdict, grown = result.out:match("^(.-)\n(%-?%d+)\n$")
    assert.is_truthy(verdict, result.out .. result.err)
    assert.is_true(tonumber(grown) < 4 * MIB, "grew by " .. tostring(grown))
    return verdict
  end

  local rows = {
    {"greeting", "false\tlimit\tline", {endless}, ""},
    {"status line", "false\tlimit\tline",
     {"S: +OK", {expect = true}, endless}, "conn:noop()"},
    {"refusal", "false\tlimit\tline",
     {"S: +OK", {expect = true}, {send = "-ERR "}, endless}, "conn:retr(1)"},
    {"LIST", "false\tlimit\titem",
     {"S: +OK", {expect = true}, "S: +OK", endless}, "conn:list()"},
    {"UIDL", "false\tlimit\titem",
     {"S: +OK", {expect = true}, "S: +OK", endless}, "conn:uidl()"},
    {"a list by hand", "false\tlimit\titem",
     {"S: +OK", {expect = true}, "S: +OK", endless},
     "conn:command('XLIST', true)"},
    {"CAPA", "false\tlimit\tline",
     {"S: +OK", {expect = true}, "S: +OK", endless}, "conn:capabilities()"},
  }
  for _, row in ipairs(rows) do
    it("R06 is a limit, in flat memory: " .. row[1], function()
      assert.are.equal(row[2], flat(server.start{row[3]}, row[4]))
    end)
  end

  it("R06 is a limit from its first octet over it, not before", function()
    for size, ok in pairs{[2046] = true, [2047] = false} do
      local line = "+OK " .. ("a"):rep(size - 4)
      local result = ask(line .. "\r\n", nil, "noop")
      assert.are.equal(ok, result[1])
      if ok then assert.are.equal(line, result[2]) end
      if not ok then
        assert.are.equal("line too long", tostring(result[2]))
        assert.is_true(pop3.is_error_proto(result[2]))
      end
      result.conn:close()
      result.server:report()
    end
  end)

  it("T17 of 100 MiB is mail, and memory is bounded by it", function()
    local s = replying("RETR 1", "S: +OK", {send = ("a"):rep(MIB), times = 100},
                       {send = "\r\n.\r\n"})
    local result = child.run{
      script = [[
        local pop3 = require "pop3"
        local conn = pop3.POP3("127.0.0.1", tonumber((...)), {timeout = 20})
        local _, lines, octets = conn:retr(1)
        print(#lines, #lines[1], octets)
        for line in io.lines("/proc/self/status") do
          print(line:match("^VmHWM:%s*(%d+)"))
        end
        conn:close()
      ]], arguments = {s.port}, deadline = 60,
    }
    assert.is_truthy(result.out:find("^1\t104857600\t104857602\n"),
                     result.out .. result.err)
    local peak = tonumber(result.out:match("\n(%d+)"))
    -- The line while it grows, and the string made of it.
    assert.is_true(peak < 400 * 1024, tostring(peak))
    s:report()
  end)

  it("T17 is a limit where the caller set one", function()
    local s = replying("RETR 1", "S: +OK", {send = ("a"):rep(MIB), times = 100})
    local conn = connect(s, {max_octets = MIB})
    local err = claims.fails("limit", "octets", conn.retr, conn, 1)
    assert.is_truthy(tostring(err):find("max_octets", 1, true), tostring(err))
    conn:close()
    s:stop()
  end)
end)

-- -------------------------------------------------------------- R07, R08

describe("An APOP timestamp", function()
  it("R07 is looked for in linear time", function()
    local s = server.start{
      {{send = "+OK " .. ("<"):rep(1000000) .. "\r\n"}, {eof = true}},
    }
    local conn = connect(s, {max_line = 2000000})
    claims.within(5, function()
      claims.fails("proto", "unsupported", conn.apop, conn, "name", "secret")
    end)
    conn:close()
    assert.are.equal("", s:report().connections[1].received)
  end)

  it("R07 in a greeting of a million < is over the limit", function()
    local s = server.start{{{send = "+OK " .. ("<"):rep(1000000) .. "\r\n"}}}
    claims.fails("limit", "line", connect, s)
    s:stop()
  end)

  local forged = {
    "<nothing>", "<@example.org>", "<1@>", "<1@@example.org>", "<1@a@b>",
    "<1 2@example.org>", "<1@exam ple.org>", "<1\1@example.org>",
    "<1\127@example.org>", "<1\195\169@example.org>", "<1@example.org\255>",
    "<1@example.org", "1@example.org>", "<>", ">1@example.org<", "<1\t@x.org>",
    "<1\27[m@example.org>", "<<1@example.org>", "",
  }
  for _, timestamp in ipairs(forged) do
    it(("R08 that is forged is not answered: %q"):format(timestamp), function()
      local s = server.start{
        {{send = "+OK ready " .. timestamp .. "\r\n"},
         {auto = {{".*", "+OK\r\n"}}}},
      }
      local conn = connect(s)
      local err = claims.fails("proto", "unsupported", conn.apop, conn, "name",
                               "secret")
      assert.are.equal("-ERR APOP not supported by server", tostring(err))
      conn:close()
      assert.are.equal("", s:report().connections[1].received)
    end)
  end

  it("R08 that is one is answered as RFC 1939 shows", function()
    local s = server.start{
      {"S: +OK <1896.697170952@dbc.mtview.ca.us> ready",
       "C: APOP mrose c4c9334bac560ecc979e58001b3e22fb", "S: +OK"},
    }
    local conn = connect(s)
    assert.are.equal("+OK", conn:apop("mrose", "tanstaaf"))
    conn:close()
    assert.are.equal(0, s:report().failed)
  end)

  it("R08 is never answered unasked: login() sends USER and PASS", function()
    local s = server.start{
      {"S: +OK <1@example.org>", "C: CAPA", "S: -ERR", "C: USER name", "S: +OK", "C: PASS secret",
       "S: +OK"},
    }
    local conn = connect(s)
    conn:login("name", "secret")
    conn:close()
    assert.are.equal(0, s:report().failed)
  end)
end)

-- -------------------------------------------------------------- R09, R10

describe("A UID", function()
  local uids = {
    ["of 70 octets"] = ("u"):rep(70),
    ["of 71 octets"] = ("u"):rep(71),
    ["of 8191 octets"] = ("u"):rep(8191),
    ["of 8193 octets"] = ("u"):rep(8193),
    ["with blanks"] = "a b  c ",
    ["that is empty"] = "",
    ["that looks like a path"] = "../../etc/passwd",
    ["with a slash"] = "/",
    ["that is 8-bit"] = "\195\169\255",
    ["with a NUL"] = "a\0b",
    ["of dots"] = "..",
  }
  for what, uid in pairs(uids) do
    it("R09 R10 " .. what .. " is handed on as it came", function()
      local result = ask("+OK\r\n1 " .. uid .. "\r\n2 next\r\n.\r\n", nil,
                         "uidl")
      assert.is_true(result[1], tostring(result[2]))
      assert.are.same({"1 " .. uid, "2 next"}, result[3])
      assert.are.equal(#uid + 4 + 8, result[4])
      result.conn:close()
      result.server:report()
    end)
  end

  it("R10 that is not there at all is a clear result", function()
    local result = ask("+OK\r\n1\r\n.\r\n", nil, "uidl")
    assert.are.same({"1"}, result[3])
    result.conn:close()
    result.server:report()
  end)

  it("R09 asked for alone is a status line, with its limit", function()
    local result = ask("+OK 1 " .. ("u"):rep(8191) .. "\r\n", nil, "uidl", 1)
    assert.are.same({false, "limit", "line"},
                    {result[1], result[2].kind, result[2].name})
    result.conn:close()
    result.server:stop()
  end)
end)

-- -------------------------------------------------------------- R11, R12

describe("A message", function()
  local mail = "A\r\n..dot\r\n...two\r\n\r\nbare\n.\nLF\r\n.\rCR\r\n..\r\n"
  local lines = {"A", ".dot", "..two", "", "bare\n.\nLF", "\rCR", "."}
  local octets = #mail - 4 -- the dots removed

  local function assert_message(result)
    assert.is_true(result[1], tostring(result[2]))
    assert.are.same({"+OK", lines, octets}, {unpack(result, 2, 4)})
  end

  it("R11 is the same at every split", function()
    local reply = "+OK\r\n" .. mail .. ".\r\n"
    local connections = {}
    for at = 1, #reply - 1 do
      connections[at] = {"S: +OK ready", "C: RETR 1",
                         {send = reply, split = {at}}, "C: NOOP",
                         "S: +OK noop"}
    end
    local s = server.start{connections = connections}
    for _ = 1, #connections do
      local conn = connect(s)
      assert_message{pcall(conn.retr, conn, 1)}
      assert.are.equal("+OK noop", conn:noop())
      conn:close()
    end
    assert.are.equal(0, s:report().failed)
  end)

  it("R11 is the same one octet at a time, by TLS, too", function()
    local steps = {"S: +OK ready", "C: RETR 1",
                   {send = "+OK\r\n" .. mail .. ".\r\n", drip = true}}
    local secure = {{tls = certificates.server "ip"}, steps[1], steps[2],
                    {chop = 1}, {send = steps[3].send}}
    local s = server.start{steps, secure}
    local conn = connect(s)
    assert_message{pcall(conn.retr, conn, 1)}
    conn:close()
    conn = pop3.POP3_SSL(s.host, s.port, {cafile = cafile, timeout = 20})
    assert_message{pcall(conn.retr, conn, 1)}
    conn:close()
    s:report()
  end)

  it("R12 that is not stuffed ends early; the rest answers nothing",
     function()
    local s = replying("RETR 1", {send = "+OK\r\nmail\r\n.\r\nrest\r\n.\r\n"},
                       {eof = true})
    local conn = connect(s)
    local _, got = conn:retr(1)
    assert.are.same({"mail"}, got)
    claims.fails("proto", "unsolicited", conn.dele, conn, 1)
    claims.fails("proto", "unsolicited", conn.quit, conn)
    conn:close()
    assert.are.equal("RETR 1\r\n", s:report().connections[1].received)
  end)

  it("R12 smuggles no reply behind a bare LF", function()
    for _, trick in ipairs{"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r",
                           "\r\n.\0\r\n", "\r\n. \r\n"} do
      local body = "a" .. trick .. "+OK smuggled"
      local s = server.start{
        {"S: +OK ready", "C: RETR 1", {send = "+OK\r\n" .. body .. "\r\n.\r\n"},
         "C: NOOP", "S: +OK real"},
      }
      local conn = connect(s)
      local _, got = conn:retr(1)
      assert.is_truthy(got[#got]:find("+OK smuggled", 1, true),
                       ("%q"):format(trick))
      assert.are.equal("+OK real", conn:noop())
      conn:close()
      s:report()
    end
  end)

  it("R12 of a broken server is read by framing = 'lenient'", function()
    local result = ask("+OK\r\na\n..b\n.\n", {framing = "lenient"}, "retr", 1)
    assert.are.same({"a", ".b"}, result[3])
    result.conn:close()
    result.server:report()
  end)

  it("T18 of a million .. lines is read in one go", function()
    local s = replying("RETR 1", "S: +OK",
                       {send = ("..\r\n"):rep(10000), times = 100},
                       {send = ".\r\n"})
    local conn = connect(s)
    claims.within(20, function()
      local _, got, size = conn:retr(1)
      assert.are.equal(1000000, #got)
      assert.are.equal(".", got[1000000])
      assert.are.equal(3000000, size)
    end)
    conn:close()
    s:report()
  end)

  it("T11 without an end is a limit", function()
    local s = replying("RETR 1", "S: +OK",
                       {send = ("line\r\n"):rep(10000), times = 1000})
    local conn = connect(s, {max_octets = MIB})
    claims.fails("limit", "octets", conn.retr, conn, 1)
    claims.fails("limit", "octets", conn.noop, conn)
    conn:close()
    s:stop()
  end)
end)

-- ------------------------------------------------- R13, T11 to T14

describe("A listing", function()
  it("T11 R13 without an end is a limit: LIST, UIDL, by hand", function()
    for _, call in ipairs{{"list"}, {"uidl"}, {"command", "XLIST", true}} do
      local s = server.start{
        {"S: +OK ready", {expect = true}, "S: +OK",
         {send = ("1 1\r\n"):rep(10000), times = 1000}},
      }
      local conn = connect(s, {max_items = 1000})
      local err = claims.fails("limit", "items", conn[call[1]], conn, call[2],
                               call[3])
      assert.is_truthy(tostring(err):find("max_items", 1, true), tostring(err))
      conn:close()
      s:stop()
    end
  end)

  it("T11 of capabilities without an end is a limit", function()
    local s = server.start{
      {"S: +OK ready", "C: CAPA", "S: +OK",
       {send = ("X\r\n"):rep(10000), times = 1000}},
    }
    local conn = connect(s)
    claims.fails("limit", "capabilities", conn.capabilities, conn)
    conn:close()
    s:stop()
  end)

  it("T13 repeated, descending or sparse is handed on", function()
    local result = ask("+OK\r\n3 1\r\n3 1\r\n1 5\r\n900 -1\r\n\r\nx\r\n.\r\n",
                       nil, "list")
    assert.are.same({"3 1", "3 1", "1 5", "900 -1", "", "x"}, result[3])
    result.conn:close()
    result.server:report()
  end)

  it("R13 may be empty: the dot right after +OK", function()
    for _, method in ipairs{"list", "uidl", "capa"} do
      local result = ask("+OK\r\n.\r\n", nil, method)
      assert.is_true(result[1])
      assert.are.same({}, method == "capa" and result[2] or result[3])
      result.conn:close()
      result.server:report()
    end
  end)

  it("R13 loses the dots that it was stuffed with", function()
    local result = ask("+OK\r\n..1 a\r\n.\r\n", nil, "uidl")
    assert.are.same({".1 a"}, result[3])
    result.conn:close()
    result.server:report()
    result = ask("+OK\r\n..X y\r\n.\r\n", nil, "capa")
    assert.are.same({[".X"] = {"y"}}, result[2])
    result.conn:close()
    result.server:report()
  end)

  it("R13 is asked for without a blank behind the word", function()
    local s = replying("LIST", {send = "+OK\r\n.\r\n"}, "C: UIDL",
                       {send = "+OK\r\n.\r\n"})
    local conn = connect(s)
    conn:list()
    conn:uidl(nil)
    conn:close()
    assert.are.equal(0, s:report().failed)
  end)
end)

describe("STAT", function()
  local big = 2 ^ 53
  local good = {
    ["2 320"] = {2, 320}, ["0 0"] = {0, 0}, ["2 -5"] = {2, -5},
    ["-1 0"] = {-1, 0}, ["00012 1"] = {12, 1}, ["1 2 more words"] = {1, 2},
    ["1 4294967296"] = {1, 4294967296}, ["3 9007199254740992"] = {3, big},
    ["1 2147483648"] = {1, 2147483648}, ["4294967295 4294967296"] =
      {4294967295, 4294967296},
  }
  for reply, numbers in pairs(good) do
    it("T12 R13 reads " .. reply, function()
      local result = ask("+OK " .. reply .. "\r\n", nil, "stat")
      assert.are.same({true, unpack(numbers)},
                      {result[1], result[2], result[3]})
      result.conn:close()
      result.server:report()
    end)
  end

  for _, reply in ipairs{"1e9 1", "2", "", "a b", "1 0x10", "1 1.5", "1 nan",
                         "1 inf", "-- 1", "1 -", "1 1e999", "+OK 1", "1 1x"} do
    it(("T12 R13 refuses %q, and goes on"):format(reply), function()
      local s = server.start{
        {"S: +OK ready", "C: STAT", "S: +OK " .. reply, "C: NOOP", "S: +OK"},
      }
      local conn = connect(s)
      local err = claims.fails("proto", "malformed", conn.stat, conn)
      assert.is_true(pop3.is_error_proto(err))
      assert.are.equal("+OK", conn:noop())
      conn:close()
      s:report()
    end)
  end

  it("T12 of 2^64 is a number, if a rough one", function()
    local result = ask("+OK 1 18446744073709551616\r\n", nil, "stat")
    assert.is_true(result[1])
    assert.are.equal(2 ^ 64, result[3])
    result.conn:close()
    result.server:report()
  end)

  it("T14 of four billion messages costs nothing", function()
    local result = ask("+OK 4294967295 4294967295\r\n", nil, "stat")
    collectgarbage()
    local before = claims.resident()
    assert.are.same({4294967295, 4294967295}, {result[2], result[3]})
    assert.is_true(claims.resident() - before < MIB)
    result.conn:close()
    result.server:report()
  end)
end)

-- ---------------------------------------------------------- T09, R13, T15

describe("A status line", function()
  local banners = {
    ["HTTP"] = "HTTP/1.1 400 Bad Request\r\n\r\n",
    ["SMTP"] = "220 mail.example.org ESMTP\r\n",
    ["IMAP"] = "* OK [CAPABILITY IMAP4rev1] ready\r\n",
    ["SSH"] = "SSH-2.0-OpenSSH_9.2\r\n",
    ["TLS"] = "\21\3\3\0\2\2\10\r\n",
    ["nothing"] = "\r\n",
    ["a lower case +ok"] = "ok\r\n",
    ["a blank first"] = " +OK\r\n",
  }
  for what, banner in pairs(banners) do
    it("T09 of another protocol is refused: " .. what, function()
      local s = server.start{{{send = banner}}}
      local err = claims.fails("proto", "refused", connect, s)
      assert.is_true(pop3.is_error_proto(err))
      assert.are.equal(banner:match("^(.-)\r?\n"), err.response or "")
      s:report()
    end)
  end

  it("T09 that ends in a TLS record without a line end is an end", function()
    local s = server.start{{{send = "\21\3\3\0\2\2\70"}}}
    claims.fails("closed", "eof", connect, s)
    s:report()
  end)

  it("R13 that is empty is a refusal", function()
    local result = ask("\r\n", nil, "noop")
    assert.are.same({false, "proto", "refused", ""},
                    {result[1], result[2].kind, result[2].name,
                     result[2].response or ""})
    result.conn:close()
    result.server:report()
  end)

  it("T15 with control characters is escaped in error and trace", function()
    local nasty = "-ERR \27[2J\7\8 \127\155 bell"
    local result = ask(nasty .. "\r\n", nil, "noop")
    local err = result[2]
    assert.are.equal(nasty, err.response)
    assert.is_nil(tostring(err):find("[%c\127]"), tostring(err))
    assert.is_nil(err.message:find("[%c\127]"))
    result.conn:close()
    result.server:report()

    local s = replying("NOOP", {send = nasty .. "\r\n"})
    local conn = connect(s)
    local shown = {}
    conn:set_debuglevel(2, function(text) shown[#shown + 1] = text end)
    pcall(conn.noop, conn)
    local trace = table.concat(shown):gsub("\n", "")
    assert.is_truthy(trace:find("bell", 1, true))
    assert.is_nil(trace:find("[%c\127]"), trace)
    conn:close()
    s:report()
  end)

  local codes = {
    ["-ERR [IN-USE] locked"] = "IN-USE", ["-ERR [sys/temp] x"] = "SYS/TEMP",
    ["-ERR [AUTH] x"] = "AUTH", ["-ERR [LOGIN-DELAY] x"] = "LOGIN-DELAY",
  }
  for line, code in pairs(codes) do
    it("has its response code read: " .. line, function()
      local result = ask(line .. "\r\n", nil, "noop")
      assert.are.equal(code, result[2].code)
      result.conn:close()
      result.server:report()
    end)
  end

  it("has no response code where there is none", function()
    for _, line in ipairs{"-ERR no", "-ERR [", "-ERR []", "-ERR [a", "-ERR x [Y]",
                          "-ERR [a b] x", "-ERR[X]", "[X] -ERR"} do
      local result = ask(line .. "\r\n", nil, "noop")
      assert.is_nil(result[2].code, line)
      result.conn:close()
      result.server:report()
    end
  end)
end)

-- ----------------------------------------------------- R15, R20, R21

describe("The end of a TLS stream", function()
  local function secure(...)
    local steps = {{tls = certificates.server "ip"}, "S: +OK ready"}
    for _, step in ipairs{...} do steps[#steps + 1] = step end
    local s = server.start{steps}
    return pop3.POP3_SSL(s.host, s.port, {cafile = cafile, timeout = 20}), s
  end

  it("R15 without close_notify is right behind QUIT's reply", function()
    local conn, s = secure("C: QUIT", "S: +OK bye", {close = "abrupt"})
    assert.are.equal("+OK bye", conn:quit())
    s:report()
  end)

  it("R15 T06 without close_notify inside a message is truncation", function()
    local conn, s = secure("C: RETR 1", "S: +OK", "S: half a mail",
                           {close = "abrupt"})
    claims.fails("tls", "truncated", conn.retr, conn, 1)
    claims.fails("tls", "truncated", conn.noop, conn)
    conn:close()
    s:report()
  end)

  it("R15 T06 with close_notify inside a message is an end", function()
    local conn, s = secure("C: RETR 1", "S: +OK", "S: half a mail",
                           {close = true})
    claims.fails("closed", "eof", conn.retr, conn, 1)
    conn:close()
    s:report()
  end)

  it("R15 without close_notify before QUIT's reply is truncation", function()
    local conn, s = secure("C: QUIT", {close = "abrupt"})
    claims.fails("tls", "truncated", conn.quit, conn)
    s:report()
  end)

  -- What a session is bound to is tls_sessions_spec.lua's matter; here, that
  -- one context judges every host by itself.
  it("R20 one context does not carry trust to another name", function()
    local tls = {tls = certificates.server "ip"}
    local s = server.start{{tls, "S: +OK", "C: QUIT", "S: +OK"}}
    local other = server.start{connections = {{tls}}, host = "127.0.0.2"}
    local context = pop3.context{cafile = cafile}
    local conn = pop3.POP3_SSL(s.host, s.port, {context = context})
    conn:quit()
    claims.fails("tls", "hostname", pop3.POP3_SSL, other.host, other.port,
                 {context = context, timeout = 20})
    s:report()
    other:report()
  end)
end)

describe("A line nobody asked for", function()
  it("R21 that says goodbye is no answer to the next command", function()
    local goodbye = "-ERR [SYS/TEMP] Disconnected for inactivity."
    local s = replying("NOOP", {send = "+OK\r\n" .. goodbye .. "\r\n"},
                       {close = true})
    local conn = connect(s)
    conn:noop()
    local err = claims.fails("closed", "goodbye", conn.dele, conn, 1)
    assert.are.same({goodbye, "SYS/TEMP"}, {err.response, err.code})
    claims.fails("closed", "goodbye", conn.noop, conn)
    conn:close()
    assert.are.same({"NOOP"}, s:report().connections[1].commands)
  end)

  it("R12 that looks like success is unsolicited, and final", function()
    local s = replying("NOOP", {send = "+OK\r\n+OK 3 messages\r\n"},
                       {eof = true})
    local conn = connect(s)
    conn:noop()
    claims.fails("proto", "unsolicited", conn.dele, conn, 1)
    claims.fails("proto", "unsolicited", conn.noop, conn)
    conn:close()
    assert.are.same({"NOOP"}, s:report().connections[1].commands)
  end)
end)

-- ------------------------------------------------------------------- R19

describe("Nothing but quit() sends QUIT", function()
  it("R19 close() does not", function()
    local s = replying("DELE 1", "S: +OK")
    local conn = connect(s)
    conn:dele(1)
    conn:close()
    conn:close()
    assert.are.same({"DELE 1"}, s:report().connections[1].commands)
  end)

  it("R19 the collector does not, nor by TLS a close_notify", function()
    local s = server.start{
      {{tls = certificates.server "ip"}, "S: +OK", "C: DELE 1", "S: +OK"},
    }
    do
      local conn = pop3.POP3_SSL(s.host, s.port, {cafile = cafile})
      conn:dele(1)
      conn = nil -- luacheck: ignore
    end
    collectgarbage()
    collectgarbage()
    local connection = s:report().connections[1]
    assert.are.same({"DELE 1"}, connection.commands)
    assert.is_false(connection.tls.close_notify)
  end)

  it("R19 the end of the interpreter does not", function()
    local s = replying("DELE 1", "S: +OK")
    local result = child.run{
      script = [[
        conn = require "pop3".POP3("127.0.0.1", tonumber((...)))
        conn:dele(1)
      ]], arguments = {s.port},
    }
    assert.are.equal(0, result.status, result.err)
    assert.are.same({"DELE 1"}, s:report().connections[1].commands)
  end)
end)
