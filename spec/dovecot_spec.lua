--- Every method against a real server, through each of its three doors, and a
-- mailbox of 1,000 messages compared octet for octet with what was delivered.
local dovecot = require "spec.support.dovecot"
local pop3 = require "pop3"

local missing = dovecot.missing()
if missing then
  return it("Dovecot serves every method", function() return pending(missing) end)
end

local COUNT = 1000

local server

local function with_cafile(options)
  options = options or {}
  options.cafile = server.cafile
  options.timeout = 30
  return options
end

local doors = {
  {
    name = "in clear",
    secure = false,
    open = function() return pop3.POP3(server.host, server.plain) end,
  },
  {
    name = "by STLS",
    secure = true,
    open = function()
      local options = with_cafile{tls = "starttls"}
      return pop3.POP3(server.host, server.plain, options)
    end,
  },
  {
    name = "by implicit TLS",
    secure = true,
    open = function()
      return pop3.POP3_SSL(server.host, server.implicit, with_cafile())
    end,
  },
}

local function login(open, user)
  local conn = open()
  conn:user(user)
  conn:pass_(server.password)
  return conn
end

--- Call a method that must fail.
-- @return the error's table
local function failure(conn, method, ...)
  local ok, err = pcall(conn[method], conn, ...)
  assert.is_false(ok)
  assert.are.equal("table", type(err), tostring(err))
  return err
end

local function body_of(lines)
  if #lines == 0 then return "" end
  return table.concat(lines, "\r\n") .. "\r\n"
end

