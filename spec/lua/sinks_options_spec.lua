--- What shapes a message on its way: eol, hash, top, progress, max_octets; what
-- a sink may be; and arguments that are none.

local lfs = require "lfs"

local claims = require "spec.support.claims"
local files = require "spec.support.files"
local pop3 = require "pop3"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"

after_each(server.stop_all)

local function stuffed(mail)
  return (("\r\n" .. mail):gsub("\r\n%.", "\r\n.."):sub(3)) .. ".\r\n"
end

--- A connection, logged in, to a mailbox of these messages.
local function open(messages, options, more)
  local box = { messages = messages, open = true }
  for key, value in pairs(more or {}) do box[key] = value end
  local s = server.start { { { mailbox = box } } }
  return pop3.POP3(s.host, s.port, options or { timeout = 20 }), s
end

--- The digest by the openssl command.
local function digest_of(octets, name)
  local path = files.temporary(octets)
  local pipe = io.popen("openssl dgst -r -" .. name .. " " .. files.quote(path))
  local hex = pipe:read("*a"):match("^%x+")
  pipe:close()
  os.remove(path)
  return hex
end

local ENDS = "Subject: ends\r\n\r\nbare\nLF, bare\rCR, \r\r\n two\r\n\n\r.\r\n.dot\r\n\r\n"
-- Only what ends a line is a line end.
local ENDS_LF = "Subject: ends\n\nbare\nLF, bare\rCR, \r\n two\n\n\r.\n.dot\n\n"

