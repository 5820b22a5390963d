-- TLS sessions: when a connection resumes an earlier one, and that a session
-- brings nobody in who would be refused without it (R20). The peer's octets are
-- spec/csrc/tls_session_test.c's matter.

local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local dovecot = require "spec.support.dovecot"
local pop3 = require "pop3"
local server = require "spec.support.server"

local NAME = certificates.name
local QUIT = { auto = {} } -- answers QUIT, refuses the rest

local options_with = certificates.client

local doors = {
  implicit = {
    steps = function(tls) return { { tls = tls }, "S: +OK ready", QUIT } end,
    connect = function(s, options)
      return pop3.POP3_SSL(options.host or s.host, s.port, options)
    end,
  },
  STLS = {
    steps = function(tls)
      return { "S: +OK ready", "C: CAPA", { send = "+OK\r\nSTLS\r\n.\r\n" },
               "C: STLS", "S: +OK begin", { tls = tls }, QUIT }
    end,
    connect = function(s, options)
      local own = { tls = "starttls" }
      for key, value in pairs(options) do own[key] = value end
      return pop3.POP3(own.host or s.host, s.port, own)
    end,
  },
}

--- A server of so many connections, all with the same TLS options.
local function start(count, tls, door)
  local connections = {}
  tls = certificates.server(tls and tls.cert or "exact", tls)
  for i = 1, count do
    connections[i] = (door or doors.implicit).steps(tls)
  end
  return server.start { connections = connections }
end

--- Connect, ask `use` something, QUIT.
local function ask(use, s, options, door)
  local conn = (door or doors.implicit).connect(s, options or {})
  pcall(conn.noop, conn) -- TLS 1.3: a session comes with what is read
  local answer = use(conn)
  conn:quit()
  return answer
end

--- Connect, QUIT; was a session resumed?
local function visit(...)
  return ask(function(conn) return conn:info().tls.resumed end, ...)
end

--- Connect, QUIT; the session.
local function obtain(...)
  return ask(function(conn) return conn:session_export() end, ...)
end

--- A context that nobody else has: option tables share theirs.
local function new_context(more)
  return pop3.context(options_with(more))
end

local function fails(name, ...)
  local ok, err = pcall(visit, ...)
  assert.is_false(ok)
  assert.is_table(err)
  assert.same({ "tls", name }, { err.kind, err.name })
  return err
end

describe("a TLS session", function()
  after_each(server.stop_all)

  for name, door in pairs(doors) do
    for _, version in ipairs { "1.2", "1.3" } do
      it(("is resumed: %s, TLS %s"):format(name, version), function()
        local s = start(3, { max_version = version }, door)
        local context = new_context()
        local seen, told = {}, {}
        for i = 1, 3 do
          told[i] = visit(s, { context = context }, door)
        end
        local report = s:report()
        for i = 1, 3 do seen[i] = report.connections[i].tls.resumed end
        assert.same({ false, true, true }, told)
        assert.same({ false, true, true }, seen)
        assert.equal(NAME, report.connections[3].tls.servername)
      end)
    end
  end

  it("is shared by option tables that are equal", function()
    local s = start(2)
    local options = { min_version = "1.3", groups = "P-256" } -- of nobody else
    assert.is_false(visit(s, options_with(options)))
    assert.is_true(visit(s, options_with(options)))
    s:report()
  end)

  it("is shared by connections that are open at the same time", function()
    local s = start(3)
    local options = { context = new_context(), timeout = 20 }
    visit(s, options)
    local one = pop3.POP3_SSL(s.host, s.port, options)
    local two = pop3.POP3_SSL(s.host, s.port, options)
    assert.is_true(one:info().tls.resumed)
    assert.is_true(two:info().tls.resumed)
    one:quit()
    two:quit()
    s:report()
  end)

  it("is not offered where resume = false", function()
    local s = start(2)
    local options = options_with { resume = false }
    assert.is_false(visit(s, options))
    assert.is_false(visit(s, options))
    assert.is_nil(s:report().connections[2].tls.resumed or nil)
  end)

  it("is not offered by another context", function()
    local s = start(2)
    assert.is_false(visit(s, { context = new_context() }))
    assert.is_false(visit(s, { context = new_context() }))
    s:report()
  end)

  it("is not offered to a host of another name", function()
    local s = start(2)
    local context = new_context()
    assert.is_false(visit(s, { context = context }))
    s.host = "127.1" -- the same one by another name; needs no /etc/hosts
    assert.is_false(visit(s, { context = context }))
    s:report()
  end)

  it("is not offered through another door", function()
    local tls = certificates.server("exact")
    local s = server.start {
      doors.implicit.steps(tls), doors.STLS.steps(tls),
    }
    local context = new_context()
    assert.is_false(visit(s, { context = context }))
    assert.is_false(visit(s, { context = context }, doors.STLS))
    s:report()
  end)

  for option in pairs { verify = 1, check_hostname = 1 } do
    it("is not kept where " .. option .. " = false", function()
      local s = start(2)
      local context = new_context { [option] = false }
      assert.is_nil(obtain(s, { context = context }))
      assert.is_false(visit(s, { context = context }))
      s:report()
    end)
  end

  it("gives way to a full handshake where the server has forgotten it",
    function()
      local s = start(3, { forget = true })
      local context = new_context()
      for _ = 1, 3 do
        assert.is_false(visit(s, { context = context }))
      end
      s:report()
    end)

  it("does not stand in for a certificate that a full handshake shows",
    function()
      local s = server.start {
        doors.implicit.steps(certificates.server("exact")),
        doors.implicit.steps(certificates.server("expired")),
        doors.implicit.steps(certificates.server("mismatch")),
      }
      local context = new_context()
      visit(s, { context = context })
      fails("certificate", s, { context = context })
      fails("hostname", s, { context = context })
      s:report()
    end)

  it("comes back after a failed handshake only by a full one", function()
    local good = certificates.server("exact")
    local s = server.start {
      doors.implicit.steps(good), { { read = 5 }, { close = "abrupt" } },
      doors.implicit.steps(good), doors.implicit.steps(good),
    }
    local context = new_context()
    visit(s, { context = context })
    fails("handshake", s, { context = context })
    assert.is_false(visit(s, { context = context }))
    assert.is_true(visit(s, { context = context }))
    s:report()
  end)
end)

