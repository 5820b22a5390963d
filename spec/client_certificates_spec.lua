-- The client's own certificate, from files and by URIs, and `keylog`: through
-- Lua and a real server. Every way and every refusal is in
-- spec/csrc/tls_client_cert_test.c.

local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local files = require "spec.support.files"
local pop3 = require "pop3"
local server = require "spec.support.server"

local NAME = certificates.name
local PASS = "open sesame"
local QUIT = { auto = {} } -- answers QUIT, refuses the rest

local quote = files.quote
local folder

local function openssl(words)
  local done = os.execute("openssl " .. words .. " >/dev/null 2>&1")
  assert(done == true or done == 0, "openssl " .. words)
end

--- A PKCS#12 file of the specs' client, made by OpenSSL's command.
local function p12(name, more)
  local path = folder .. "/" .. name
  openssl(("pkcs12 -export -in %s -inkey %s -passout pass:%s -out %s %s"):format(
    quote(certificates.file "client"), quote(certificates.file "key"),
    quote(PASS), quote(path), more or ""))
  return path
end

local options_with = certificates.client

--- Does a server that demands a certificate take us?
local function is_known(options, version)
  local tls = certificates.server("exact", { ca = certificates.cafile,
                                             max_version = version })
  local s = server.start { { { tls = tls }, "S: +OK ready", QUIT } }
  local conn = pop3.POP3_SSL(s.host, s.port, options_with(options))
  conn:quit()
  return s:report().connections[1].secure == "QUIT\r\n"
end

local function refusal(options)
  local ok, err = pcall(pop3.context, options)
  assert.is_false(ok)
  assert.same({ "tls", "config" }, { err.kind, err.name })
  assert.is_nil(tostring(err):find(PASS, 1, true))
  return tostring(err)
end

describe("A client certificate", function()
  setup(function() folder = files.make_folder() end)
  teardown(function() files.remove_folder(folder) end)
  after_each(server.stop_all)

  it("may be PEM", function()
    assert.is_true(is_known { certfile = certificates.file "client",
                              keyfile = certificates.file "key" })
  end)

  it("may be PKCS#12, with either version of TLS", function()
    local path = p12("joe.p12")
    assert.is_true(is_known({ certfile = path, keypass = PASS }, "1.3"))
    assert.is_true(is_known({ certfile = path, keypass = PASS }, "1.2"))
  end)

  it("may be PKCS#12 by any name", function()
    assert.is_true(is_known { certfile = p12("joe.pem"), keypass = PASS })
  end)

  it("may be named by a URI", function()
    assert.is_true(is_known { certfile = "file:" .. p12("joe.p12"),
                              keypass = PASS })
    assert.is_true(is_known { certfile = "file:" .. certificates.file "client",
                              keyfile = "file:" .. certificates.file "key" })
  end)

  it("needs the passphrase that it has", function()
    local path = p12("joe.p12")
    assert.matches("needs keypass", refusal { certfile = path }, 1, true)
    local text = refusal { certfile = path, keypass = "sesame" }
    assert.matches("certfile = \"" .. path, text, 1, true)
    assert.matches("not opened by this keypass", text, 1, true)
  end)

  it("in an encryption that OpenSSL gave up is told from a passphrase that is "
    .. "not its own", function()
    local path = p12("old.p12", "-legacy")
    local text = refusal { certfile = path, keypass = PASS }
    assert.matches("given up", text, 1, true)
    assert.matches("openssl pkcs12 -legacy", text, 1, true)
    text = refusal { certfile = path, keypass = "sesame" }
    assert.matches("not opened by this keypass", text, 1, true)
  end)

  it("by an unknown scheme is an error that says so", function()
    local text = refusal { certfile = "card:joe" }
    assert.matches("certfile = \"card:joe\"", text, 1, true)
    assert.matches("knows no \"card:\"", text, 1, true)
    assert.matches("./card:joe", text, 1, true)
  end)

  it("that the server refuses is an error that names the options", function()
    local own = folder .. "/own.pem"
    openssl(("req -x509 -newkey rsa:2048 -nodes -subj /CN=joe -keyout %s -out %s")
      :format(quote(folder .. "/own.key"), quote(own)))
    local tls = certificates.server("exact", { ca = certificates.cafile })
    local s = server.start { { { tls = tls }, "S: +OK ready" } }
    local ok, err = pcall(pop3.POP3_SSL, s.host, s.port, options_with {
      certfile = own, keyfile = folder .. "/own.key" })
    assert.is_false(ok)
    assert.equal("tls", err.kind)
    assert.matches("certfile and keyfile", tostring(err), 1, true)
  end)

  it("with a passphrase is never asked for on a terminal", function()
    local path = p12("joe.p12")
    local result = child.run {
      arguments = { path }, deadline = 20,
      script = [[
        local ok, err = pcall(require("pop3").context, { certfile = (...) })
        print(ok, err.name)
      ]],
    }
    assert.equal("false\tconfig\n", result.out)
    assert.equal("", result.err)
  end)
end)

