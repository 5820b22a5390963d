-- pop3.open by every mechanism, against servers that nobody here wrote: chosen
-- by itself, or named in the options or in the URL.

local claims = require "spec.support.claims"
local dovecot = require "spec.support.dovecot"
local pop3 = require "pop3"
local sasl_servers = require "spec.support.sasl_servers"

--- A claim that needs a program.
local function claim(missing, text, fn)
  it(text, function()
    if missing then return pending(missing) end
    fn()
  end)
end

--- Use a session, and end it.
local function use(conn)
  assert.is_true(conn:info().secure)
  assert.equal(0, (conn:stat()))
  conn:quit()
end

describe("pop3.open to Dovecot", function()
  local missing, server = dovecot.missing(), nil

  setup(function()
    if missing then return end
    server = dovecot.start { sasl = true }
    server:deliver("joe", {})
    server:deliver("nobody", {}) -- ANONYMOUS
  end)
  teardown(function() if server then server:stop() end end)

  --- By these options; `more.tls` is the door.
  local function open(more)
    local options = { host = server.host, user = "joe", timeout = 30,
      cafile = server.cafile }
    for key, value in pairs(more) do options[key] = value end
    options.port = options.tls and server.plain or server.implicit
    if options.certified then
      options.certfile, options.keyfile = server.certfile, server.keyfile
      options.certified = nil
    end
    return pop3.open(options)
  end

  local function logs_in(mechanism, more)
    use(open(more))
    assert.equal(mechanism, server:login())
  end

  for _, door in ipairs { "implicit", "starttls", "opportunistic" } do
    claim(missing, "takes the strongest, " .. door, function()
      logs_in("SCRAM-SHA-256", { password = server.password,
        tls = door ~= "implicit" and door or nil })
    end)
  end

  for _, name in ipairs { "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1",
    "SCRAM-SHA-256", "APOP" } do
    claim(missing, "takes " .. name .. ", by option and by URL", function()
      logs_in(name, { password = server.password, auth = name })
      logs_in(name, { password = function() return server.password end,
        auth = { name } })
      local word = name == "APOP" and "+APOP" or name:lower()
      use(pop3.open(("pop3s://joe;AUTH=%s@%s:%d/"):format(word, server.host,
        server.implicit), { password = server.password,
        cafile = server.cafile }))
      assert.equal(name, server:login())
      local err = claims.fails("auth", "refused", open,
        { password = "wrong", auth = name })
      assert.same({ name, "AUTH", false },
        { err.mechanism, err.code, err.retryable })
    end)
  end

  claim(missing, "takes a token, by OAUTHBEARER or by XOAUTH2", function()
    logs_in("OAUTHBEARER", { token = "token-of-joe" })
    logs_in("XOAUTH2", { token = function() return "token-of-joe" end,
      auth = "XOAUTH2" })
    local err = claims.fails("auth", "refused", open, { token = "unknown" })
    assert.matches("status", err.detail, 1, true)
  end)

  claim(missing, "takes a certificate for EXTERNAL, and nobody for ANONYMOUS",
    function()
      logs_in("EXTERNAL", { auth = "EXTERNAL", certified = true })
      logs_in("ANONYMOUS", { auth = "ANONYMOUS", user = "me@example.org" })
    end)

  claim(missing, "knows capabilities that are typed", function()
    local conn = open { password = server.password }
    local found = conn:capabilities()
    assert.is_true(found.uidl and found.top and found.resp_codes)
    conn:quit()
    conn = pop3.POP3_SSL(server.host, server.implicit,
      { cafile = server.cafile })
    assert.is_true(conn:capabilities().sasl["SCRAM-SHA-256"])
    conn:close()
  end)
end)

-- The -PLUS forms and SHA-512, which Dovecot has not.
local rows = {
  { "gsasl", "SCRAM-SHA-256-PLUS" }, { "gsasl", "SCRAM-SHA-1-PLUS" },
  { "cyrus", "SCRAM-SHA-512-PLUS" }, { "cyrus", "SCRAM-SHA-512", "disable" },
}
for _, row in ipairs(rows) do
  describe("pop3.open to " .. row[1], function()
    after_each(sasl_servers.stop_all)

    claim(sasl_servers.missing(row[1]), "takes " .. row[2], function()
      local s = sasl_servers.start(row[1], { tls = "implicit",
        mechanisms = row[2] })
      use(pop3.open { host = s.host, port = s.port, user = s.user,
        password = s.password, cafile = s.cafile, servername = s.name,
        channel_binding = row[3], timeout = 30 })
      assert.matches("AUTH " .. row[2], table.concat(s:stop(), "\n"), 1, true)
    end)
  end)
end