describe("an exported TLS session", function()
  after_each(server.stop_all)

  for name, door in pairs(doors) do
    for _, version in ipairs { "1.2", "1.3" } do
      it(("is resumed: %s, TLS %s"):format(name, version), function()
        local s = start(2, { max_version = version }, door)
        local session = obtain(s, { context = new_context() }, door)
        assert.is_string(session)
        assert.is_true(visit(s, { context = new_context(),
                                   session = session }, door))
        assert.is_true(s:report().connections[2].tls.resumed)
      end)
    end
  end

  it("is resumed by another process", function()
    local s = start(2)
    local session = obtain(s, options_with())
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(session)
    file:close()
    local result = child.run {
      script = [[
        local port, path, cafile, name = ...
        local pop3 = require "pop3"
        local file = assert(io.open(path, "rb"))
        local conn = pop3.POP3_SSL("127.0.0.1", tonumber(port), {
          cafile = cafile, servername = name, timeout = 20,
          session = file:read("*a"),
        })
        print(conn:info().tls.resumed, conn:info().tls.verified)
        conn:quit()
      ]],
      arguments = { tostring(s.port), path, certificates.cafile, NAME },
    }
    os.remove(path)
    assert.equal("true\ttrue\n", result.out, result.err)
    s:report()
  end)

  it("is there only after something was read in TLS 1.3", function()
    local s = server.start {
      doors.STLS.steps(certificates.server("exact")),
    }
    local conn = pop3.POP3(s.host, s.port, options_with())
    assert.is_nil(conn:session_export())
    conn:stls()
    assert.is_nil(conn:session_export())
    pcall(conn.noop, conn)
    assert.is_string(conn:session_export())
    conn:quit()
    assert.is_nil(conn:session_export())
    s:report()
  end)

  it("is nil where the server gives none", function()
    local s = start(1, { tickets = 0 })
    local session = obtain(s, options_with())
    assert.is_nil(session)
    s:report()
  end)

  -- Without the binding, each of these would be resumed, and let pass.
  local bound = {
    { "another name", { servername = "pop.example.net" }, "hostname" },
    { "other roots", { cafile = certificates.file("client") }, "certificate" },
    { "verify = false", { verify = false } },
    { "check_hostname = false", { check_hostname = false } },
    { "a client certificate", { certfile = certificates.file("client"),
                                keyfile = certificates.file("key") } },
    { "other versions", { min_version = "1.3" } },
    { "other ciphers", { ciphers = "ECDHE+AESGCM" } },
    { "another security level", { security_level = 1 } },
  }
  for _, row in ipairs(bound) do
    it("R20 is no use with " .. row[1], function()
      local s = start(2)
      local session = obtain(s, options_with())
      local options = options_with(row[2])
      options.session = session
      if row[3] then
        fails(row[3], s, options)
      else
        assert.is_false(visit(s, options))
      end
      assert.is_falsy(s:report().connections[2].tls.resumed)
    end)
  end

  it("R20 of nobody verified does not exist", function()
    local s = start(1, { cert = "self-signed" })
    local session = obtain(s, { verify = false, check_hostname = false })
    assert.is_nil(session)
    s:report()
  end)

  it("is a configuration error when it was damaged", function()
    local s = start(1)
    local session = obtain(s, options_with())
    s:report()
    local wrong = {
      "", "nonsense", session:sub(1, -2), session .. "\0",
      (session:gsub(".$", function(last)
        return string.char((last:byte() + 1) % 256)
      end)),
    }
    for i, octets in ipairs(wrong) do
      local ok, err = pcall(pop3.POP3_SSL, s.host, s.port,
        options_with { session = octets })
      assert.is_false(ok)
      assert.same({ i, "tls", "config" }, { i, err.kind, err.name })
      assert.matches("session_export", tostring(err), 1, true)
    end
  end)

  it("is a string", function()
    for _, value in ipairs { 1, true, {} } do
      local ok, err = pcall(pop3.POP3_SSL, "127.0.0.1", 1, { session = value })
      assert.is_false(ok)
      assert.matches("bad option 'session' to 'POP3_SSL'", err, 1, true)
    end
  end)
end)

describe("a TLS session of Dovecot's", function()
  local missing = dovecot.missing()
  if missing then
    return it("is resumed", function() return pending(missing) end)
  end
  local box
  setup(function() box = dovecot.start() end)
  teardown(function() box:stop() end)

  for _, version in ipairs { "1.2", "1.3" } do
    for name, door in pairs(doors) do
      it(("is resumed: %s, TLS %s"):format(name, version), function()
        local options = { context = pop3.context { cafile = box.cafile,
                                                   max_version = version },
                          timeout = 30 }
        local s = { host = box.host, port = name == "STLS" and box.plain
                                            or box.implicit }
        assert.is_false(visit(s, options, door))
        assert.is_true(visit(s, options, door))
        options.session = obtain(s, options, door)
        assert.is_true(visit(s, options, door))
      end)
    end
  end
end)