describe("keylog", function()
  local log

  setup(function() folder = files.make_folder() end)
  teardown(function() files.remove_folder(folder) end)
  before_each(function()
    log = os.tmpname()
    os.remove(log)
  end)
  after_each(function()
    server.stop_all()
    os.remove(log)
  end)

  --- Connect `count` times with these options, and QUIT; was one resumed?
  local function visit(count, options, version)
    local tls = certificates.server("exact", { max_version = version })
    local steps, resumed = {}, false
    for i = 1, count do steps[i] = { { tls = tls }, "S: +OK ready", QUIT } end
    local s = server.start { connections = steps }
    for _ = 1, count do
      local conn = pop3.POP3_SSL(s.host, s.port, options_with(options))
      pcall(conn.noop, conn)
      resumed = conn:info().tls.resumed
      conn:quit()
    end
    return resumed
  end

  local function lines_of(text, label)
    local count = 0
    for line in text:gmatch("[^\n]+") do
      if line:find(label .. " ", 1, true) == 1 then count = count + 1 end
    end
    return count
  end

  it("has the secrets of each connection, resumed ones too", function()
    assert.is_true(visit(2, { keylog = log }))
    local text = files.read(log)
    assert.equal(2, lines_of(text, "CLIENT_TRAFFIC_SECRET_0"))
    assert.is_true(visit(2, { keylog = log }, "1.2"))
    text = files.read(log)
    assert.equal(2, lines_of(text, "CLIENT_RANDOM"))
    for line in text:gmatch("[^\n]+") do
      assert.matches("^[A-Z0-9_]+ %x+ %x+$", line)
    end
  end)

  it("shares no session and no context with those who have none", function()
    local context = pop3.context(options_with {})
    assert.is_false(visit(1, { keylog = log }))
    assert.is_false(visit(1, {}))
    local size = #files.read(log)
    visit(1, { context = context })
    visit(2, {})
    assert.equal(size, #files.read(log))
  end)

  it("is a file for its owner", function()
    visit(1, { keylog = log })
    local pipe = io.popen("stat -c %a " .. quote(log))
    assert.equal("600", pipe:read("*l"))
    pipe:close()
  end)

  it("appends to what is there", function()
    files.write(log, "# mine\n")
    visit(1, { keylog = log })
    assert.matches("^# mine\n", files.read(log))
  end)

  it("is not what SSLKEYLOGFILE asks for", function()
    local s = server.start {
      { { tls = certificates.server "exact" }, "S: +OK ready", QUIT },
    }
    local result = child.run {
      env = { SSLKEYLOGFILE = log },
      arguments = { s.port, certificates.cafile, NAME },
      script = [[
        local port, cafile, name = ...
        local conn = require("pop3").POP3_SSL("127.0.0.1", tonumber(port),
          { cafile = cafile, servername = name })
        print((conn:quit()))
      ]],
    }
    assert.matches("^%+OK", result.out)
    assert.is_nil(io.open(log))
  end)

  it("that cannot be written is an error before anybody is connected", function()
    local text = refusal { keylog = folder .. "/missing/keys" }
    assert.matches("keylog = ", text, 1, true)
    assert.matches("No such file", text, 1, true)
  end)
end)
