--- threats.md, T52 and T53: numbers that are none, and strings that are too much,
-- wherever a script may hand one in.
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local lua = require "spec.support.lua"
local pop3 = require "pop3"
local server = require "spec.support.server"

after_each(server.stop_all)

local function connect()
  local s = server.start { accepts = 0, complaints = true,
    connections = { { "S: +OK ready <1.2@example.org>",
      { auto = { { "TOP .*", "+OK\r\n.\r\n" }, { ".*", "+OK\r\n" } } } } } }
  return pop3.POP3(s.host, s.port, { timeout = 5 }), s
end

local function received(conn, s)
  conn:close()
  return s:report().connections[1].received
end

-- ------------------------------------------------------------ T52

-- Above 2^53 a float is several whole numbers; where there are integers, each
-- of them is itself.
local NONE = {
  ["NaN"] = 0 / 0, ["inf"] = math.huge, ["-inf"] = -math.huge, ["1.5"] = 1.5,
  ["-1"] = -1, ["-1.5"] = -1.5, ["2^53 + 2"] = 2.0 ^ 53 + 2, ["2^63"] = 2.0 ^ 63,
  ["2^64"] = 2.0 ^ 64, ["1e308"] = 1e308, ["5e-324"] = 5e-324,
}

-- Each place for a number: call(conn, number).
local places = {
  ["list's message"] = function(conn, n) return conn:list(n) end,
  ["uidl's message"] = function(conn, n) return conn:uidl(n) end,
  ["retr's message"] = function(conn, n) return conn:retr(n) end,
  ["dele's message"] = function(conn, n) return conn:dele(n) end,
  ["top's message"] = function(conn, n) return conn:top(n, 0) end,
  ["top's lines"] = function(conn, n) return conn:top(1, n) end,
  ["retr_string's message"] = function(conn, n) return conn:retr_string(n) end,
  ["retr_to's message"] = function(conn, n) return conn:retr_to(n, print) end,
  ["retr_lines' message"] = function(conn, n) return conn:retr_lines(n) end,
  ["retr_chunks' message"] = function(conn, n) return conn:retr_chunks(n) end,
  ["retr_many's messages"] = function(conn, n) return conn:retr_many({ 1, n }, print) end,
  ["dele_many's messages"] = function(conn, n) return conn:dele_many { n, 1 } end,
  ["the option top"] = function(conn, n) return conn:retr_string(1, { top = n }) end,
  ["the option max_octets of a call"] = function(conn, n)
    return conn:retr_string(1, { max_octets = n })
  end,
  ["a descriptor"] = function(conn, n) return conn:retr_to(1, n) end,
  ["a port"] = function(_, n) return pop3.POP3("127.0.0.1", n) end,
  ["max_line"] = function(_, n) return pop3.POP3("127.0.0.1", 1, { max_line = n }) end,
  ["max_items"] = function(_, n) return pop3.POP3("127.0.0.1", 1, { max_items = n }) end,
  ["security_level"] = function(_, n) return pop3.context { security_level = n } end,
  ["a secret's fd"] = function(_, n) return pop3.secret { fd = n } end,
}

describe("T52 A number that is none", function()
  for place, call in pairs(places) do
    it("is refused as " .. place .. ", and nothing is sent", function()
      local conn, s = connect()
      for name, number in pairs(NONE) do
        local ok, text = pcall(call, conn, number)
        assert.is_false(ok, name)
        assert.equal("string", type(text), name .. ": " .. tostring(text))
        assert.truthy(text:find("bad ", 1, true), name .. ": " .. text)
      end
      assert.equal("", received(conn, s))
    end)
  end

  it("is refused as a timeout", function()
    for _, number in ipairs { 0 / 0, -math.huge, 0, -0.0, -1 } do
      for _, key in ipairs { "timeout", "connect_timeout", "total_timeout" } do
        claims.misuse(pop3.POP3, "127.0.0.1", 1, { [key] = number })
      end
      if number ~= number or number <= 0 then
        claims.misuse(pop3.setdefaulttimeout, number)
      end
    end
  end)

  it("has no row in a listing, and no message", function()
    local l = pop3.listing({ "1 10" }, { "1 a" })
    for name, number in pairs(NONE) do assert.is_nil(l[number], name) end
    assert.is_nil(l[-0.0])
  end)
end)