--- Where two octet strings differ, in a form that a person can read.
local function difference(expected, got)
  for at = 1, math.max(#expected, #got) do
    if expected:byte(at) ~= got:byte(at) then
      return ("octet %d: %q expected, %q received"):format(
        at, expected:sub(at - 10, at + 30), got:sub(at - 10, at + 30))
    end
  end
end

local function assert_same_mail(expected, got, number)
  if expected == got then return end
  error(("message %d: %s"):format(number, difference(expected, got)))
end

local function small_mails()
  return {
    "Subject: one\n\nfirst\n.dot\nlast\n",
    "Subject: two\n\nsecond\n",
    "Subject: three\n\nthird\n",
  }
end

--- A new mailbox of three messages.
local users = 0
local function new_user()
  users = users + 1
  local user = "user" .. users
  server:deliver(user, small_mails())
  return user
end

setup(function()
  server = dovecot.start()
  server:awkward("otto", COUNT)
end)

teardown(function()
  if server then server:stop() end
end)

for _, door in ipairs(doors) do
  describe("Dovecot " .. door.name, function()
    local conn, user

    before_each(function()
      user = new_user()
      conn = login(door.open, user)
    end)

    after_each(function()
      if conn then conn:close() end
      conn = nil
    end)

    it("greets and tells what it can do", function()
      assert.is_truthy(conn:getwelcome():match("^%+OK .*ready"))
      assert.are.same({}, conn:capa().TOP)
      assert.is_nil(conn:capa().STLS)
      assert.are.same({}, conn:capabilities().UIDL)
    end)

    it("tells before login what it can do then", function()
      local fresh = door.open()
      local caps = fresh:capa()
      fresh:close()
      assert.are.same({"PLAIN"}, caps.SASL)
      assert.are.equal(not door.secure, caps.STLS ~= nil)
    end)

    it("counts: STAT, LIST, UIDL", function()
      local count, octets = conn:stat()
      local sizes, sum = {}, 0
      for n = 1, 3 do
        sizes[n] = #server:delivered(user, n)
        sum = sum + sizes[n]
      end
      assert.are.same({3, sum}, {count, octets})

      local resp, lines, listed = conn:list()
      local uid_resp, uids = conn:uidl()
      local expected, length = {}, 0
      for n = 1, 3 do
        expected[n] = n .. " " .. sizes[n]
        length = length + #expected[n] + 2
        assert.are.equal(n .. " " .. server:uid(n), uids[n])
        assert.are.equal("+OK " .. n .. " " .. server:uid(n), conn:uidl(n))
        assert.are.equal("+OK " .. expected[n], conn:list(n))
      end
      assert.are.equal("+OK 3 messages:", resp)
      assert.are.equal("+OK", uid_resp)
      assert.are.same(expected, lines)
      assert.are.equal(length, listed)
    end)

    it("retrieves: RETR", function()
      for n = 1, 3 do
        local expected = server:delivered(user, n)
        local resp, lines, octets = conn:retr(n)
        assert.are.equal(("+OK %d octets"):format(#expected), resp)
        assert.are.equal(expected, body_of(lines))
        assert.are.equal(#expected, octets)
      end
    end)

    it("retrieves a part: TOP", function()
      local header = "Subject: one\r\n\r\n"
      local parts = {[0] = "", "first\r\n", "first\r\n.dot\r\n",
                     "first\r\n.dot\r\nlast\r\n"}
      parts[4] = parts[3]
      for k, part in pairs(parts) do
        local resp, lines, octets = conn:top(1, k)
        assert.are.equal("+OK", resp)
        assert.are.equal(header .. part, body_of(lines))
        assert.are.equal(#header + #part, octets)
      end
    end)

    it("marks and unmarks: DELE, RSET", function()
      assert.are.equal("+OK Marked to be deleted.", conn:dele(2))
      assert.are.equal(2, (conn:stat()))
      local err = failure(conn, "retr", 2)
      assert.are.same({"proto", "refused"}, {err.kind, err.name})
      assert.are.equal("-ERR Message is deleted.", err.response)
      assert.are.equal("+OK", conn:rset())
      assert.are.equal(3, (conn:stat()))
      assert.are.equal("+OK 2 octets", (conn:retr(2):gsub("%d+", "2")))
    end)

    it("deletes what is marked, at QUIT", function()
      conn:dele("1")
      assert.are.equal("+OK Logging out, messages deleted.", conn:quit())
      conn = login(door.open, user)
      local count = conn:stat()
      local _, uids = conn:uidl()
      assert.are.equal(2, count)
      assert.are.same({"1 " .. server:uid(2), "2 " .. server:uid(3)}, uids)
    end)

    it("deletes nothing at close() (R19)", function()
      conn:dele(1)
      conn:close()
      conn = login(door.open, user)
      assert.are.equal(3, (conn:stat()))
    end)

    it("deletes nothing when a connection is collected (R19)", function()
      conn:dele(1)
      conn = nil
      collectgarbage()
      collectgarbage()
      conn = login(door.open, user)
      assert.are.equal(3, (conn:stat()))
    end)

    it("does nothing: NOOP", function()
      assert.are.equal("+OK", conn:noop())
    end)

    it("answers a line by hand, short and long", function()
      assert.are.equal("+OK", conn:command("NOOP"))
      local _, lines = conn:command("UIDL", true)
      assert.are.equal(3, #lines)
    end)

    it("refuses what it does not know: LANG, UTF8, LAST, RPOP", function()
      for method, argument in pairs{lang = "en", utf8 = false, last = false,
                                    rpop = "x"} do
        local err = failure(conn, method, argument or nil)
        assert.are.equal("refused", err.name)
        assert.is_true(pop3.is_error_proto(err))
        assert.are.equal("-ERR Unknown command: " .. method:upper(),
                         err.response)
      end
      assert.are.equal("+OK", conn:noop())
    end)

    it("refuses a message number that is none", function()
      for _, number in ipairs{0, 4, "foo", 4294967297} do
        local err = failure(conn, "retr", number)
        assert.are.same({"proto", "refused"}, {err.kind, err.name})
        assert.are.equal(err.response, tostring(err))
      end
      assert.are.equal("+OK", conn:noop())
    end)

    it("says which password is wrong, and lets us try again", function()
      local fresh = door.open()
      finally(function() fresh:close() end)
      fresh:user(user)
      local err = failure(fresh, "pass_", "wrong")
      assert.are.same({"auth", "refused", "AUTH"},
                      {err.kind, err.name, err.code})
      assert.are.equal("-ERR [AUTH] Authentication failed.", err.response)
      assert.are.equal(err.response, tostring(err))
      assert.are.equal(pop3.error_proto, err.class)
      fresh:login(user, server.password)
      assert.are.equal(3, (fresh:stat()))
    end)

    it("refuses a wrong login() like pass_()", function()
      local fresh = door.open()
      finally(function() fresh:close() end)
      local err = failure(fresh, "login", user, "wrong")
      assert.are.same({"auth", "AUTH"}, {err.kind, err.code})
    end)

    it("ends a session of bad commands, and we say so", function()
      local err
      for _ = 1, 30 do
        err = failure(conn, "command", "BOGUS")
        if err.kind ~= "proto" then break end
      end
      assert.is_truthy(err.kind == "closed" or err.kind == "io", err.kind)
      assert.are.equal("closed", failure(conn, "noop").kind)
    end)

    it("ends a login of bad commands, and we say so", function()
      local fresh, err = door.open()
      finally(function() fresh:close() end)
      for _ = 1, 6 do
        err = failure(fresh, "command", "BOGUS")
        if err.kind ~= "proto" then break end
      end
      assert.is_truthy(err.kind == "closed" or err.kind == "io", err.kind)
    end)
  end)
end

describe("Dovecot's APOP", function()
  it("works over TLS, where the greeting can be trusted", function()
    local user = new_user()
    local conn = doors[3].open()
    finally(function() conn:close() end)
    assert.are.equal("+OK Logged in.", conn:apop(user, server.password))
    assert.are.equal(3, (conn:stat()))
  end)

  it("works in clear when it is asked for", function()
    local user = new_user()
    local conn = doors[1].open()
    finally(function() conn:close() end)
    assert.are.equal("+OK Logged in.", conn:apop(user, server.password))
  end)

  it("refuses a wrong secret", function()
    local conn = doors[1].open()
    finally(function() conn:close() end)
    local err = failure(conn, "apop", new_user(), "wrong")
    assert.are.same({"auth", "AUTH"}, {err.kind, err.code})
  end)
end)

describe("Dovecot's STLS", function()
  it("works as a method, on an open connection", function()
    local conn = pop3.POP3(server.host, server.plain)
    finally(function() conn:close() end)
    assert.is_truthy(conn:stls{cafile = server.cafile}:match("^%+OK"))
    assert.is_nil(conn:capa().STLS)
    local err = failure(conn, "stls")
    assert.are.same({"state", "secured"}, {err.kind, err.name})
    assert.are.equal("-ERR TLS session already established", tostring(err))
    conn:login(new_user(), server.password)
    assert.are.equal(3, (conn:stat()))
  end)

  it("is refused without trust in the certificate", function()
    local conn = pop3.POP3(server.host, server.plain)
    finally(function() conn:close() end)
    local err = failure(conn, "stls")
    assert.are.same({"tls", "certificate"}, {err.kind, err.name})
  end)

  it("is refused on the implicit port, too", function()
    local conn = doors[3].open()
    finally(function() conn:close() end)
    assert.are.equal("secured", failure(conn, "stls").name)
  end)
end)

describe("Dovecot's goodbye", function()
  it("is never an answer to the next command (R21)", function()
    local user = new_user()
    local conn = login(doors[1].open, user)
    finally(function() conn:close() end)
    server:kick(user)
    local err = failure(conn, "dele", 1)
    assert.are.same({"closed", "goodbye"}, {err.kind, err.name})
    assert.are.equal("-ERR [SYS/TEMP] Server shutting down.", err.response)
    assert.are.equal("SYS/TEMP", err.code)
    assert.is_true(err.retryable)
  end)
end)

describe("Dovecot and 1,000 awkward messages", function()
  for _, door in ipairs(doors) do
    it("come as delivered, octet for octet, " .. door.name, function()
      local conn = login(door.open, "otto")
      finally(function() conn:close() end)
      local _, listing = conn:list()
      local _, uids = conn:uidl()
      assert.are.equal(COUNT, #listing)
      for n = 1, COUNT do
        local expected = server:delivered("otto", n)
        local _, lines, octets = conn:retr(n)
        assert_same_mail(expected, body_of(lines), n)
        if octets ~= #expected then assert.are.equal(#expected, octets) end
        if uids[n] ~= n .. " " .. server:uid(n) then
          assert.are.equal(server:uid(n), uids[n])
        end
      end
      conn:quit()
    end)
  end

  it("come as Python's poplib gets them", function()
    local numbers = {}
    for n = 1, 100 do numbers[n] = n end
    local peers = server:poplib("otto", numbers)
    local conn = login(doors[1].open, "otto")
    finally(function() conn:close() end)
    for n = 1, #numbers do
      local resp, lines, octets = conn:retr(n)
      assert.are.same({peers[n].status, peers[n].octets}, {resp, octets})
      assert_same_mail(peers[n].body, body_of(lines), n)
    end
  end)

  it("have the length that their listing says, or the server's", function()
    local conn = login(doors[1].open, "otto")
    finally(function() conn:close() end)
    local _, listing = conn:list()
    local count, octets = conn:stat()
    local sum = 0
    for _, line in ipairs(listing) do
      sum = sum + tonumber(line:match(" (%d+)$"))
    end
    assert.are.same({COUNT, sum}, {count, octets})
  end)
end)

describe("Dovecot and 10,000 messages", function()
  local MANY = 10000
  local numbers = {}
  for n = 1, MANY do numbers[n] = n end

  setup(function() server:awkward("bulk", MANY) end)

  --- Every message under its number, in order, as delivered.
  local function comparing()
    local seen = { count = 0 }
    return seen, function(n, text, err)
      if not text then error(("message %d: %s"):format(n, tostring(err))) end
      seen.count = seen.count + 1
      assert(n == seen.count, "out of order")
      assert_same_mail(server:delivered("bulk", n), text, n)
    end
  end

  for _, door in ipairs(doors) do
    it("come pipelined, octet for octet, " .. door.name, function()
      local conn = door.open()
      finally(function() conn:close() end)
      local _, extras = conn:login("bulk", server.password,
                                   {stat = true, listing = true})
      assert.are.equal(MANY, extras.stat.count)
      assert.are.equal(MANY, #extras.listing)
      assert.are.equal(extras.stat.octets, extras.listing:octets())
      assert.are.equal(server:uid(MANY), extras.listing[MANY].uid)
      assert.is_truthy(conn:capabilities().PIPELINING)
      local seen, compare = comparing()
      local retrieved, refused = conn:retr_many(numbers, compare)
      assert.are.same({MANY, 0, MANY}, {retrieved, refused, seen.count})
      assert.are.equal("+OK", conn:noop())
      conn:quit()
    end)
  end

  it("go into sinks, refusals in between", function()
    local conn = login(doors[3].open, "bulk")
    finally(function() conn:close() end)
    conn:dele_many{10, 20}
    local ends, pieces = {}, {}
    local wanted = {9, 10, 11, 20, 99999, 12}
    local retrieved, refused = conn:retr_many(wanted, {
      sink = function()
        pieces = {}
        return function(chunk) pieces[#pieces + 1] = chunk end
      end,
      done = function(n, octets, err)
        local text = table.concat(pieces)
        ends[#ends + 1] = {n, octets and text == server:delivered("bulk", n)
                              or err.response:match("^%-ERR")}
      end,
    })
    assert.are.same({3, 3}, {retrieved, refused})
    assert.are.same({{9, true}, {10, "-ERR"}, {11, true}, {20, "-ERR"},
                     {99999, "-ERR"}, {12, true}}, ends)
  end)

  it("are iterated over, newest first, but for those that are known", function()
    local conn = login(doors[1].open, "bulk")
    finally(function() conn:close() end)
    local known = {}
    for n = 1, MANY - 500 do known[server:uid(n)] = true end
    local expected = MANY
    for m in conn:messages{since = known, order = "newest"} do
      assert.are.equal(expected, m.number)
      assert_same_mail(server:delivered("bulk", m.number), m:text(), m.number)
      expected = expected - 1
    end
    assert.are.equal(MANY - 500, expected)
  end)

  it("may be deleted in one flight; only QUIT does it", function()
    local conn = login(doors[1].open, "bulk")
    finally(function() conn:close() end)
    local deleted, refused = conn:dele_many(numbers)
    assert.are.same({MANY, 0}, {deleted, refused})
    assert.are.equal(0, (conn:stat()))
    conn:close()
    conn = login(doors[1].open, "bulk")
    assert.are.equal(MANY, (conn:stat()))
  end)
end)
