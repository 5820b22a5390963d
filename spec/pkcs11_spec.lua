-- A client key that never leaves its token: certfile and keyfile by "pkcs11:"
-- URIs (RFC 7512), through OpenSSL's provider for them and SoftHSM. Debian 12
-- has no such provider; scripts/in-sid has one.

local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local files = require "spec.support.files"
local server = require "spec.support.server"

local quote = files.quote

local PIN = "314159"
local QUIT = { auto = {} } -- answers QUIT, refuses the rest

--- The first line that a command prints, or nil.
local function ask(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local line = pipe:read("*l")
  pipe:close()
  return line
end

local provider = ask "ls /usr/lib/*/ossl-modules/pkcs11.so"
local softhsm = ask "ls /usr/lib/softhsm/libsofthsm2.so"
local imports = ask "command -v softhsm2-util"
local writes = ask "command -v pkcs11-tool"

local CONFIGURATION = [[
openssl_conf = init
[init]
providers = providers
[providers]
default = default_provider
pkcs11 = pkcs11_provider
[default_provider]
activate = 1
[pkcs11_provider]
module = %s
pkcs11-module-path = %s
activate = 1
]]

describe("A client certificate in a token", function()
  if not (provider and softhsm and imports and writes) then
    it("is shown", function()
      pending("needs softhsm2, pkcs11-provider and opensc: see scripts/in-sid")
    end)
    return
  end

  local folder, env

  local function run(command)
    local line = ("OPENSSL_CONF=/dev/null SOFTHSM2_CONF=%s %s >%s 2>&1"):format(
      quote(env.SOFTHSM2_CONF), command, quote(folder .. "/log"))
    local done = os.execute(line)
    assert(done == true or done == 0,
      command .. ": " .. files.read(folder .. "/log"))
  end

  setup(function()
    folder = files.make_folder()
    env = { SOFTHSM2_CONF = folder .. "/softhsm2.conf",
            OPENSSL_CONF = folder .. "/openssl.cnf" }
    files.write(env.SOFTHSM2_CONF, "directories.tokendir = " .. folder
      .. "/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    run("mkdir " .. quote(folder .. "/tokens"))
    files.write(env.OPENSSL_CONF, CONFIGURATION:format(provider, softhsm))
    run("softhsm2-util --init-token --free --label mail --so-pin 271828 --pin "
      .. PIN)
    run(("softhsm2-util --import %s --token mail --label joe --id 01 --pin %s")
      :format(quote(certificates.file "key"), PIN))
    -- The chain, a certificate each: the token gives them in its own order.
    local chain = files.read(certificates.file "client")
    local id = 0
    for pem in chain:gmatch("%-+BEGIN.-END CERTIFICATE%-+\n") do
      id = id + 1
      files.write(folder .. "/one.pem", pem)
      run(("openssl x509 -in %s -outform DER -out %s"):format(
        quote(folder .. "/one.pem"), quote(folder .. "/one.der")))
      run(("pkcs11-tool --module %s --token-label mail --login --pin %s "
        .. "--write-object %s --type cert --label joe --id 0%d"):format(softhsm,
        PIN, quote(folder .. "/one.der"), id))
    end
  end)

  teardown(function() files.remove_folder(folder) end)
  after_each(server.stop_all)

  --- What a process says that connects with these options.
  local function connect(certfile, keyfile, keypass)
    local tls = certificates.server("exact", { ca = certificates.cafile })
    local s = server.start { { { tls = tls }, "S: +OK ready", QUIT } }
    local result = child.run {
      env = env, deadline = 60,
      arguments = { s.port, certificates.cafile, certificates.name,
                    certfile, keyfile or "", keypass or "" },
      script = [[
        local port, cafile, name, certfile, keyfile, keypass = ...
        local ok, result = pcall(function()
          local conn = require("pop3").POP3_SSL("127.0.0.1", tonumber(port), {
            cafile = cafile, servername = name, certfile = certfile,
            keyfile = keyfile ~= "" and keyfile or nil,
            keypass = keypass ~= "" and keypass or nil,
          })
          return (conn:quit())
        end)
        print(ok, result)
      ]],
    }
    assert.equal("", result.err)
    return result.out
  end

  local CERT = "pkcs11:token=mail;object=joe;type=cert"
  local KEY = "pkcs11:token=mail;object=joe;type=private"

  it("is shown, its key used there", function()
    assert.matches("^true\t%+OK", connect(certificates.file "client", KEY, PIN))
  end)

  it("is shown, both by their URIs", function()
    assert.matches("^true\t%+OK", connect(CERT, KEY, PIN))
  end)

  it("is shown, both by one URI", function()
    assert.matches("^true\t%+OK", connect("pkcs11:token=mail;object=joe", nil,
      PIN))
  end)

  it("needs its PIN, which nobody is asked for", function()
    local said = connect(CERT, KEY)
    assert.matches("^false\t", said)
    assert.matches("keypass", said, 1, true)
  end)

  it("is not shown for a wrong PIN, which is not shown either", function()
    local said = connect(CERT, KEY, "141421")
    assert.matches("^false\tkeyfile = \"pkcs11:", said)
    assert.is_nil(said:find("141421", 1, true))
  end)

  it("that is not there is an error that names it", function()
    local said = connect(CERT, "pkcs11:token=mail;object=jim;type=private", PIN)
    assert.matches("^false\tkeyfile = \"pkcs11:token=mail;object=jim", said)
    assert.matches("no private key", said, 1, true)
  end)
end)
