--- srv = true: the host is a mail domain, whose signed SRV record says which
-- server has its mail (RFC 6186, RFC 7673). The name server is
-- support/dnssec.py; its targets are localhost, which every system resolves.

local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local core = require "pop3.core"
local dnssec = require "spec.support.dnssec"
local pop3 = require "pop3"
local server = require "spec.support.server"
local starve = require "spec.support.starve"

local fails, misuse = claims.fails, claims.misuse

local unpack = unpack or table.unpack -- luacheck: ignore

local DOMAIN = "example.org"
local QUIT = { auto = {} }

local names, built

local function is_built()
  if built == nil then
    names = dnssec.start {}
    local err = claims.failure(pop3.POP3, "none." .. DOMAIN,
      { srv = true, dane_config = names.config })
    built = err.name == "not_found"
    names:stop()
    names = nil
  end
  return built
end

local function it_if_built(claim, test)
  it(claim, function()
    if not is_built() then return pending("built without libunbound") end
    return test()
  end)
end

local function stop()
  server.stop_all()
  if names then names:stop() end
  names = nil
end

-- What the zone has beside TLSA records, which a name server always wants.
local function zone(...) names = dnssec.start { ... } end

-- One of DOMAIN's servers.
local function record(priority, port, target, service)
  return ("%s._tcp.%s SRV %d 0 %d %s"):format(service or "_pop3s", DOMAIN,
    priority, port, target or "localhost")
end

local function options_with(more)
  local options = { srv = true, dane_config = names.config, timeout = 30,
    cafile = certificates.cafile }
  for key, value in pairs(more or {}) do options[key] = value end
  return options
end

local function connect(more, domain)
  return pop3.POP3_SSL(domain or DOMAIN, options_with(more))
end

local function start(certificate, times)
  local steps = { { tls = certificates.server(certificate or "localhost") },
                  "S: +OK ready", QUIT }
  local connections = {}
  for i = 1, times or 1 do connections[i] = steps end
  return server.start(connections)
end

-- A port at which nobody listens.
local function closed_port()
  local s = server.start { {} }
  s:stop()
  return s.port
end

-- Nobody has come, or he said nothing.
local function assert_unused(s)
  local seen = s:cut().connections[1]
  assert.equal("", seen and seen.secure or "")
  assert.equal("", seen and seen.clear or "")
end

-- The first server's TLS, of those who came.
local function asked_of(s) return s:report().connections[1].tls.servername end

-- ------------------------------------------------------------ the server

