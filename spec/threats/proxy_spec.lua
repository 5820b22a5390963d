--- Proxies are hostile input, too: what they say ends in a typed error that
-- shows nothing of theirs raw and nothing of ours at all, the connection closed,
-- in bounded memory and time (T10, T11, T15, T17, T22, T24, T58, T59).
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local server = require "spec.support.server"
local ways = require "spec.support.ways"

local fails, within = claims.fails, claims.within

after_each(server.stop_all)

teardown(child.clean)

local through = ways.through
local MIB = 1048576

-- What a proxy sends as soon as somebody connects, and how that ends.
local rows = {
  { "socks5", "HTTP/1.1 400 Bad Request\r\n\r\n", "proto", "is it a SOCKS5 proxy" },
  { "socks5", "+OK POP3\r\n", "proto", "is it a SOCKS5 proxy" },
  { "socks5", "\4\90", "proto", "not SOCKS5's" },
  { "socks5", "\5\1", "proto", "was not offered" },
  { "socks5", "\5\2", "proto", "was not offered" },
  { "socks5", "\5\255", "auth", "give user and password" },
  { "socks5", "\5\0\5\1\0\1", "io", "general failure" },
  { "socks5", "\5\0\5\2\0\1", "io", "not allowed by its rules" },
  { "socks5", "\5\0\5\5\0\1", "io", "connection refused" },
  { "socks5", "\5\0\5\0\0\9", "proto", "unknown type 9" },
  { "socks5", "\5\0\4\0\0\1", "proto", "not SOCKS5's" },
  { "socks5", "\5", "proto", "closed the connection" },
  { "socks5", "\5\0\5\0\0\3\255x", "proto", "closed the connection" },
  { "socks5", "", "proto", "closed the connection" },
  { "http", "HTTP/1.1 407 Authenticate\r\n\r\n", "auth", "give user and password" },
  { "http", "HTTP/1.1 403 Forbidden\r\n\r\n", "io", "HTTP 403 Forbidden" },
  { "http", "HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n", "io",
    "HTTP 302 Found" },
  { "http", "HTTP/1.1 200 OK\r\nno header here\r\n\r\n", "proto", "HTTP" },
  { "http", "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", "proto", "octet 0" },
  { "http", "HTTP/1.1 200 O\27[2JK\r\n\r\n", "proto", "octet 27" },
  { "http", "HTTP/1.1 403 \155[2J\r\n\r\n", "io", "\\x9b[2J" },
  { "http", "\5\0", "proto", "is it an HTTP proxy" },
  { "http", "+OK POP3 ready\r\n", "proto", "+OK POP3 ready" },
  { "http", "HTTP/1.1 200 OK\r\nA: b\r\n", "proto", "closed the connection" },
  { "http", "", "proto", "closed the connection" },
}

