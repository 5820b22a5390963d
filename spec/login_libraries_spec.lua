-- login() against POP3 servers whose SASL is GNU's (-PLUS by TLS 1.3 and 1.2) or
-- Cyrus's (SCRAM-SHA-512): what Dovecot does not have.

local claims = require "spec.support.claims"
local pop3 = require "pop3"
local sasl_servers = require "spec.support.sasl_servers"

local function with_library(name, fn)
  local why = sasl_servers.missing(name)
  if why then
    it("logs in by " .. name, function() pending(why) end)
  else
    fn(function(options) return sasl_servers.start(name, options) end)
  end
end

local function connect(s, options)
  options = options or {}
  options.cafile, options.servername, options.timeout = s.cafile, s.name, 30
  return pop3.POP3_SSL(s.host, s.port, options)
end

-- Somebody took ...-PLUS out of the list (T19): the server is told that we saw
-- none, and knows better.
local function notices_what_was_taken_out(start)
  for _, version in ipairs { "1.3", "1.2" } do
    local s = start { tls = "implicit", max_tls = version,
      mechanisms = "SCRAM-SHA-256" }
    local conn = connect(s)
    local err = claims.fails("auth", "refused", conn.login, conn, s.user,
      s.password)
    assert.matches("taken ...-PLUS out", err.message, 1, true)
    conn:close()
    conn = connect(s)
    conn:login(s.user, s.password, { channel_binding = "disable" })
    conn:quit()
    s:stop()
  end
end

--- The mechanisms of the AUTHs that the server was sent.
local function tried(said)
  local names = {}
  for _, line in ipairs(said) do
    names[#names + 1] = line:match("^COMMAND AUTH (%S+)")
  end
  return names
end

describe("GNU SASL", function()
  after_each(sasl_servers.stop_all)

  with_library("gsasl", function(start)
    for _, version in ipairs { "1.3", "1.2" } do
      it("logs in bound to the channel of TLS " .. version, function()
        local s = start { tls = "implicit", max_tls = version }
        local conn = connect(s)
        conn:login(s.user, s.password)
        assert.equal(0, (conn:stat()))
        conn:quit()
        assert.same({ "SCRAM-SHA-256-PLUS" }, tried(s:stop()))
      end)
    end

    it("logs in with the binding required, or not wanted", function()
      for binding, name in pairs { require = "SCRAM-SHA-256-PLUS",
        disable = "SCRAM-SHA-256" } do
        local s = start { tls = "implicit" }
        local conn = connect(s)
        conn:login(s.user, s.password, { channel_binding = binding })
        conn:quit()
        assert.same({ name }, tried(s:stop()))
      end
    end)

    it("notices a -PLUS that was taken out of its list", function()
      notices_what_was_taken_out(start)
    end)

    -- It refuses who says that it has none; a list of last year must not.
    it("is told nothing of a -PLUS by a list that is older", function()
      local s = start { tls = "implicit" }
      local key = ("%s:%d tls by chain+name as %s"):format(s.host, s.port,
        s.name)
      local cache = { [key] = "SASL SCRAM-SHA-256\n" }
      local conn = connect(s, { cache = cache })
      conn:login(s.user, s.password)
      conn:quit()
      assert.same({ "SCRAM-SHA-256-PLUS" }, tried(s:stop()))
    end)

    it("refuses a wrong password, once", function()
      local s = start { tls = "implicit" }
      local conn = connect(s)
      local err = claims.fails("auth", "refused", conn.login, conn, s.user,
        "wrong")
      assert.equal("SCRAM-SHA-256-PLUS", err.mechanism)
      conn:close()
      assert.same({ "SCRAM-SHA-256-PLUS" }, tried(s:stop()))
    end)
  end)
end)

describe("Cyrus SASL", function()
  after_each(sasl_servers.stop_all)

  with_library("cyrus", function(start)
    it("notices a -PLUS that was taken out of its list", function()
      notices_what_was_taken_out(start)
    end)

    it("logs in by SCRAM-SHA-512, bound where it can be", function()
      local s = start { tls = "implicit" }
      local conn = connect(s)
      conn:login(s.user, s.password, { auth = { "SCRAM-SHA-512-PLUS",
        "SCRAM-SHA-512" } })
      assert.equal(0, (conn:stat()))
      conn:quit()
      assert.matches("SCRAM%-SHA%-512", tried(s:stop())[1])
    end)
  end)
end)