describe("T52 A number that is one", function()
  it("is sent with all of its digits, -0 as 0", function()
    local conn, s = connect()
    for _, number in ipairs { -0.0, 0, 1, 2 ^ 31, 2 ^ 32, 2 ^ 53 - 1, 2 ^ 53 } do
      conn:dele(number)
    end
    assert.equal("DELE 0\r\nDELE 0\r\nDELE 1\r\nDELE 2147483648\r\nDELE 4294967296\r\n"
      .. "DELE 9007199254740991\r\nDELE 9007199254740992\r\n", received(conn, s))
  end)

  if lua.has_integers then
    it("is an integer: above 2^53, too", function()
      local conn, s = connect()
      local odd = math.tointeger(2 ^ 53) + 1 -- luacheck: ignore
      conn:dele(odd)
      conn:dele(math.maxinteger) -- luacheck: ignore
      claims.misuse(conn.dele, conn, math.mininteger) -- luacheck: ignore
      assert.equal("DELE 9007199254740993\r\nDELE 9223372036854775807\r\n", received(conn, s))
    end)
  end
end)

-- ------------------------------------------------------------ T53, NUL

-- Each place for a string but commands' arguments, which arguments_spec has.
local nul_places = {
  host = function(text) return pop3.POP3(text, 1) end,
  servername = function(text) return pop3.context { servername = text } end,
  cafile = function(text) return pop3.context { cafile = text } end,
  ciphers = function(text) return pop3.context { ciphers = text } end,
  min_version = function(text) return pop3.context { min_version = text } end,
  tls = function(text) return pop3.POP3("127.0.0.1", 1, { tls = text }) end,
  ["an option's name"] = function(text) return pop3.context { [text] = true } end,
  ["a secret's path"] = function(text) return pop3.secret { path = text } end,
  ["a secret's env"] = function(text) return pop3.secret { env = text } end,
  ["a secret's key"] = function(text) return pop3.secret { [text] = "HOME" } end,
  ["hash"] = function(text, conn) return conn:retr_string(1, { hash = text }) end,
  ["eol"] = function(text, conn) return conn:retr_string(1, { eol = text }) end,
  ["a sink's path"] = function(text, conn) return conn:retr_to(1, { path = text }) end,
  ["session"] = function(text) return pop3.POP3("127.0.0.1", 1, { session = text }) end,
}

describe("T53 A string with a NUL", function()
  -- What comes before it would be good.
  local good = {
    host = "127.0.0.1", servername = "mail.example", cafile = "/dev/null",
    ciphers = "HIGH", min_version = "1.2", tls = "none", ["an option's name"] = "verify",
    ["a secret's path"] = "/dev/null", ["a secret's env"] = "HOME",
    ["a secret's key"] = "env", hash = "sha256", eol = "lf", session = "",
    ["a sink's path"] = os.tmpname() .. ".none",
  }
  for place, call in pairs(nul_places) do
    it("is refused as " .. place, function()
      local conn, s = connect()
      for _, text in ipairs { good[place] .. "\0", good[place] .. "\0x", "\0" } do
        local ok, err = pcall(call, text, conn)
        assert.is_false(ok)
        if type(err) == "table" then
          assert.equal("tls/config", err.kind .. "/" .. err.name)
        end
      end
      assert.is_nil(io.open(good["a sink's path"]))
      assert.equal("", received(conn, s))
    end)
  end
end)

-- ------------------------------------------------------------ T53, 1 GiB

