-- login() and authenticate() against Dovecot with every mechanism it has, by
-- every door; login_libraries_spec.lua has those that it has not.

local claims = require "spec.support.claims"
local dovecot = require "spec.support.dovecot"
local pop3 = require "pop3"

local missing = dovecot.missing()
if missing then
  return it("Dovecot logs in by every mechanism",
    function() return pending(missing) end)
end

describe("Dovecot", function()
  local server

  setup(function()
    server = dovecot.start { sasl = true }
    server:deliver("joe", {})
    server:deliver("nobody", {}) -- ANONYMOUS
  end)
  teardown(function() if server then server:stop() end end)

  --- A connection by TLS, with joe's certificate if `known`.
  local function connect(known, options)
    options = options or {}
    options.cafile, options.timeout = server.cafile, 30
    if known then
      options.certfile, options.keyfile = server.certfile, server.keyfile
    end
    return pop3.POP3_SSL(server.host, server.implicit, options)
  end

  local doors = {
    ["in clear"] = function()
      return pop3.POP3(server.host, server.plain, { timeout = 30 })
    end,
    ["by STLS"] = function()
      return pop3.POP3(server.host, server.plain, { timeout = 30,
        tls = "starttls", cafile = server.cafile })
    end,
    ["by implicit TLS"] = connect,
  }

  --- Log in, use it, and look into the server's log for the mechanism.
  local function logs_in(conn, mechanism, ...)
    conn:login(...)
    assert.equal(0, (conn:stat()))
    conn:quit()
    assert.equal(mechanism, server:login())
  end

  for name, open in pairs(doors) do
    it("logs in by the strongest, " .. name, function()
      logs_in(open(), "SCRAM-SHA-256", "joe", server.password)
    end)
  end

  local names = { "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1",
    "SCRAM-SHA-256", "APOP" }
  for _, name in ipairs(names) do
    it("logs in by " .. name .. ", and says when it does not", function()
      logs_in(connect(), name, "joe", server.password, { auth = name })
      local conn = connect()
      local err = claims.fails("auth", "refused", conn.login, conn, "joe",
        "wrong", { auth = name })
      assert.same({ name, "AUTH" }, { err.mechanism, err.code })
      assert.matches("login by " .. name, err.message, 1, true)
      logs_in(conn, name, "joe", server.password, { auth = name })
    end)
  end

  it("logs in by USER and PASS", function()
    logs_in(connect(), "PLAIN", "joe", server.password, { auth = "USER" })
  end)

  it("logs in anybody by ANONYMOUS", function()
    logs_in(connect(), "ANONYMOUS", "me@example.org", nil,
      { auth = "ANONYMOUS" })
  end)

  it("logs in who has a certificate by EXTERNAL", function()
    logs_in(connect(true), "EXTERNAL", "joe", nil, { auth = "EXTERNAL" })
    logs_in(connect(true), "EXTERNAL", nil, nil, { auth = "EXTERNAL" })
    local conn = connect(false)
    claims.fails("auth", "refused", conn.login, conn, "joe", nil,
      { auth = "EXTERNAL" })
    conn:close()
  end)

  for _, name in ipairs { "OAUTHBEARER", "XOAUTH2" } do
    it("logs in by a token and " .. name, function()
      local long = "token-of-joe." .. ("x"):rep(2000)
      logs_in(connect(), name, "joe", nil,
        { auth = name, token = "token-of-joe" })
      logs_in(connect(), name, "joe", nil, { auth = name, token = long })
      local conn = connect()
      local err = claims.fails("auth", "refused", conn.login, conn, "joe",
        nil, { auth = name, token = "unknown" })
      assert.equal(name, err.mechanism)
      assert.matches("status", err.detail, 1, true)
      assert.matches("token", err.message, 1, true)
      conn:close()
    end)
  end

  it("takes OAUTHBEARER for a token", function()
    logs_in(connect(), "OAUTHBEARER", "joe", nil, { token = "token-of-joe" })
  end)

  it("knows no mechanism that it was not asked to have, and says so so",
    function()
      local conn = connect()
      local err = claims.fails("auth", "refused", conn.authenticate, conn,
        "X-NONE", error)
      assert.matches("nsupported", err.response, 1, true)
      conn:close()
    end)

  it("answers what rides behind a SCRAM login", function()
    local conn = connect()
    local _, extras = conn:login("joe", server.password,
      { stat = true, listing = true, quit = true })
    assert.equal(0, extras.stat.count)
    assert.equal(0, #extras.listing)
    assert.truthy(extras.quit)
    assert.equal("SCRAM-SHA-256", server:login())
  end)

  it("is told the truth about channel bindings", function()
    local conn = connect()
    local err = claims.fails("proto", "unsupported", conn.login, conn,
      "joe", server.password, { channel_binding = "require" })
    assert.matches("SCRAM-SHA-256", err.message, 1, true)
    conn:close()
  end)
end)

describe("A Dovecot that wants TLS", function()
  local server

  setup(function()
    server = dovecot.start { only_tls = true }
    server:deliver("joe", {})
  end)
  teardown(function() if server then server:stop() end end)

  it("is sent no password in clear: it announces no way", function()
    local conn = pop3.POP3(server.host, server.plain, { timeout = 30 })
    assert.is_nil(conn:capabilities().USER)
    local err = claims.fails("proto", "unsupported", conn.login, conn,
      "joe", server.password)
    assert.matches("SASL", err.message, 1, true)
    conn:stls { cafile = server.cafile, servername = "localhost" }
    assert.matches("^%+OK", (conn:login("joe", server.password)))
    conn:quit()
  end)
end)
