--- T62: every allocation of Lua fails in turn, through the whole API. What
-- comes of it is a Lua error and a connection that can be closed; no crash, no
-- descriptor left, no half of a message that is called complete.

local certificates = require "spec.support.certificates"
local descriptors = require "spec.support.descriptors"
local files = require "spec.support.files"
local pop3 = require "pop3"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"
local starve = require "spec.support.starve"

local mails = {}
for n = 1, 6 do
  mails[n] = ("Subject: %d\r\n\r\n"):format(n) .. ("x"):rep(300) .. "\r\n.y\r\n"
end

local path = sinks.path()

local function check(n, text) assert(text == mails[n], "another text") end

-- What is done with a connection that is logged in; it asserts what it got.
local calls = {
  poplib = function(conn)
    conn:stat()
    conn:list()
    conn:uidl(1)
    conn:retr(1)
  end,
  retr_string = function(conn)
    check(2, (conn:retr_string(2, { hash = "sha256", max_octets = 1000 })))
    conn:retr_string(2, { top = 1, eol = "lf" })
  end,
  ["retr_to a function"] = function(conn)
    local sink, got = sinks.collector()
    conn:retr_to(2, sink, { hash = "sha256" })
    check(2, got.text)
  end,
  ["retr_to a path"] = function(conn) conn:retr_to(2, { path = path }) end,
  iterators = function(conn)
    local lines, count = conn:retr_lines(2), 0
    while lines:next() do count = count + 1 end
    assert(count == 4)
    local chunks = conn:retr_chunks(2)
    chunks:next()
    chunks:close()
  end,
  ["retr_many, a callback"] = function(conn)
    local seen = 0
    conn:retr_many({ 1, 2, 9, 3, 4, 5, 6 }, function(n, text)
      if n ~= 9 then check(n, text) end
      seen = seen + 1
    end, { hash = "sha256" })
    assert(seen == 7)
  end,
  ["retr_many, sinks"] = function(conn)
    local seen = 0
    conn:retr_many({ 1, 2, 9 }, {
      sink = function(n) return n == 2 and { path = path } or function() end end,
      done = function() seen = seen + 1 end,
    }, { quit = true })
    assert(seen == 3)
  end,
  dele_many = function(conn)
    local good, bad, errors = conn:dele_many { 1, 2, 2 }
    assert(good == 2 and bad == 1 and errors[2])
    conn:quit()
  end,
  messages = function(conn)
    local list = conn:messages { since = { "x" }, order = "newest" }
    for _ = 1, 3 do
      local m = list:next()
      check(m.number, m:text())
      m:headers(1)
    end
  end,
}

-- Lua 5.2's string library has another word for it.
local function is_lack(err)
  local text = tostring(err)
  return text:find("not enough memory", 1, true) ~= nil
    or text:find("stack overflow (too many captures)", 1, true) ~= nil
end

