--- Several commands in flight: when that is allowed, what is asked first, and
-- that replies find their commands, refused ones included.

local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

after_each(server.stop_all)

local function connect(s, options)
  options = options or {}
  options.timeout = options.timeout or 20
  return pop3.POP3(s.host, s.port, options)
end

local function lines(...)
  return table.concat({ ... }, "\r\n") .. "\r\n.\r\n"
end

local CAPA = { send = lines("+OK", "PIPELINING", "UIDL", "TOP") }
local CAPA_WITHOUT = { send = lines("+OK", "UIDL", "TOP") }

local function mail(n) return { send = ("+OK\r\n%d\r\n.\r\n"):format(n) } end

local mails = {}
for i = 1, 8 do
  mails[i] = ("Subject: %d\r\n\r\n"):format(i) .. ("line %d\r\n"):format(i):rep(50)
end

local function box(more)
  local mailbox = { messages = mails, open = true, capa = { "PIPELINING", "UIDL" } }
  for key, value in pairs(more or {}) do mailbox[key] = value end
  return { { mailbox = mailbox } }
end

local function collect()
  local seen = {}
  return seen, function(n, text, err)
    seen[#seen + 1] = { n, text or false, err and tostring(err) or nil }
  end
end

local function numbers(from, to)
  local list = {}
  for n = from, to do list[#list + 1] = n end
  return list
end

-- Both first, both later: only who does not wait for the first answer gets on.
local IN_FLIGHT = { "C: RETR 1", "C: RETR 2", mail(1), mail(2) }
-- The other way: a server that sees a line too early has an `extra`.
local ONE_AT_A_TIME = { "C: RETR 1", mail(1), "C: RETR 2", mail(2) }

local function script(...)
  local steps = { "S: +OK" }
  for _, part in ipairs { ... } do
    if type(part) == "table" and part[1] then
      for _, step in ipairs(part) do steps[#steps + 1] = step end
    else
      steps[#steps + 1] = part
    end
  end
  return { steps }
end

local function two(conn)
  local seen, callback = collect()
  assert.same({ 2, 0 }, { conn:retr_many({ 1, 2 }, callback) })
  assert.same({ { 1, "1\r\n" }, { 2, "2\r\n" } }, seen)
end

describe("pipelining", function()
  it("by default obeys CAPA, which is asked once", function()
    server.talk(script({ "C: CAPA" }, CAPA, IN_FLIGHT, IN_FLIGHT), function(conn)
      two(conn)
      two(conn)
    end)
    server.talk(script({ "C: CAPA" }, CAPA_WITHOUT, ONE_AT_A_TIME, ONE_AT_A_TIME),
      function(conn)
        two(conn)
        two(conn)
      end, { pipelining = "auto" })
  end)

  it("is off for a server that refuses CAPA, which is not asked again", function()
    server.talk(script({ "C: CAPA" }, "S: -ERR what?", ONE_AT_A_TIME, ONE_AT_A_TIME),
      function(conn)
        two(conn)
        two(conn)
      end)
  end)

  it("is on where it is true, whatever the server says", function()
    server.talk(script(IN_FLIGHT), two, { pipelining = true })
  end)

  it("is off where it is false; nobody asks", function()
    server.talk(script(ONE_AT_A_TIME), two, { pipelining = false })
  end)

  it("is not asked about for one message", function()
    server.talk(script { "C: RETR 1", mail(1), "C: RETR 1", mail(1), "C: RETR 2", mail(2) },
      function(conn)
        conn:retr_string(1)
        conn:retr_many({ 1 }, function() end)
        conn:retr_to(2, function() end)
      end)
  end)

  it("is asked about again after a login, and after TLS", function()
    local seen = server.talk({ { { mailbox = {
      messages = mails, capa = { "PIPELINING" }, stls = certificates.server "exact",
    } } } }, function(conn)
      conn:login("me", "x", { stat = true })
      conn:capabilities()
      conn:capabilities()
      conn:noop()
    end, { pipelining = "auto" })
    assert.same({ "CAPA", "USER me", "PASS x", "CAPA", "STAT", "NOOP" }, seen.commands)

    seen = server.talk({ { { mailbox = {
      messages = mails, capa = { "PIPELINING" }, stls = certificates.server "exact",
    } } } }, function(conn)
      conn:capabilities()
      conn:stls { cafile = certificates.cafile, servername = certificates.name }
      conn:login("me", "x", { stat = true })
    end)
    assert.same({ "CAPA", "CAPA", "STLS", "CAPA", "USER me", "PASS x", "CAPA", "STAT" },
      seen.commands)
  end)

  it("is true, false or \"auto\"", function()
    for _, wrong in ipairs { 1, "yes", {}, print } do
      local text = claims.misuse(pop3.POP3, "127.0.0.1", 1, { pipelining = wrong })
      assert.truthy(text:find("bad option 'pipelining' to 'POP3'", 1, true), text)
    end
  end)
end)

describe("cache", function()
  it("saves another connection the question, before login and after it", function()
    local cache = {}
    local s = server.start { connections = { box { open = false } }, accepts = 3 }
    for _ = 1, 3 do
      local conn = connect(s, { cache = cache })
      conn:login("me", "x", { stat = true, listing = true })
      conn:retr_many({ 1, 2 }, function() end)
      conn:quit()
    end
    local report = s:report()
    assert.same({ "CAPA", "USER me", "PASS x", "CAPA", "STAT", "LIST", "UIDL", "RETR 1",
      "RETR 2", "QUIT" }, report.connections[1].commands)
    for i = 2, 3 do
      assert.same({ "USER me", "PASS x", "STAT", "LIST", "UIDL", "RETR 1", "RETR 2", "QUIT" },
        report.connections[i].commands)
    end
  end)

  it("does so, too, where QUIT rides behind the login", function()
    local cache = {}
    local s = server.start { connections = { box { open = false } }, accepts = 2 }
    for _ = 1, 2 do
      connect(s, { cache = cache }):login("me", "x", { stat = true, quit = true })
    end
    local report = s:report()
    assert.same({ "CAPA", "USER me", "PASS x", "STAT", "QUIT" }, report.connections[1].commands)
    assert.same({ "USER me", "PASS x", "STAT", "QUIT" }, report.connections[2].commands)
  end)

  it("has an entry for each host, port, TLS, and side of the login", function()
    local cache = {}
    local s = server.start { accepts = 2, connections = {
      box { open = false, stls = certificates.server "exact" } } }
    local tls = { cache = cache, tls = "starttls", cafile = certificates.cafile,
      servername = certificates.name }
    for _, options in ipairs { { cache = cache }, tls } do
      local conn = connect(s, options)
      conn:capabilities()
      conn:login("me", "x")
      conn:capabilities()
      conn:quit()
    end
    local keys = {}
    for key, value in pairs(cache) do
      assert.equal("string", type(value))
      keys[#keys + 1] = key
    end
    assert.equal(4, #keys)
    -- STLS is in what was said in clear only: nothing crossed the wall.
    for key, value in pairs(cache) do
      assert.equal(key:find("tls", 1, true) == nil, value:find("STLS", 1, true) ~= nil, key)
    end
  end)

  it("that says nonsense is as good as none", function()
    for _, nonsense in ipairs { "", "\n", "PIPELINING", "\0\0", ("x\n"):rep(5000),
      ("y"):rep(1e6) .. "\n", 42, {}, true } do
      local cache = setmetatable({}, {
        __index = function() error("a metamethod was called") end,
        __newindex = function() error("a metamethod was called") end,
      })
      local s = server.start { box() }
      rawset(cache, s.host .. ":" .. math.floor(s.port) .. " clear", nonsense)
      local conn = connect(s, { cache = cache })
      assert.same({ 2, 0 }, { conn:retr_many({ 1, 2 }, function() end) })
      conn:quit()
    end
  end)

  it("is a table", function()
    for _, wrong in ipairs { 1, "x", print, true } do
      claims.misuse(pop3.POP3, "127.0.0.1", 1, { cache = wrong })
    end
  end)
end)

-- ------------------------------------------------------------ refusals

for _, pipelining in ipairs { true, false } do
  describe("retr_many, pipelining = " .. tostring(pipelining) .. ",", function()
    local options = { pipelining = pipelining, timeout = 20 }

    it("hands out each message, and each refusal, under its own number", function()
      local s = server.start { box { answers = {
        { "RETR [36]", "-ERR [SYS/TEMP] not this one\r\n" } } } }
      local conn = connect(s, options)
      local seen, callback = collect()
      local wanted = { 8, 3, 1, 99, 6, 6, 2, "4" }
      assert.same({ 4, 4 }, { conn:retr_many(wanted, callback) })
      local expected = {}
      for i, n in ipairs(wanted) do
        local refused = (n == 3 or n == 6) and "-ERR [SYS/TEMP] not this one"
          or n == 99 and "-ERR no such message" or nil
        expected[i] = { n, not refused and mails[tonumber(n)] or false, refused }
      end
      assert.same(expected, seen)
      assert.equal(8, (conn:stat()))
      conn:quit()
    end)

    it("does the same into sinks", function()
      local s = server.start { box { answers = { { "RETR [36]", "-ERR no\r\n" } } } }
      local conn = connect(s, options)
      local got, ends, asked = {}, {}, {}
      local good, bad = conn:retr_many(numbers(1, 8), {
        sink = function(n)
          asked[#asked + 1] = n
          if n == 5 then return nil end
          return function(chunk) got[n] = (got[n] or "") .. (chunk or "|") end
        end,
        done = function(n, octets, err) ends[#ends + 1] = { n, octets or tostring(err) } end,
      })
      assert.same({ 6, 2 }, { good, bad })
      assert.same({ 1, 2, 4, 5, 7, 8 }, asked)
      assert.is_nil(got[5])
      for _, n in ipairs { 1, 2, 4, 7, 8 } do assert.equal(mails[n] .. "|", got[n]) end
      local expected = {}
      for n = 1, 8 do
        expected[n] = { n, (n == 3 or n == 6) and "-ERR no" or #mails[n] }
      end
      assert.same(expected, ends)
      conn:quit()
    end)

    it("of no messages sends nothing", function()
      local seen = server.talk({ box() }, function(conn)
        assert.same({ 0, 0 }, { conn:retr_many({}, error) })
        assert.same({ 0, 0, {} }, { conn:dele_many {} })
        conn:noop()
      end, options)
      assert.same({ "NOOP" }, seen.commands)
    end)

    it("survives a server that refuses everything from the sixth on", function()
      local s = server.start { box { answers = { { "RETR ([6-9]|\\d\\d+)", "-ERR locked\r\n" } } } }
      local conn = connect(s, options)
      local seen, callback = collect()
      assert.same({ 5, 495 }, { conn:retr_many(numbers(1, 500), callback) })
      for n = 1, 500 do
        assert.same({ n, n <= 5 and mails[n] or false, n > 5 and "-ERR locked" or nil }, seen[n])
      end
      conn:quit()
    end)

    it("does not see a list that a callback changes", function()
      local s = server.start { box() }
      local conn = connect(s, options)
      local list, seen = { 1, 2, 3 }, {}
      conn:retr_many(list, function(n)
        seen[#seen + 1] = n
        list[2], list[3], list[4] = 7, nil, 9
      end)
      assert.same({ 1, 2, 3 }, seen)
      conn:quit()
    end)

    it("with quit = true says QUIT behind the last one", function()
      local seen = server.talk({ box() }, function(conn)
        assert.same({ 2, 1 }, { conn:retr_many({ 1, 77, 2 }, function() end, { quit = true }) })
        assert.is_true(conn:info().closed)
        claims.fails("state", "closed", conn.noop, conn)
      end, { pipelining = pipelining })
      assert.same({ "RETR 1", "RETR 77", "RETR 2", "QUIT" }, seen.commands)
    end)

    it("with quit = true says it, too, when there is nothing to retrieve", function()
      local seen = server.talk({ box() }, function(conn)
        assert.same({ 0, 0 }, { conn:retr_many({}, function() end, { quit = true }) })
        assert.is_true(conn:info().closed)
      end, { pipelining = pipelining })
      assert.same({ "QUIT" }, seen.commands)
    end)

    it("with quit = true is refused while deletions are pending", function()
      local seen = server.talk({ box() }, function(conn)
        conn:dele(1)
        for _, list in ipairs { { 2, 3 }, {} } do
          local err = claims.fails("state", "order", conn.retr_many, conn, list, error,
            { quit = true })
          assert.truthy(tostring(err):find("deletion", 1, true), tostring(err))
        end
        conn:rset()
        conn:retr_many({ 2 }, function() end, { quit = true })
      end, { pipelining = pipelining })
      assert.same({ "DELE 1", "RSET", "RETR 2", "QUIT" }, seen.commands)
    end)

    it("whose QUIT is refused has its messages all the same", function()
      local s = server.start { box { answers = { { "QUIT", "-ERR not yet\r\n" } } } }
      local conn = connect(s, options)
      local seen, callback = collect()
      assert.same({ 2, 0 }, { conn:retr_many({ 1, 2 }, callback, { quit = true }) })
      assert.equal(2, #seen)
      assert.is_true(conn:info().closed)
    end)
  end)

  describe("dele_many, pipelining = " .. tostring(pipelining) .. ",", function()
    it("marks what it can, and says what it cannot", function()
      local s = server.start { box() }
      local conn = connect(s, { pipelining = pipelining })
      local deleted, refused, errors = conn:dele_many { 1, 2, 2, 99, 3 }
      assert.same({ 3, 2 }, { deleted, refused })
      assert.same({ "-ERR no such message", "-ERR no such message" },
        { tostring(errors[2]), tostring(errors[99]) })
      assert.same({ "proto", "refused" }, { errors[99].kind, errors[99].name })
      assert.is_nil(errors[1])
      assert.equal(5, (conn:stat()))
      claims.fails("state", "order", conn.quit, conn, { wait = false })
      conn:quit()
    end)
  end)
end

-- ------------------------------------------------------------ login

describe("login in one flight", function()
  local everything = { stat = true, listing = true, quit = true }

  it("says all at once where it may", function()
    server.talk(script({ "C: CAPA" }, CAPA, { "C: USER me", "C: PASS x", "C: STAT", "C: LIST",
      "C: UIDL", "C: QUIT", "S: +OK", "S: +OK welcome", "S: +OK 2 30",
      { send = lines("+OK", "1 10", "2 20") }, { send = lines("+OK", "1 a", "2 b") },
      "S: +OK bye" }), function(conn)
      local status, extras = conn:login("me", "x", everything)
      assert.equal("+OK welcome", status)
      assert.same({ count = 2, octets = 30 }, extras.stat)
      assert.same({ number = 2, size = 20, uid = "b" }, extras.listing[2])
      assert.equal(2, #extras.listing)
      assert.equal("+OK bye", extras.quit)
      assert.is_nil(extras.errors)
      assert.is_true(conn:info().closed)
    end)
  end)

  it("says one after the other where it may not", function()
    local seen = server.talk({ box { capa = { "UIDL" }, open = false } }, function(conn)
      local _, extras = conn:login("me", "x", everything)
      assert.equal(8, extras.stat.count)
      assert.equal(8, #extras.listing)
      assert.equal("+OK bye", extras.quit)
    end)
    assert.equal(1, seen.waiting)
  end)

  it("without extras has only a status", function()
    server.talk({ box { open = false } }, function(conn)
      assert.equal(1, select("#", conn:login("me", "x")))
    end)
    server.talk({ box { open = false } }, function(conn)
      assert.equal(1, select("#", conn:login("me", "x", {})))
    end)
  end)

  it("tells what of it was refused", function()
    server.talk({ box { answers = { { "STAT", "-ERR no stat\r\n" }, { "LIST", "-ERR no list\r\n" },
      { "UIDL", "-ERR no uidl\r\n" }, { "QUIT", "-ERR no quit\r\n" } } } }, function(conn)
      local _, extras = conn:login("me", "x", everything)
      assert.is_nil(extras.stat)
      assert.is_nil(extras.listing)
      assert.is_nil(extras.quit)
      for what in pairs { stat = 1, listing = 1, uidl = 1, quit = 1 } do
        assert.equal("-ERR no " .. (what == "listing" and "list" or what),
          tostring(extras.errors[what]))
      end
    end)
    server.talk({ box { answers = { { "STAT", "+OK many\r\n" }, { "UIDL", "-ERR no\r\n" } } } },
      function(conn)
        local _, extras = conn:login("me", "x", { stat = true, listing = true })
        assert.is_nil(extras.stat)
        assert.equal("malformed", extras.errors.stat.name)
        assert.equal(8, #extras.listing)
        assert.is_false(extras.listing.uids)
        assert.equal("-ERR no", tostring(extras.errors.uidl))
        conn:noop()
      end)
  end)

  it("refused with everything in flight says why; the connection goes on", function()
    server.talk(script({ "C: USER me", "C: PASS x", "C: STAT", "C: LIST", "C: UIDL", "S: +OK",
      "S: -ERR [AUTH] wrong", "S: -ERR first log in", "S: -ERR first log in",
      "S: -ERR first log in", "C: NOOP", "S: +OK" }), function(conn)
      local err = claims.fails("auth", "refused", conn.login, conn, "me", "x",
        { auth = "USER", stat = true, listing = true })
      assert.same({ "AUTH", "-ERR [AUTH] wrong" }, { err.code, err.response })
      conn:noop()
    end, { pipelining = true })
  end)

  it("refused at USER says why", function()
    server.talk(script({ "C: USER me", "C: PASS x", "C: STAT", "S: -ERR unknown",
      "S: -ERR no user", "S: -ERR log in", "C: NOOP", "S: +OK" }), function(conn)
      local err = claims.fails("auth", "refused", conn.login, conn, "me", "x",
        { auth = "USER", stat = true })
      assert.equal("-ERR unknown", err.response)
      conn:noop()
    end, { pipelining = true })
  end)

  it("refused by a server that leaves at once says why, not that it left", function()
    for _, tls in ipairs { false, true } do
      for _, ending in ipairs { { close = true }, { close = "abrupt" }, { reset = true },
        { shutdown = true } } do
        local steps = { { "S: +OK", "C: USER me", "C: PASS x", "S: +OK",
          "S: -ERR [AUTH] wrong", ending } }
        local options = { pipelining = true, timeout = 20 }
        if tls then
          table.insert(steps[1], 1, { tls = certificates.server "exact" })
          options.tls, options.cafile = "implicit", certificates.cafile
          options.servername = certificates.name
        end
        server.talk({ complaints = true, connections = steps }, function(conn)
          local err = claims.fails("auth", "refused", conn.login, conn, "me", "x",
            { auth = "USER", stat = true, listing = true })
          assert.equal("AUTH", err.code)
          assert.is_true(conn:info().closed)
          claims.failure(conn.noop, conn)
        end, options)
      end
    end
  end)
end)

-- ------------------------------------------------------------ listing

describe("listing", function()
  it("is LIST and UIDL in one flight", function()
    server.talk(script({ "C: LIST", "C: UIDL", { send = lines("+OK", "1 10", "3 20") },
      { send = lines("+OK", "3 c", "1 a") } }), function(conn)
      local l = conn:listing()
      assert.same({ number = 1, size = 10, uid = "a" }, l[1])
      assert.same({ number = 3, size = 20, uid = "c" }, l[2])
      assert.equal(2, #l)
    end, { pipelining = true })
  end)

  it("without UIDL has no UIDs", function()
    for _, pipelining in ipairs { true, false } do
      server.talk({ box { answers = { { "UIDL", "-ERR unknown\r\n" } } } }, function(conn)
        local l = conn:listing()
        assert.equal(8, #l)
        assert.is_false(l.uids)
        assert.is_nil(l[1].uid)
        conn:noop()
      end, { pipelining = pipelining })
    end
  end)

  it("without LIST is an error; UIDL's answer is read out", function()
    for _, pipelining in ipairs { true, false } do
      server.talk({ box { answers = { { "LIST", "-ERR [SYS/TEMP] no\r\n" } } } }, function(conn)
        local err = claims.fails("proto", "refused", conn.listing, conn)
        assert.equal("-ERR [SYS/TEMP] no", tostring(err))
        assert.equal("+OK", conn:noop())
        assert.equal(8, (conn:stat()))
      end, { pipelining = pipelining })
    end
  end)

  it("of an empty mailbox is empty", function()
    server.talk({ box { messages = {} } }, function(conn)
      local l = conn:listing()
      assert.equal(0, #l)
      assert.is_true(l.uids)
    end)
  end)

  it("cut in its middle is no listing", function()
    for _, cut in ipairs { "+OK\r\n1 10\r\n", "+OK\r\n1 10\r\n.\r\n",
      "+OK\r\n1 10\r\n.\r\n+OK\r\n1 a\r\n.\r" } do
      server.talk(script({ "C: LIST", "C: UIDL", { send = cut }, { shutdown = true } }),
        function(conn)
          claims.fails("closed", "eof", conn.listing, conn)
        end, { pipelining = true })
    end
  end)
end)

-- ------------------------------------------------------------ QUIT

describe("quit{ wait = false }", function()
  it("sends QUIT, closes, and waits for no answer", function()
    for _, tls in ipairs { false, true } do
      local steps = { { "S: +OK", "C: QUIT", { eof = true } } }
      local options = { timeout = 20 }
      if tls then
        table.insert(steps[1], 1, { tls = certificates.server "exact" })
        options.tls, options.cafile = "implicit", certificates.cafile
        options.servername = certificates.name
      end
      server.talk(steps, function(conn)
        conn:quit { wait = false }
        assert.is_true(conn:info().closed)
        claims.fails("state", "closed", conn.noop, conn)
      end, options)
    end
  end)

  it("is refused while deletions are pending, by whatever made them", function()
    for _, mark in ipairs {
      function(conn) conn:dele(1) end,
      function(conn) conn:dele_many { 1, 2 } end,
      function(conn) conn:command("dele 1") end,
    } do
      local seen = server.talk({ box() }, function(conn)
        mark(conn)
        local err = claims.fails("state", "order", conn.quit, conn, { wait = false })
        assert.truthy(tostring(err):find("marked for deletion", 1, true))
        conn:rset()
        conn:quit { wait = false }
      end)
      assert.equal("QUIT", seen.commands[#seen.commands])
    end
  end)

  it("with true is quit()", function()
    server.talk({ box() }, function(conn)
      conn:dele(1)
      assert.equal("+OK bye", conn:quit { wait = true })
    end)
  end)
end)

describe("A window", function()
  -- A stream on which each command is answered by itself; sizes of what left.
  local function one_by_one(sizes)
    local waiting = 0
    return {
      send = function(_, octets)
        sizes[#sizes + 1] = #octets
        waiting = waiting + select(2, octets:gsub("\r\n", ""))
        return true
      end,
      receive = function()
        waiting = waiting - 1
        return waiting >= -1 and "+OK\r\n" or nil, "timeout"
      end,
      close = function() end,
    }
  end

  it("is refilled when half of its octets were answered", function()
    local sizes, list = {}, {}
    for i = 1, 1000 do list[i] = 1000 + i end
    local conn = pop3.POP3("in memory", 110,
      { transport = one_by_one(sizes), pipelining = true })
    assert.equal(1000, (conn:dele_many(list)))
    for i = 1, #sizes - 1 do assert.truthy(sizes[i] >= 2048 - 11, sizes[i]) end
    assert.equal(5, #sizes)
    conn:close()
  end)
end)

describe("A QUIT that is not answered", function()
  it("leaves open what was deleted, and says so", function()
    for _, ending in ipairs { { shutdown = true }, { reset = true } } do
      server.talk({ box { answers = { { "QUIT", { ending, { eof = true } } } } } }, function(conn)
        conn:dele_many { 1, 2 }
        local err = claims.failure(conn.quit, conn)
        assert.truthy(tostring(err):find("(2) may or may not have been deleted", 1, true))
      end)
    end
  end)

  it("says nothing of it when nothing was marked, or it was unmarked", function()
    server.talk({ box { answers = { { "QUIT", { { shutdown = true }, { eof = true } } } } } },
      function(conn)
        conn:dele_many { 1, 2 }
        conn:rset()
        local err = claims.fails("closed", "eof", conn.quit, conn)
        assert.is_nil(tostring(err):find("deleted", 1, true))
      end)
  end)

  it("by a deadline says it, too", function()
    server.talk({ box { answers = { { "QUIT", { { eof = true } } } } } }, function(conn)
      conn:dele(1)
      local err = claims.failure(conn.quit, conn)
      assert.equal("timeout", err.kind)
      assert.truthy(tostring(err):find("may or may not have been deleted", 1, true), tostring(err))
    end, { timeout = 0.3 })
  end)
end)
