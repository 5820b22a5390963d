--- What a connection does is the same in every host. This file runs unchanged
-- in each (POP3_HOST; scripts/lanes/hosts runs them all): every method, TLS,
-- what attacks and failures end in, deadlines, cancellation.
--
-- PUC Lua 5.1 cannot yield through pcall or an iterator: errors are caught by
-- host.fails, and readers are asked by :next().

local certificates = require "spec.support.certificates"
local core = require "pop3.core"
local dnssec = require "spec.support.dnssec"
local host = require "spec.hosts.host"
local pop3 = require "pop3"
local server = require "spec.support.server"

local fails, good = host.fails, host.good

local unpack = unpack or table.unpack -- luacheck: ignore

local available, why_not = host.driver.available()
if not available then
  return it("runs in " .. host.name, function() pending(why_not) end)
end

after_each(server.stop_all)

--- A claim that is tried inside of the host, unless that lacks something.
local function claim(text, fn, without)
  it(text, function()
    local reason = without and host.lacks[without]
    if reason then return pending(reason) end
    host.driver.run(fn)
  end)
end

--- A claim about one of the driver's functions.
local function outside(text, needed, fn)
  it(text, function()
    local call = host.driver[needed]
    if not call then return pending("this host has no " .. needed) end
    fn(call)
  end)
end

-- ------------------------------------------------------------ servers

local TIMESTAMP = "<1896.697170952@dbc.mtview.ca.us>" -- RFC 1939's
local KEY = "tanstaaf"

local MIB = 1048576

