-- tls_spec.lua - tls_engine = "transport": nginx's own TLS, by its directives,
-- behind the same walls.

local certificates = require "spec.support.certificates"
local dns = require "spec.support.dns"
local nginx = require "spec.support.nginx"
local server = require "spec.support.server"

describe('TLS by nginx (tls_engine = "transport")', function()
  local names

  setup(function() names = dns.start() end)
  teardown(function() names:stop() end)
  after_each(nginx.stop_all)
  after_each(server.stop_all)

  local CODE = [[
    local pop3 = require "pop3"
    local options = %s
    options.tls_engine = "transport"
    local ok, err = pcall(function()
      local M = pop3.POP3(%q, %d, options)
      M:login("me", "secret")
      show(M:stat())
      show(M:info().secure, M:info().tls)
      M:quit()
    end)
    if ok then return show("good") end
    show(type(err) == "table" and err.kind .. "/" .. err.name, err)
  ]]

  -- What a session in nginx says.
  local function session(s, options, more)
    more = more or {}
    local trusted = more.trusted or certificates.cafile
    local host = nginx.start {
      http = ("resolver 127.0.0.1:%d ipv6=off; lua_ssl_verify_depth 3;\n"
        .. "lua_ssl_trusted_certificate %s;"):format(names.port, trusted),
      content = { session = (more.before or "") .. CODE:format(options,
        more.name or certificates.name, s.port) },
    }
    return (host:get("/session"))
  end

  local function mail_server(certificate, implicit)
    local tls = certificates.server(certificate or "exact")
    local mailbox = { messages = { "x\r\n" }, stls = not implicit and tls
      or nil }
    local steps = { { mailbox = mailbox } }
    if implicit then table.insert(steps, 1, { tls = tls }) end
    return server.start { connections = { steps } }
  end

  it("secures by STLS", function()
    local s = mail_server()
    assert.equal("1 3\ntrue nil\ngood\n", session(s, '{ tls = "starttls" }'))
    local report = s:report().connections[1]
    assert.equal("CAPA\r\nSTLS\r\n", report.clear)
    assert.equal(certificates.name, report.tls.servername)
  end)

  it("secures at once", function()
    local s = mail_server(nil, true)
    assert.equal("1 3\ntrue nil\ngood\n", session(s, '{ tls = "implicit" }'))
    assert.equal("", s:report().connections[1].clear)
  end)

  it("checks the name", function()
    local s = mail_server "mismatch"
    assert.equal("tls/hostname mail.example.org: certificate host mismatch\n",
      session(s, '{ tls = "starttls" }'))
    assert.equal("CAPA\r\nSTLS\r\n", s:report().connections[1].clear)
    assert.equal("", s:report().connections[1].secure)
  end)

  it("checks the name of an address, which nginx finds in none", function()
    local s = mail_server "ip"
    local said = session(s, '{ tls = "starttls" }', { name = "127.0.0.1" })
    assert.truthy(said:find("^tls/hostname"), said)
  end)

  it("trusts nobody but nginx's roots", function()
    local said = session(mail_server(), '{ tls = "starttls" }',
      { trusted = certificates.file "unknown-root" })
    assert.truthy(said:find("^tls/certificate mail.example.org: %d+: "), said)
    assert.truthy(said:find("lua_ssl_trusted_certificate", 1, true), said)
  end)

  -- Once in some hundred times with a server on the same machine: the
  -- handshake needs no wait, and nginx forgets to say what it has found.
  it("believes no handshake behind which nginx closed the socket", function()
    local said = session(mail_server("exact", true), '{ tls = "implicit" }',
      { before = [[
        local tcp = ngx.socket.tcp
        ngx.socket.tcp = function()
          local real = tcp()
          return setmetatable({ sslhandshake = function()
            real:close()
            return true
          end }, { __index = function(_, name)
            return function(_, ...) return real[name](real, ...) end
          end })
        end
      ]] })
    assert.truthy(said:find("^tls/certificate mail.example.org: nginx refuses"),
      said)
  end)

  it("leaves verification out only when it is told to", function()
    assert.equal("1 3\ntrue nil\ngood\n", session(mail_server "mismatch",
      '{ tls = "starttls", '
        .. 'loop = require("pop3.loop.nginx").new { verify = false } }'))
  end)

  it("reads nothing that was sent in clear behind STLS's answer", function()
    local s = server.start { { "S: +OK", "C: CAPA", "S: +OK\r\nSTLS\r\n.",
      "C: STLS", { send = "+OK begin\r\n+OK injected\r\n" }, { eof = true } } }
    local said = session(s, '{ tls = "starttls" }')
    assert.truthy(said:find("^tls/injection"), said)
  end)

  it("fails as a handshake where there is no TLS", function()
    local s = server.start { { "S: +OK", { close = true } } }
    local said = session(s, '{ tls = "implicit" }')
    assert.truthy(said:find("^tls/handshake mail.example.org:%d+: TLS "
      .. "handshake failed: "), said)
  end)

  it("does not wait for a handshake for ever", function()
    local s = server.start { { { stall = true } } }
    assert.equal("timeout/connect timed out\n", session(s,
      '{ tls = "implicit", connect_timeout = 0.3 }'))
  end)

  -- A SOCKS5 proxy that was asked for the server by its name.
  local function proxied(reply, ...)
    return server.start { { { read = 3 }, { send = "\5\0" },
      { read = 7 + #certificates.name },
      { send = "\5\0\0\1\0\0\0\0\0\0" .. reply }, ... } }
  end

  it("goes through a proxy", function()
    for how, steps in pairs {
      implicit = { { tls = certificates.server "exact" },
        { mailbox = { messages = { "x\r\n" } } } },
      starttls = { { mailbox = { messages = { "x\r\n" },
        stls = certificates.server "exact" } } },
    } do
      local s = proxied("", (table.unpack or unpack)(steps)) -- luacheck: ignore
      assert.equal("1 3\ntrue nil\ngood\n", session(s,
        ('{ tls = "%s", proxy = "socks5://127.0.0.1:%d" }'):format(how, s.port)))
      assert.equal(certificates.name, s:report().connections[1].tls.servername)
    end
  end)

  it("takes no octet that came behind a proxy's answer", function()
    local s = proxied("+OK in clear\r\n", { eof = true })
    local said = session(s,
      ('{ tls = "implicit", proxy = "socks5://127.0.0.1:%d" }'):format(s.port))
    assert.truthy(said:find("^proto/proxy proxy 127.0.0.1:%d+: octets followed "
      .. "its answer"), said)
  end)

  it("takes no option of our own TLS", function()
    local said = session(mail_server(), '{ tls = "starttls", cafile = "x" }')
    assert.truthy(said:find("leaves TLS to the host", 1, true), said)
  end)
end)
