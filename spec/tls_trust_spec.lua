-- What may be asked for beside chain and name: pins, TLSA records (DANE), OCSP
-- stapling, revocation lists; the forms of these options, what a connection
-- says of them, and what sessions of them are good for. Who is believed is
-- certificates_spec.lua's matter; DANE's verdicts are compared with OpenSSL's.

local certificates = require "spec.support.certificates"
local pop3 = require "pop3"
local quote = require("spec.support.files").quote
local server = require "spec.support.server"

local NAME = certificates.name
local NO_PIN = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
local QUIT = { auto = {} }

local options_with = certificates.client

local function start(cert, tls, times)
  local steps = { { tls = certificates.server(cert, tls) }, "S: +OK ready",
                  QUIT }
  local connections = {}
  for i = 1, times or 1 do connections[i] = steps end
  return server.start(connections)
end

--- What a connection to a server with `cert` says of its TLS.
local function info_of(cert, options, tls)
  local s = start(cert, tls)
  local conn = pop3.POP3_SSL(s.host, s.port, options_with(options))
  local info = conn:tls_info()
  conn:quit()
  return info
end

local function octets(hex)
  return (hex:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

describe("what is trusted beside chain and name", function()
  after_each(server.stop_all)

  describe("pins", function()
    it("are a string or a list", function()
      local pin = certificates.pin("exact")
      assert.is_true(info_of("exact", { pins = pin }).verified)
      assert.is_true(info_of("exact", { pins = NO_PIN .. ";" .. pin }).verified)
      assert.is_true(info_of("exact", { pins = { NO_PIN, pin } }).verified)
    end)

    it("are said to be what verified, where nothing else was looked at", function()
      local pin = certificates.pin("self-signed")
      local info = info_of("self-signed", { verify = false, pins = pin })
      assert.same({ true, "pin" }, { info.verified, info.verified_by })
    end)

    it("of another key tell the server's", function()
      local s = start("exact")
      local ok, err = pcall(pop3.POP3_SSL, s.host, s.port,
        options_with { pins = NO_PIN })
      assert.is_false(ok)
      assert.same({ "tls", "pin" }, { err.kind, err.name })
      assert.matches(certificates.pin("exact"), tostring(err), 1, true)
    end)

    it("that are none are named", function()
      for _, wrong in ipairs { "sha256//oops", "", "md5//AAAA" } do
        local ok, err = pcall(pop3.context, { pins = { NO_PIN, wrong } })
        assert.is_false(ok)
        assert.same({ "tls", "config" }, { err.kind, err.name })
        assert.matches('"' .. wrong .. '"', tostring(err), 1, true)
      end
    end)

    it("are looked at in stls(), too", function()
      local s = server.start { {
        "S: +OK ready", "C: CAPA", { send = "+OK\r\nSTLS\r\n.\r\n" }, "C: STLS",
        "S: +OK begin", { tls = certificates.server("exact") }, QUIT,
      } }
      local conn = pop3.POP3(s.host, s.port)
      local ok, err = pcall(conn.stls, conn, options_with { pins = NO_PIN })
      assert.is_false(ok)
      assert.same({ "tls", "pin" }, { err.kind, err.name })
      conn:close()
      assert.equal("", s:report().connections[1].secure)
    end)
  end)

  describe("a list or record of a wrong type", function()
    local rows = {
      { "pins", 1, "string expected" }, { "pins", {}, "empty" },
      { "pins", { 1 }, "in the list" }, { "pins", { {} }, "in the list" },
      { "pins", { ("x"):rep(70000) }, "(more than 64 KiB)" }, { "pins", { "\0" }, "NUL" },
      { "dane", true, "string expected" }, { "dane", { false }, "records" },
      { "dane", { {} }, "a record is" }, { "dane", { { 3, 1, 1 } }, "a record" },
      { "dane", { { 3, 1, 256, "x" } }, "a record is" },
      { "dane", { { 3, 1, 1.5, "x" } }, "a record is" },
      { "dane", { { 3, 1, -1, "x" } }, "a record is" },
      { "dane", { { "3", 1, 1, "x" } }, "a record is" },
      { "dane", { { 3, 1, 1, ("x"):rep(70000) } }, "a record is" },
      { "ocsp", "always", '"request" or "require"' },
      { "ocsp", true, "require" },
      { "crlfile", {}, "string expected" },
    }
    for i, row in ipairs(rows) do
      it("is an error of the caller's: number " .. i, function()
        local ok, err = pcall(pop3.context, { [row[1]] = row[2] })
        assert.is_false(ok)
        assert.is_string(err)
        assert.matches("'" .. row[1] .. "' to 'context'", err, 1, true)
        assert.matches(row[3], err, 1, true)
      end)
    end

    it("does not raise for a list that changes while it is read", function()
      local list = setmetatable({ NO_PIN }, { __index = error, __len = error })
      assert.is_truthy(pop3.context { pins = list })
    end)
  end)

  describe("dane", function()
    local record = certificates.tlsa("mismatch", "3 1 1")
    local data = octets(record:sub(7))

    it("takes records as text, by place and by name", function()
      local forms = {
        record, { record }, { { 3, 1, 1, data } },
        { { usage = 3, selector = 1, mtype = 1, data = data } },
        { "3 1 1 " .. ("00"):rep(32), { 3, 1, 1, data } },
      }
      for _, form in ipairs(forms) do
        local info = info_of("mismatch", { dane = form })
        assert.same({ true, "dane" }, { info.verified, info.verified_by })
      end
    end)

    it("asks for the base domain, which is a name that will do", function()
      local s = start("mismatch")
      local conn = pop3.POP3_SSL(s.host, s.port, options_with {
        dane = certificates.tlsa("mismatch", "2 0 1", 2),
        dane_domain = "pop.example.net",
      })
      assert.equal("pop.example.net", conn:tls_info().servername)
      conn:quit()
      assert.equal("pop.example.net", s:report().connections[1].tls.servername)
    end)
  end)

  --- Is a second connection to the same server by `options` resumed?
  local function resumes(cert, options, tls)
    local s = start(cert, tls, 2)
    local resumed
    for _ = 1, 2 do
      local conn = pop3.POP3_SSL(s.host, s.port, options)
      pcall(conn.noop, conn) -- TLS 1.3: a session comes with what is read
      resumed = conn:info().tls.resumed
      conn:quit()
    end
    return resumed
  end

  describe("sessions", function()
    local versions = { "1.2", "1.3" }
    for _, version in ipairs(versions) do
      it("are kept with all of it (TLS " .. version .. ")", function()
        local tls = { max_version = version,
                      staple = certificates.ocsp("good") }
        assert.is_true(resumes("exact", options_with {
          pins = certificates.pin("exact"), ocsp = "require",
          crlfile = certificates.crl("good"),
          dane = certificates.tlsa("exact", "2 0 1", 2),
        }, tls))
        assert.is_true(resumes("self-signed", options_with {
          verify = false, pins = certificates.pin("self-signed"),
        }, { max_version = version }))
      end)
    end
  end)

  describe("agrees with openssl s_client on", function()
    --- Does s_client believe the server, by these records?
    local function oracle(s, records)
      local command = { "openssl s_client -brief -verify_return_error",
                        "-dane_ee_no_namechecks", "-verify 9",
                        "-connect", s.host .. ":" .. s.port,
                        "-servername", NAME, "-dane_tlsa_domain", NAME,
                        "-CAfile", quote(certificates.cafile) }
      for record in records:gmatch("[^;]+") do
        command[#command + 1] = "-dane_tlsa_rrdata " .. quote(record)
      end
      local pipe = assert(io.popen(table.concat(command, " ")
                                   .. " </dev/null 2>&1; echo status $?"))
      local text = pipe:read("*a")
      pipe:close()
      return text:find("status 0", 1, true) ~= nil, text
    end

    local certs = { "exact", "mismatch", "expired", "unknown-root",
                    "self-signed", "client-only" }
    local heads = { { "3 1 1", 1 }, { "3 0 2", 1 }, { "3 0 0", 1 },
                    { "2 0 1", 2 }, { "2 1 2", 2 }, { "1 1 1", 1 },
                    { "0 0 1", 2 }, { "0 0 1", 1 } }
    for _, cert in ipairs(certs) do
      it("the certificate " .. cert, function()
        local seen = { [true] = 0, [false] = 0 }
        for _, head in ipairs(heads) do
          for _, named in ipairs { cert, "exact" } do
            local record = certificates.tlsa(named, head[1], head[2])
            if record then
              local s = start(cert, nil, 2)
              local ok, err = pcall(function()
                pop3.POP3_SSL(s.host, s.port,
                  options_with { dane = record }):close()
              end)
              local right, text = oracle(s, record)
              s:cut()
              seen[ok] = seen[ok] + 1
              assert(ok == right, ("%s: %s; openssl: %s"):format(record,
                tostring(err), text))
            end
          end
        end
        assert.is_true(seen[true] > 0 and seen[false] > 0)
      end)
    end
  end)
end)
