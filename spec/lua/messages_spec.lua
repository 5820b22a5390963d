--- messages(): what is iterated over, what is fetched when, and what happens
-- to messages that the server refuses or lies about.

local lfs = require "lfs"

local claims = require "spec.support.claims"
local files = require "spec.support.files"
local pop3 = require "pop3"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"

after_each(server.stop_all)

local function make(count, size)
  local mails = {}
  for n = 1, count do
    mails[n] = ("Subject: %d\r\n\r\n"):format(n) .. ("x"):rep(size or 20) .. "\r\nsecond\r\n"
  end
  return mails
end

local mails = make(12)
local uids = {}
for n = 1, 1000 do uids[n] = "uid" .. n end

local function start(more)
  local mailbox = { messages = mails, uids = uids, open = true,
    capa = { "PIPELINING", "UIDL", "TOP" } }
  for key, value in pairs(more or {}) do mailbox[key] = value end
  return server.start { { { mailbox = mailbox } } }
end

local function open(more, options)
  local s = start(more)
  options = options or {}
  options.timeout = options.timeout or 20
  if options.pipelining == nil then options.pipelining = true end
  return (options.module or pop3).POP3(s.host, s.port, {
    timeout = options.timeout, pipelining = options.pipelining }), s
end

local function walk(list, f)
  local all = {}
  while true do
    local m = list:next()
    if not m then break end
    all[#all + 1] = f(m)
  end
  return all
end

local function number_of(m) return m.number end

--- The commands of the connection, without LIST and UIDL.
local function commands(conn, s)
  conn:close()
  local said = {}
  for _, line in ipairs(s:report().connections[1].commands) do
    if line ~= "LIST" and line ~= "UIDL" then said[#said + 1] = line end
  end
  return said
end

describe("messages()", function()
  it("iterates over all, oldest first, with number, size and UID", function()
    local conn, s = open()
    local list = conn:messages()
    assert.equal(12, list:len())
    assert.equal("pop3.messages (12)", tostring(list))
    local n = 0
    for m in list do
      n = n + 1
      assert.same({ n, #mails[n], "uid" .. n }, { m.number, m.size, m.uid })
      assert.equal(("pop3.message (%d)"):format(n), tostring(m))
    end
    assert.equal(12, n)
    assert.is_nil(list:next())
    assert.is_nil(list:next())
    assert.same({}, commands(conn, s))
  end)

  it("goes from the newest where that is asked for", function()
    local conn = open()
    assert.same({ 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 },
      walk(conn:messages { order = "newest" }, number_of))
    local list = conn:messages { order = "newest" }
    assert.equal(mails[12], list:next():text())
    assert.equal(mails[11], list:next():text())
    assert.equal(mails[10], list:next():text())
    conn:quit()
  end)

  it("leaves out what is known: a list, a set, a listing", function()
    local conn = open()
    local known = { "uid1", "uid2", "uid4", "another" }
    local set = { uid1 = true, uid2 = 1, uid4 = "x", uid5 = false }
    local before = pop3.listing({ "1 1", "2 1", "3 1" }, { "1 uid1", "2 uid2", "3 uid4" })
    for _, since in ipairs { known, set, before } do
      local list = conn:messages { since = since }
      assert.is_true(list.uids)
      assert.same({ 3, 5, 6, 7, 8, 9, 10, 11, 12 }, walk(list, number_of))
    end
    assert.equal(0, conn:messages { since = conn:listing() }:len())
    conn:quit()
  end)

  it("of an empty mailbox are none", function()
    local conn = open { messages = {} }
    local list = conn:messages()
    assert.equal(0, list:len())
    assert.is_nil(list:next())
    conn:quit()
  end)

  it("of a server without UIDL are all, and say that they had no UIDs", function()
    local conn = open { answers = { { "UIDL", "-ERR unknown\r\n" } } }
    local list = conn:messages { since = { "uid1" } }
    assert.is_false(list.uids)
    assert.equal(12, list:len())
    assert.is_nil(list:next().uid)
    conn:quit()
  end)

  it("cannot be had of a server that refuses LIST", function()
    local conn = open { answers = { { "LIST", "-ERR no\r\n" } } }
    claims.fails("proto", "refused", conn.messages, conn)
    conn:noop()
    conn:close()
    conn = open({ answers = { { "LIST", "-ERR no\r\n" } } }, { module = pop3.safe })
    local list, message, err = conn:messages()
    assert.is_nil(list)
    assert.same({ "-ERR no", "refused" }, { message, err.name })
    conn:close()
  end)
end)

describe("A message's text", function()
  it("is fetched when it is asked for, then with those that follow", function()
    local conn, s = open()
    local list = conn:messages()
    walk(list, function(m)
      assert.equal(mails[m.number], m:text())
      assert.equal(mails[m.number], m:text())
    end)
    local expected = {}
    for n = 1, 12 do expected[n] = "RETR " .. n end
    assert.same(expected, commands(conn, s))
  end)

  it("grows by flights of 1, 4, 16", function()
    -- The server answers a flight once it has all of it, and sees no more.
    local steps = { "S: +OK", "C: LIST", "C: UIDL" }
    local rows, ids = { "+OK" }, { "+OK" }
    for n = 1, 21 do rows[#rows + 1], ids[#ids + 1] = n .. " 10", n .. " u" .. n end
    steps[#steps + 1] = { send = table.concat(rows, "\r\n") .. "\r\n.\r\n" }
    steps[#steps + 1] = { send = table.concat(ids, "\r\n") .. "\r\n.\r\n" }
    for _, flight in ipairs { { 1, 1 }, { 2, 5 }, { 6, 21 } } do
      for n = flight[1], flight[2] do steps[#steps + 1] = "C: RETR " .. n end
      for n = flight[1], flight[2] do
        steps[#steps + 1] = { send = ("+OK\r\nmail %d\r\n.\r\n"):format(n) }
      end
    end
    server.talk({ steps }, function(conn)
      for m in conn:messages() do
        assert.equal(("mail %d\r\n"):format(m.number), m:text())
      end
    end, { pipelining = true })
  end)

  it("fetches nothing that is not asked for", function()
    local conn, s = open()
    walk(conn:messages(), function(m)
      if m.number % 5 == 0 then m:text() end
    end)
    assert.same({ "RETR 5", "RETR 10" }, commands(conn, s))
  end)

  it("is fetched once, also when all messages are held first", function()
    local conn, s = open()
    local all = walk(conn:messages(), function(m) return m end)
    for n, m in ipairs(all) do assert.equal(mails[n], m:text()) end
    for n, m in ipairs(all) do assert.equal(mails[n], m:text()) end
    local expected = {}
    for n = 1, 12 do expected[n] = "RETR " .. n end
    assert.same(expected, commands(conn, s))
  end)

  it("is not kept when nobody holds the message any more", function()
    local conn = open { messages = make(100, 100000) }
    local list = conn:messages()
    local function count()
      collectgarbage()
      collectgarbage()
      return collectgarbage("count")
    end
    list:next():text()
    local before = count()
    walk(list, function(m) assert.equal(100000 + #m:headers() + 10, #m:text()) end)
    assert.is_true(count() - before < 1024, count() - before)
    conn:quit()
  end)

  it("fetches ahead no more octets than `ahead`", function()
    local conn, s = open()
    local size = #mails[5]
    local list = conn:messages { ahead = 3 * size }
    list:next():text()
    local m = list:next()
    m:text()
    local said = commands(conn, s)
    assert.same({ "RETR 1", "RETR 2", "RETR 3", "RETR 4" }, said)

    conn, s = open()
    list = conn:messages { ahead = 0 }
    list:next():text()
    list:next():text()
    list:next():text()
    assert.same({ "RETR 1", "RETR 2", "RETR 3" }, commands(conn, s))
  end)

  it("that is refused is an error of this message only", function()
    for _, module in ipairs { pop3, pop3.safe } do
      local conn = open({ answers = { { "RETR [37]", "-ERR gone\r\n" } } }, { module = module })
      local got = walk(conn:messages(), function(m)
        if module == pop3 then
          local ok, text = pcall(m.text, m)
          if ok then return text end
          assert.same({ "proto", "refused" }, { text.kind, text.name })
          assert.equal(text, claims.failure(m.text, m))
          return tostring(text)
        end
        local text, message, err = m:text()
        assert(text or err.name == "refused")
        return text or message
      end)
      for n = 1, 12 do
        assert.equal((n == 3 or n == 7) and "-ERR gone" or mails[n], got[n])
      end
      assert.equal(12, (conn:stat()))
      conn:close()
    end
  end)

  it("can be asked after others were fetched ahead, and deleted", function()
    local conn, s = open()
    walk(conn:messages(), function(m)
      assert.equal(mails[m.number], m:text())
      assert.equal("+OK marked", m:delete())
    end)
    assert.equal(0, (conn:stat()))
    local said = commands(conn, s)
    assert.equal(25, #said)
    table.sort(said)
    assert.equal("DELE 1", said[1])
  end)

  it("survives a connection that ends: what was received stays", function()
    local conn = open { answers = { { "RETR 4", { { send = "+OK\r\nhalf" }, { shutdown = true },
      { eof = true } } } } }
    local list = conn:messages()
    local first, second = list:next(), list:next()
    assert.equal(mails[1], first:text())
    claims.fails("closed", "eof", second.text, second) -- 2 to 5 in one flight
    assert.equal(mails[1], first:text())
    assert.equal(mails[2], second:text())
    assert.equal(mails[3], list:next():text())
    local fourth = list:next()
    claims.fails("closed", "eof", fourth.text, fourth)
  end)
end)

describe("A message's headers", function()
  it("are TOP 0, or with lines of the body", function()
    local conn, s = open()
    local list = conn:messages()
    local m = list:next()
    assert.equal("Subject: 1\r\n\r\n", m:headers())
    assert.equal("Subject: 1\r\n\r\n", m:headers(0))
    assert.equal(mails[1]:gsub("second\r\n", ""), m:headers(1))
    assert.equal("Subject: 2\r\n\r\n", list:next():headers())
    assert.same({ "TOP 1 0", "TOP 1 1", "TOP 2 0", "TOP 3 0", "TOP 4 0", "TOP 5 0" },
      commands(conn, s))
  end)

  it("and texts of the same messages are fetched apart", function()
    local conn, s = open { messages = make(5) }
    walk(conn:messages(), function(m)
      assert.equal(("Subject: %d\r\n\r\n"):format(m.number), m:headers())
      assert.equal(mails[m.number], m:text())
    end)
    local said = commands(conn, s)
    assert.equal(10, #said)
  end)

  it("of a wrong count are an ordinary error", function()
    local conn = open()
    local m = conn:messages():next()
    for _, wrong in ipairs { -1, 1.5, "x", {}, 0 / 0, 1 / 0, true } do
      local text = claims.misuse(m.headers, m, wrong)
      assert.truthy(text:find("bad argument #1 to 'headers'", 1, true), text)
    end
    conn:quit()
  end)
end)

describe("save(path)", function()
  local folder
  before_each(function()
    folder = sinks.path()
    lfs.mkdir(folder)
  end)
  after_each(function() os.execute("rm -rf " .. files.quote(folder)) end)

  it("writes new files that only their owner can read, small or large", function()
    for _, ahead in ipairs { 1048576, 0 } do
      local conn = open()
      walk(conn:messages { ahead = ahead }, function(m)
        local path = ("%s/%d-%d"):format(folder, ahead, m.number)
        assert.equal(#mails[m.number], m:save(path))
        assert.equal(mails[m.number], files.read(path))
        assert.equal("rw-------", lfs.attributes(path, "permissions"))
      end)
      conn:quit()
    end
  end)

  it("leaves a file that exists alone", function()
    for _, ahead in ipairs { 1048576, 0 } do
      local conn = open()
      local m = conn:messages { ahead = ahead }:next()
      local path = folder .. "/there"
      files.write(path, "precious")
      local err = claims.fails("io", "eexist", m.save, m, path)
      assert.truthy(tostring(err):find(path, 1, true), tostring(err))
      assert.equal("precious", files.read(path))
      assert.equal(#mails[1], m:save(path .. ahead))
      conn:close()
    end
    local conn = open({}, { module = pop3.safe })
    local m = conn:messages():next()
    local octets, message, err = m:save(folder .. "/there")
    assert.is_nil(octets)
    assert.same({ "string", "eexist" }, { type(message), err.name })
    conn:close()
  end)

  it("makes no file of a message that is refused, or cut", function()
    for _, ahead in ipairs { 1048576, 0 } do
      for _, answer in ipairs { "-ERR no\r\n",
        { { send = "+OK\r\nhalf\r\n" }, { shutdown = true }, { eof = true } } } do
        local conn = open { answers = { { "RETR 1", answer } } }
        local m = conn:messages { ahead = ahead }:next()
        claims.failure(m.save, m, folder .. "/none")
        assert.is_nil(lfs.attributes(folder .. "/none"))
        conn:close()
      end
    end
  end)

  it("takes a path and nothing else", function()
    local conn = open()
    local m = conn:messages():next()
    for _, wrong in ipairs { 1, {}, true, "a\0b", io.stdout } do
      local text = claims.misuse(m.save, m, wrong)
      assert.truthy(text:find("bad argument #1 to 'save'", 1, true), text)
    end
    claims.misuse(m.save, m)
    conn:quit()
  end)
end)

describe("A server whose LIST lies", function()
  it("may say less, up to four times what is fetched ahead", function()
    local few = {}
    for n = 1, 12 do few[n] = 1 end
    local conn = open { sizes = few }
    local got = walk(conn:messages(), function(m) return m:text() end)
    assert.same(mails, got)
    conn:quit()
  end)

  it("and then sends without end is stopped", function()
    local few = {}
    for n = 1, 12 do few[n] = 1 end
    local large = make(12, 100000)
    local conn = open { sizes = few, messages = large }
    local list = conn:messages { ahead = 100000 }
    assert.equal(large[1], list:next():text())
    local m = list:next() -- flights of 4: 400,000 octets, and something
    local err = claims.fails("aborted", "aborted", m.text, m)
    assert.truthy(tostring(err):find("LIST", 1, true), tostring(err))
    for n = 2, 5 do -- what came, came; the connection goes on
      assert.equal(large[n], m:text())
      m = list:next()
    end
    conn:quit()
  end)

  it("may say nothing: then nothing is fetched ahead", function()
    local none = {}
    for n = 1, 12 do none[n] = "" end
    local conn, s = open { sizes = none }
    local list = conn:messages()
    for n = 1, 3 do assert.equal(mails[n], list:next():text()) end
    assert.same({ "RETR 1", "RETR 2", "RETR 3" }, commands(conn, s))
  end)

  it("may say too much: no memory is taken for that", function()
    local much = {}
    for n = 1, 12 do much[n] = "9007199254740992" end
    local conn = open { sizes = much }
    assert.same(mails, walk(conn:messages(), function(m) return m:text() end))
    conn:quit()
  end)
end)
