-- conn:tls_info(): what was agreed upon, and the certificates. What hostile
-- certificates may hold is spec/csrc/tls_describe_test.c's matter.

local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local files = require "spec.support.files"
local pop3 = require "pop3"
local server = require "spec.support.server"
local shell = require "spec.support.shell"

local NAME = certificates.name
local QUIT = { auto = {} } -- answers QUIT, refuses the rest

local options_with = certificates.client

--- The info of a connection to a server with the certificate `name`.
local function info_of(name, options, tls)
  local s = server.start {
    { { tls = certificates.server(name, tls) }, "S: +OK ready", QUIT },
  }
  local conn = pop3.POP3_SSL(s.host, s.port, options_with(options))
  local info = conn:tls_info()
  conn:quit()
  s:report()
  return info, conn
end

--- Of anybody, without a look.
local function info_of_anybody(name)
  return info_of(name, { verify = false, check_hostname = false })
end

local function openssl_of(path, words)
  return shell.output("openssl x509 -noout -in " .. path .. " " .. words)
end

local function openssl(name, words)
  return openssl_of(certificates.file(name), words)
end

describe("tls_info()", function()
  after_each(server.stop_all)

  it("tells what was agreed upon", function()
    local info = info_of("exact", {
      ciphersuites = "TLS_AES_256_GCM_SHA384", groups = "P-256",
    }, { alpn = { "pop3" } })
    assert.equal("TLSv1.3", info.version)
    assert.equal("TLS_AES_256_GCM_SHA384", info.cipher)
    assert.equal(256, info.bits)
    assert.equal("secp256r1", info.group)
    assert.equal("pop3", info.alpn)
    assert.equal(NAME, info.servername)
    assert.is_false(info.resumed)
    assert.is_true(info.verified)
    assert.equal("chain+name", info.verified_by)
  end)

  it("tells what was not verified", function()
    local info = info_of_anybody("self-signed")
    assert.is_false(info.verified)
    assert.equal("nothing", info.verified_by)
    assert.is_nil(info.verified_chain)
    assert.equal(1, #info.chain)
  end)

  it("shows the chain as it was sent, and as it was verified", function()
    local info = info_of("exact")
    assert.equal(2, #info.chain)
    assert.equal(3, #info.verified_chain)
    assert.equal("CN=spec leaf", info.chain[1].subject)
    assert.equal("CN=Spec intermediate", info.chain[1].issuer)
    assert.equal("CN=Spec intermediate", info.chain[2].subject)
    assert.equal("CN=Spec root", info.verified_chain[3].issuer)
    assert.same(info.chain[1], info.verified_chain[1])
  end)

  it("says of a certificate what OpenSSL's command says", function()
    local own = info_of("exact").chain[1]
    assert.same({ "DNS:" .. NAME }, own.sans)
    assert.equal(openssl("exact", "-serial"):lower(),
      "serial=" .. own.serial .. "\n")
    local print_ = openssl("exact", "-fingerprint -sha256"):gsub(":", "")
    assert.matches("=" .. own.fingerprint:upper(), print_, 1, true)
    local path = files.temporary(own.pem)
    assert.equal(openssl("exact", "-text"), openssl_of(path, "-text"))
    os.remove(path)
    local now = os.time()
    assert.is_true(own.not_before < now and now < own.not_after)
    assert.equal("EC", own.key_type)
    assert.equal(256, own.key_bits)
    assert.equal("ecdsa-with-SHA256", own.signature)
    assert.equal(0, own.not_after % 1)
  end)

  it("gives the pin that others compute", function()
    local pipe = io.popen("openssl x509 -noout -pubkey -in "
      .. certificates.file("exact") .. " | openssl pkey -pubin -outform DER"
      .. " | openssl dgst -sha256 -binary | base64")
    local pin = "sha256//" .. pipe:read("*l")
    pipe:close()
    assert.equal(pin, info_of("exact").chain[1].pin)
  end)

  it("knows addresses", function()
    assert.same({ "IP:127.0.0.1", "IP:::1" }, info_of_anybody("ip").chain[1].sans)
  end)

  it("of a resumed session has at least the server's own", function()
    local tls = certificates.server("exact")
    local steps = { { tls = tls }, "S: +OK ready", QUIT }
    local s = server.start { steps, steps, steps }
    local context = pop3.context(options_with())
    local infos = {}
    for i = 1, 2 do
      local conn = pop3.POP3_SSL(s.host, s.port, { context = context })
      pcall(conn.noop, conn)
      infos[i] = conn:tls_info()
      if i == 2 then infos.export = conn:session_export() end
      conn:quit()
    end
    local conn = pop3.POP3_SSL(s.host, s.port,
      options_with { session = infos.export })
    infos[3] = conn:tls_info()
    conn:quit()
    for i = 2, 3 do
      assert.is_true(infos[i].resumed)
      assert.equal("chain+name", infos[i].verified_by)
      assert.is_nil(infos[i].verified_chain)
      assert.same(infos[1].chain[1], infos[i].chain[1])
    end
  end)

  it("works after STLS", function()
    local s = server.start { {
      "S: +OK ready", "C: CAPA", { send = "+OK\r\nSTLS\r\n.\r\n" }, "C: STLS",
      "S: +OK", { tls = certificates.server("exact") }, QUIT,
    } }
    local conn = pop3.POP3(s.host, s.port)
    assert.is_nil(conn:tls_info())
    conn:stls { cafile = certificates.cafile, servername = NAME }
    assert.equal("CN=spec leaf", conn:tls_info().chain[1].subject)
    conn:quit()
  end)

  it("is nil in clear, and when closed", function()
    local s = server.start { { "S: +OK", QUIT } }
    local conn = pop3.POP3(s.host, s.port)
    assert.is_nil(conn:tls_info())
    conn:quit()
    assert.is_nil(conn:tls_info())
    local _, ended = info_of("exact")
    assert.is_nil(ended:tls_info())
    assert.equal(1, select("#", ended:tls_info()))
  end)

  it("is nil after the stream broke", function()
    local s = server.start {
      { { tls = certificates.server("exact") }, "S: +OK", { close = true } },
    }
    local conn = pop3.POP3_SSL(s.host, s.port, options_with())
    claims.failure(conn.noop, conn)
    assert.is_nil(conn:tls_info())
  end)

  it("is nil where the transport does TLS", function()
    local said = { "+OK ready\r\n" }
    local transport = {
      send = function() return true end,
      receive = function() return table.remove(said, 1) or nil, "timeout" end,
      secure = function() return true end,
      close = function() end,
    }
    local conn = pop3.POP3_SSL("mail.example.org", {
      transport = transport, tls_engine = "transport",
    })
    assert.is_true(conn:info().secure)
    assert.is_nil(conn:tls_info())
    conn:close()
  end)

  it("survives ten thousand names", function()
    local info = info_of("crowd")
    local sans = info.chain[1].sans
    assert.equal(10000, #sans)
    assert.equal("DNS:h0000.x", sans[1])
    assert.equal("DNS:" .. NAME, sans[10000])
  end)

  it("escapes what a certificate holds", function()
    assert.same({ "DNS:" .. NAME .. "\\x00.evil.example" },
      info_of_anybody("nul").chain[1].sans)
    assert.same({ "DNS:evil\\x1b[31m\\r\\n.example" },
      info_of_anybody("control").chain[1].sans)
  end)

  it("survives a finaliser that closes the connection meanwhile", function()
    local s = server.start {
      { { tls = certificates.server("crowd") }, "S: +OK", QUIT },
    }
    local result = child.run {
      arguments = { s.port, certificates.cafile, NAME },
      script = [[
        local pop3 = require "pop3"
        local port, cafile, name = ...
        local conn = pop3.POP3_SSL("127.0.0.1", tonumber(port),
          { cafile = cafile, servername = name })
        local function on_collection(f)
          if not newproxy then return setmetatable({}, { __gc = f }) end
          getmetatable(newproxy(true)).__gc = f
        end
        require("spec.support.lua").collect_eagerly()
        on_collection(function() conn:close() end) -- nothing is made since
        local info = conn:tls_info()
        print(info.version, conn:info().closed, conn:tls_info())
      ]],
    }
    assert.equal("TLSv1.3\ttrue\tnil\n", result.out, result.err)
  end)

  it("is a copy: what a caller does with it changes nothing", function()
    local s = server.start {
      { { tls = certificates.server("exact") }, "S: +OK", QUIT },
    }
    local conn = pop3.POP3_SSL(s.host, s.port, options_with())
    conn:tls_info().chain[1].subject = "CN=me"
    assert.equal("CN=spec leaf", conn:tls_info().chain[1].subject)
    assert.same({ "alpn", "cipher", "group", "resumed", "verified", "version" },
      (function()
        local keys = { "alpn" } -- the server chose none
        for key in pairs(conn:info().tls) do keys[#keys + 1] = key end
        table.sort(keys)
        return keys
      end)())
    conn:quit()
  end)
end)