-- In a process of its own, which may have some of these, but not many. Prints
-- how each call ended, and that its text is short.
local HUGE = [[
  local pop3 = require "pop3"
  local core = require "pop3.core"
  local host, port = ...
  -- In two steps: 5.1 builds a string of one octet octet by octet.
  local huge = ("9"):rep(2 ^ 20):rep(2 ^ 10)
  assert(#huge == 2 ^ 30)
  local conn = pop3.POP3(host, tonumber(port), { timeout = 20 })
  local calls = {
    { "host", pop3.POP3, huge, 1 },
    { "option", pop3.POP3, host, 1, { [huge] = 1 } },
    { "word", pop3.POP3, host, 1, { tls = huge } },
    { "number", pop3.POP3, host, 1, { timeout = huge } },
    { "pipelining", pop3.POP3, host, 1, { pipelining = huge } },
    { "cafile", pop3.context, { cafile = huge } },
    { "servername", pop3.POP3_SSL, host, 1, { servername = huge } },
    { "ciphers", pop3.context, { ciphers = huge } },
    { "version", pop3.context, { min_version = huge } },
    { "session", pop3.POP3, host, 1, { session = huge } },
    { "hash", conn.retr_string, conn, 1, { hash = huge } },
    { "eol", conn.retr_string, conn, 1, { eol = huge } },
    { "path", conn.retr_to, conn, 1, { path = huge } },
    { "save", function() error(core.save(huge, "x"), 0) end },
    { "secret's path", function() conn:pass_(pop3.secret { path = huge }) end },
    { "secret's env", function() conn:pass_(pop3.secret { env = huge }) end },
    { "secret's key", pop3.secret, { [huge] = "x" } },
    { "method", core.begin, conn, huge },
    { "class", core.connect, huge, false, host, "x", {} },
    { "reason", function() error(core.aborted(huge), 0) end },
    { "messages' option", conn.messages, conn, { [huge] = 1 } },
    { "messages' order", conn.messages, conn, { order = huge } },
    { "loop", pop3.POP3, host, 1, { loop = huge } },
    { "policy's option", pop3.restrict, { [huge] = 1 } },
    { "policy's server", pop3.restrict, { servers = { huge } } },
    { "policy", pop3.restrict, { servers = { host } } }, -- from here on
    { "refused server", pop3.POP3, huge, 1 },
    { "admit", function() error(select(2, core.admit(huge, 1)), 0) end },
  }
  local unpack = table.unpack or unpack
  for _, call in ipairs(calls) do
    local ok, err = pcall(unpack(call, 2))
    local short = #tostring(err) < 5000
    if ok or not short then
      print(call[1] .. (ok and " passes" or " is shown as a whole"))
    end
    err = nil
  end
  -- As arguments of commands: refused for their last octet.
  for _, ending in ipairs { "\n", "\r", "\0" } do
    local text = huge .. ending
    for _, method in ipairs { "user", "pass_", "retr", "dele", "command", "list" } do
      local ok, err = pcall(conn[method], conn, text)
      if ok or #err > 5000 then print(method) end
    end
  end
  print(conn:noop())
]]

describe("T53 A string of 1 GiB", function()
  it("is refused wherever it is of no use, and shown in part", function()
    if os.getenv "POP3_WHOLE" ~= "yes" then
      return pending("half a minute: --long")
    end
    -- An instrumented allocator takes minutes.
    if os.getenv "POP3_SANITIZED" or os.getenv "POP3_VALGRIND" then
      return pending("slow here")
    end
    local s = server.start { deadline = 260, connections = { { "S: +OK", "C: NOOP", "S: +OK" } } }
    local result = child.run { script = HUGE, deadline = 250, arguments = { s.host, s.port } }
    if lua.is_32_bit and result.err:find("not enough memory", 1, true) then
      return pending("two copies of it have no room in 32 bits")
    end
    assert.equal("", result.err)
    assert.equal("policy passes\n+OK\n", result.out)
    assert.equal("NOOP\r\n", s:report().connections[1].received)
  end)
end)
