-- pop3.open: from a URL or a table of options to a session that is logged in.
-- What is wrong is said before anybody connects; a secret goes nowhere in clear
-- that nobody allowed (T24); whatever fails, nothing is left open.

local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local files = require "spec.support.files"
local lua = require "spec.support.lua"
local open = require "pop3.open"
local pop3 = require "pop3"
local server = require "spec.support.server"

after_each(server.stop_all)

local CAPA_USER = { send = "+OK\r\nUSER\r\n.\r\n" }
local CAPA_STLS = { send = "+OK\r\nSTLS\r\nUSER\r\n.\r\n" }

local function with(more, base)
  local all = {}
  for key, value in pairs(base) do all[key] = value end
  for key, value in pairs(more or {}) do all[key] = value end
  return all
end

--- Options for a server of this process.
local function options(s, more)
  return with(more, { host = s.host, port = s.port, user = "joe",
    password = "secret", cafile = certificates.cafile,
    servername = certificates.name, timeout = 20 })
end

local function tls() return { tls = certificates.server "exact" } end

--- A server for one connection that lets anybody in.
local function logging_in(...)
  local steps = { ... }
  for _, step in ipairs { "C: CAPA", CAPA_USER, "C: USER joe", "S: +OK",
    "C: PASS secret", "S: +OK welcome", { auto = { { "NOOP", "+OK\r\n" } } } } do
    steps[#steps + 1] = step
  end
  return server.start { steps }
end

--- What a URL comes to.
local function planned(target, more)
  local plan, problem = open.plan(target,
    type(target) == "string" and with(more, { password = "x" }) or nil)
  assert(plan, problem)
  return plan
end

describe("A URL", function()
  -- URL, options, what comes of it: host, port, tls, user, auth
  local rows = {
    { "pop3s://joe@h/", {}, { "h", 995, "implicit", "joe" } },
    { "pop3s://joe@h", {}, { "h", 995, "implicit", "joe" } },
    { "pop3s://joe@h:1995", {}, { "h", 1995, "implicit", "joe" } },
    { "pop3://joe@h", {}, { "h", 110, "starttls", "joe" } },
    { "pop3://joe@h", { allow_cleartext = true },
      { "h", 110, "starttls", "joe" } },
    { "pop://joe@h", {}, { "h", 110, "starttls", "joe" } },
    { "pop://joe@h", { allow_cleartext = true },
      { "h", 110, "opportunistic", "joe" } },
    { "pop://joe@h", { tls = "none", allow_cleartext = true },
      { "h", 110, "none", "joe" } },
    { "pop3s://h", { user = "jim" }, { "h", 995, "implicit", "jim" } },
    { "pop3s://joe@h", { user = "jim" }, { "h", 995, "implicit", "jim" } },
    { "pop3s://joe@h", { host = "h", port = 995, tls = "implicit" },
      { "h", 995, "implicit", "joe" } },
    { "pop3s://joe;AUTH=*@h", {}, { "h", 995, "implicit", "joe" } },
    { "pop3s://joe;AUTH=+APOP@h", {}, { "h", 995, "implicit", "joe", "APOP" } },
    { "pop3s://joe;AUTH=scram-sha-256@h", {},
      { "h", 995, "implicit", "joe", "SCRAM-SHA-256" } },
    { "pop3s://joe;AUTH=PLAIN@h", { auth = "LOGIN" },
      { "h", 995, "implicit", "joe", "LOGIN" } },
    { "pop3s://joe%40example.org@[::1]:9950", {},
      { "::1", 9950, "implicit", "joe@example.org" } },
  }
  for _, row in ipairs(rows) do
    local text, more, wanted = row[1], row[2], row[3]
    it(("%s means one thing, with %d options"):format(text,
      more.tls and 2 or next(more) and 1 or 0), function()
      local plan = planned(text, more)
      assert.same(wanted, { plan.host, plan.port, plan.options.tls, plan.user,
        plan.login.auth })
    end)
  end

  it("and options that contradict it are an error", function()
    for key, value in pairs { host = "other", port = 996, tls = "none" } do
      local text = claims.misuse(pop3.open, "pop3s://joe@h",
        { password = "x", [key] = value })
      assert.truthy(text:find(key, 1, true), text)
    end
    claims.misuse(pop3.open, "pop3://joe@h", { password = "x",
      tls = "opportunistic", allow_cleartext = true })
  end)

  it("with a password is an error without a word of it", function()
    local text = claims.misuse(pop3.open, "pop3s://joe:Hunter2@h")
    assert.truthy(text:find("a password does not belong into a URL", 1, true))
    assert.falsy(text:find("Hunter2", 1, true))
  end)
end)

describe("A table of options", function()
  it("means TLS from the first octet, and port 995", function()
    local plan = planned { host = "h", user = "u", password = "p" }
    assert.same({ "h", 995, nil }, { plan.host, plan.port, plan.options.tls })
  end)

  it("means port 110 for every other way to begin", function()
    for _, way in ipairs { "starttls", "opportunistic", "none" } do
      local plan = planned { host = "h", user = "u", password = "p", tls = way }
      assert.equal(110, plan.port)
    end
  end)

  it("is not changed", function()
    local given = { host = "127.0.0.1", port = server.closed_port(),
      user = "u", password = "p", stat = true }
    local before = with(given, {})
    assert.is_false((pcall(pop3.open, given)))
    assert.same(before, given)
  end)
end)

describe("What is wrong with the arguments", function()
  local good = { host = "127.0.0.1", user = "u", password = "p" }

  -- what is said, what is changed (false: left out)
  local rows = {
    { "missing option 'host'", { host = false } },
    { "missing option 'user'", { user = false } },
    { "missing option 'user'", { user = "" } },
    { "missing option 'password'", { password = false } },
    { "missing option 'password'", { password = false, auth = "PLAIN" } },
    { "missing option 'password'",
      { password = false, auth = { "EXTERNAL", "PLAIN" } } },
    { "bad option 'auth' to 'open' (the list of names is empty)",
      { auth = {} } },
    { "bad option 'auth' to 'open' (no mechanism of ours", { auth = "SCRUM" } },
    { "bad option 'auth' to 'open' (no mechanism of ours",
      { auth = { "PLAIN", "GSSAPI" } } },
    { "bad option 'auth'", { auth = 17 } },
    { "bad option 'auth'", { auth = { "PLAIN", 17 } } },
    { "bad option 'channel_binding'", { channel_binding = "always" } },
    -- the length of a list with a hole is any Lua's own choice
    { "bad option 'auth' to 'open' (", { auth = { nil, "PLAIN" } } },
    { "bad option 'authzid'", { authzid = 17 } },
    { "bad option 'authzid' to 'open' (contains CR", { authzid = "a\r\nQUIT" } },
    { "bad option 'token'", { token = "t" } },
    { "bad option 'host' to 'open' (string expected, got number)",
      { host = 17 } },
    { "bad option 'host' to 'open' (a name or an address expected",
      { host = "pop3s://joe:Hunter2@h" } },
    { "bad option 'host' to 'open' (a name or an address expected",
      { host = "joe:Hunter2@h" } },
    { "bad option 'port'", { port = "995" } },
    { "bad option 'port'", { port = 0 } },
    { "bad option 'port'", { port = 65536 } },
    { "bad option 'port'", { port = 1.5 } },
    { "bad option 'user'", { user = 17 } },
    { "bad option 'user' to 'open' (contains CR", { user = "a\r\nQUIT" } },
    { "bad option 'user' to 'open' (contains CR", { user = "a\0b" } },
    { "bad option 'password'", { password = 17 } },
    { "bad option 'password'", { password = io.stdout } },
    { "ends in a line end", { password = "Hunter2\n" } },
    { "bad option 'password' to 'open' (contains CR",
      { password = "Hunter2\r\nQUIT" } },
    { "bad option 'password'", { password = "Hun\0ter2" } },
    { "bad option 'token'", { password = false, token = true } },
    { "ends in a line end", { password = false, token = "Hunter2\r\n" } },
    { "did you mean 'password'", { pasword = "Hunter2" } },
    { "did you mean 'user'", { usr = "u" } },
    { "did you mean 'verify'", { verfy = false } },
    { "did you mean 'allow_cleartext'", { allow_clear_text = true } },
    { "did you mean 'listing'", { listin = true } },
    { "bad option 'stat'", { stat = "yes" } },
    { "bad option 'timeout'", { timeout = "soon" } },
    { "bad option 'tls'", { tls = "maybe" } },
    { "bad option 'loop'", { loop = "no such loop" } },
  }
  for _, row in ipairs(rows) do
    it(("is said before anybody connects: %s"):format(row[1]), function()
      local given = with(row[2], good)
      for key, value in pairs(row[2]) do
        if value == false and key ~= "verfy" then given[key] = nil end
      end
      for _, face in ipairs { pop3, pop3.safe } do
        local text = claims.misuse(function() return (face.open(given)) end)
        assert.truthy(text:find(row[1], 1, true), text)
        assert.truthy(text:find("open_spec.lua:", 1, true), text)
        assert.falsy(text:find("unter2", 1, true), text)
      end
    end)
  end

  it("is said of the arguments themselves", function()
    for _, wrong in ipairs { { 17 }, { true }, { {}, {} }, { "pop3s://u@h", 1 },
      { "http://h" }, { "h" } } do
      local text = claims.misuse(pop3.open, wrong[1], wrong[2])
      assert.truthy(text:find("bad argument #", 1, true), text)
    end
    claims.misuse(pop3.open)
  end)

  it("is nothing where a mechanism needs neither user nor secret", function()
    for _, auth in ipairs { "ANONYMOUS", "external" } do
      assert.truthy(open.plan { host = "h", auth = auth })
      assert.truthy(open.plan { host = "h", auth = { auth } })
    end
  end)
end)

describe("pop3.open", function()
  it("returns a session that is logged in, over TLS", function()
    local s = logging_in(tls(), "S: +OK ready")
    local conn, extras = pop3.open(options(s))
    assert.is_nil(extras)
    assert.is_true(conn:info().secure)
    assert.equal("POP3_SSL", conn:info().class)
    assert.equal("+OK", conn:noop())
    conn:close()
    local seen = s:report().connections[1]
    assert.same({ "", {} }, { seen.clear, seen.errors })
  end)

  it("takes a URL, and STLS before the login", function()
    local s = logging_in("S: +OK ready", "C: CAPA", CAPA_STLS, "C: STLS",
      "S: +OK", tls())
    local conn = pop3.open(("pop3://joe@%s:%d/"):format(s.host, s.port),
      { password = "secret", cafile = certificates.cafile,
        servername = certificates.name })
    assert.is_true(conn:info().secure)
    conn:close()
    local seen = s:report().connections[1]
    assert.same({ "CAPA\r\nSTLS\r\n", {} }, { seen.clear, seen.errors })
  end)

  it("brings along what login does", function()
    local s = server.start { { tls(),
      { mailbox = { messages = { "a\r\n", "bc\r\n" },
        capa = { "PIPELINING", "UIDL" } } } } }
    local conn, extras = pop3.open(options(s, { stat = true, listing = true,
      quit = true }))
    assert.same({ count = 2, octets = 7 }, extras.stat)
    assert.equal(2, #extras.listing)
    assert.truthy(extras.quit:find("+OK", 1, true))
    assert.is_true(conn:info().closed)
    assert.equal(0, s:report().failed)
  end)

  it("returns what pop3.safe's other functions return", function()
    local s = logging_in(tls(), "S: +OK ready")
    local conn, extras = pop3.safe.open(options(s))
    assert.is_nil(extras)
    assert.equal("+OK", conn:noop())
    conn:close()
    local none, message, err = pop3.safe.open(options { host = "127.0.0.1",
      port = server.closed_port() })
    assert.is_nil(none)
    assert.equal(err.message, message)
    assert.same({ "io", "econnrefused" }, { err.kind, err.name })
  end)
end)

-- ------------------------------------------------------------ failing

--- Call `use` and see how the one connection ended, with no collector's help.
local function left_by(s, use)
  collectgarbage "stop"
  local ok, err = pcall(use)
  local seen = ok and s:report().connections[1]
  collectgarbage "restart"
  if not ok then error(err, 0) end
  return seen
end

describe("A failure closes the connection, without QUIT:", function()
  local before = { tls(), "S: +OK ready" }

  local function ended(steps, kind, name, more)
    local all = { before[1], before[2] }
    for _, step in ipairs(steps) do all[#all + 1] = step end
    all[#all + 1] = { eof = true }
    for _, face in ipairs { pop3, pop3.safe } do
      local s = server.start { all }
      local seen = left_by(s, function()
        local _, raised, _, err = pcall(face.open, options(s, more))
        err = err or raised
        assert.same({ kind, name }, { err.kind, err.name }, tostring(err))
      end)
      assert.equal("eof", seen.ended)
      assert.same({}, seen.errors)
    end
  end

  it("a refused password", function()
    ended({ "C: CAPA", CAPA_USER, "C: USER joe", "S: +OK", "C: PASS secret",
      "S: -ERR [AUTH] wrong password" }, "auth", "refused")
  end)

  it("a refused user", function()
    ended({ "C: CAPA", CAPA_USER, "C: USER joe", "S: -ERR who" }, "auth", "refused")
  end)

  it("a secret that cannot be read", function()
    local _, err = pcall(pop3.secret { path = "/no/such/file" })
    assert.truthy(err)
    ended({}, "io", "enoent", { password = pop3.secret {
      path = "/no/such/file" } })
  end)

  it("a deadline", function()
    ended({ "C: CAPA" }, "timeout", "idle", { timeout = 0.3 })
  end)

  it("a function that gives no password", function()
    ended({}, "aborted", "aborted", { password = function() end })
  end)

  it("a refused greeting", function()
    local s = server.start { { tls(), "S: -ERR [SYS/TEMP] later",
      { eof = true } } }
    local err = claims.fails("proto", "refused", pop3.open, options(s))
    assert.same({ "SYS/TEMP", true }, { err.code, err.retryable })
    assert.equal("eof", s:report().connections[1].ended)
  end)

  it("a secret that cannot be sent, which is misuse", function()
    for _, bad in ipairs { function() return "a\r\nQUIT" end,
      function() return 17 end, function() return function() end end } do
      local s = server.start { { tls(), "S: +OK ready", { eof = true } } }
      local seen = left_by(s, function()
        local text = claims.misuse(pop3.open, options(s, { password = bad }))
        assert.truthy(text:find("bad option 'password' to 'open'", 1, true))
      end)
      assert.same({ "eof", "" }, { seen.ended, seen.secure })
    end
  end)

  it("a secret whose file has more than a password", function()
    local path = files.temporary "one\ntwo\n"
    local s = server.start { { tls(), "S: +OK ready", { eof = true } } }
    local seen = left_by(s, function()
      local text = claims.misuse(pop3.open, options(s,
        { password = pop3.secret { path = path } }))
      assert.truthy(text:find("bad option 'password' to 'open'", 1, true), text)
    end)
    os.remove(path)
    assert.same({ "eof", "" }, { seen.ended, seen.secure })
  end)
end)

-- ------------------------------------------------------------ secrets

describe("A function for a secret", function()
  it("is called once, when the stream is secure", function()
    local s = logging_in("S: +OK ready", "C: CAPA", CAPA_STLS, "C: STLS",
      "S: +OK", tls())
    local calls = 0
    local conn = pop3.open(options(s, { tls = "starttls",
      password = function() calls = calls + 1 return "secret" end }))
    conn:close()
    assert.equal(1, calls)
    assert.equal(0, s:report().failed)
  end)

  it("changes no option that was checked before", function()
    local s = server.start { { tls(), "S: +OK ready", "C: CAPA",
      { send = "+OK\r\nSASL LOGIN PLAIN\r\n.\r\n" },
      { match = "AUTH PLAIN [A-Za-z0-9+/=]*" }, "S: +OK", { eof = true } } }
    local names = { "PLAIN" }
    pop3.open(options(s, { auth = names, password = function()
      names[1] = "LOGIN"
      return "secret"
    end })):close()
    assert.equal(0, s:report().failed)
  end)

  it("may return a pop3.secret", function()
    local path = files.temporary "secret\n"
    local s = logging_in(tls(), "S: +OK ready")
    pop3.open(options(s, { password = function()
      return pop3.secret { path = path }
    end })):close()
    os.remove(path)
    assert.equal(0, s:report().failed)
  end)

  it("is not called where nobody can be told", function()
    local function password() error "called" end
    claims.fails("io", "econnrefused", pop3.open, options({ host = "127.0.0.1",
      port = server.closed_port() }, { password = password }))
    local s = server.start { { "S: +OK ready", "C: CAPA",
      { send = "+OK\r\n.\r\n" }, { eof = true } } }
    claims.fails("proto", "unsupported", pop3.open, options(s,
      { password = password, tls = "starttls" }))
    s = server.start { { { tls = certificates.server "expired" } } }
    claims.fails("tls", "certificate", pop3.open, options(s,
      { password = password }))
  end)

  it("raises what it likes, and the connection is closed", function()
    for _, thrown in ipairs { "text", { "a table" }, 17 } do
      for _, face in ipairs { pop3, pop3.safe } do
        local s = server.start { { tls(), "S: +OK ready", { eof = true } } }
        local seen = left_by(s, function()
          local ok, err = pcall(face.open, options(s, {
            password = function() error(thrown, 0) end }))
          assert.is_false(ok)
          assert.equal(thrown, err)
        end)
        assert.same({ "eof", "" }, { seen.ended, seen.secure })
      end
    end
  end)

  it("says why it gives none", function()
    local s = server.start { { tls(), "S: +OK ready", { eof = true } } }
    local none, message, err = pop3.safe.open(options(s, {
      password = function() return nil, "the user pressed Escape" end }))
    assert.is_nil(none)
    assert.equal("the user pressed Escape", message)
    assert.equal("aborted", err.kind)
  end)

  it("may yield, in a coroutine", function()
    local s = logging_in(tls(), "S: +OK ready")
    local thread = coroutine.create(function()
      return pop3.open(options(s, { loop = false,
        password = function() return coroutine.yield "password?" end }))
    end)
    local _, question = coroutine.resume(thread)
    assert.equal("password?", question)
    local ok, conn = coroutine.resume(thread, "secret")
    assert.is_true(ok, conn)
    assert.equal("+OK", conn:noop())
    conn:close()
  end)
end)

-- ------------------------------------------------------------ clear

describe("A secret in clear", function()
  local script = [[
    local pop3 = require "pop3"
    local port, host, tls, allow = ...
    local asked = 0
    local ok, err = pcall(pop3.open, {
      host = host, port = tonumber(port), tls = tls, user = "joe",
      password = function() asked = asked + 1 return "secret" end,
      allow_cleartext = allow == "yes" or nil, timeout = 10,
      verify = false, check_hostname = false,
    })
    print(ok, type(err) == "table" and err.kind .. "/" .. err.name or err)
    print("asked " .. asked)
    if not ok then print(err) end
  ]]

  local servers = {
    plain = { "S: +OK ready <1.2@example.org>" },
    stripped = { "S: +OK ready <1.2@example.org>", "C: CAPA",
      CAPA_USER },
    refused = { "S: +OK ready", "C: CAPA", CAPA_STLS, "C: STLS",
      "S: -ERR not now" },
    secured = { "S: +OK ready", "C: CAPA", CAPA_STLS, "C: STLS", "S: +OK" },
  }

  local function attempt(steps, way, allow, host, env)
    local all = {}
    for i, step in ipairs(servers[steps]) do all[i] = step end
    if steps == "secured" then all[#all + 1] = tls() end
    all[#all + 1] = { auto = { { "CAPA", CAPA_USER.send },
      { "USER joe", "+OK\r\n" },
      { "PASS secret", "+OK\r\n" } } }
    local s = server.start { all }
    local result = child.run { script = script, shim = true, env = env,
      arguments = { s.port, host, way, allow } }
    return result.out .. result.err, s:report().connections[1]
  end

  local FAR = { SHIM_PEER = "192.0.2.1" }

  local function is_refused(out, seen)
    assert.truthy(out:find("^false\ttls/insecure"), out)
    assert.truthy(out:find("allow_cleartext = true", 1, true), out)
    assert.truthy(out:find("asked 0", 1, true), out)
    for _, command in ipairs(seen.commands) do
      assert.truthy(command == "CAPA" or command == "STLS", command)
    end
    assert.equal("eof", seen.ended)
  end

  it("T24 goes to no other host", function()
    is_refused(attempt("plain", "none", "no", "127.0.0.1", FAR))
  end)

  it("T24 goes there by explicit choice", function()
    local out, seen = attempt("plain", "none", "yes", "127.0.0.1", FAR)
    assert.truthy(out:find("^true"), out)
    assert.same({ "CAPA", "USER joe", "PASS secret" }, seen.commands)
  end)

  it("T24 goes to this host, whatever its name", function()
    local out, seen = attempt("plain", "none", "no", "far.example",
      { SHIM_NAMES = "127.0.0.1" })
    assert.truthy(out:find("^true"), out)
    assert.same({ "CAPA", "USER joe", "PASS secret" }, seen.commands)
  end)

  it("T24 goes to no other host that is called localhost", function()
    is_refused(attempt("plain", "none", "no", "localhost",
      { SHIM_NAMES = "127.0.0.1", SHIM_PEER = "192.0.2.1" }))
  end)

  for _, steps in ipairs { "stripped", "refused" } do
    it("T24 is not sent where opportunistic TLS was " .. steps, function()
      is_refused(attempt(steps, "opportunistic", "no", "127.0.0.1", FAR))
    end)

    it("T24 is sent where it was " .. steps .. ", by explicit choice",
      function()
        local out, seen = attempt(steps, "opportunistic", "yes", "127.0.0.1",
          FAR)
        assert.truthy(out:find("^true"), out)
        assert.truthy(seen.clear:find("PASS secret\r\n$"))
      end)
  end

  it("T24 is none where opportunistic TLS is to be had", function()
    for _, allow in ipairs { "yes", "no" } do
      local out, seen = attempt("secured", "opportunistic", allow, "127.0.0.1",
        FAR)
      assert.truthy(out:find("^true"), out)
      assert.equal("CAPA\r\nSTLS\r\n", seen.clear)
    end
  end)

  it("T24 goes by no transport, which may lead anywhere", function()
    local sent = {}
    local answers = { "+OK ready\r\n" }
    local transport = {
      send = function(_, octets) sent[#sent + 1] = octets return #octets end,
      receive = function() return table.remove(answers) or nil, "closed" end,
      close = function() sent.closed = true end,
    }
    local asked = false
    claims.fails("tls", "insecure", pop3.open, { host = "127.0.0.1",
      tls = "none", user = "joe", transport = transport,
      password = function() asked = true return "x" end })
    assert.same({ closed = true }, sent)
    assert.is_false(asked)
  end)
end)

-- ------------------------------------------------------------ round trips

-- A line that is answered costs a round trip, unless it came with the one
-- before: `waiting` counts the most that were there at a time.
describe("A server that is known", function()
  local box = { messages = { "a\r\n" },
    capa = { "PIPELINING", "UIDL", "USER" }, burst = true }

  it("is not asked again what it can do", function()
    local s = server.start { connections = { { tls(), { mailbox = box } } }, accepts = 0 }
    local cache = {}
    for _ = 1, 2 do
      local conn = pop3.open(options(s, { cache = cache, stat = true }))
      conn:quit()
    end
    local report = s:report()
    local seen = report.connections[2]
    assert.same({ "USER joe", "PASS secret", "STAT", "QUIT" }, seen.commands)
    assert.equal(3, seen.waiting) -- one flight
    assert.equal(0, report.failed)
  end)

  it("is not asked for STLS either", function()
    local known = { "S: +OK ready", "C: STLS", "S: +OK", tls(), "C: USER joe",
      "S: +OK", "C: PASS secret", "S: +OK", { eof = true } }
    local first = { "S: +OK ready", "C: CAPA", CAPA_STLS, "C: STLS", "S: +OK",
      tls(), "C: CAPA", CAPA_USER, "C: USER joe", "S: +OK", "C: PASS secret",
      "S: +OK", { eof = true } }
    local s, cache = server.start { first, known, known }, {}
    for _, way in ipairs { "starttls", "starttls", "opportunistic" } do
      local conn = pop3.open(options(s, { tls = way, cache = cache }))
      assert.is_true(conn:info().secure)
      conn:close()
    end
    assert.equal(0, s:report().failed)
  end)

  it("is not asked for its mechanisms, and proves itself by SCRAM", function()
    local scram = { scram = { password = "secret" } }
    local capa = { send = "+OK\r\nSASL SCRAM-SHA-256 PLAIN\r\nUSER\r\n.\r\n" }
    local s = server.start {
      { tls(), "S: +OK ready", "C: CAPA", capa, scram, { eof = true } },
      { tls(), "S: +OK ready", scram, { eof = true } } }
    local cache = {}
    for _ = 1, 2 do
      pop3.open(options(s, { cache = cache,
                             channel_binding = "disable" })):close()
    end
    assert.equal(0, s:report().failed)
  end)

  it("resumes the TLS session", function()
    local s = server.start { connections = { { tls(), { mailbox = box } } }, accepts = 0 }
    local resumed = {}
    for i = 1, 3 do
      local conn = pop3.open(options(s))
      resumed[i] = conn:info().tls.resumed
      conn:quit()
    end
    assert.same({ true, true }, { resumed[2], resumed[3] })
    s:report()
  end)
end)

describe("A task", function()
  it("opens a session frame by frame", function()
    local s = logging_in(tls(), "S: +OK ready")
    local conn
    local task = pop3.start(function() conn = pop3.open(options(s)) end)
    local state
    repeat state = task:step() until state ~= "waiting"
    assert.equal("done", state)
    assert.equal("+OK", conn:noop())
    conn:close()
  end)
end)

-- PUC Lua 5.1 cannot see an error of a function that may yield.
if not lua.yields_anywhere then
  describe("In a coroutine of PUC Lua 5.1", function()
    it("what a password's function raises passes unchanged", function()
      local s = server.start { { tls(), "S: +OK ready", { eof = true } } }
      local thread = coroutine.create(function()
        pop3.open(options(s, { loop = false,
          password = function() error("mine", 0) end }))
      end)
      local ok, err = coroutine.resume(thread)
      assert.same({ false, "mine" }, { ok, err })
    end)
  end)
end