-- Every octet, dots at the starts of lines, lines of dots.
local octets = {}
for code = 0, 255 do octets[#octets + 1] = string.char(code) end
local binary = "Subject: .\r\n\r\n." .. table.concat(octets):gsub("[\r\n]", "")
  .. "\r\n..\r\n.\r\n...x\r\n\r\n"

local mails = { binary }
for n = 2, 12 do
  mails[n] = ("Subject: %d\r\n\r\n"):format(n) .. ("mail\r\n"):rep(n * 40)
end

--- A server of mail. `more` are fields of its mailbox.
local function mail_server(more, steps)
  local mailbox = { messages = mails, capa = { "PIPELINING", "UIDL", "TOP" } }
  for key, value in pairs(more or {}) do mailbox[key] = value end
  local list = steps or {}
  list[#list + 1] = { mailbox = mailbox }
  return server.start { connections = { list }, accepts = 0 }
end

--- A session that is logged in.
local function logged_in(s, options, class)
  local conn = host.connect(s, options, class)
  good(conn:login("me", "secret"))
  return conn
end

--- A server that says these steps to everybody, and then waits.
local function scripted(...)
  return server.start { { ... } }
end

--- What the client said in clear.
local function clear(s) return s:report().connections[1].clear end

-- ------------------------------------------------------------ methods

-- Calls of every method are counted, so that none is left out.
local called, originals = {}, {}

setup(function()
  for name, method in pairs(core.methods) do
    originals[name] = method
    core.methods[name] = function(...)
      called[name] = true
      return method(...)
    end
  end
end)

teardown(function()
  for name, method in pairs(originals) do core.methods[name] = method end
end)

-- A method, its arguments, what it says, what it is told, what it returns.
local exchanges = {
  { "user", { "me" }, "USER me", "+OK hello", { "+OK hello" } },
  { "pass_", { "secret" }, "PASS secret", "+OK", { "+OK" } },
  { "apop", { "mrose", KEY }, "APOP mrose c4c9334bac560ecc979e58001b3e22fb",
    "+OK maildrop", { "+OK maildrop" } },
  { "rpop", { "me" }, "RPOP me", "+OK", { "+OK" } },
  { "stat", {}, "STAT", "+OK 2 320", { 2, 320 } },
  { "list", {}, "LIST", "+OK two\r\n1 120\r\n2 200\r\n.",
    { "+OK two", { "1 120", "2 200" }, 14 } },
  { "list", { 2 }, "LIST 2", "+OK 2 200", { "+OK 2 200" } },
  { "uidl", {}, "UIDL", "+OK\r\n1 a\r\n2 b\r\n.",
    { "+OK", { "1 a", "2 b" }, 10 } },
  { "uidl", { "1" }, "UIDL 1", "+OK 1 a", { "+OK 1 a" } },
  { "retr", { 1 }, "RETR 1", "+OK\r\na\r\n..b\r\n.",
    { "+OK", { "a", ".b" }, 7 } },
  { "top", { 1, 2 }, "TOP 1 2", "+OK\r\na\r\n.", { "+OK", { "a" }, 3 } },
  { "dele", { 3 }, "DELE 3", "+OK gone", { "+OK gone" } },
  { "noop", {}, "NOOP", "+OK", { "+OK" } },
  { "rset", {}, "RSET", "+OK", { "+OK" } },
  { "last", {}, "LAST", "+OK 3", { "+OK 3" } },
  { "utf8", {}, "UTF8", "+OK", { "+OK" } },
  { "lang", { "de" }, "LANG de", "+OK de", { "+OK de" } },
  { "capa", {}, "CAPA", "+OK\r\nTOP\r\nSASL PLAIN LOGIN\r\n.",
    { { TOP = {}, SASL = { "PLAIN", "LOGIN" } } } },
  { "capabilities", {}, "CAPA", "+OK\r\ntop\r\n.",
    { { TOP = {}, top = true } } },
  { "command", { "XTND XMIT" }, "XTND XMIT", "+OK go", { "+OK go" } },
  { "command", { "XLIST", true }, "XLIST", "+OK\r\nx\r\n.",
    { "+OK", { "x" }, 3 } },
  { "quit", {}, "QUIT", "+OK bye", { "+OK bye" } },
}

describe("A method", function()
  for _, row in ipairs(exchanges) do
    local name, arguments, said, told, wanted = unpack(row)
    claim(("says %s and returns what comes of it"):format(said), function()
      local s = scripted("S: +OK ready " .. TIMESTAMP, "C: " .. said,
        "S: " .. told, { eof = true })
      local conn = host.connect(s)
      assert.same(wanted, { assert(conn[name](conn, unpack(arguments))) })
      conn:close()
      assert.same({}, s:report().connections[1].errors)
    end)
  end

  claim("getwelcome, info and fd tell of the connection", function()
    local s = scripted("S: +OK ready", { eof = true })
    local conn = host.connect(s)
    assert.equal("+OK ready", conn:getwelcome())
    local info = conn:info()
    assert.same({ s.host, s.port, false, false },
      { info.host, info.port, info.closed, info.secure })
    assert.equal(host.lacks.fd == nil, type(conn:fd()) == "number")
    assert.equal(host.lacks.address == nil, info.address == "127.0.0.1")
    assert.is_nil(conn:session_export()) -- there is no TLS
    conn:close()
    assert.is_true(conn:info().closed)
    assert.is_nil(conn:fd())
  end)

  claim("set_debuglevel shows what is said, but secrets", function()
    local s, shown = mail_server(), {}
    local conn = host.connect(s)
    conn:set_debuglevel(1, function(text) shown[#shown + 1] = text end)
    good(conn:user("me"))
    good(conn:pass_("xyzzy"))
    conn:close()
    shown = table.concat(shown)
    assert.truthy(shown:find("USER me", 1, true))
    assert.truthy(shown:find("PASS", 1, true))
    assert.falsy(shown:find("xyzzy", 1, true))
  end)

  claim("quit need not wait for its answer", function()
    local s = mail_server()
    local conn = logged_in(s)
    conn:quit { wait = false }
    assert.is_true(conn:info().closed)
    local commands = s:report().connections[1].commands
    assert.equal("QUIT", commands[#commands])
  end)

  claim("close says nothing, as often as it is called", function()
    local s = scripted("S: +OK ready", { eof = true })
    local conn = host.connect(s)
    conn:close()
    conn:close()
    fails("state", "closed", conn.noop, conn)
    assert.equal("", clear(s))
  end)

  claim("refuses arguments that are none before anything is sent", function()
    local s = scripted("S: +OK ready", { eof = true })
    local conn = host.connect(s)
    for _, wrong in ipairs { "a\r\nDELE 1", "a\nb", "a\0b" } do
      assert.is_false((pcall(conn.user, conn, wrong)))
    end
    assert.is_false((pcall(conn.retr, conn, -1)))
    assert.is_false((pcall(conn.retr)))
    conn:close()
    assert.equal("", clear(s))
  end)
end)

-- ------------------------------------------------------------ messages

-- Every shape in which a message can be had: a function that returns the text.
local shapes = {}

function shapes.retr(conn, number)
  local _, lines, count = good(conn:retr(number))
  local text = table.concat(lines, "\r\n") .. "\r\n"
  assert(count == #text)
  return text
end

function shapes.retr_string(conn, number)
  return (good(conn:retr_string(number)))
end

-- What a reader has, piece by piece.
local function read_out(reader, ending)
  local pieces = {}
  local piece = reader:next()
  while piece do
    pieces[#pieces + 1] = piece .. ending
    piece = reader:next()
  end
  return table.concat(pieces)
end

function shapes.retr_lines(conn, number)
  return read_out(good(conn:retr_lines(number)), "\r\n")
end

function shapes.retr_chunks(conn, number)
  return read_out(good(conn:retr_chunks(number)), "")
end

shapes["retr_to a function"] = function(conn, number)
  local chunks, ends = {}, 0
  good(conn:retr_to(number, function(chunk)
    chunks[#chunks + 1] = chunk
    ends = ends + (chunk and 0 or 1)
  end))
  assert(ends == 1)
  return table.concat(chunks)
end

local function file_of(receive)
  return function(conn, number)
    local path = os.tmpname()
    receive(conn, number, path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("*a")
    file:close()
    os.remove(path)
    return text
  end
end

shapes["retr_to a path"] = file_of(function(conn, number, path)
  os.remove(path)
  good(conn:retr_to(number, { path = path }))
end)

shapes["retr_to a file"] = file_of(function(conn, number, path)
  local file = assert(io.open(path, "wb"))
  good(conn:retr_to(number, file))
  file:close()
end)

function shapes.retr_many(conn, number)
  local got
  good(conn:retr_many({ number }, function(_, text) got = text end))
  return got
end

shapes["retr_many into sinks"] = function(conn, number)
  local chunks = {}
  good(conn:retr_many({ number }, { sink = function()
    return function(chunk) chunks[#chunks + 1] = chunk end
  end }))
  return table.concat(chunks)
end

local needed = { ["retr_to a path"] = "path", ["retr_to a file"] = "descriptor" }

local function sorted(list)
  local names = {}
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("A message", function()
  local large = ("0123456789.\r\n.23456789\r\n"):rep(12000) -- 288,000 octets

  for _, shape in ipairs(sorted(shapes)) do
    claim("of all octets arrives as it is, by " .. shape, function()
      local conn = logged_in(mail_server())
      assert.is_true(binary == shapes[shape](conn, 1))
      good(conn:quit())
    end, needed[shape])

    for _, tls in ipairs { "none", "starttls" } do
      claim(("of 280 KiB arrives whole, by %s, tls %s"):format(shape, tls),
        function()
          local s = mail_server { messages = { large },
            stls = certificates.server "exact" }
          local conn = logged_in(s, { tls = tls, cafile = certificates.cafile,
            servername = certificates.name })
          assert.is_true(large == shapes[shape](conn, 1))
          good(conn:quit())
        end, needed[shape])
    end
  end

  claim("of 8 MiB passes through a sink, in bounded memory", function()
    local s = mail_server { messages = { { ("x"):rep(1022) .. "\r\n", 8192 } } }
    local conn, size = logged_in(s), 0
    collectgarbage()
    local before, most = collectgarbage("count"), 0
    good(conn:retr_to(1, function(chunk)
      size = size + #(chunk or "")
      most = math.max(most, collectgarbage("count") - before)
    end))
    good(conn:quit())
    assert.equal(8 * MIB, size)
    assert.is_true(most < 6 * 1024, most .. " KiB")
  end)

  claim("that comes octet by octet is no other", function()
    local s = scripted("S: +OK ready", "C: RETR 1",
      { send = "+OK\r\n..a\r\nb\r\n.\r\n", drip = true },
      "C: NOOP", { send = "+OK\r\n", drip = true }, { eof = true })
    local conn = host.connect(s)
    assert.equal(".a\r\nb\r\n", (good(conn:retr_string(1))))
    good(conn:noop())
    conn:close()
    assert.same({}, s:report().connections[1].errors)
  end)

  claim("may be refused, and the connection is used on", function()
    local conn = logged_in(mail_server())
    local err = fails("proto", "refused", conn.retr_string, conn, 99)
    assert.equal("-ERR no such message", err.response)
    assert.equal(mails[2], (good(conn:retr_string(2))))
    good(conn:quit())
  end)

  claim("has a digest", function()
    local conn = logged_in(mail_server { messages = { "abc" } })
    local text, _, digest = good(conn:retr_string(1, { eol = "lf",
      hash = "md5" }))
    assert.same({ "abc\n", "0bee89b07a248e27c83fc3d5951213c1" },
      { text, digest })
    good(conn:quit())
  end)
end)

-- ------------------------------------------------------------ many

local function numbers(first, last)
  local list = {}
  for n = first, last do list[#list + 1] = n end
  return list
end

describe("Many", function()
  for _, pipelining in ipairs { true, false } do
    claim(("messages come in order, pipelining = %s"):format(
      tostring(pipelining)), function()
      local s = mail_server { burst = true }
      local conn = logged_in(s, { pipelining = pipelining })
      local seen = 0
      local had, refused = good(conn:retr_many(numbers(1, 13),
        function(number, text, err)
          seen = seen + 1
          assert(number == seen and text == mails[number])
          assert((err ~= nil) == (number == 13))
        end))
      assert.same({ 12, 1, 13 }, { had, refused, seen })
      good(conn:quit())
      local report = s:report().connections[1]
      assert.equal(pipelining, report.waiting > 1)
    end)
  end

  claim("messages in flight with a login, a listing and QUIT", function()
    local s = mail_server { burst = true }
    local conn = host.connect(s)
    local _, extras = good(conn:login("me", "secret",
      { stat = true, listing = true }))
    assert.equal(#mails, extras.stat.count)
    assert.equal(#mails, #extras.listing)
    local got = {}
    good(conn:retr_many(extras.listing:numbers(), function(n, text)
      got[n] = text
    end, { quit = true }))
    assert.same(mails, got)
    local commands = s:report().connections[1].commands
    assert.equal("QUIT", commands[#commands])
  end)

  claim("small commands at once do not dead-lock", function()
    local large = { { ("x"):rep(998) .. "\r\n", 60 } }
    for n = 2, 100 do large[n] = large[1] end
    local conn = logged_in(mail_server { messages = large, burst = true },
      { pipelining = true })
    assert.equal(100, (good(conn:retr_many(numbers(1, 100), function(_, text)
      assert(#text == 60000)
    end))))
    good(conn:quit())
  end)

  claim("deletions", function()
    local conn = logged_in(mail_server())
    local marked, refused, errors = good(conn:dele_many { 1, 2, 99 })
    assert.same({ 2, 1, "refused" }, { marked, refused, errors[99].name })
    assert.equal(10, (good(conn:stat())))
    good(conn:rset())
    good(conn:quit())
  end)

  claim("rows of a listing", function()
    local conn = logged_in(mail_server { uids = { "a", "b" } })
    local listing = good(conn:listing())
    assert.same({ 12, 2, #mails[2] },
      { #listing, listing:find "b", listing[2].size })
    good(conn:quit())
  end)

  claim("messages as an iterator that fetches ahead", function()
    local conn = logged_in(mail_server())
    local list, seen = good(conn:messages()), 0
    local message = list:next()
    while message do
      seen = seen + 1
      assert.is_true(mails[seen] == good(message:text()))
      message = list:next()
    end
    assert.equal(12, seen)
    good(conn:quit())
  end)
end)

-- ------------------------------------------------------------ TLS

-- The two doors to TLS: how the server goes through it, and the client.
local doors = {
  implicit = function(tls, steps)
    local list = { { tls = tls }, "S: +OK ready" }
    for _, step in ipairs(steps or {}) do list[#list + 1] = step end
    return server.start { connections = { list }, accepts = 0 },
      { tls = "implicit" }
  end,
  starttls = function(tls, steps)
    local list = { "S: +OK ready", "C: CAPA", "S: +OK\r\nSTLS\r\n.",
      "C: STLS", "S: +OK begin", { tls = tls } }
    for _, step in ipairs(steps or {}) do list[#list + 1] = step end
    return server.start { connections = { list }, accepts = 0 },
      { tls = "starttls" }
  end,
}

local function through(door, certificate, options, steps)
  local s, own = doors[door](certificates.server(certificate), steps)
  own.cafile, own.servername = certificates.cafile, certificates.name
  for key, value in pairs(options or {}) do own[key] = value end
  return s, own
end

describe("pop3.open", function()
  --- What it needs beside the host's own options.
  local function session_options(s, own, more)
    for key, value in pairs(more or {}) do own[key] = value end
    own.host, own.port, own.user = s.host, s.port, "me"
    own.password = own.password or "secret"
    return host.options(s, own)
  end

  for _, door in ipairs(sorted(doors)) do
    claim("logs in, " .. door, function()
      local asked = 0
      local s, own = through(door, "exact", nil, { "C: CAPA", "S: +OK\r\nUSER\r\n.",
        "C: USER me", "S: +OK", "C: PASS secret", "S: +OK",
        "C: STAT", "S: +OK 2 320", { eof = true } })
      local conn, extras = good(host.pop3.open(session_options(s, own, {
        stat = true, pipelining = false,
        password = function() asked = asked + 1 return "secret" end })))
      assert.is_true(conn:info().secure)
      assert.same({ count = 2, octets = 320 }, extras.stat)
      assert.equal(1, asked)
      conn:close()
      assert.same({}, s:report().connections[1].errors)
    end)

    claim("closes what is refused, " .. door, function()
      local s, own = through(door, "exact", nil, { "C: CAPA", "S: +OK\r\nUSER\r\n.",
        "C: USER me", "S: +OK", "C: PASS secret", "S: -ERR [IN-USE] busy",
        { eof = true } })
      local err = fails("auth", "refused", host.pop3.open,
        session_options(s, own))
      assert.same({ "IN-USE", true }, { err.code, err.retryable })
      local seen = s:report().connections[1]
      assert.same({ "eof", {} }, { seen.ended, seen.errors })
    end)
  end

  claim("fails where nobody listens", function()
    fails("io", "econnrefused", host.pop3.open, session_options({
      host = "127.0.0.1", port = server.closed_port() }, {}))
  end, "connect")
end)

describe("TLS", function()
  for _, door in ipairs(sorted(doors)) do
    claim("works, " .. door, function()
      local s, options = through(door, "exact", nil, { "C: NOOP", "S: +OK" })
      local conn = host.connect(s, options)
      good(conn:noop())
      local info = conn:info()
      assert.is_true(info.secure and info.tls.verified)
      assert.equal("chain+name", conn:tls_info().verified_by)
      conn:close()
      local report = s:report().connections[1]
      assert.same({ certificates.name, "NOOP\r\n" },
        { report.tls.servername, report.secure })
    end)

    local bad = {
      { "mismatch", "hostname" }, { "unknown-root", "certificate" },
      { "expired", "certificate" }, { "self-signed", "certificate" },
    }
    for _, row in ipairs(bad) do
      claim(("refuses a certificate that is %s, %s"):format(row[1], door),
        function()
          local s, options = through(door, row[1], nil, { { eof = true } })
          fails("tls", row[2], host.open, s, options)
          assert.equal("", s:report().connections[1].secure)
        end)
    end

    claim("takes any certificate where it is told so, " .. door, function()
      local s, options = through(door, "self-signed", { verify = false })
      local conn = host.connect(s, options)
      assert.is_false(conn:info().tls.verified)
      conn:close()
    end)

    claim("that is cut in a message is no end of it, " .. door, function()
      local s, options = through(door, "exact", nil, { "C: RETR 1",
        { send = "+OK\r\nhalf\r\n" }, { close = "abrupt" } })
      local conn, told = host.connect(s, options), {}
      fails("tls", "truncated", conn.retr_to, conn, 1,
        function(chunk, _, err)
          if not chunk then told[#told + 1] = err and err.name or "whole" end
        end)
      assert.same({ "truncated" }, told)
    end)

    claim("meets a deadline in the handshake, " .. door, function()
      local steps = { { stall = true } }
      if door == "starttls" then
        steps = { "S: +OK", "C: CAPA", "S: +OK\r\nSTLS\r\n.", "C: STLS",
          "S: +OK", { stall = true } }
      end
      local s = server.start { steps }
      fails("timeout", "connect", host.open, s,
        { tls = door, connect_timeout = 0.3 })
    end)

    claim("refuses an answer that is none, " .. door, function()
      local steps = { { send = "220 mail ESMTP\r\n" }, { eof = true } }
      if door == "starttls" then
        steps = { "S: +OK", "C: CAPA", "S: +OK\r\nSTLS\r\n.", "C: STLS",
          { send = "+OK\r\n+OK injected\r\n" }, { eof = true } }
      end
      local s = server.start { steps }
      fails("tls", door == "implicit" and "handshake" or "injection",
        host.open, s, { tls = door })
    end)
  end

  claim("by POP3_SSL is implicit", function()
    local s, options = through("implicit", "exact")
    options.tls = nil
    local conn = host.connect(s, options, "POP3_SSL")
    assert.is_true(conn:info().secure)
    conn:close()
  end)

  claim("by stls() forgets what was learnt in clear", function()
    local s = mail_server { capa = { "X-CLEAR" },
      stls = certificates.server "exact" }
    local conn = host.connect(s, { cafile = certificates.cafile,
      servername = certificates.name })
    assert.truthy(good(conn:capabilities()).STLS)
    good(conn:stls())
    assert.is_nil(good(conn:capabilities()).STLS)
    fails("state", "secured", conn.stls, conn)
    good(conn:login("me", "secret"))
    good(conn:quit())
    local said = s:report().connections[1].clear
    assert.falsy(said:find("USER", 1, true))
  end)

  claim("that is refused ends before anything secret", function()
    local s = mail_server()
    fails("proto", "unsupported", host.open, s, { tls = "starttls" })
    local said = clear(s):gsub("CAPA\r\n", ""):gsub("QUIT\r\n", "")
    assert.equal("", said)
  end)

  claim("where it is opportunistic does without", function()
    local s = mail_server()
    local conn = host.connect(s, { tls = "opportunistic" })
    assert.is_false(conn:info().secure)
    conn:close()
  end)

  claim("takes no octets behind +OK", function()
    local s = scripted("S: +OK", "C: CAPA", "S: +OK\r\nSTLS\r\n.", "C: STLS",
      { send = "+OK begin\r\n+OK logged in\r\n" }, { eof = true })
    fails("tls", "injection", host.open, s, { tls = "starttls" })
    assert.equal("CAPA\r\nSTLS\r\n", clear(s))
  end)

  claim("takes no octets behind -ERR", function()
    local s = scripted("S: +OK", "C: CAPA", "S: +OK\r\nSTLS\r\n.", "C: STLS",
      { send = "-ERR no\r\n+OK logged in\r\n" }, { eof = true })
    local conn = host.connect(s)
    host.failure(conn.stls, conn)
    fails("tls", "injection", conn.user, conn, "me")
    conn:close()
    assert.equal("CAPA\r\nSTLS\r\n", clear(s))
  end)

  claim("takes no octets in the segment behind +OK", function()
    local s = scripted("S: +OK", "C: CAPA", "S: +OK\r\nSTLS\r\n.", "C: STLS",
      { send = "+OK begin\r\n+OK logged in\r\n", split = { 11 } },
      { eof = true })
    fails("tls", "injection", host.open, s, { tls = "starttls" })
  end)

  claim("resumes a session", function()
    local context = pop3.context { cafile = certificates.cafile,
      servername = certificates.name }
    local s = server.start { connections = { { { tls =
      certificates.server("exact", { max_version = "1.2" }) }, "S: +OK",
      { mailbox = { messages = {}, greeting = "" } } } }, accepts = 0 }
    local resumed = {}
    for i = 1, 2 do
      local conn = host.connect(s, { tls = "implicit", context = context })
      resumed[i] = conn:info().tls.resumed
      conn:close()
    end
    assert.same({ false, true }, resumed)
  end)
end)

-- ------------------------------------------------------------ failures

describe("A server that goes away", function()
  local endings = {
    ["in the middle of a line"] = "+OK\r\nhalf a li",
    ["behind a line"] = "+OK\r\nline\r\n",
    ["behind the dot"] = "+OK\r\nline\r\n.",
    ["behind the dot and CR"] = "+OK\r\nline\r\n.\r",
    ["before the message"] = "",
  }
  for _, where in ipairs(sorted(endings)) do
    claim(where .. " leaves no whole message", function()
      local s = scripted("S: +OK ready", "C: RETR 1",
        { send = endings[where] }, { close = true })
      local conn, told = host.connect(s), 0
      fails("closed", "eof", conn.retr_to, conn, 1, function(chunk, _, err)
        if chunk == nil then told = told + 1 end
        assert(chunk or err, "told that it is whole")
      end)
      assert.is_true(told <= 1)
      fails("closed", "eof", conn.noop, conn)
    end)
  end

  claim("by a reset is an error", function()
    local s = scripted("S: +OK ready", "C: RETR 1", { send = "+OK\r\na\r\n" },
      { arrived = true }, { reset = true })
    local conn = host.connect(s)
    local err = host.failure(conn.retr_string, conn, 1)
    assert.is_true(err.kind == "io" or err.kind == "closed", err.kind)
    conn:close()
  end)

  claim("says goodbye before the next command", function()
    local s = scripted("S: +OK ready", "C: NOOP",
      { send = "+OK\r\n-ERR idle too long\r\n" }, { arrived = true },
      { close = true })
    local conn = host.connect(s)
    good(conn:noop())
    local err = host.failure(conn.noop, conn)
    assert.equal("closed", err.kind)
    conn:close()
  end)

  claim("before the greeting is an error", function()
    local s = scripted({ close = true })
    fails("closed", "eof", host.open, s)
  end)
end)

describe("A login", function()
  local function offering(mechanism, ...)
    return scripted("S: +OK ready", "C: CAPA",
      { send = "+OK\r\nSASL " .. mechanism .. "\r\n.\r\n" }, ...)
  end

  claim("derives SCRAM's keys in slices", function()
    local s = offering("SCRAM-SHA-256",
      { scram = { password = "secret", iterations = 50000 } }, "C: NOOP",
      "S: +OK")
    local conn = host.connect(s)
    assert.equal("+OK in", (good(conn:login("me", "secret"))))
    good(conn:noop())
    conn:close()
  end)

  claim("by a server that proves nothing is none", function()
    local s = offering("SCRAM-SHA-256",
      { scram = { password = "secret", fault = "no-signature" } })
    local conn = host.connect(s)
    fails("auth", "unproven", conn.login, conn, "me", "secret")
    assert.is_true(conn:info().closed)
  end)

  -- A function that answers challenges may wait, for another connection, say.
  claim("asks a function, which may wait", function()
    local other = host.connect(scripted("S: +OK", "C: NOOP", "S: +OK echo"))
    local s = scripted("S: +OK ready", "C: AUTH X-ECHO aGk=", "S: + Zm9v",
      "C: K09LIGVjaG86Zm9v", "S: +OK in")
    local conn = host.connect(s)
    assert.equal("+OK in", (good(conn:authenticate("X-ECHO", function(asked)
      if host.driver.pause then host.driver.pause() end
      return good(other:noop()) .. ":" .. asked
    end, "hi"))))
    other:close()
    conn:close()
    assert.equal(0, s:report().failed)
  end)

  claim("goes on after its function broke off", function()
    if not host.catches then return end
    local s = scripted("S: +OK ready", "C: AUTH X-ECHO", "S: + Zm9v", "C: *",
      "S: -ERR cancelled", "C: NOOP", "S: +OK")
    local conn = host.connect(s)
    local ok, err = pcall(conn.authenticate, conn, "X-ECHO", function()
      if host.driver.pause then host.driver.pause() end
      error("no card", 0)
    end)
    assert.same({ false, "no card" }, { ok, err })
    good(conn:noop())
    conn:close()
  end)
end)

describe("An answer", function()
  claim("that refuses a login is of kind auth", function()
    local s = mail_server { password = "another" }
    local conn = host.connect(s)
    local err = fails("auth", "refused", conn.login, conn, "me", "x")
    assert.equal("AUTH", err.code)
    conn:close()
  end)

  claim("that refuses the session is an error of the constructor", function()
    local s = scripted("S: -ERR [SYS/TEMP] later")
    local err = fails("proto", "refused", host.open, s)
    assert.same({ "SYS/TEMP", true }, { err.code, err.retryable })
  end)

  claim("that nobody asked for ends the session", function()
    local s = scripted("S: +OK ready", "C: NOOP",
      { send = "+OK\r\n+OK 1 2\r\n" }, { eof = true })
    local conn = host.connect(s)
    local first = conn:noop()
    if first then
      fails("proto", "unsolicited", conn.stat, conn)
    end
    conn:close()
  end)

  claim("without end is a limit", function()
    local s = scripted("S: +OK ready", "C: NOOP", { send = ("x"):rep(4096) },
      { eof = true })
    local conn = host.connect(s)
    fails("limit", "line", conn.noop, conn)
  end)

  claim("of more than max_octets is a limit", function()
    local conn = logged_in(mail_server())
    fails("limit", "octets", conn.retr_string, conn, 12, { max_octets = 100 })
    good(conn:noop())
    conn:close()
  end)
end)

-- ------------------------------------------------------------ proxies

describe("A proxy", function()
  -- What SOCKS5 says to whoever asks for an IPv4 address.
  local function proxied(reply, ...)
    return scripted({ read = 3 }, { send = "\5\0" }, { read = 10 },
      { send = "\5" .. reply .. "\0\1\0\0\0\0\0\0" }, ...)
  end

  local function url(s)
    return ("socks5://%s:%d"):format(s.host, s.port)
  end

  claim("leads to the server, and to its TLS", function()
    local s = proxied("\0", { mailbox = { messages = mails, capa = { "STLS" },
      stls = certificates.server "exact" } })
    local conn = host.connect(s, { proxy = url(s), tls = "starttls",
      cafile = certificates.cafile, servername = certificates.name })
    good(conn:login("me", "secret"))
    assert.equal(mails[1], good(conn:retr_string(1)))
    assert.same({ url(s), true }, { conn:info().proxy, conn:info().secure })
    good(conn:quit())
    assert.falsy(clear(s):find("secret", 1, true))
  end, "connect")

  claim("is reached by TLS, with the server's within", function()
    local tls = { tls = certificates.server "exact" }
    local s = scripted(tls, { tunnel = true }, { expect = true },
      { expect = true }, { expect = "" }, "S: HTTP/1.1 200 OK\r\n\r\n", tls,
      { mailbox = { messages = mails } })
    local trust = { cafile = certificates.cafile,
      servername = certificates.name }
    local conn = host.connect(s, { tls = "implicit", proxy_tls = trust,
      proxy = ("https://%s:%d"):format(s.host, s.port),
      cafile = trust.cafile, servername = trust.servername })
    good(conn:login("me", "secret"))
    for n = 1, #mails do
      assert.equal(mails[n], good(conn:retr_string(n)))
    end
    good(conn:quit())
    assert.falsy(clear(s):find("secret", 1, true))
  end, "connect")

  claim("keeps the server's first words, whatever they come with", function()
    local s = scripted({ read = 3 }, { send = "\5\0" }, { read = 10 },
      { send = "\5\0\0\1\0\0\0\0\0\0+OK at once\r\n" }, { eof = true })
    local conn = host.connect(s, { proxy = url(s) })
    assert.equal("+OK at once", conn:getwelcome())
    conn:close()
  end, "connect")

  claim("that does not connect says why", function()
    local s = proxied("\5", { eof = true })
    local err = fails("io", "proxy", host.open, s, { proxy = url(s) })
    assert.truthy(tostring(err):find("connection refused", 1, true))
  end, "connect")
end)

describe("A mail domain (srv)", function()
  local names

  after_each(function()
    if names then names:stop() end
    names = nil
  end)

  -- What its name server says, and a connection by that, or nil and why not.
  local function found(s, ...)
    local records = {}
    for i, port in ipairs { ... } do
      records[i] = ("_pop3._tcp.example.org SRV %d 0 %d localhost"):format(i,
        port)
    end
    names = dnssec.start(records)
    return pop3.safe.POP3("example.org", host.options(s,
      { srv = true, dane_config = names.config }))
  end

  local function is_missing(err)
    return err ~= nil and tostring(err):find("libunbound", 1, true)
  end

  claim("has a server that is found", function()
    local s = mail_server()
    local conn, _, err = found(s, server.closed_port(), s.port)
    if is_missing(err) then return end
    good(conn, err)
    assert.same({ "localhost", s.port, "example.org" },
      { conn:info().host, conn:info().port, conn:info().domain })
    good(conn:login("me", "secret"))
    assert.equal(mails[2], good(conn:retr_string(2)))
    good(conn:quit())
  end, "fd")

  claim("has no server", function()
    local _, _, err = found(mail_server())
    if is_missing(err) then return end
    assert.same({ "resolve", "not_found" }, { err.kind, err.name })
  end, "fd")
end)

describe("A server that cannot be reached", function()
  claim("refuses: io, econnrefused", function()
    local port = server.closed_port()
    fails("io", "econnrefused", host.open, { host = "127.0.0.1", port = port })
  end, "connect")

  claim("has no such name: resolve", function()
    local err = host.failure(host.open,
      { host = "no-such-host.invalid", port = 110 }, { connect_timeout = 10 })
    assert.equal("resolve", err.kind)
  end, "name")

  claim("does not answer: timeout, connect", function()
    local s = server.start { accept = false, backlog = 0 }
    local err
    for _ = 1, 3 do -- the queue takes the first ones
      err = host.failure(host.open, s, { connect_timeout = 0.2 })
    end
    assert.same({ "timeout", "connect" }, { err.kind, err.name })
  end, "connect")
end)

-- ------------------------------------------------------------ deadlines

describe("A deadline", function()
  local function took(least, fn, ...)
    local start = pop3.now()
    local err = host.failure(fn, ...)
    local seconds = pop3.now() - start
    assert.is_true(seconds >= least and seconds < least + 10, seconds)
    return err.kind .. " " .. err.name
  end

  claim("ends the wait for a greeting", function()
    local s = scripted({ stall = true })
    assert.equal("timeout connect", took(0.2, host.open, s,
      { connect_timeout = 0.2 }))
  end)

  claim("ends a silence", function()
    local s = scripted("S: +OK ready", "C: NOOP", { stall = true })
    local conn = host.connect(s, { timeout = 0.2 })
    assert.equal("timeout idle", took(0.2, conn.noop, conn))
    fails("timeout", "idle", conn.noop, conn) -- it stays
  end)

  claim("ends a call that never does, though octets flow", function()
    local steps = { "S: +OK ready", "C: RETR 1", "S: +OK" }
    for _ = 1, 300 do
      steps[#steps + 1] = { send = "x\r\n" }
      steps[#steps + 1] = { delay = 0.05 }
    end
    local s = server.start { steps }
    local conn = host.connect(s, { total_timeout = 0.4 })
    assert.equal("timeout total", took(0.4, conn.retr_string, conn, 1))
  end)

  claim("does not count what a sink takes", function()
    local conn = logged_in(mail_server(), { timeout = 1 })
    good(conn:retr_to(2, function(chunk)
      local until_then = pop3.now() + (chunk and 1.2 or 0)
      repeat until pop3.now() > until_then
    end))
    good(conn:quit())
  end)

  claim("may be none", function()
    local conn = logged_in(mail_server(), { timeout = math.huge,
      connect_timeout = math.huge })
    good(conn:quit())
  end)
end)

-- ------------------------------------------------------------ ending early

describe("Ending early", function()
  local verdicts = {
    ["false"] = function() return false end,
    ["nil and a reason"] = function() return nil, "no room" end,
  }
  for _, how in ipairs(sorted(verdicts)) do
    claim("by a sink that returns " .. how, function()
      local conn = logged_in(mail_server())
      local err = fails("aborted", "aborted", conn.retr_to, conn, 12,
        verdicts[how])
      if how ~= "false" then assert.equal("no room", tostring(err)) end
      assert.is_true(mails[3] == good(conn:retr_string(3)))
      good(conn:quit())
    end)
  end

  claim("by a callback of many", function()
    local conn = logged_in(mail_server(), { pipelining = true })
    local seen = 0
    fails("aborted", "aborted", conn.retr_many, conn, numbers(1, 12),
      function()
        seen = seen + 1
        return seen < 3
      end)
    assert.equal(3, seen)
    good(conn:noop())
    good(conn:quit())
  end)

  claim("by a reader that is closed", function()
    local conn = logged_in(mail_server())
    local reader = good(conn:retr_lines(12))
    assert.equal("Subject: 12", good(reader:next()))
    fails("state", "busy", conn.noop, conn)
    reader:close()
    good(conn:noop())
    good(conn:quit())
  end)

  claim("of a message without end closes the connection", function()
    local s = scripted("S: +OK", "C: RETR 1", "S: +OK",
      { send = ("x"):rep(65534) .. "\r\n", times = 1600 }, { eof = true })
    local conn = host.connect(s)
    local reader = good(conn:retr_chunks(1))
    good(reader:next())
    reader:close()
    assert.is_true(conn:info().closed)
  end)

  claim("by closing the connection in a sink", function()
    local s = mail_server()
    local conn = logged_in(s)
    fails("state", "closed", conn.retr_to, conn, 12, function(chunk)
      if chunk then conn:close() end
    end)
    assert.is_true(conn:info().closed)
  end)

  it("by a sink that raises leaves the error as it is", function()
    local mine, conn = { "mine" }, nil
    local err = host.last_words(function()
      conn = host.connect(mail_server(), {})
      good(conn:login("me", "secret"))
      conn:retr_to(2, function() error(mine, 0) end)
    end)
    assert.is_true(err == mine)
    host.driver.run(function()
      fails("state", "busy", conn.noop, conn)
      conn:close()
    end)
  end)

  it("by an error is raised out of the host unchanged", function()
    local s = mail_server { password = "another" }
    local err = host.last_words(function()
      local conn = pop3.POP3(s.host, s.port, host.options(s))
      conn:login("me", "x")
    end)
    assert.same({ "auth", "refused" }, { err.kind, err.name })
    assert.is_true(pop3.is_error_proto(err))
  end)

  outside("T60 by forgetting the coroutine sends nothing", "abandon",
    function(abandon)
      local s = mail_server()
      local weak = setmetatable({}, { __mode = "v" })
      abandon(function(park)
        local conn = logged_in(s)
        weak[1] = conn
        conn:retr_to(12, function() park() end)
      end)
      for _ = 1, 3 do collectgarbage() end
      assert.is_nil(weak[1])
      local report = s:report()
      assert.is_nil(report.cut)
      local commands = report.connections[1].commands
      assert.equal("RETR 12", commands[#commands])
    end)
end)

-- ------------------------------------------------------------ pop3.safe

describe("pop3.safe", function()
  claim("returns nil, a message and the error", function()
    local s = mail_server { password = "another" }
    local conn = good(pop3.safe.POP3(s.host, s.port, host.options(s)))
    local ok, message, err = conn:login("me", "x")
    assert.same({ nil, err.message, "auth", "-ERR [AUTH] wrong user or password" },
      { ok, message, err.kind, err.response })
    conn:close()
    ok, message, err = conn:noop()
    assert.same({ nil, "closed", "state" }, { ok, message, err.kind })
  end)

  claim("says timeout", function()
    local s = scripted({ stall = true })
    local ok, message, err = pop3.safe.POP3(s.host, s.port,
      host.options(s, { connect_timeout = 0.2 }))
    assert.same({ nil, "timeout", "connect" }, { ok, message, err.name })
  end)

  claim("fails in a reader, again when it is asked again", function()
    local s = scripted("S: +OK", "C: RETR 1", { send = "+OK\r\na\r\n" },
      { close = true })
    local conn = good(pop3.safe.POP3(s.host, s.port, host.options(s)))
    local reader = good(conn:retr_lines(1))
    local line, message, err
    repeat line, message, err = reader:next() until not line
    assert.same({ "closed", "eof" }, { message, err.name })
    line, message, err = reader:next()
    assert.same({ nil, "closed", "eof" }, { line, message, err.name })
  end)
end)

-- ------------------------------------------------------------ others

describe("Beside others", function()
  outside("20 sessions are had at once", "together", function()
    local s, done = mail_server { stls = certificates.server "exact" }, 0
    host.together(20, function(i)
      local conn = logged_in(s, { tls = i % 2 == 0 and "starttls" or "none",
        cafile = certificates.cafile, servername = certificates.name })
      local seen = 0
      good(conn:retr_many(numbers(1, 12), function(n, text)
        seen = seen + 1
        assert(text == mails[n])
      end))
      good(conn:quit())
      done = done + seen
    end)
    assert.equal(240, done)
  end)

  outside("a dead server holds nobody up", "together", function()
    local dead = scripted({ stall = true })
    local s, order = mail_server(), {}
    host.together(4, function(i)
      if i == 1 then
        local err = host.failure(host.open, dead)
        order[#order + 1] = err.name
        return
      end
      local conn = logged_in(s)
      good(conn:retr_string(1))
      good(conn:quit())
      order[#order + 1] = "done"
      if #order == 3 then dead:stop() end
    end)
    assert.same({ "done", "done", "done", "eof" }, order)
  end)

  outside("a sink may give way", "pause", function(pause)
    local conn
    host.driver.run(function()
      conn = logged_in(mail_server())
      local text = {}
      good(conn:retr_to(12, function(chunk)
        pause()
        text[#text + 1] = chunk
      end))
      assert.is_true(table.concat(text) == mails[12])
      good(conn:quit())
    end)
  end)

  outside("octets that are always there do not keep others waiting",
    "together", function()
      local s = mail_server { messages = { { ("x"):rep(1022) .. "\r\n",
        12288 } } }
      local small, turns, over = mail_server(), 0, false
      host.together(2, function(i)
        if i == 1 then
          local conn = logged_in(s)
          good(conn:retr_to(1, function() end))
          over = true
          return good(conn:quit())
        end
        while not over do
          local conn = logged_in(small)
          turns = turns + 1
          good(conn:quit())
        end
      end)
      assert.is_true(turns > 1, turns)
    end)
end)

it("No method was left out", function()
  for name in pairs(originals) do
    assert.is_true(called[name] == true, name .. " was never called")
  end
end)
