-- bin/pop3 by ways other than the straight one: proxies, a socket of the
-- system's.
local certificates = require "spec.support.certificates"
local mailbox = require "spec.support.mailbox"
local program = require "spec.bin.program"
local proxies = require "spec.support.proxies"
local found, cli = pcall(require, "pop3.cli.server")
local scene = require "spec.bin.scene"
local server = require "spec.support.server"

local write_file = require("spec.support.files").write

describe("bin/pop3", function()
  local here = scene.new()
  local box

  before_each(function()
    here:begin()
    box = mailbox.start { "--sample", "3" }
  end)
  after_each(function()
    proxies.stop_all()
    server.stop_all()
    here:finish()
  end)

  local function run(command, ...)
    return program.run({ command, "pop3s://otto@localhost:" .. box.tls,
      "--cafile", box.ca, ... }, { password = box.password })
  end

  for _, kind in ipairs { "socks5", "http" } do
    -- A claim about a proxy of this kind, whose login is joe:secret.
    local function proxied(claim, use)
      it(("through a proxy (%s) %s"):format(kind, claim), function()
        local proxy, reason = proxies.start(kind, { login = "joe:secret" })
        if not proxy then return pending(reason) end
        use(("%s://joe@127.0.0.1:%d"):format(kind, proxy.port))
      end)
    end

    proxied("lists", function(url)
      local result = run("ls", "--proxy", url, "--proxy-password-command",
        "echo secret")
      assert.same({ 0, "" }, { result.status, result.err })
      assert.equal(3, select(2, result.out:gsub("\n", "")))
    end)

    proxied("probes, and says by which way", function(url)
      local result = run("probe", "--proxy", url, "--proxy-password-command",
        "echo secret")
      assert.equal(0, result.status, result.out)
      assert.truthy(result.out:find("\n  Proxy  ", 1, true), result.out)
      assert.is_nil((result.out .. result.err):find("secret", 1, true))
    end)

    proxied("fails with a wrong password: 77", function(url)
      local result = run("ls", "--proxy", url, "--proxy-password-command",
        "echo wrong")
      assert.equal(77, result.status)
      assert.truthy(result.err:find("--proxy-password-command", 1, true),
        result.err)
    end)

    proxied("fails where its password cannot be had: 77", function(url)
      for _, command in ipairs { "ls", "probe" } do
        local result = run(command, "--proxy", url,
          "--proxy-password-command", "false")
        assert.same({ 77, "" }, { result.status, result.out })
        assert.truthy(result.err:find("no password: ", 1, true), result.err)
      end
    end)

    proxied("fetches, as the file of accounts says", function(url)
      write_file(here.folder .. "/config", ([[
[work]
url = pop3s://otto@localhost:%d
maildir = %s
cafile = %s
password-command = echo correct horse
proxy = %s
proxy-password-command = echo secret
]]):format(box.tls, here.maildir, box.ca, url))
      local result = program.run { "fetch", "--config",
        here.folder .. "/config", "-q" }
      assert.same({ 0, "" }, { result.status, result.err })
      here:assert_stored(box, 3)
    end)
  end

  it("fails for a proxy where nobody listens: 69", function()
    local result = run("ls", "--proxy", "socks5://127.0.0.1:1")
    assert.equal(69, result.status)
    assert.truthy(result.err:find("proxy 127.0.0.1:1", 1, true), result.err)
  end)

  it("fails for two ways at once: 64", function()
    local result = run("ls", "--proxy", "socks5://127.0.0.1:1",
      "--unix-socket", "/nowhere")
    assert.equal(64, result.status)
    assert.truthy(result.err:find("pop3: --proxy: ", 1, true), result.err)
  end)

  -- ---------------------------------------------------------- sockets

  it("lists and probes by a socket of the system's", function()
    local path = here.folder .. "/socket"
    server.start { host = path, accepts = 0, connections = { {
      { tls = certificates.server("exact") },
      { mailbox = { messages = { "a" }, uids = { "x" } } } } } }
    for _, command in ipairs { "ls", "probe" } do
      local result = program.run({ command, "pop3s://otto@mail.example.org",
        "--unix-socket", path, "--cafile", certificates.cafile },
        { password = "x" })
      assert.same({ 0, "" }, { result.status, result.err }, result.out)
    end
  end)

  -- ---------------------------------------------------------- domains

  it("takes the accounts' domains as the file says", function()
    write_file(here.folder .. "/config", ([[
[work]
url = pop3s://otto@example.org:995
maildir = %s
password-command = echo secret
srv = yes
]]):format(here.maildir))
    local result = program.run { "fetch", "--config",
      here.folder .. "/config", "-q" }
    assert.equal(64, result.status)
    assert.truthy(result.err:find("leave it out of the URL", 1, true),
      result.err)
  end)

  it("hands a domain on to the module, without a port", function()
    if not found then return pending("this Lua has no luaposix") end
    local options = { srv = true, url = "pop3s://otto@example.org" }
    local parts = cli.describe(options)
    assert.is_true(cli.connection_options(parts, options).srv)
    assert.is_nil(cli.port_of(parts, options))
    assert.equal(995, cli.port_of(parts, {}))
  end)

  for what, path in pairs { ["is not there"] = "/nowhere",
    ["is none"] = "/tmp" } do
    it("fails for a socket that " .. what .. ": 69", function()
      local result = run("ls", "--unix-socket", path)
      assert.equal(69, result.status)
      assert.truthy(result.err:find("check --unix-socket", 1, true),
        result.err)
    end)
  end
end)
