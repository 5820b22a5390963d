-- dane = "dns": TLSA records are looked up by libunbound and count only where
-- DNSSEC says that they are the zone's. The name server is support/dnssec.py.

local certificates = require "spec.support.certificates"
local dnssec = require "spec.support.dnssec"
local files = require "spec.support.files"
local pop3 = require "pop3"
local server = require "spec.support.server"

local QUIT = { auto = {} }
local RIGHT = certificates.tlsa("self-signed", "3 1 1")
local WRONG = "3 1 1 " .. ("00"):rep(32)

local built -- with libunbound?

local function is_built(config)
  if built == nil then
    local ok, err = pcall(pop3.POP3_SSL, "127.0.0.1", 1, {
      dane = "dns", dane_domain = "good.example.org", dane_config = config,
    })
    assert(not ok)
    local text = tostring(err)
    built = not text:find("libunbound", 1, true)
  end
  return built
end

local function start(times)
  local steps = { { tls = certificates.server("self-signed") }, "S: +OK ready",
                  QUIT }
  local connections = {}
  for i = 1, times or 1 do connections[i] = steps end
  return server.start(connections)
end

describe("TLSA records from the DNS", function()
  local names

  local function options_for(domain, more)
    local options = { dane = "dns", dane_domain = domain, timeout = 30,
                      dane_config = names.config }
    for key, value in pairs(more or {}) do options[key] = value end
    return options
  end

  --- The error of connecting by what the DNS says of `domain`.
  local function refusal(domain, more)
    local s = start()
    local ok, err = pcall(pop3.POP3_SSL, s.host, s.port,
      options_for(domain, more))
    assert.is_false(ok)
    local seen = s:cut().connections[1]
    assert.equal("", seen and seen.secure or "")
    return err
  end

  local function it_if_built(claim, test)
    it(claim, function()
      if not is_built(names.config) then return pending("built without libunbound") end
      return test()
    end)
  end

  before_each(function() names = dnssec.start { RIGHT, WRONG } end)
  after_each(function()
    server.stop_all()
    names:stop()
  end)

  it_if_built("that are signed are believed, and nothing else is looked at",
    function()
      local s = start()
      local conn = pop3.POP3_SSL(s.host, s.port,
        options_for("good.example.org."))
      assert.equal("dane", conn:tls_info().verified_by)
      conn:quit()
      assert.equal("QUIT\r\n", s:report().connections[1].secure)
    end)

  it_if_built("are asked for with STLS, too", function()
    local s = server.start { {
      "S: +OK ready", "C: CAPA", { send = "+OK\r\nSTLS\r\n.\r\n" }, "C: STLS",
      "S: +OK begin", { tls = certificates.server("self-signed") }, QUIT,
    } }
    local conn = pop3.POP3(s.host, s.port)
    local options = options_for("good.example.org")
    options.timeout = nil
    conn:stls(options)
    conn:quit()
    assert.equal("QUIT\r\n", s:report().connections[1].secure)
  end)

  it_if_built("that name another key refuse the server", function()
    names:stop()
    names = dnssec.start { WRONG }
    local err = refusal("good.example.org")
    assert.same({ "tls", "dane" }, { err.kind, err.name })
    assert.matches(RIGHT, tostring(err), 1, true)
  end)

  local refusals = {
    { "are missing, and that is signed", "none.example.org", "no TLSA records" },
    { "lost their signature on the way", "bare.example.org", "forged" },
    { "are not those that were signed", "forged.example.org", "forged" },
    { "were signed for another time", "late.example.org", "forged" },
    { "are of a zone that is not signed", "mail.example.net", "not signed" },
  }
  for _, row in ipairs(refusals) do
    it_if_built("that " .. row[1] .. " are an error", function()
      local err = refusal(row[2])
      assert.same({ "tls", "dane" }, { err.kind, err.name })
      assert.matches(row[3], tostring(err), 1, true)
      assert.matches("_tcp." .. row[2], tostring(err), 1, true)
    end)
  end

  it_if_built("that never come are a timeout of the connection", function()
    local err = refusal("silent.example.org", { connect_timeout = 0.5 })
    assert.same({ "timeout", "connect" }, { err.kind, err.name })
  end)

  it_if_built("that no name server knows today may come later", function()
    local err = refusal("broken.example.org")
    assert.same({ "resolve", "again" }, { err.kind, err.name })
  end)

  it_if_built("of an address are none", function()
    local s = start()
    local ok, err = pcall(pop3.POP3_SSL, s.host, s.port,
      { dane = "dns", dane_config = names.config })
    assert.is_false(ok)
    assert.same({ "tls", "dane" }, { err.kind, err.name })
    assert.matches("dane_domain", tostring(err), 1, true)
  end)

  it_if_built("bind a session: the same ones resume it", function()
    local s = start(2)
    local options = options_for("good.example.org")
    options.timeout = nil
    local context = pop3.context(options)
    for i = 1, 2 do
      local conn = pop3.POP3_SSL(s.host, s.port, { context = context })
      pcall(conn.noop, conn)
      assert.equal(i == 2, conn:info().tls.resumed)
      conn:quit()
    end
  end)

  it_if_built("need options of unbound's that can be read", function()
    local path = files.temporary("server:\n  nonsense: 1\n")
    local err = refusal("good.example.org", { dane_config = path })
    os.remove(path)
    assert.same({ "tls", "config" }, { err.kind, err.name })
    assert.matches("dane_config", tostring(err), 1, true)
  end)

  -- ------------------------------------------------------------ aliases

  -- A proxy connects to where nobody here resolves the name.
  local function through(name, more)
    local s = server.start { {
      { read = 3 }, { send = "\5\0" }, { read = 4 + 1 + #name + 2 },
      { send = "\5\0\0\1\0\0\0\0\0\0" },
      { tls = certificates.server(more and more.certificate or "self-signed") },
      "S: +OK ready", QUIT,
    } }
    local options = { dane = "dns", dane_config = names.config, timeout = 30,
      proxy = ("socks5://127.0.0.1:%d"):format(s.port) }
    for _, key in ipairs { "dane_domain", "servername" } do
      options[key] = more and more[key]
    end
    return s, options
  end

  --- The name that the server at the end of `name` was asked for.
  local function asked_of(name, more)
    local s, options = through(name, more)
    local conn = pop3.POP3_SSL(name, options)
    conn:quit()
    return s:report().connections[1].tls.servername
  end

  local function refused(name, more)
    local s, options = through(name, more)
    local ok, err = pcall(pop3.POP3_SSL, name, options)
    assert.is_false(ok)
    local seen = s:cut().connections[1]
    assert.equal("", seen and seen.secure or "")
    return err
  end

  local function with(...)
    names:stop()
    names = dnssec.start { ... }
  end

  local ALIAS, GOOD = "alias.example.org", "good.example.org"

  for what, address in pairs {
    ["neither address"] = "other.example.org A 192.0.2.1",
    ["an IPv4 address"] = GOOD .. " A 192.0.2.1",
    ["an IPv6 address only"] = GOOD .. " AAAA 2001:db8::1",
  } do
    it_if_built("are first those of an alias's end, which has " .. what,
      function()
        with("* TLSA " .. WRONG, GOOD .. " TLSA " .. RIGHT, address,
          ALIAS .. " CNAME " .. GOOD)
        assert.equal(GOOD, asked_of(ALIAS))
      end)
  end

  it_if_built("are those at the end of several aliases", function()
    with("* TLSA " .. WRONG, GOOD .. " TLSA " .. RIGHT,
      ALIAS .. " CNAME second.example.org",
      "second.example.org CNAME third.example.org",
      "third.example.org CNAME " .. GOOD)
    assert.equal(GOOD, asked_of(ALIAS))
  end)

  for what, target in pairs {
    ["has none, which is signed"] = "none.example.org",
    ["does not exist, which is signed"] = "missing.example.org",
    ["is the root"] = ".",
    ["is no host name"] = "a\\032b.example.org",
    ["is too long for a port before it"] =
      (("x"):rep(60) .. "."):rep(3) .. ("x"):rep(55) .. ".example.org",
    ["is in a zone that is not signed"] = "mail.example.net",
  } do
    it_if_built("are the first name's where an alias's end " .. what, function()
      with("* TLSA " .. WRONG, ALIAS .. " TLSA " .. RIGHT,
        ALIAS .. " CNAME " .. target)
      assert.equal(ALIAS, asked_of(ALIAS))
    end)
  end

  it_if_built("are the first name's where those of an alias's end are not "
    .. "signed", function()
    with("* TLSA " .. WRONG, ALIAS .. " TLSA " .. RIGHT,
      ALIAS .. " CNAME " .. GOOD,
      "_995._tcp." .. GOOD .. " CNAME mail.example.net")
    assert.equal(ALIAS, asked_of(ALIAS))
  end)

  it_if_built("may be behind an alias themselves, which names no server",
    function()
      with("_dane.example.org TLSA " .. RIGHT,
        "_995._tcp.mail.example.org CNAME _dane.example.org")
      assert.equal("mail.example.org", asked_of "mail.example.org")
    end)

  it_if_built("are at neither name: the error has both", function()
    with(RIGHT, "away.none.example.org CNAME none.example.org")
    local err = refused("away.none.example.org")
    assert.same({ "tls", "dane" }, { err.kind, err.name })
    assert.matches("_995._tcp.away.none.example.org has no TLSA records, nor "
      .. "has none.example.org,", tostring(err), 1, true)
  end)

  it_if_built("of an alias that nobody signed are not believed, wherever it "
    .. "leads", function()
    with(RIGHT, "alias.example.net CNAME " .. GOOD)
    local err = refused("alias.example.net")
    assert.same({ "tls", "dane" }, { err.kind, err.name })
    assert.matches("_tcp.alias.example.net is not signed", tostring(err), 1,
      true)
  end)

  for what, domain in pairs {
    ["lost its signature"] = "bare.example.org",
    ["is not the one that was signed"] = "forged.example.org",
    ["was signed for another time"] = "late.example.org",
  } do
    it_if_built("are not looked for behind an alias that " .. what, function()
      with("* TLSA " .. RIGHT, ALIAS .. " CNAME " .. domain,
        domain .. " CNAME " .. GOOD)
      local err = refused(ALIAS)
      assert.same({ "tls", "dane" }, { err.kind, err.name })
      assert.matches("forged", tostring(err), 1, true)
    end)
  end

  it_if_built("that are forged at an alias's end are not replaced by the first "
    .. "name's", function()
    with(RIGHT, ALIAS .. " CNAME mail.forged.example.org")
    local err = refused(ALIAS)
    assert.same({ "tls", "dane" }, { err.kind, err.name })
    assert.matches("_tcp.mail.forged.example.org is forged", tostring(err), 1,
      true)
  end)

  it_if_built("that nobody tells of at an alias's end may come later",
    function()
      with(RIGHT, ALIAS .. " CNAME mail.broken.example.org")
      local err = refused(ALIAS)
      assert.same({ "resolve", "again" }, { err.kind, err.name })
    end)

  it_if_built("are not found in a circle", function()
    with(RIGHT, ALIAS .. " CNAME pool.example.org",
      "pool.example.org CNAME " .. ALIAS)
    local err = refused(ALIAS)
    assert.same({ "resolve", "again" }, { err.kind, err.name })
  end)

  it_if_built("are those of dane_domain, an alias or not", function()
    with(GOOD .. " TLSA " .. WRONG, ALIAS .. " TLSA " .. RIGHT,
      ALIAS .. " CNAME " .. GOOD)
    assert.equal(ALIAS, asked_of("mail.example.org", { dane_domain = ALIAS }))
  end)

  for name, certificate in pairs {
    ["mail.example.org"] = "exact", ["pop.example.net"] = "mismatch",
  } do
    it_if_built("let a CA's certificate hold " .. name .. ", the alias or its "
      .. "end", function()
      with("* TLSA " .. certificates.tlsa(certificate, "2 0 1", 2),
        "mail.example.org CNAME " .. GOOD)
      local again = "mail.example.org"
      if certificate == "mismatch" then
        local err = refused(again, { certificate = certificate })
        return assert.same({ "tls", "hostname" }, { err.kind, err.name })
      end
      assert.equal(GOOD, asked_of(again, { certificate = certificate }))
    end)
  end

  it("are not looked up where a stream of the host's carries it all", function()
    local ok, err = pcall(pop3.POP3_SSL, "mail.example.org", 995, {
      dane = "dns",
      transport = { send = error, receive = error, close = function() end },
    })
    assert.is_false(ok)
    assert.same({ "tls", "config" }, { err.kind, err.name })
    assert.matches("give the records", tostring(err), 1, true)
  end)
end)
