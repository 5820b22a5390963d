--- Ways through a proxy (docs/ways.md): SOCKS5, CONNECT, TLS to it and behind it,
-- proxies that nobody here wrote. What hostile ones do is in
-- threats/proxy_spec.lua.
local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local files = require "spec.support.files"
local lua = require "spec.support.lua"
local mailbox = require "spec.support.mailbox"
local pop3 = require "pop3"
local proxies = require "spec.support.proxies"
local server = require "spec.support.server"
local ways = require "spec.support.ways"

local fails, misuse = claims.fails, claims.misuse
local NAME, GREETED, CONNECTED = ways.NAME, ways.GREETED, ways.CONNECTED
local REQUEST = ways.REQUEST
local socks, http, through = ways.socks, ways.http, ways.through
local url, record, MAILBOX = ways.url, ways.record, ways.MAILBOX

after_each(server.stop_all)
after_each(proxies.stop_all)

teardown(child.clean)

-- ------------------------------------------------------------ SOCKS5

describe("A SOCKS5 proxy", function()
  for _, scheme in ipairs { "socks5", "socks5h", "SOCKS5" } do
    it("is asked for the name by " .. scheme .. "://", function()
      local s = server.start { socks("S: +OK ready", "C: NOOP", "S: +OK") }
      local conn = through(s, scheme)
      assert.equal("+OK ready", conn:getwelcome())
      assert.equal("+OK", conn:noop())
      local info = conn:info()
      assert.same({ NAME, 110, "127.0.0.1", ("socks5://127.0.0.1:%d"):format(
        s.port), 1 }, { info.host, info.port, info.address, info.proxy,
        info.attempts })
      conn:close()
      assert.equal("\5\1\0\5\1\0\3" .. string.char(#NAME) .. NAME
        .. "\0\110NOOP\r\n", record(s).clear)
    end)
  end

  it("is given addresses as such", function()
    local s = server.start { { { read = 3 }, { send = GREETED }, { read = 10 },
      { send = CONNECTED }, "S: +OK" },
      { { read = 3 }, { send = GREETED }, { read = 22 }, { send = CONNECTED },
        "S: +OK" } }
    for _, host in ipairs { "192.0.2.1", "[2001:db8::1]" } do
      pop3.POP3(host, 110, { proxy = url("socks5", s) }):close()
    end
    local list = s:report().connections
    assert.equal("\5\1\0\5\1\0\1\192\0\2\1\0\110", list[1].clear)
    assert.equal("\5\1\0\5\1\0\4\32\1\13\184" .. ("\0"):rep(11) .. "\1\0\110",
      list[2].clear)
  end)

  it("is told user and password if it wants to know", function()
    for _, password in ipairs { "se:cret",
      function() return "se:cret" end } do
      local s = server.start { { { read = 4 }, { send = "\5\2" }, { read = 13 },
        { send = "\1\0" }, { read = REQUEST }, { send = CONNECTED }, "S: +OK" } }
      local conn = pop3.POP3(NAME, 110, { proxy = { type = "socks5",
        host = "127.0.0.1", port = s.port, user = "joe", password = password } })
      assert.equal(url("socks5", s), conn:info().proxy)
      conn:close()
      assert.equal("\5\2\0\2\1\3joe\7se:cret\5\1\0\3", record(s).clear:sub(1, 21))
    end
  end)

  it("is told those of a URL, and of a pop3.secret", function()
    local path = os.tmpname()
    files.write(path, "se:cret\n")
    for _, proxy in ipairs {
      function(s) return url("socks5", s, "joe:se%3Acret") end,
      function(s) return { url = url("socks5", s), user = "joe",
        password = pop3.secret { path = path } } end,
    } do
      local s = server.start { { { read = 4 }, { send = "\5\2" }, { read = 13 },
        { send = "\1\0" }, { read = REQUEST }, { send = CONNECTED }, "S: +OK" } }
      pop3.POP3(NAME, 110, { proxy = proxy(s) }):close()
      assert.equal("\1\3joe\7se:cret", record(s).clear:sub(5, 17))
    end
    os.remove(path)
  end)

  it("is not told them if it takes none", function()
    local s = server.start { { { read = 4 }, { send = GREETED },
      { read = REQUEST }, { send = CONNECTED }, "S: +OK" } }
    pop3.POP3(NAME, 110, { proxy = url("socks5", s, "joe:secret") }):close()
    assert.falsy(record(s).clear:find("secret", 1, true))
  end)

  it("loses no octet that comes behind its answer", function()
    local s = server.start { { { read = 3 }, { send = GREETED },
      { read = REQUEST }, { send = CONNECTED .. "+OK at once\r\n" }, "C: NOOP",
      "S: +OK" } }
    local conn = through(s, "socks5")
    assert.equal("+OK at once", conn:getwelcome())
    conn:noop()
    conn:close()
    record(s)
  end)

  it("may answer octet by octet", function()
    local s = server.start { { { read = 3 }, { send = GREETED, drip = true },
      { read = REQUEST }, { send = "\5\0\0\3\3abc\0\1+OK slow\r\n",
        drip = true } } }
    local conn = through(s, "socks5")
    assert.equal("+OK slow", conn:getwelcome())
    conn:close()
    record(s)
  end)
end)

-- ------------------------------------------------------------ CONNECT

describe("An HTTP proxy", function()
  it("is asked by CONNECT", function()
    local s = server.start { http("S: +OK ready", "C: NOOP", "S: +OK") }
    local conn = through(s, "http")
    assert.equal("+OK ready", conn:getwelcome())
    conn:noop()
    assert.equal(url("http", s), conn:info().proxy)
    conn:close()
    record(s)
  end)

  it("is told user and password", function()
    local s = server.start { { { expect = ("CONNECT %s:110 HTTP/1.1"):format(NAME) },
      { expect = ("Host: %s:110"):format(NAME) },
      { expect = "Proxy-Authorization: Basic am9lOnNlOmNyZXQ=" }, { expect = "" },
      { send = "HTTP/1.1 200 OK\r\n\r\n+OK at once\r\n" } } }
    local conn = pop3.POP3(NAME, 110, { proxy = url("http", s, "joe:se:cret") })
    assert.equal("+OK at once", conn:getwelcome())
    conn:close()
    record(s)
  end)

  it("may answer octet by octet, and first that it goes on", function()
    local s = server.start { { { expect = true }, { expect = true },
      { expect = "" }, { send = "HTTP/1.1 103 Wait\r\na: b\r\n\r\n"
        .. "HTTP/1.0 200 OK\r\nc: d\r\n\r\n+OK slow\r\n", drip = true } } }
    local conn = through(s, "http")
    assert.equal("+OK slow", conn:getwelcome())
    conn:close()
    record(s)
  end)
end)

-- ------------------------------------------------------------ TLS

describe("Behind a proxy", function()
  it("TLS goes to the server, from the first octet", function()
    local steps = socks({ tls = certificates.server("exact", { alpn = { "pop3" } }) },
      MAILBOX)
    local s = server.start { steps }
    local conn = through(s, "socks5",
      { tls = "implicit", cafile = certificates.cafile })
    conn:login("joe", "secret")
    assert.equal("one\r\n", conn:retr_string(1))
    assert.equal("pop3", conn:info().tls.alpn)
    conn:quit()
    local facts = record(s)
    assert.equal(NAME, facts.tls.servername)
    assert.falsy(facts.clear:find("secret", 1, true))
  end)

  it("STLS does, too", function()
    local s = server.start { http(MAILBOX) }
    local conn = through(s, "http",
      { tls = "starttls", cafile = certificates.cafile })
    conn:login("joe", "secret")
    conn:quit()
    assert.falsy(record(s).clear:find("secret", 1, true))
  end)

  it("the server's certificate is for the server, not for the proxy", function()
    local s = server.start { socks { tls = certificates.server "exact" } }
    local err = fails("tls", "hostname", pop3.POP3_SSL, "also.example.org", 995,
      { proxy = url("socks5", s), cafile = certificates.cafile })
    assert.falsy(tostring(err):find("^proxy"))
  end)

  it("octets before the handshake are no part of it", function()
    local s = server.start { { { read = 3 }, { send = GREETED },
      { read = REQUEST }, { send = CONNECTED .. "+OK in clear\r\n" } } }
    local err = fails("tls", "handshake", through, s, "socks5",
      { tls = "implicit" })
    assert.truthy(tostring(err):find("+OK in clear", 1, true), tostring(err))
  end)

  it("T24 the peer is never this host", function()
    for scheme, steps in pairs { socks5 = socks(MAILBOX), http = http(MAILBOX) } do
      local s = server.start { steps }
      local conn = through(s, scheme)
      assert.equal("127.0.0.1", conn:info().address)
      fails("tls", "insecure", conn.login, conn, "joe", "secret")
      conn:close()
      assert.falsy(record(s).clear:find("joe", 1, true))
    end
    local s = server.start { socks(MAILBOX) }
    local conn = through(s, "socks5", { allow_cleartext = true })
    conn:login("joe", "secret")
    conn:quit()
  end)
end)

describe("pop3.open", function()
  local function open(s, more)
    local options = { host = NAME, user = "joe", password = "secret",
      proxy = url("socks5", s), cafile = certificates.cafile }
    for key, value in pairs(more) do options[key] = value end
    return pop3.open(options)
  end

  it("goes through a proxy", function()
    local s = server.start { socks({ tls = certificates.server "exact" }, MAILBOX) }
    local conn = open(s, {})
    assert.equal(1, (conn:stat()))
    assert.equal(url("socks5", s), conn:info().proxy)
    conn:quit()
    record(s)
  end)

  it("T24 sends no secret in clear through one", function()
    for _, tls in ipairs { "none", "opportunistic" } do
      local s = server.start { connections = { socks { mailbox = {
        messages = {} } } } }
      fails("tls", "insecure", open, s, { port = 110, tls = tls })
      local said = s:cut().connections[1]
      assert.falsy(said and said.received:find("joe", 1, true))
    end
  end)
end)

describe("TLS to a proxy", function()
  local to_proxy = { cafile = certificates.cafile, servername = NAME }
  local tls = { tls = certificates.server("exact", { alpn = { "pop3", "http/1.1" } }) }

  local function enclosed(steps)
    local own = { tls, { tunnel = true } }
    for _, step in ipairs(steps) do own[#own + 1] = step end
    return own
  end

  for scheme, make in pairs { ["socks5+tls"] = socks, https = http } do
    it("encloses the exchange by " .. scheme .. "://", function()
      local s = server.start { enclosed(make(MAILBOX)) }
      local conn = through(s, scheme, { proxy_tls = to_proxy,
        allow_cleartext = true })
      conn:login("joe", "secret")
      assert.equal("one\r\n", conn:retr_string(1))
      local info = conn:info()
      assert.same({ url(scheme, s), false }, { info.proxy, info.secure })
      conn:quit()
      local facts = record(s)
      assert.is_nil(facts.tls.alpn)
      assert.truthy(facts.secure:find("PASS secret", 1, true))
    end)

    it("encloses TLS to the server by " .. scheme .. "://", function()
      local s = server.start { enclosed(make(
        { tls = certificates.server "exact" }, { mailbox = {
          messages = { { "0123456789abcdef\r\n", 60000 } }, open = true } })) }
      local conn = through(s, scheme, { proxy_tls = to_proxy, tls = "implicit",
        cafile = certificates.cafile })
      assert.equal(60000 * 18, #conn:retr_string(1))
      assert.is_true(conn:info().secure)
      conn:quit()
      record(s)
    end)
  end

  it("takes STLS within", function()
    local s = server.start { enclosed(http(MAILBOX)) }
    local conn = through(s, "https", { proxy_tls = to_proxy, tls = "starttls",
      cafile = certificates.cafile })
    conn:login("joe", "secret")
    conn:quit()
    record(s)
  end)

  it("takes a context", function()
    local s = server.start { enclosed(http "S: +OK") }
    local conn = through(s, "https", { proxy_tls = pop3.context(to_proxy) })
    conn:close()
    assert.is_nil(record(s).tls.alpn)
  end)

  it("checks the proxy's certificate and name before anything is said", function()
    for name, options in pairs {
      certificate = { cafile = certificates.cafile, servername = NAME },
      hostname = { cafile = certificates.cafile, servername = "other.example" },
    } do
      local shown = name == "hostname" and "exact" or "unknown-root"
      local s = server.start { { { tls = certificates.server(shown) },
        { eof = true } } }
      local err = fails("tls", name, through, s, "https",
        { proxy_tls = options, tls = "implicit", verify = false,
          check_hostname = false })
      assert.truthy(tostring(err):find("^proxy 127%.0%.0%.1:%d+: "), tostring(err))
      local facts = s:report().connections[1]
      assert.equal("", facts.secure)
    end
  end)

  it("is for the proxy's name, where none is given", function()
    local s = server.start { enclosed(http "S: +OK") }
    local err = fails("tls", "hostname", through, s, "https",
      { proxy_tls = { cafile = certificates.cafile } })
    assert.truthy(tostring(err):find("127.0.0.1", 1, true), tostring(err))
    s = server.start { { { tls = certificates.server "ip" }, { tunnel = true },
      lua.unpack(http "S: +OK") } }
    through(s, "https", { proxy_tls = { cafile = certificates.cafile } }):close()
    record(s)
  end)

  it("is not what the server's options say", function()
    local s = server.start { { tls, { eof = true } } }
    fails("tls", "certificate", through, s, "https",
      { tls = "implicit", cafile = certificates.cafile, servername = NAME })
  end)

  it("needs TLS at the other side", function()
    local s = server.start { { "S: +OK I am no proxy" } }
    local err = fails("tls", "handshake", through, s, "https")
    assert.truthy(tostring(err):find("^proxy "), tostring(err))
    assert.truthy(tostring(err):find('it said "+OK I am no proxy', 1, true))
    assert.falsy(tostring(err):find("995", 1, true), tostring(err))
  end)
end)

-- ------------------------------------------------------------ real ones

describe("A proxy that nobody here wrote", function()
  local box

  setup(function()
    box = mailbox.start { "--sample", "2", "--user", "joe", "--password",
      "secret" }
  end)

  teardown(mailbox.stop_all)

  local function claim(text, kind, options, use)
    it(text, function()
      local proxy, reason = proxies.start(kind, options)
      if not proxy then return pending(reason) end
      use(proxy)
    end)
  end

  local function connect(scheme, port, options)
    options.proxy = options.proxy or ("%s://%s127.0.0.1:%d"):format(scheme,
      options.login and options.login .. "@" or "", port)
    options.login = nil
    options.cafile, options.connect_timeout = box.ca, 20
    return pop3.POP3_SSL("127.0.0.1", box.tls, options)
  end

  local function fetches(conn)
    conn:login("joe", "secret")
    assert.equal(2, (conn:stat()))
    assert.is_true(#conn:retr_string(1) > 0)
    conn:quit()
  end

  claim("connects us: microsocks", "socks5", nil, function(proxy)
    fetches(connect("socks5", proxy.port, {}))
    local err = fails("io", "proxy", pop3.POP3, "127.0.0.1", server.closed_port(),
      { proxy = "socks5://127.0.0.1:" .. proxy.port })
    assert.truthy(tostring(err):find("refused", 1, true), tostring(err))
  end)

  claim("knows user and password: microsocks", "socks5",
    { login = "ann:pass word" }, function(proxy)
      fetches(connect("socks5", proxy.port, { login = "ann:pass%20word" }))
      local err = fails("auth", "proxy", connect, "socks5", proxy.port, {})
      assert.truthy(tostring(err):find("give user and password", 1, true))
      err = fails("auth", "proxy", connect, "socks5", proxy.port,
        { login = "ann:guessed" })
      assert.truthy(tostring(err):find("refused user or password", 1, true))
      assert.falsy(tostring(err):find("guessed", 1, true))
    end)

  claim("connects us: tinyproxy", "http", nil, function(proxy)
    fetches(connect("http", proxy.port, {}))
    fails("io", "proxy", pop3.POP3, "127.0.0.1", server.closed_port(),
      { proxy = "http://127.0.0.1:" .. proxy.port })
  end)

  claim("knows user and password: tinyproxy", "http", { login = "ann:word" },
    function(proxy)
      fetches(connect("http", proxy.port, { login = "ann:word" }))
      fails("auth", "proxy", connect, "http", proxy.port, {})
      local err = fails("auth", "proxy", connect, "http", proxy.port,
        { login = "ann:guessed" })
      assert.falsy(tostring(err):find("guessed", 1, true))
    end)

  for scheme, kind in pairs { ["socks5+tls"] = "socks5", https = "http" } do
    claim("is reached by TLS: stunnel, and behind it " .. kind, kind,
      { login = "ann:word" }, function(proxy)
        local front, reason = proxies.start("tls", { to = proxy.port,
          certificate = certificates.file "exact", key = certificates.file "key" })
        if not front then return pending(reason) end
        local conn = connect(scheme, front.port, { login = "ann:word",
          proxy_tls = { cafile = certificates.cafile, servername = NAME } })
        assert.equal(("%s://127.0.0.1:%d"):format(scheme, front.port),
          conn:info().proxy)
        fetches(conn)
      end)
  end
end)

-- ------------------------------------------------------------ mistakes

describe("The option proxy", function()
  local SECRET = "hunter2"

  for text, value in pairs {
    ["a URL or a table"] = 7,
    ["a URL as"] = "127.0.0.1:1080",
    ["a URL as "] = "ftp://joe:" .. SECRET .. "@host",
    ["a URL as  "] = "socks4://host",
    ["a URL as   "] = "socks5://joe:" .. SECRET .. "@host/path",
    ["host is missing"] = "socks5://",
    ["host is missing "] = "http://joe:" .. SECRET .. "@:8080",
    ["neither a name nor an address"] = "socks5://a b",
    ["number from 1 to 65535"] = "socks5://host:0",
    ["number from 1 to 65535 "] = "socks5://host:65536",
    ["number from 1 to 65535  "] = "socks5://host:",
    ["number from 1 to 65535   "] = "socks5://joe:" .. SECRET .. "@host:x",
    ["two hexadecimal digits"] = "socks5://joe:" .. SECRET .. "%2@host",
    ["has no user"] = "socks5://:" .. SECRET .. "@host",
    ["1 to 255 octets  "] = "http://" .. ("a"):rep(256),
    ["unknown key"] = { url = "socks5://host", usr = "joe" },
    ["port is a number"] = { type = "http", host = "host", port = "1" },
    ["the host is missing"] = { type = "http" },
    ["type is one of"] = { type = "socks4", host = "host" },
    ["what type, host and port would"] = { url = "http://a", host = "b" },
    ["a password is a string"] = { type = "http", host = "a", user = "b",
      password = {} },
    ["1 to 255 octets"] = { type = "socks5", host = "a", user = "b",
      password = SECRET .. ("x"):rep(250) },
    ["1 to 255 octets "] = { type = "socks5", host = "a", user = "b" },
    ["but no user"] = { type = "socks5", host = "a", password = SECRET },
    ["at a colon"] = { type = "http", host = "a", user = "b:c",
      password = SECRET },
    ["CR, LF or NUL"] = { type = "http", host = "a", user = "b",
      password = SECRET .. "\n" },
    ["CR, LF or NUL "] = "http://a%0d%0aX:y@host",
    ["more than 4096 octets"] = { type = "http", host = "a", user = "b",
      password = SECRET .. ("x"):rep(5000) },
  } do
    it("is refused: " .. text, function()
      local err = misuse(function()
        pop3.POP3(NAME, 110, { proxy = value })
      end)
      assert.truthy(err:find(text:match("^(.-) *$"), 1, true), err)
      assert.truthy(err:find("'proxy'", 1, true), err)
      assert.truthy(err:find("proxies_spec.lua", 1, true), err)
      assert.falsy(err:find(SECRET, 1, true), err)
    end)
  end

  it("goes together with what it can", function()
    local transport = { send = print, receive = print, close = print }
    for key, options in pairs {
      proxy = { proxy = "http://a", transport = transport },
      proxy_tls = { proxy = "http://a", proxy_tls = {} },
      ["proxy_tls "] = { proxy_tls = {} },
      ["proxy "] = { proxy = "http://a", unix_socket = "/a" },
      unix_socket = { unix_socket = "/a", transport = transport },
      local_address = { local_address = "::1", transport = transport },
      ["local_address "] = { local_address = "::1", unix_socket = "/a" },
      ["local_address  "] = { local_address = "localhost" },
      ["local_address   "] = { local_address = "127.1" },
      keepalive = { keepalive = true, transport = transport },
      ["keepalive "] = { keepalive = 0 },
      ["keepalive  "] = { keepalive = 0 / 0 },
      ["keepalive   "] = { keepalive = 32768 },
      ["keepalive    "] = { keepalive = "yes" },
      on_address = { on_address = print, transport = transport },
      ["on_address "] = { on_address = print, unix_socket = "/a" },
      ["on_address  "] = { on_address = true },
    } do
      local err = misuse(pop3.POP3, NAME, 110, options)
      assert.truthy(err:find("'" .. key:match("^%S+") .. "'", 1, true),
        key .. ": " .. err)
    end
  end)

  it("has no TLS of its own around the host's", function()
    local err = misuse(function()
      pop3.POP3(NAME, 110, { loop = "luasocket", proxy = "https://a",
        tls_engine = "transport" })
    end)
    assert.truthy(err:find("no TLS within TLS", 1, true), err)
  end)

  it("has no records of the DNS: those are the server's", function()
    if not pcall(pop3.context, { dane = "dns" }) then
      return pending "this build has no libunbound"
    end
    local err = misuse(function()
      pop3.POP3(NAME, 110, { proxy = "https://127.0.0.1:1",
        proxy_tls = { dane = "dns" } })
    end)
    assert.truthy(err:find("'proxy_tls'", 1, true), err)
    assert.truthy(err:find("give the records", 1, true), err)
  end)

  it("asks nobody without the password that its function did not give",
    function()
      local s = server.start { connections = { { { eof = true } } },
        accepts = 0 }
      for _, option in ipairs {
        { url = url("http", s), user = "joe" },
        { url = url("socks5", s), user = "joe" },
      } do
        option.password = function() return nil, "the user pressed Escape" end
        local err = fails("aborted", "aborted", pop3.POP3, NAME, 110,
          { proxy = option })
        assert.equal("the user pressed Escape", err.message)
      end
      assert.equal(0, s:report().accepted)
    end)

  it("has a port behind a colon only", function()
    local err = misuse(pop3.POP3, NAME, 110, { proxy = "socks5://[::1]1080" })
    assert.truthy(err:find("bad option 'proxy'", 1, true), err)
  end)

  it("takes no host that a proxy would read as something else", function()
    for _, host in ipairs { "a b", "a\r\nX: y", "a:b?", "b\195\188cher" } do
      local err = misuse(pop3.POP3, host, 110, { proxy = "http://127.0.0.1:1" })
      assert.truthy(err:find("a proxy connects to", 1, true), err)
    end
  end)

  it("is no variable of the environment", function()
    local s = server.start { { "S: +OK direct" } }
    local lines = child.lines { arguments = { s.port }, env = {
      ALL_PROXY = "socks5://127.0.0.1:1", all_proxy = "http://[::1]:1",
    }, script = [[
      local conn = require("pop3").POP3("127.0.0.1", tonumber((...)))
      print(conn:getwelcome(), conn:info().proxy)
    ]] }
    assert.same({ "+OK direct\tnil" }, lines)
  end)
end)