describe("Starved of memory (T62),", function()
  local s

  setup(function()
    s = server.start { accepts = 0, keep = 0, record = 0, deadline = 540,
      connections = { { { mailbox = { messages = mails, stls = certificates.server "exact",
        capa = { "PIPELINING", "UIDL", "TOP" } } } } } }
  end)

  teardown(function() s:stop() end)

  for name, call in pairs(calls) do
    for times = 1, 3, 2 do
      it(name .. " fails cleanly, " .. times .. " in a row", function()
        collectgarbage()
        collectgarbage()
        local before = descriptors.held()
        local conn
        local finished = false
        starve.each(function()
          conn = pop3.POP3(s.host, s.port, { timeout = 20, cache = {} })
          conn:login("me", "x", { stat = true })
          call(conn)
          finished = true
        end, function(_, ok, err)
          assert(ok == finished)
          if not ok then
            assert(is_lack(err), tostring(err))
          end
          if conn then conn:close() end
          conn = nil
          local file = io.open(path, "rb")
          if file then
            file:close()
            check(2, files.read(path)) -- a file that is there is whole
            os.remove(path)
          end
          finished = false -- here: in 5.2 the call itself may fail
        end, times)
        collectgarbage()
        collectgarbage()
        assert.equal(before, descriptors.held())
      end)
    end
  end

  it("tls_info is whole or an error", function()
    local other = server.start { {
      { tls = certificates.server "ip" }, "S: +OK ready", { auto = {} },
    } }
    finally(function() other:stop() end)
    local conn = pop3.POP3_SSL(other.host, other.port,
      { cafile = certificates.cafile })
    local wanted, info = conn:tls_info(), nil
    starve.each(function()
      info = nil
      info = conn:tls_info()
    end, function(_, ok, err)
      if ok then return assert.same(wanted, info) end
      assert(is_lack(err), tostring(err))
    end, 1)
    conn:quit()
  end)

  -- Who knows the password is never found out by a lack of memory.
  local logins = {
    ["SCRAM"] = { { "C: CAPA",
      { send = "+OK\r\nSASL SCRAM-SHA-256\r\n.\r\n" },
      { scram = { password = "secret" } }, "C: STAT", "S: +OK 0 0" },
      function(conn)
        local _, extras = conn:login("me", "secret", { stat = true })
        assert(extras.stat.count == 0)
      end },
    ["a token"] = { { "C: CAPA", { send = "+OK\r\nSASL XOAUTH2\r\n.\r\n" },
      "C: AUTH XOAUTH2", "S: +", { match = ".+" }, "S: +OK" },
      function(conn)
        conn:login("me", nil, { token = ("t"):rep(9000),
          auth = { "OAUTHBEARER", "XOAUTH2" } })
      end },
    ["a function"] = { { "C: AUTH X aGk=", "S: + Zm9v", { match = ".+" },
      "S: +OK" }, function(conn)
        conn:authenticate("X", function(asked) return asked .. "!" end, "hi")
      end },
  }
  for name, row in pairs(logins) do
    it("a login by " .. name .. " fails cleanly", function()
      local steps = { "S: +OK ready" }
      for _, step in ipairs(row[1]) do steps[#steps + 1] = step end
      local other = server.start { accepts = 0, keep = 0, record = 0,
        connections = { steps } }
      finally(function() other:stop() end)
      local conn
      local finished = false
      starve.each(function()
        conn = pop3.POP3(other.host, other.port, { timeout = 20 })
        row[2](conn)
        finished = true
      end, function(_, ok, err)
        assert(ok == finished)
        if not ok then
          assert(is_lack(err), tostring(err))
        end
        if conn then conn:close() end
        conn, finished = nil, false
      end, 2)
    end)
  end

  it("opening by TLS fails cleanly", function()
    local conn
    starve.each(function()
      conn = pop3.POP3(s.host, s.port, { timeout = 20, tls = "starttls",
        cafile = certificates.cafile, servername = certificates.name })
    end, function()
      if conn then conn:close() end
      conn = nil
    end, 3)
  end)

  it("opening by a proxy fails cleanly", function()
    local proxy = server.start { accepts = 0, keep = 0, record = 0,
      connections = { { { read = 4 }, { send = "\5\2" }, { read = 12 },
        { send = "\1\0" }, { read = 10 }, { send = "\5\0\0\1\0\0\0\0\0\0" },
        "S: +OK" } } }
    local before = descriptors.held()
    local conn
    starve.each(function()
      conn = pop3.POP3("192.0.2.1", 110, { on_address = function() end,
        proxy = { url = "socks5://127.0.0.1:" .. proxy.port, user = "joe",
          password = "secret" } })
    end, function(_, ok, err)
      assert(ok or is_lack(err) or err.name == "restricted", tostring(err))
      if conn then conn:close() end
      conn = nil
    end, 3)
    collectgarbage()
    collectgarbage()
    assert.equal(before, descriptors.held())
    proxy:stop()
  end)

  it("T59 an address that is refused is connected to by no lack", function()
    starve.each(function()
      pop3.POP3(s.host, s.port, { on_address = function() return false end })
    end, function(_, ok) assert(not ok) end, 1)
  end)
end)