describe("A hostile proxy", function()
  for i, row in ipairs(rows) do
    local scheme, said, kind, text = row[1], row[2], row[3], row[4]
    it(("is an error of %s (%d): %s"):format(kind, i, text), function()
      for _, drip in ipairs { false, true } do
        local s = server.start { connections = { { { send = said, drip = drip },
          { shutdown = true }, { eof = true } } } }
        local err = fails(kind, "proxy", through, s, scheme)
        assert.truthy(tostring(err):find(text, 1, true), tostring(err))
        assert.truthy(tostring(err):find("proxy 127.0.0.1:" .. s.port .. ": ", 1,
          true), tostring(err))
        assert.falsy(tostring(err):find("%c"))
        s:report() -- we have hung up
      end
    end)
  end

  it("does not end anything by a reset", function()
    for _, scheme in ipairs { "socks5", "http" } do
      local s = server.start { { { read = 3 }, { reset = true } } }
      local err = fails("io", "econnreset", through, s, scheme)
      assert.truthy(tostring(err):find("^proxy "), tostring(err))
      s:stop()
    end
  end)

  local endless = {
    ["an endless line"] = { { send = "HTTP/1.1 200 " },
      { send = ("x"):rep(65536), times = 16384 } },
    ["an endless header"] = { "S: HTTP/1.1 200 OK",
      { send = ("a: b\r\n"):rep(10000), times = 16384 } },
    ["endless replies"] = { { send = ("HTTP/1.1 100 x\r\n\r\n"):rep(4000),
      times = 16384 } },
  }

  for what, steps in pairs(endless) do
    it("T17 does not fill the memory by " .. what, function()
      local s = server.start { connections = { steps }, accepts = 0 }
      collectgarbage()
      local before = claims.resident()
      local err
      within(20, function() err = fails("proto", "proxy", through, s, "http") end)
      assert.truthy(tostring(err):find("more than", 1, true), tostring(err))
      local grown = claims.resident() - before
      assert.is_true(grown < 4 * MIB or os.getenv "POP3_SANITIZED" ~= nil, grown)
      s:stop()
    end)
  end

  it("T10 does not hold a client by an octet now and then, nor by silence", function()
    local drips = {}
    for _ = 1, 100 do
      drips[#drips + 1] = { send = "x" }
      drips[#drips + 1] = { delay = 0.05 }
    end
    table.insert(drips, 1, { send = "HTTP/1.1 200 " })
    for _, steps in ipairs { drips, { { stall = true } } } do
      for _, scheme in ipairs { "http", "https" } do
        local s = server.start { steps }
        local own = { connect_timeout = 0.3 }
        local ok, err = pcall(through, s, scheme, own)
        assert.is_false(ok)
        assert.is_true(err.kind == "timeout" and err.name == "connect"
          or scheme == "https" and err.kind == "tls", tostring(err))
        s:stop()
      end
    end
  end)

  it("T22 does not get us to show a login that it repeats", function()
    for _, said in ipairs {
      "HTTP/1.1 407 am9lOmh1bnRlcjI= hunter2\r\n\r\n",
      "HTTP/1.1 403 am9lOmh1bnRlcjI= hunter2\r\n\r\n",
      "hunter2 am9lOmh1bnRlcjI=\r\n",
    } do
      local s = server.start { { { expect = true }, { expect = true },
        { expect = true }, { send = said } } }
      local ok, err = pcall(through, s, "http", { login = "joe:hunter2" })
      assert.is_false(ok)
      for _, text in pairs { err.message, err.response or "", tostring(err) } do
        assert.falsy(text:find("hunter2", 1, true), text)
        assert.falsy(text:find("am9lOm", 1, true), text)
      end
      s:stop()
    end
  end)

  it("is asked once: a login that it refuses is not tried again", function()
    local s = server.start { connections = { { { expect = true },
      { expect = true }, { expect = true }, { expect = "" },
      "S: HTTP/1.1 407 Again\r\n", { eof = true } } }, accepts = 0 }
    fails("auth", "proxy", through, s, "http", { login = "joe:secret" })
    local report = s:report()
    assert.equal(1, report.accepted)
    assert.equal("", report.connections[1].extra)
  end)

  it("whose tunnel leads to no POP3 server is found out", function()
    local s = server.start { ways.socks("S: HTTP/1.1 400 Bad Request",
      { eof = true }) }
    local ok, err = pcall(through, s, "socks5")
    assert.is_false(ok)
    assert.falsy(tostring(err):find("^proxy"), tostring(err))
    s:stop()
  end)
end)

-- ------------------------------------------------------------ restrict

describe("Under restrict", function()
  local PREAMBLE = [[
    local pop3 = require "pop3"
    local port = tonumber((...))
    local function say(f, ...)
      local ok, err = pcall(f, ...)
      print(ok and "ok" or err.kind .. " " .. tostring(err))
    end
    local function through(host, options)
      options = options or {}
      options.proxy = options.proxy or "socks5://127.0.0.1:" .. port
      say(pop3.POP3, host, 110, options)
    end
  ]]

  local function run(script, port)
    return child.lines { script = PREAMBLE .. script, arguments = { port } }
  end

  local function proxy(size)
    return server.start { connections = { { { read = 3 }, { send = ways.GREETED },
      { read = size }, { send = ways.CONNECTED }, "S: +OK" } },
      accepts = 0 }
  end

  it("T58 a script goes no way of its own", function()
    local s = proxy(1)
    claims.lines({ "policy pop3.restrict refuses a proxy (ways = false)",
      "refuses local_address (ways = false)",
      "refuses unix_socket (files = false)", "ok" }, run([[
      pop3.restrict { on_address = function() return true end }
      through "mail.example.org"
      say(pop3.POP3, "127.0.0.1", port, { local_address = "127.0.0.1" })
      say(pop3.POP3, "a", 1, { unix_socket = "/run/a" })
      say(function() end)
    ]], s.port))
    assert.equal(0, s:report().accepted)
  end)

  it("T59 servers and ports are those that are asked for", function()
    local s = proxy(ways.REQUEST)
    claims.lines({ "ok", "refuses server evil.example", "refuses port 25" }, run([[
      pop3.restrict { ways = true, servers = { "mail.example.org", "127.0.0.1" },
        ports = { 110 } }
      through "mail.example.org"
      through "evil.example"
      say(pop3.POP3, "mail.example.org", 25, { proxy = "http://127.0.0.1:1" })
    ]], s.port))
    assert.equal(1, s:report().accepted)
  end)

  it("T59 the proxy is a peer like any other", function()
    local s = proxy(1)
    claims.lines({ "refuses address 127.0.0.1" }, run([[
      pop3.restrict { ways = true }
      through "mail.example.org"
    ]], s.port))
    assert.equal(0, s:report().accepted)
  end)

  it("T59 no address is reached by a proxy that is not reached without", function()
    local s = proxy(10)
    claims.lines({ "refuses address 10.0.0.1", "refuses address 127.0.0.1",
      "refuses address ::1", "ok" }, run([[
      pop3.restrict { ways = true, on_address = function(_, address, p)
        if address == "127.0.0.1" and p == port then return true end
      end }
      through "10.0.0.1"
      through "127.0.0.1"
      through "[::1]"
      through "9.9.9.9"
    ]], s.port))
    assert.equal(1, s:report().accepted)
  end)

  it("T58 the certificates of a proxy's TLS are files as well", function()
    claims.lines({ "refuses cafile (files = false)" }, run([[
      pop3.restrict { ways = true, on_address = function() return true end }
      through("mail.example.org", { proxy = "https://127.0.0.1:" .. port,
        proxy_tls = { cafile = "/etc/passwd" } })
    ]], 1))
  end)
end)