describe("A mail domain's server", function()
  after_each(stop)

  it_if_built("is the one that its SRV record names, at that port", function()
    local s = start()
    zone(record(0, s.port))
    local conn = connect()
    local info = conn:info()
    conn:quit()
    assert.same({ "localhost", s.port, DOMAIN },
      { info.host, info.port, info.domain })
    assert.equal(("pop3.POP3_SSL (localhost:%d, closed)"):format(s.port),
      tostring(conn))
    assert.equal("localhost", asked_of(s))
  end)

  for tls, steps in pairs {
    none = { "S: +OK ready", "C: NOOP", "S: +OK" },
    opportunistic = { "S: +OK ready", "C: CAPA", { send = "+OK\r\n.\r\n" },
                      "C: NOOP", "S: +OK" },
    starttls = { "S: +OK ready", "C: CAPA", { send = "+OK\r\nSTLS\r\n.\r\n" },
                 "C: STLS", "S: +OK", { tls = certificates.server "localhost" },
                 "C: NOOP", "S: +OK" },
  } do
    it_if_built("is that of _pop3 with tls = " .. tls, function()
      local s = server.start { steps }
      zone(record(0, s.port, nil, "_pop3"), record(0, closed_port()))
      local conn = pop3.POP3(DOMAIN, options_with { tls = tls })
      conn:noop()
      conn:close()
      assert.equal(0, s:report().failed)
    end)
  end

  it_if_built("is found by pop3.open, by URL and by table", function()
    local mailbox = { { tls = certificates.server "localhost" },
      { mailbox = { messages = {}, user = "joe", password = "secret" } } }
    local s = server.start { mailbox, mailbox }
    zone(record(0, s.port))
    local options = options_with { password = "secret" }
    pop3.open("pop3s://joe@" .. DOMAIN .. "/", options):quit()
    options.host, options.user = DOMAIN .. ".", "joe"
    pop3.open(options):quit()
    assert.equal(0, s:report().failed)
  end)

  it_if_built("is the one with the lowest priority", function()
    local s, others = start(), start()
    zone(record(70, others.port), record(7, s.port), record(17, others.port))
    connect():quit()
    assert.equal("QUIT\r\n", s:report().connections[1].secure)
    assert_unused(others)
  end)

  it_if_built("is the next one where one refuses connections", function()
    local s = start()
    zone(record(20, s.port), record(10, closed_port()), record(5, closed_port()))
    local conn = connect()
    assert.equal(s.port, conn:info().port)
    -- the two others', each with as many addresses as this system knows
    assert.is_true(conn:info().attempts >= 3)
    conn:quit()
  end)

  it_if_built("is held to what the DNS says of itself, and of its port",
    function()
      local s, port = start("self-signed"), closed_port()
      zone("* TLSA 3 1 1 " .. ("00"):rep(32),
        ("_%d._tcp.localhost TLSA %s"):format(s.port,
          certificates.tlsa("self-signed", "3 1 1")),
        record(1, port), record(2, s.port))
      local conn = connect { dane = "dns" }
      assert.equal("dane", conn:tls_info().verified_by)
      conn:quit()
    end)

  it_if_built("is connected to from local_address, the next one, too",
    function()
      local s = start()
      zone(record(1, closed_port()), record(2, s.port))
      connect({ local_address = "127.0.0.9" }):quit()
      assert.equal("127.0.0.9", s:report().connections[1].peer)
    end)

  it_if_built("is named by the error, where all refuse connections", function()
    local port = closed_port()
    zone(record(1, closed_port()), record(2, port))
    local err = fails("io", "econnrefused", connect)
    assert.matches(("localhost:%d: "):format(port), tostring(err), 1, true)
    assert.matches("(server 2 of 2 of example.org)", tostring(err), 1, true)
  end)

  it_if_built("is the next one where on_address refuses one", function()
    local s, others = start(), start()
    zone(record(1, others.port), record(2, s.port))
    local asked = {}
    connect({ on_address = function(host, _, port)
      asked[#asked + 1] = host .. " " .. port
      return port ~= others.port
    end }):quit()
    -- each of localhost's addresses
    assert.equal("localhost " .. others.port, asked[1])
    assert.equal("localhost " .. s.port, asked[#asked])
    assert_unused(others)
  end)

  -- In a process whose names resolve as the spec likes.
  local function run(environment, script, ...)
    local result = child.run { script = script, shim = true, env = environment,
      arguments = { names.config, certificates.cafile, ... } }
    assert.equal("", result.err)
    return (result.out:gsub("\n$", ""))
  end

  local CONNECT = [[
    local config, cafile, dane, limit = ...
    local started = require("pop3").now()
    local ok, conn = pcall(require("pop3").POP3_SSL, "example.org", {
      srv = true, dane_config = config, cafile = cafile,
      dane = dane == "dns" and dane or nil, connect_timeout = tonumber(limit),
    })
    if not ok then return print(conn.kind, conn.name, conn) end
    print(conn:info().host, conn:tls_info().servername,
      conn:tls_info().verified_by)
    conn:quit()
  ]]

  it_if_built("is the next one where one's name is not found", function()
    local s = start("exact")
    zone(record(1, 995, "gone.example.org"),
      record(2, s.port, "mail.example.org"))
    assert.equal("mail.example.org\tmail.example.org\tchain+name",
      run({ SHIM_NAMES = "127.0.0.1", SHIM_UNKNOWN = "gone.example.org" },
        CONNECT))
  end)

  it_if_built("is the next one where one's name is looked up for too long",
    function()
      local s = start("exact")
      zone(record(1, 995, "stuck.example.org"),
        record(2, s.port, "mail.example.org"))
      assert.equal("mail.example.org\tmail.example.org\tchain+name",
        run({ SHIM_NAMES = "127.0.0.1", SHIM_STUCK = "stuck.example.org" },
          CONNECT, "", 6))
    end)

  -- A full queue of connections that nobody accepts swallows the next.
  it_if_built("is the next one where one does not answer", function()
    local silent = server.start { connections = { {} }, host = "127.0.0.1",
      backlog = 0, accept = false }
    for _ = 1, 3 do
      pcall(pop3.POP3, "127.0.0.1", silent.port, { timeout = 0.1 })
    end
    local s = start()
    zone(record(1, silent.port), record(2, s.port))
    connect({ connect_timeout = 6 }):quit()
    assert.equal("QUIT\r\n", s:report().connections[1].secure)
  end)

  it_if_built("has a fair share of the time, of which a host is told",
    function()
      local silent = server.start { connections = { {} }, accept = false,
        backlog = 0, host = "127.0.0.1" }
      for _ = 1, 3 do
        pcall(pop3.POP3, "127.0.0.1", silent.port, { timeout = 0.1 })
      end
      zone(record(1, silent.port), record(2, 1), record(3, 1), record(4, 1))
      local left
      pcall(connect, { connect_timeout = 100, timeout = math.huge,
        wait = function(conn, interests, deadline)
          if conn:info().port ~= silent.port then
            return core.poll(interests, deadline - pop3.now())
          end
          left = deadline - pop3.now()
          conn:close()
        end })
      assert.is_true(left <= 25, left)
    end)

  it_if_built("is behind an alias what DANE says of the alias's end", function()
    local s = start("self-signed")
    zone("* TLSA 3 1 1 " .. ("00"):rep(32),
      "good.example.org TLSA " .. certificates.tlsa("self-signed", "3 1 1"),
      "mail.example.org CNAME good.example.org",
      record(0, s.port, "mail.example.org"))
    assert.equal("mail.example.org\tgood.example.org\tdane",
      run({ SHIM_NAMES = "127.0.0.1" }, CONNECT, "dns"))
  end)
end)

-- ------------------------------------------------------------ no other

describe("No other server of a domain is tried", function()
  after_each(stop)

  local refusals = {
    ["whose certificate is another's"] = { "mismatch", {}, "hostname" },
    ["whose certificate nobody here signed"] = { "self-signed", {},
      "certificate" },
    ["that the DNS does not know by its key"] = { "localhost",
      { dane = "dns" }, "dane" },
  }
  for what, row in pairs(refusals) do
    it_if_built("once TLS began with one " .. what, function()
      local first, second = start(row[1]), start()
      zone("* TLSA 3 1 1 " .. ("00"):rep(32), record(1, first.port),
        record(2, second.port))
      local err = fails("tls", row[3], connect, row[2])
      assert.is_nil(tostring(err):find("server 1 of 2", 1, true))
      assert_unused(second)
    end)
  end

  it_if_built("once one was connected to that hangs up", function()
    local first, second = server.start { { { read = 1 }, { close = true } } }, start()
    zone(record(1, first.port), record(2, second.port))
    fails("tls", "handshake", connect)
    assert_unused(second)
  end)
end)

-- ------------------------------------------------------------ names

describe("The certificate of a domain's server", function()
  after_each(stop)

  local function verdict(certificate, more)
    local s = start(certificate)
    zone("* TLSA " .. certificates.tlsa("localhost", "2 0 1", 2),
      record(0, s.port))
    local ok, conn = pcall(connect, more)
    if not ok then return conn.name end
    local by = conn:tls_info().verified_by
    conn:quit()
    return by
  end

  local verdicts = {
    { "may hold the server's name", "localhost", {}, "chain+name" },
    { "may hold the domain's", "parent", {}, "chain+name" },
    { "may hold no third one", "exact", {}, "hostname" },
    { "may hold the domain's as that of its service", "service", {},
      "chain+name" },
    { "may hold that with DANE-TA", "service", { dane = "dns" },
      "chain+name+dane" },
    { "has to hold servername, and the service's does not do", "service",
      { servername = "mail.example.org" }, "hostname" },
    { "may hold no service's name with octets behind it", "service-nul", {},
      "hostname" },
    { "may hold no wildcard for a service", "service-wildcard", {},
      "hostname" },
    { "may hold the server's name with DANE-TA", "localhost",
      { dane = "dns" }, "chain+name+dane" },
    { "may hold the domain's with DANE-TA", "parent", { dane = "dns" },
      "chain+name+dane" },
    { "may hold no third one with DANE-TA", "exact", { dane = "dns" },
      "hostname" },
    { "has to hold servername, where that is given", "exact",
      { servername = "mail.example.org" }, "chain+name" },
    { "has to hold servername, and the domain's does not do", "parent",
      { servername = "mail.example.org" }, "hostname" },
    { "may hold any without check_hostname", "exact",
      { check_hostname = false }, "chain" },
    { "may hold any without check_hostname, with DANE-TA", "exact",
      { check_hostname = false, dane = "dns" }, "chain+dane" },
    { "may be anybody's without verify, but for the name", "self-signed",
      { verify = false, check_hostname = false }, "nothing" },
    { "has to hold a name without verify, too", "exact", { verify = false },
      "hostname" },
  }
  for _, row in ipairs(verdicts) do
    it_if_built(row[1], function()
      assert.equal(row[4], verdict(row[2], row[3]))
    end)
  end

  it_if_built("may hold the domain's with stls(), too", function()
    local s = server.start { {
      "S: +OK ready", "C: CAPA", { send = "+OK\r\nSTLS\r\n.\r\n" }, "C: STLS",
      "S: +OK begin", { tls = certificates.server "parent" }, QUIT,
    } }
    zone(record(0, s.port, nil, "_pop3"))
    local conn = pop3.POP3(DOMAIN, options_with())
    conn:stls()
    conn:quit()
    assert.equal("localhost", asked_of(s))
  end)

  it_if_built("may not hold the name of another service", function()
    local s = server.start { {
      "S: +OK ready", "C: CAPA", { send = "+OK\r\nSTLS\r\n.\r\n" }, "C: STLS",
      "S: +OK begin", { tls = certificates.server "service" }, QUIT,
    } }
    zone(record(0, s.port, nil, "_pop3"))
    fails("tls", "hostname", pop3.POP3, DOMAIN,
      options_with { tls = "starttls" })
  end)

  it_if_built("is not shown again to who resumes the session", function()
    local s = start("parent", 2)
    zone(record(0, s.port))
    local context = pop3.context { cafile = certificates.cafile }
    for i = 1, 2 do
      local conn = pop3.POP3_SSL(DOMAIN, { srv = true, context = context,
        dane_config = names.config })
      pcall(conn.noop, conn)
      assert.equal(i == 2, conn:info().tls.resumed)
      conn:quit()
    end
  end)

  it_if_built("is looked at anew for who comes by another way", function()
    local s = start("parent", 2)
    zone(record(0, s.port))
    local context = pop3.context { cafile = certificates.cafile }
    local conn = pop3.POP3_SSL(DOMAIN, { srv = true, context = context,
      dane_config = names.config })
    pcall(conn.noop, conn)
    conn:quit()
    fails("tls", "hostname", pop3.POP3_SSL, "localhost", s.port,
      { context = context })
  end)
end)

-- ------------------------------------------------------------ no answer

describe("A mail domain's SRV records", function()
  after_each(stop)

  local rows = {
    { "that are missing, which is signed", "none.example.org",
      "resolve not_found", "has no SRV records" },
    { "of a name that is missing, which is signed", "missing.example.org",
      "resolve not_found", "give the server's name" },
    { "that lost their signature on the way", "bare.example.org",
      "resolve dnssec", "forged" },
    { "that are not those that were signed", "forged.example.org",
      "resolve dnssec", "forged" },
    { "that were signed for another time", "late.example.org",
      "resolve dnssec", "forged" },
    { "that nobody signed", "example.net", "resolve dnssec",
      "could choose where passwords go; give the server's name" },
    { "that no name server knows today", "broken.example.org",
      "resolve again", "try again later" },
  }
  for _, row in ipairs(rows) do
    it_if_built(row[1] .. " lead nowhere", function()
      local s = start()
      local name = "_pop3s._tcp." .. row[2]
      zone(name .. " SRV 0 0 " .. s.port .. " localhost")
      for _, more in ipairs { {}, { verify = false, check_hostname = false } } do
        local err = claims.failure(connect, more, row[2])
        assert.equal(row[3], err.kind .. " " .. err.name)
        assert.matches(name, tostring(err), 1, true)
        assert.matches(row[4], tostring(err), 1, true)
      end
      assert_unused(s)
    end)
  end

  it_if_built("that never come are a timeout of the connection", function()
    zone()
    fails("timeout", "connect", connect, { connect_timeout = 0.5 },
      "silent.example.org")
  end)

  it_if_built("whose target is the root say that there is no such service",
    function()
      zone(record(0, 0, "."))
      local err = fails("resolve", "not_found", connect)
      assert.equal("example.org has no such service, as its SRV record "
        .. "_pop3s._tcp.example.org says", tostring(err))
    end)

  local useless = {
    ["with port 0"] = { 0, "localhost" },
    ["whose target has a blank"] = { false, "local\\032host" },
    ["whose target has a dot inside of a label"] = { false, "a\\046b" },
    ["whose target has a NUL"] = { false, "localhost\\000" },
    ["whose target is an address"] = { false, "127.0.0.1" },
    ["whose target a resolver takes for an address"] = { false, "127.1" },
  }
  for what, row in pairs(useless) do
    it_if_built(what .. " are left out", function()
      local s, others = start(), start()
      local useless_one = record(1, row[1] or others.port, row[2])
      zone(useless_one, record(2, s.port))
      connect():quit()
      assert.equal("QUIT\r\n", s:report().connections[1].secure)
      names:stop()
      zone(useless_one)
      local err = fails("resolve", "not_found", connect)
      assert.matches("cannot be used", tostring(err), 1, true)
      assert_unused(others)
    end)
  end

  it_if_built("may be 64, and no more", function()
    local s = start()
    local rows_of = {}
    for i = 1, 64 do rows_of[i] = record(i, s.port + 0) end
    zone(unpack(rows_of))
    connect():quit()
    names:stop()
    rows_of[65] = record(65, s.port)
    zone(unpack(rows_of))
    fails("resolve", "not_found", connect)
  end)
end)

-- ------------------------------------------------------------ use

describe("srv", function()
  after_each(stop)

  local transport = { send = print, receive = print, close = print }

  it("goes with no other way to the server", function()
    for key, options in pairs {
      srv = { srv = "yes" },
      ["srv "] = { srv = true, proxy = "socks5://127.0.0.1" },
      ["srv  "] = { srv = true, unix_socket = "/a" },
      ["srv   "] = { srv = true, transport = transport },
      ["srv    "] = { srv = true, loop = "luasocket" },
    } do
      local err = misuse(pop3.POP3, DOMAIN, options)
      assert.matches("'srv'", err, 1, true)
      assert.matches("to 'POP3'", err, 1, true, key)
    end
  end)

  it("names the port: there is no other", function()
    assert.matches("bad argument #2 to 'POP3' (with srv", misuse(pop3.POP3,
      DOMAIN, 110, { srv = true }), 1, true)
    assert.matches("bad argument #2 to 'POP3_SSL' (with srv",
      misuse(pop3.POP3_SSL, DOMAIN, 995, { srv = true }), 1, true)
    local options = { srv = true, password = "secret" }
    for _, url in ipairs { "pop3s://joe@example.org:995",
                           "pop3://joe@example.org:110" } do
      assert.matches("bad option 'port' to 'open' (with srv", misuse(pop3.open,
        url, options), 1, true)
    end
    options.port, options.host, options.user = 995, DOMAIN, "joe"
    assert.matches("bad option 'port'", misuse(pop3.open, options), 1, true)
  end)

  it("needs a domain: an address has none", function()
    if not is_built() then return pending("built without libunbound") end
    for _, host in ipairs { "127.0.0.1", "::1", "[::1]" } do
      assert.matches("bad argument #1 to 'POP3' (srv = true", misuse(pop3.POP3,
        host, { srv = true }), 1, true)
    end
  end)

  it("needs a domain that is short enough", function()
    local long = (("x"):rep(60) .. "."):rep(3) .. ("x"):rep(60)
    local err = claims.failure(pop3.POP3, long, { srv = true })
    assert.equal("not_found", err.name)
  end)

  it("is not a script's to use where there are rules about servers", function()
    local result = child.run { script = [[
      local pop3 = require "pop3"
      pop3.restrict { ways = true, files = true, transport = true, fds = true }
      local ok, err = pcall(pop3.POP3, "example.org", { srv = true })
      print(ok, err.kind, err)
    ]] }
    assert.equal("", result.err)
    assert.matches("^false\tpolicy\tpop3.restrict refuses srv ", result.out)
  end)

  it("is what dane_config is for, too, and it is for nothing else", function()
    local err = fails("tls", "config", pop3.POP3_SSL, "localhost", 1,
      { dane_config = "/dev/null" })
    assert.matches("dane_config", tostring(err), 1, true)
  end)

  it_if_built("uses dane_config of a context for dane", function()
    local s = start("self-signed")
    zone("* TLSA " .. certificates.tlsa("self-signed", "3 1 1"),
      record(0, s.port))
    local context = pop3.context { dane = "dns", dane_config = names.config }
    pop3.POP3_SSL(DOMAIN, { srv = true, context = context }):quit()
    assert.equal("QUIT\r\n", s:report().connections[1].secure)
  end)

  it_if_built("needs options of unbound's that can be read", function()
    zone()
    local err = fails("tls", "config", connect,
      { dane_config = "/nonexistent/unbound.conf" })
    assert.matches("dane_config", tostring(err), 1, true)
  end)

  it_if_built("remembers what the server can do, by its name and port",
    function()
      local steps = { "S: +OK ready", "C: CAPA",
        { send = "+OK\r\nUIDL\r\n.\r\n" } }
      local s = server.start { steps }
      zone(record(0, s.port, nil, "_pop3"))
      local cache = {}
      local conn = pop3.POP3(DOMAIN, options_with { cache = cache })
      conn:capa()
      conn:close()
      local keys = {}
      for key in pairs(cache) do keys[#keys + 1] = key end
      assert.same({ ("localhost:%d clear"):format(s.port) }, keys)
    end)

  it_if_built("does not ask the domain what a server of its name can do",
    function()
      local s = server.start { { "S: +OK ready", "C: CAPA",
        { send = "+OK\r\nSTLS\r\n.\r\n" }, "C: STLS", "S: +OK",
        { tls = certificates.server "localhost" }, QUIT } }
      zone(record(0, s.port, nil, "_pop3"))
      pop3.POP3(DOMAIN, options_with { tls = "starttls",
        cache = { ["example.org:110 clear"] = "STLS\r\n" } }):quit()
      assert.equal(0, s:report().failed)
    end)

  it_if_built("T62 fails cleanly where there is no memory", function()
    local s = server.start { accepts = 0,
      connections = { { "S: +OK ready", { eof = true } } } }
    zone(record(1, closed_port(), nil, "_pop3"), record(2, s.port, nil, "_pop3"))
    local conn
    starve.each(function()
      conn = pop3.POP3(DOMAIN, { srv = true, dane_config = names.config })
    end, function(_, ok, err)
      if not ok then
        assert.matches("not enough memory", tostring(err), 1, true)
      end
      if conn then conn:close() end
      conn = nil
    end)
    s:cut()
  end)

  it_if_built("can be given up while it is looked up", function()
    zone()
    local conn
    local ok, err = pcall(pop3.POP3, "silent.example.org", options_with {
      wait = function(it_)
        conn = it_
        it_:close()
      end })
    assert.is_false(ok)
    assert.equal("closed", err.name)
    assert.is_true(conn:info().closed)
  end)
end)