describe("eol = \"lf\"", function()
  for _, sink in ipairs(sinks.all) do
    it("is a line end's single octet, for " .. sink.name, function()
      local reply = "+OK\r\n" .. stuffed(ENDS)
      server.talk({ { "S: +OK",
        "C: RETR 1", { send = reply },
        "C: RETR 2", { chop = 1 }, { send = reply },
      } }, function(conn)
        for n = 1, 2 do
          local seen = sink.receive(conn, n, { eol = "lf", hash = "sha256" })
          assert.is_nil(seen.err)
          assert.equal(ENDS_LF, seen.text)
          assert.equal(#ENDS_LF, seen.octets)
          assert.equal(digest_of(ENDS_LF, "sha256"), seen.digest)
        end
      end)
    end)

    it("keeps a CR that was held back behind a dot, for " .. sink.name, function()
      -- ".\r" at a line's start may become the terminator, and does not.
      local reply = "+OK\r\n.\rx\r\n.\r\r\n.\r\n"
      for _, chop in ipairs { 0, 1 } do
        server.talk({ { "S: +OK", "C: RETR 1", { chop = chop }, { send = reply } } },
          function(conn)
            local seen = sink.receive(conn, 1, { eol = "lf" })
            assert.is_nil(seen.err)
            assert.equal("\rx\n\r\n", seen.text)
          end)
      end
    end)
  end
end)

describe("hash", function()
  it("is the digest of what is handed out, of every name OpenSSL knows", function()
    local mail = "Subject: digest\r\n\r\n" .. ("line\r\n"):rep(5000)
    local conn = open { mail }
    for _, name in ipairs { "sha256", "SHA512", "md5", "sha3-256" } do
      local expected = digest_of(mail, name:lower())
      for _, sink in ipairs(sinks.all) do
        local seen = sink.receive(conn, 1, { hash = name })
        assert.is_nil(seen.err)
        assert.equal(expected, seen.digest, sink.name .. " " .. name)
      end
    end
    conn:quit()
  end)

  it("is each message's own in retr_many", function()
    local mails = { "a: 1\r\n\r\n", "b: 2\r\n\r\n", "c: 3\r\n\r\n" }
    local conn = open(mails)
    local seen = {}
    conn:retr_many({ 1, 2, 9, 3 }, function(n, text, _, digest)
      seen[#seen + 1] = { n, text or false, digest or false }
    end, { hash = "sha256" })
    assert.same({ { 1, mails[1], digest_of(mails[1], "sha256") },
      { 2, mails[2], digest_of(mails[2], "sha256") }, { 9, false, false },
      { 3, mails[3], digest_of(mails[3], "sha256") } }, seen)
    conn:quit()
  end)

  it("is nil where none was asked for, also behind one that was", function()
    local conn = open { "a: 1\r\n\r\n" }
    assert.truthy(select(3, conn:retr_string(1, { hash = "sha256" })))
    assert.equal(2, select("#", conn:retr_string(1)))
    assert.equal(1, select("#", conn:retr_to(1, function() end)))
    conn:quit()
  end)

  it("leaves nothing behind when another option is refused", function()
    local conn = open { "a: 1\r\n\r\n" }
    for _ = 1, 3 do -- the sanitizers see what is left
      claims.misuse(conn.retr_string, conn, 1, { hash = "sha256", top = -1 })
    end
    conn:quit()
  end)
end)

describe("top", function()
  local mail = "Subject: top\r\n\r\none\r\n.two\r\nthree\r\n"

  for _, sink in ipairs(sinks.all) do
    it("is TOP instead of RETR, for " .. sink.name, function()
      local seen = server.talk({ { { mailbox = { messages = { mail }, open = true } } } },
        function(conn)
          for lines, text in pairs { [0] = "", "one\r\n", "one\r\n.two\r\n" } do
            local got = sink.receive(conn, 1, { top = lines })
            assert.is_nil(got.err)
            assert.equal("Subject: top\r\n\r\n" .. text, got.text)
          end
        end)
      table.sort(seen.commands)
      assert.same({ "TOP 1 0", "TOP 1 1", "TOP 1 2" }, seen.commands)
    end)
  end
end)

describe("progress", function()
  it("is told octets so far and the size announced", function()
    local told = {}
    -- A quarter of a second between the pieces: it is told ten times a second.
    server.talk({ { "S: +OK", "C: RETR 1",
      { send = "+OK 30 octets\r\naaaaaaaa\r\n" }, { delay = 0.25 },
      { send = "bbbbbbbb\r\n" }, { delay = 0.25 }, { send = "cccccccc\r\n.\r\n" },
    } }, function(conn)
      conn.retr_string(conn, 1, { progress = function(octets, hint)
        told[#told + 1] = { octets, hint }
      end })
    end)
    for i, each in ipairs(told) do
      assert.equal(30, each[2])
      assert.is_true(each[1] <= 30 and each[1] >= (told[i - 1] or { 0 })[1])
    end
  end)
end)

-- ------------------------------------------------------------ what servers say

describe("An announced size", function()
  local LIES = { "4294967296 octets", "18446744073709551616 octets", "-1 octets",
    "9007199254740993 octets", "1e9 octets", "0x7fffffff octets", "octets",
    "10", "" }

  for _, sink in ipairs(sinks.all) do
    it("is a hint, no matter how wrong, for " .. sink.name, function()
      local steps = { "S: +OK" }
      for _, lie in ipairs(LIES) do
        steps[#steps + 1] = "C: RETR 1"
        steps[#steps + 1] = { send = "+OK " .. lie .. "\r\n12345678\r\n.\r\n" }
      end
      server.talk({ steps }, function(conn)
        collectgarbage()
        local before = claims.resident()
        for _ = 1, #LIES do
          local seen = sink.receive(conn, 1)
          assert.is_nil(seen.err)
          assert.same({ "12345678\r\n", 10 }, { seen.text, seen.octets })
        end
        if not os.getenv("POP3_SANITIZED") then
          assert.is_true(claims.resident() - before < 8 * 1024 * 1024)
        end
      end)
    end)
  end
end)

-- ------------------------------------------------------------ T17, T18, T37

describe("A line of 100 MiB (T17)", function()
  local SIZE = 100 * 1024 * 1024
  local reply = { "S: +OK", "C: RETR 1", { send = "+OK\r\n" },
    { send = ("x"):rep(65536), times = 1600 }, { send = "\r\n.\r\n" } }

  it("streams through a function in constant memory", function()
    server.talk({ reply }, function(conn)
      local octets, largest = 0, 0
      conn:retr_chunks(1):close()
      return octets, largest
    end) -- warm, and: closing early is no harm
    server.talk({ reply }, function(conn)
      collectgarbage()
      local before, most, octets = claims.resident(), 0, 0
      conn:retr_to(1, function(chunk)
        octets = octets + #(chunk or "")
        collectgarbage "step" -- how long garbage lies is Lua's own business
        most = math.max(most, claims.resident())
      end)
      assert.equal(SIZE + 2, octets)
      if not os.getenv("POP3_SANITIZED") then
        assert.is_true(most - before < 16 * 1024 * 1024, most - before)
      end
    end)
  end)

  it("is one line of retr_lines, unless max_octets says no", function()
    server.talk({ complaints = true, connections = { reply } }, function(conn)
      local lines = conn:retr_lines(1, { max_octets = 1024 * 1024 })
      assert.equal("octets", claims.failure(lines.next, lines).name)
    end)
    server.talk({ reply }, function(conn)
      local lines = conn:retr_lines(1)
      assert.equal(SIZE, #lines:next())
      assert.is_nil(lines:next())
      assert.equal(SIZE + 2, lines.octets)
    end)
  end)
end)

describe("A mail of \"..\" lines (T18)", function()
  it("takes time in proportion to its size, in every shape", function()
    local mail = ("..\r\n"):rep(400000)
    for _, sink in ipairs(sinks.all) do
      server.talk({ { "S: +OK", "C: RETR 1", { send = "+OK\r\n" .. stuffed(mail) } } },
        function(conn)
          claims.within(20, function()
            local seen = sink.receive(conn, 1)
            assert.is_true(seen.text == mail, sink.name)
          end)
        end)
    end
  end)
end)

describe("max_octets (T37)", function()
  it("of a string says where larger messages go", function()
    local conn = open({ ("x"):rep(5000) .. "\r\n" }, { max_octets = 1000, timeout = 20 })
    local err = claims.fails("limit", "octets", conn.retr_string, conn, 1)
    assert.truthy(tostring(err):find("retr_to", 1, true))
    assert.truthy(tostring(err):find("max_octets = 1000", 1, true))
    conn:quit()
  end)

  it("of the connection is of what is held in memory: streams have none", function()
    local conn = open({ ("x"):rep(5000) .. "\r\n" }, { max_octets = 1000, timeout = 20 })
    assert.equal(5002, conn:retr_to(1, function() end))
    local octets = 0
    for chunk in conn:retr_chunks(1) do octets = octets + #chunk end
    assert.equal(5002, octets)
    assert.equal(5000, #conn:retr_lines(1):next())
    conn:close()
  end)

  it("0 is none", function()
    local conn = open({ ("x"):rep(5000) .. "\r\n" }, { max_octets = 1000, timeout = 20 })
    assert.equal(5002, #conn:retr_string(1, { max_octets = 0 }))
    conn:quit()
  end)
end)

-- ------------------------------------------------------------ sinks

describe("A sink that is a path", function()
  local mail = "Subject: file\r\n\r\n" .. ("line\r\n"):rep(1000)
  local path

  before_each(function() path = sinks.path() end)
  after_each(function() os.remove(path) end)

  it("is a new file that only its owner can read", function()
    local conn = open { mail }
    assert.equal(#mail, conn:retr_to(1, { path = path }))
    assert.equal("rw-------", lfs.attributes(path, "permissions"))
    assert.equal(mail, files.read(path))
    conn:quit()
  end)

  it("that exists is left alone, and nothing is sent", function()
    files.write(path, "precious")
    local seen = server.talk({ { { mailbox = { messages = { mail }, open = true } } } },
      function(conn)
        local err = claims.fails("io", "eexist", conn.retr_to, conn, 1, { path = path })
        assert.truthy(tostring(err):find(path, 1, true), tostring(err))
        conn:noop()
      end)
    assert.equal("precious", files.read(path))
    assert.same({ "NOOP" }, seen.commands)
  end)

  it("that is a dangling link is not followed", function()
    local target = sinks.path()
    assert(lfs.link(target, path, true))
    local conn = open { mail }
    claims.fails("io", "eexist", conn.retr_to, conn, 1, { path = path })
    assert.is_nil(lfs.attributes(target))
    conn:quit()
  end)

  it("whose folder does not exist says so, and nothing is sent", function()
    local seen = server.talk({ { { mailbox = { messages = { mail }, open = true } } } },
      function(conn)
        claims.fails("io", "enoent", conn.retr_to, conn, 1, { path = path .. "/x/y" })
      end)
    assert.same({}, seen.commands)
  end)

  it("is not made when the connection is closed", function()
    local conn = open { mail }
    conn:close()
    claims.fails("state", "closed", conn.retr_to, conn, 1, { path = path })
    assert.is_nil(lfs.attributes(path))
  end)

  it("is not made when a message is refused", function()
    local conn = open { mail }
    claims.fails("proto", "refused", conn.retr_to, conn, 7, { path = path })
    assert.is_nil(lfs.attributes(path))
    conn:quit()
  end)

  it("in the middle of retr_many, if it exists: an error, and no more files", function()
    local folder = sinks.path()
    lfs.mkdir(folder)
    files.write(folder .. "/3", "precious")
    local conn = open({ mail, mail, mail, mail, mail }, { pipelining = true, timeout = 20 })
    local ends = {}
    claims.fails("io", "eexist", conn.retr_many, conn, { 1, 2, 3, 4, 5 }, {
      sink = function(n) return { path = folder .. "/" .. n } end,
      done = function(n, octets) ends[#ends + 1] = { n, octets } end,
    })
    assert.same({ { 1, #mail }, { 2, #mail } }, ends)
    assert.equal("precious", files.read(folder .. "/3"))
    assert.is_nil(lfs.attributes(folder .. "/4"))
    assert.equal(5, (conn:stat())) -- what was in flight was little
    os.execute("rm -rf " .. files.quote(folder))
    conn:quit()
  end)
end)

describe("A sink that is a file", function()
  it("goes on where Lua's own buffer ends", function()
    local path = sinks.path()
    local file = assert(io.open(path, "wb"))
    file:write("From me\r\n")
    local conn = open { "a: 1\r\n\r\n" }
    assert.equal(8, conn:retr_to(1, file))
    file:write("behind\r\n")
    file:close()
    assert.equal("From me\r\na: 1\r\n\r\nbehind\r\n", sinks.take(path))
    conn:quit()
  end)

  it("knows where it is afterwards, and can be read", function()
    local path = sinks.path()
    local file = assert(io.open(path, "w+b"))
    file:write("From me\r\n")
    assert.equal(9, file:seek("cur"))
    local conn = open { "a: 1\r\n\r\n", "b: 2\r\n\r\n" }
    for n = 1, 2 do
      assert.equal(8, conn:retr_to(n, file))
      assert.equal(9 + 8 * n, file:seek("cur"))
    end
    assert.same({ 2, 0 }, { conn:retr_many({ 1, 2 }, { sink = function() return file end }) })
    assert.equal(41, file:seek("cur"))
    file:seek("set", 0)
    assert.equal("From me\r\n" .. ("a: 1\r\n\r\nb: 2\r\n\r\n"):rep(2), file:read("*a"))
    file:close()
    os.remove(path)
    conn:quit()
  end)

  it("may be a pipe", function()
    local path = sinks.path()
    local pipe = io.popen("cat > " .. files.quote(path), "w")
    local mail = ("pipe\r\n"):rep(200000)
    local conn = open { mail }
    assert.equal(#mail, conn:retr_to(1, pipe))
    pipe:close()
    assert.is_true(mail == sinks.take(path))
    conn:quit()
  end)

  it("that nobody reads is an error, no signal; the connection goes on", function()
    local pipe = io.popen("exec true", "w")
    local mail = ("pipe\r\n"):rep(100000) -- more than a pipe holds
    local conn = open { mail }
    claims.fails("io", "epipe", conn.retr_to, conn, 1, pipe)
    pipe:close()
    assert.equal(1, (conn:stat()))
    conn:quit()
  end)

  it("that cannot be written is an error; the connection goes on", function()
    local conn = open { "a: 1\r\n\r\n" }
    local file = assert(io.open("/dev/null", "rb"))
    claims.fails("io", "ebadf", conn.retr_to, conn, 1, file)
    file:close()
    local full = io.open("/dev/full", "wb")
    claims.fails("io", "enospc", conn.retr_to, conn, 1, full)
    claims.fails("io", "ebadf", conn.retr_to, conn, 1, 1000000)
    assert.equal(1, (conn:stat()))
    conn:quit()
  end)

  it("that is closed is no file at all", function()
    local conn = open { "a: 1\r\n\r\n" }
    local file = assert(io.open("/dev/null", "wb"))
    file:close()
    assert.truthy(claims.misuse(conn.retr_to, conn, 1, file):find("retr_to", 1, true))
    conn:quit()
  end)
end)

describe("LTN12's own sinks", function()
  local ok, ltn12 = pcall(require, "ltn12")
  local mail = "Subject: ltn12\r\n\r\n" .. ("line\r\n"):rep(30000)

  it("fit retr_to and retr_many", function()
    if not ok then return pending("there is no ltn12 (lua-socket)") end
    local conn = open { mail }
    local chunks = {}
    assert.equal(#mail, conn:retr_to(1, (ltn12.sink.table(chunks))))
    assert.is_true(mail == table.concat(chunks))

    local path = sinks.path()
    assert.equal(#mail, conn:retr_to(1, ltn12.sink.file(io.open(path, "wb"))))
    assert.is_true(mail == sinks.take(path))

    local upper = ltn12.filter.chain(function(chunk) return chunk and chunk:upper() end)
    chunks = {}
    conn:retr_to(1, ltn12.sink.chain(upper, (ltn12.sink.table(chunks))))
    assert.is_true(mail:upper() == table.concat(chunks))

    assert.equal(#mail, conn:retr_to(1, ltn12.sink.null()))
    local err = claims.fails("aborted", "aborted", conn.retr_to, conn, 1,
      ltn12.sink.error("no room"))
    assert.equal("no room", tostring(err))

    chunks = {}
    assert.same({ 1, 0 }, { conn:retr_many({ 1 }, {
      sink = function() return (ltn12.sink.table(chunks)) end }) })
    assert.is_true(mail == table.concat(chunks))
    conn:quit()
  end)
end)

-- ------------------------------------------------------------ misuse

describe("A wrong argument", function()
  local cases = {
    { "retr_string", { {} }, "bad argument #1 to 'retr_string'" },
    { "retr_string", { 1, 2 }, "bad argument #2 to 'retr_string'" },
    { "retr_string", { 1.5 }, "bad argument #1 to 'retr_string'" },
    { "retr_string", { 0 / 0 }, "bad argument #1 to 'retr_string'" },
    { "retr_string", { "1\r\nQUIT" }, "bad argument #1 to 'retr_string'" },
    { "retr_string", { 1, { eoll = "lf" } }, "'eol'" },
    { "retr_string", { 1, { eol = "cr" } }, "bad option 'eol' to 'retr_string'" },
    { "retr_string", { 1, { eol = 1 } }, "bad option 'eol' to 'retr_string'" },
    { "retr_string", { 1, { top = "x" } }, "bad option 'top' to 'retr_string'" },
    { "retr_string", { 1, { top = -1 } }, "bad option 'top' to 'retr_string'" },
    { "retr_string", { 1, { top = 1.5 } }, "bad option 'top' to 'retr_string'" },
    { "retr_string", { 1, { max_octets = -1 } }, "bad option 'max_octets' to 'retr_string'" },
    { "retr_string", { 1, { max_octets = "many" } }, "bad option 'max_octets' to 'retr_string'" },
    { "retr_string", { 1, { hash = "sha257" } }, "bad option 'hash' to 'retr_string'" },
    { "retr_string", { 1, { hash = ("x"):rep(500) } }, "bad option 'hash' to 'retr_string'" },
    { "retr_string", { 1, { hash = true } }, "bad option 'hash' to 'retr_string'" },
    { "retr_string", { 1, { progress = 1 } }, "bad option 'progress' to 'retr_string'" },
    { "retr_string", { 1, { quit = true } }, "unknown option 'quit' to 'retr_string'" },
    { "retr_to", { 1 }, "bad argument #2 to 'retr_to'" },
    { "retr_to", { 1, "file" }, "bad argument #2 to 'retr_to'" },
    { "retr_to", { 1, {} }, "bad argument #2 to 'retr_to'" },
    { "retr_to", { 1, { path = 1 } }, "bad argument #2 to 'retr_to'" },
    { "retr_to", { 1, { path = "a\0b" } }, "bad argument #2 to 'retr_to'" },
    { "retr_to", { 1, -1 }, "bad argument #2 to 'retr_to'" },
    { "retr_to", { 1, 1.5 }, "bad argument #2 to 'retr_to'" },
    { "retr_to", { 1, 0 / 0 }, "bad argument #2 to 'retr_to'" },
    { "retr_to", { 1, 2 ^ 31 }, "bad argument #2 to 'retr_to'" },
    { "retr_to", { 1, print, 1 }, "bad argument #3 to 'retr_to'" },
    { "retr_lines", {}, "bad argument #1 to 'retr_lines'" },
    { "retr_lines", { 1, { sink = 1 } }, "unknown option 'sink' to 'retr_lines'" },
    { "retr_chunks", { true }, "bad argument #1 to 'retr_chunks'" },
    { "retr_many", { 1, print }, "bad argument #1 to 'retr_many'" },
    { "retr_many", { { 1, {} }, print }, "bad argument #1 to 'retr_many'" },
    { "retr_many", { { 1, "1 2" }, print }, "bad argument #1 to 'retr_many'" },
    { "retr_many", { { "1\n2" }, print }, "bad argument #1 to 'retr_many'" },
    { "retr_many", { { -1 }, print }, "bad argument #1 to 'retr_many'" },
    { "retr_many", { { 1 } }, "bad argument #2 to 'retr_many'" },
    { "retr_many", { { 1 }, {} }, "bad argument #2 to 'retr_many'" },
    { "retr_many", { { 1 }, { sink = 1 } }, "bad argument #2 to 'retr_many'" },
    { "retr_many", { { 1 }, { sink = print, done = 1 } }, "bad argument #2 to 'retr_many'" },
    { "retr_many", { { 1 }, print, { stat = true } }, "unknown option 'stat' to 'retr_many'" },
    { "retr_many", { { 1 }, print, { quit = 1 } }, "bad option 'quit' to 'retr_many'" },
    { "dele_many", { 1 }, "bad argument #1 to 'dele_many'" },
    { "dele_many", { { {} } }, "bad argument #1 to 'dele_many'" },
    { "login", { "me", "x", { stats = true } }, "'stat'" },
    { "login", { "me", "x", 1 }, "bad argument #3 to 'login'" },
    { "quit", { { wait = 1 } }, "bad option 'wait' to 'quit'" },
    { "quit", { 1 }, "bad argument #1 to 'quit'" },
    { "messages", { 1 }, "bad argument #1 to 'messages'" },
    { "messages", { { sinces = {} } }, "unknown option 'sinces' to 'messages'" },
    { "messages", { { order = "random" } }, "bad option 'order' to 'messages'" },
    { "messages", { { ahead = "1" } }, "bad option 'ahead' to 'messages'" },
    { "messages", { { ahead = -1 } }, "bad option 'ahead' to 'messages'" },
    { "messages", { { ahead = 0 / 0 } }, "bad option 'ahead' to 'messages'" },
    { "messages", { { since = "uid" } }, "bad option 'since' to 'messages'" },
  }

  it("is an ordinary error that names it and our caller; nothing is sent", function()
    local unpack = require("spec.support.lua").unpack
    for _, module in ipairs { pop3, pop3.safe } do
      local s = server.start { { { mailbox = { messages = { "a: 1\r\n\r\n" }, open = true } } } }
      local conn = module.POP3(s.host, s.port, { timeout = 20 })
      for _, case in ipairs(cases) do
        local ok, err = pcall(function()
          local first = conn[case[1]](conn, unpack(case[2]))
          return first
        end)
        assert.is_false(ok, case[1] .. " took it: " .. case[3])
        assert.truthy(tostring(err):find(case[3], 1, true),
          ("%s: %s expected, not %s"):format(case[1], case[3], tostring(err)))
        assert.truthy(tostring(err):find("sinks_options_spec.lua", 1, true), tostring(err))
      end
      conn:close()
      assert.same({}, s:report().connections[1].commands)
    end
  end)

  it("may be the receiver itself", function()
    local conn = open { "a: 1\r\n\r\n" }
    for _, method in ipairs { "retr_string", "retr_to", "retr_lines", "retr_chunks",
      "retr_many", "dele_many", "messages", "listing", "login", "quit" } do
      for _, wrong in ipairs { 1, "x", {}, print, io.stdout, false } do
        claims.misuse(conn[method], wrong, { 1 }, print)
      end
    end
    local lines = conn:retr_lines(1)
    for _, method in ipairs { "next", "close" } do
      for _, wrong in ipairs { 1, "x", {}, print, io.stdout, false } do
        claims.misuse(lines[method], wrong)
      end
    end
    lines:close()
    conn:quit()
  end)
end)
