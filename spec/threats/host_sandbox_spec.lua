--- threats.md, T58 and T59: a host that runs scripts which it does not trust:
-- what they may do, and how much of it. Where they may go is in
-- host_addresses_spec.lua.
local claims = require "spec.support.claims"
local files = require "spec.support.files"
local sandbox = require "spec.support.sandbox"
local server = require "spec.support.server"

local run, mailbox, refuses = sandbox.run, sandbox.mailbox, sandbox.refuses
local expect = claims.lines

after_each(server.stop_all)

-- ------------------------------------------------------------ for good

describe("pop3.restrict", function()
  it("T58 is for good: a second call is refused, whoever calls", function()
    expect({ "true", "ok", refuses "another restrict", refuses "another restrict",
      refuses "another restrict", refuses "server", "nil\tpolicy\trestricted" }, run [[
      print(pop3.restrict { servers = { "mail.example" } })
      say(pop3.restrict ~= nil and function() end)
      say(pop3.restrict, { servers = { "127.0.0.1" } })
      say(pop3.restrict, {})
      say(function() error(core.restrict { files = true }, 0) end)
      say(pop3.POP3, "127.0.0.1", 1)
      local good, _, err = pop3.safe.restrict {}
      print(good, err.kind, err.name)
    ]])
  end)

  it("T58 is of the state: a module that is loaded anew has it, too", function()
    expect({ refuses "another restrict", refuses "server" }, run [[
      pop3.restrict { servers = {} }
      for name in pairs(package.loaded) do
        if name:find "^pop3" then package.loaded[name] = nil end
      end
      local anew = require "pop3"
      assert(anew ~= pop3)
      say(anew.restrict, { servers = { "127.0.0.1" } })
      say(anew.POP3, "127.0.0.1", 1)
    ]])
  end)

  it("T58 is not all: connections' grant outlives a module, too", function()
    expect({ "true", "true" }, run [[
      core.grant(10, 60)
      package.loaded["pop3.core"] = nil
      local anew = require "pop3.core"
      print(anew ~= core)
      print(anew.grant(20, 60) ~= nil) -- it is inside of the first one
    ]])
  end)

  it("T58 takes all of its options or none: a mistake restricts nothing", function()
    local lines = run [[
      say(pop3.restrict)
      say(pop3.restrict, "servers")
      for _, options in ipairs {
        { file = false }, { files = "no" }, { servers = "mail.example" },
        { servers = { "10.0.0.1/8" } }, { servers = { "127.1" } },
        { servers = { 1 } }, { servers = { "a", n = 1 } },
        { servers = { ["mail.example"] = true } }, { ports = { 0 } },
        { ports = { 65536 } }, { ports = { 1.5 } }, { ports = { "110" } },
        { ports = 110 }, { max_octets = 0 }, { max_octets = -1 },
        { max_connections = 0 }, { max_connections = 0 / 0 },
        { on_address = "yes" }, { on_adress = print },
      } do
        say(pop3.restrict, options)
      end
      say(pop3.secret, { env = "HOME" })
    ]]
    for i = 1, #lines - 1 do
      assert.truthy(lines[i]:find("^misuse .*restrict"), lines[i])
    end
    assert.equal(21 + 1, #lines)
    assert.equal("ok", lines[#lines])
  end)

  it("T58 keeps its own copy of what it was given", function()
    expect({ refuses "server 127.0.0.1", refuses "port" }, run [[
      local policy = { servers = { "127.0.0.2" }, ports = { 110 } }
      pop3.restrict(policy)
      policy.servers[1], policy.servers[2] = "127.0.0.1", "127.0.0.1"
      policy.ports[1], policy.ports[2] = 1, 1
      policy.files, policy.servers, policy.ports = true, nil, nil
      say(pop3.POP3, "127.0.0.1", 110)
      say(pop3.POP3, "127.0.0.2", 1)
    ]])
  end)
end)

-- ------------------------------------------------------------ rights

describe("A restricted script", function()
  it("T59 has no name looked up that is none of its servers", function()
    local request = mailbox {}
    local lines = run([[
      pop3.restrict { servers = { host, "mail.example.org" } }
      local options = { dane = "dns", dane_domain = "word.evil.example" }
      say(pop3.context, options)
      say(pop3.POP3_SSL, host, port, options)
      say(pop3.POP3, host, port, { context = options })
      say(pop3.open, { host = host, port = port, user = "u", password = "p",
        dane = "dns", dane_domain = "word.evil.example" })
      local M = pop3.POP3(host, port)
      say(M.stls, M, options)
      M:close()
      say(pop3.context, { dane = "3 1 1 " .. ("ab"):rep(32),
        dane_domain = "MAIL.example.org." })
    ]], request)
    local wanted = refuses "server word.evil.example (none of its servers)"
    expect({ wanted, wanted, wanted, wanted, wanted, "ok" }, lines)
  end)

  it("T58 names no file, wherever a file may be named", function()
    local folder = files.make_folder()
    local path = folder .. "/x"
    local request = mailbox { extra = path }
    local lines = run([[
      pop3.restrict { servers = { host } }
      for _, key in ipairs { "cafile", "capath", "certfile", "keyfile",
                             "crlfile", "dane_config", "keylog" } do
        say(pop3.context, { [key] = extra })
        say(pop3.POP3, host, port, { tls = "starttls", [key] = extra })
        say(pop3.POP3, host, port, { context = { [key] = extra } })
        say(pop3.POP3_SSL, host, port, key == "keyfile" and extra or nil,
          key ~= "keyfile" and extra or nil)
        local M = pop3.POP3(host, port)
        say(M.stls, M, { [key] = extra })
        M:close()
      end
      for _, key in ipairs { "path", "command", "env" } do
        say(pop3.secret, { [key] = extra })
      end
      local M = pop3.POP3(host, port)
      say(M.retr_to, M, 1, { path = extra })
      say(M.retr_many, M, { 1 }, { sink = function() return { path = extra } end })
      M = pop3.POP3(host, port)
      say(function() M:messages():next():save(extra) end)
      say(function() error(core.save(extra, "octets"), 0) end)
      say(M.noop, M)
    ]], request)
    for i = 1, #lines - 1 do
      assert.truthy(lines[i]:find("policy/restricted", 1, true), i .. ": " .. lines[i])
      assert.truthy(lines[i]:find("files = false", 1, true), i .. ": " .. lines[i])
    end
    assert.equal(7 * 5 + 3 + 4 + 1, #lines)
    assert.equal("ok", lines[#lines])
    assert.is_nil(io.open(path))
    files.remove_folder(folder)
  end)

  it("T58 asks no store of OpenSSL's, by a URI neither", function()
    local wanted = refuses "certfile (files = false)"
    expect({ wanted, wanted, wanted }, run [[
      pop3.restrict {}
      for _, uri in ipairs { "file:/etc/passwd", "pkcs11:object=joe", "http://x/" } do
        say(pop3.context, { certfile = uri })
      end
    ]])
  end)

  it("T58 does not find a context that the host's options made", function()
    local certificates = require "spec.support.certificates"
    expect({ "ok", refuses "cafile (files = false)", "ok" },
      run([[
        local options = { cafile = extra }
        local context = pop3.context(options)
        say(pop3.context, options)
        pop3.restrict {}
        say(pop3.context, options)
        say(pop3.context, {})
      ]], { arguments = { "", 0, certificates.cafile } }))
  end)

  it("T58 in pop3.safe is told so by results", function()
    local request = mailbox {}
    local lines = run([[
      local safe = pop3.safe
      pop3.restrict { servers = { host } }
      local M = safe.POP3(host, port)
      local function tell(...)
        local nothing, text, err = ...
        print(nothing, text == err.message, err.kind, err.name, err.retryable)
      end
      tell(safe.context { cafile = "x" })
      tell(safe.secret { path = "x" })
      tell(safe.POP3("evil.example"))
      tell(safe.POP3(host, port, { cafile = "x" }))
      tell(M:stls { cafile = "x" })
      tell(M:retr_to(1, { path = "x" }))
      tell(M:set_debuglevel(1))
    ]], request)
    for _, line in ipairs(lines) do
      assert.equal("nil\ttrue\tpolicy\trestricted\tfalse", line)
    end
    assert.equal(7, #lines)
  end)

  it("T58 knows no descriptor, and names none", function()
    local request = mailbox {}
    local lines = run([[
      pop3.restrict { servers = { host } }
      local M = pop3.POP3(host, port)
      print(M:fd(), M:info().fd, M:info().address)
      say(pop3.secret, { fd = 0 })
      say(M.retr_to, M, 1, 1)
      say(core.poll, { { 0, "r" } }, 0)
      say(core.poll, {}, 0)
      say(M.retr_many, M, { 1 }, { sink = function() return 1 end })
    ]], request)
    expect({ "nil\tnil\t127.0.0.1", "a secret's fd (fds = false)",
      "a descriptor as sink (fds = false)", "poll (fds = false)", "ok",
      "a descriptor as sink (fds = false)" }, lines)
  end)

  it("T58 may wait, but is not told for which descriptor", function()
    local request = mailbox {}
    expect({ "true\ttrue", "5018", "5018" }, run([[
      pop3.restrict { servers = { host } }
      local waits, fds = 0, 0
      local M = pop3.POP3(host, port, { wait = function(_, interests, deadline)
        waits, fds = waits + 1, fds + #interests
        core.poll({}, deadline - pop3.now())
      end })
      local text = M:retr_string(1)
      print(waits > 0, fds == 0)
      print(#text)
      local loop = require("pop3.loop.poll").new()
      loop:spawn(function()
        local other = pop3.POP3(host, port, { loop = loop })
        print(#other:retr_string(1))
      end)
      loop:run()
    ]], request))
  end)

  it("T58 may use a file that the host opened, and a secret that it made", function()
    local path = os.tmpname()
    local request = mailbox { extra = path, env = { SECRET = "x" } }
    expect({ "5018", "ok" }, run([[
      local file = assert(io.open(extra, "wb"))
      local secret = pop3.secret { env = "SECRET" }
      pop3.restrict { servers = { host } }
      local M = pop3.POP3(host, port)
      print((M:retr_to(1, file)))
      file:close()
      M:close()
      M = pop3.POP3(host, port)
      say(M.login, M, "me", secret)
    ]], request))
    assert.equal(5018, #files.read(path))
    os.remove(path)
  end)

  it("T58 writes nothing to standard error", function()
    local request = mailbox {}
    expect({ refuses "set_debuglevel without a function (debug = false)", "ok", "true", "ok" },
      run([[
        pop3.restrict { servers = { host } }
        local M, shown = pop3.POP3(host, port), ""
        say(M.set_debuglevel, M, 2)
        M:noop()
        say(M.set_debuglevel, M, 2, function(text) shown = shown .. text end)
        M:noop()
        print(shown:find("NOOP", 1, true) ~= nil)
        say(M.set_debuglevel, M, 0)
        M:noop()
      ]], request))
  end)

  it("T58 brings no transport of its own, nor what makes one", function()
    local lines = run [[
      local touched = 0
      local transport = setmetatable({}, { __index = function()
        return function() touched = touched + 1 end
      end })
      pop3.restrict {}
      say(pop3.POP3, "192.0.2.1", 110, { transport = transport })
      say(pop3.POP3, "mail.example", 110, { loop = {
        wait = function() end, connect = function() touched = touched + 1 end } })
      print(touched)
    ]]
    expect({ refuses "a transport (transport = false)",
      refuses "a transport (transport = false)", "0" }, lines)
  end)

  it("T58 gets back what the host grants", function()
    local path = os.tmpname()
    os.remove(path)
    local request = mailbox { extra = path }
    local lines = run([[
      pop3.restrict { servers = { host }, files = true, fds = true, debug = true,
        transport = true }
      local M = pop3.POP3(host, port)
      print(M:fd() == M:info().fd and M:fd() > 2)
      say(M.retr_to, M, 1, { path = extra })
      say(pop3.secret, { path = extra })
      say(pop3.secret, { fd = 0 })
      say(M.set_debuglevel, M, 1)
      M:set_debuglevel(0)
      say(core.poll, { { M:fd(), "r" } }, 0)
    ]], request)
    expect({ "true", "ok", "ok", "ok", "ok", "ok" }, lines)
    os.remove(path)
  end)
end)

-- ------------------------------------------------------------ amounts

describe("max_octets", function()
  it("T58 caps what a message may have, whatever the script says", function()
    local request = mailbox {}
    local lines = run([[
      pop3.restrict { servers = { host }, max_octets = 5000 }
      for _, options in ipairs { {}, { max_octets = 1e9 }, { max_octets = 0 } } do
        local M = pop3.POP3(host, port, options)
        say(M.retr_string, M, 1, { max_octets = options.max_octets })
        say(M.retr_string, M, 2)
        say(M.retr_to, M, 1, function() end, { max_octets = options.max_octets })
        say(M.retr_to, M, 1, function() end)
        M:close()
      end
      local M = pop3.POP3(host, port)
      say(M.retr_many, M, { 1 }, function() end)
      M = pop3.POP3(host, port)
      say(M.retr, M, 1)
      M = pop3.POP3(host, port, { max_octets = 3 })
      say(M.retr_string, M, 2)
    ]], request)
    local limit = "limit/octets the message is too large: the limit is max_octets = 5000"
    expect({ limit, "ok", limit, limit, limit, "ok", limit, limit, limit, "ok", limit,
      limit, limit, limit, "max_octets = 3" }, lines)
  end)
end)

describe("max_connections", function()
  it("T58 counts connections from their constructor to their end", function()
    local request = mailbox {}
    local lines = run([[
      pop3.restrict { servers = { host }, max_connections = 3 }
      local held = {}
      for i = 1, 3 do held[i] = pop3.POP3(host, port) end
      say(pop3.POP3, host, port)
      held[1]:close()
      held[1]:close()
      held[1] = nil
      say(function() held[1] = pop3.POP3(host, port) end)
      say(pop3.POP3, host, port)
      held[2]:quit()                        -- it is held, and at its end
      say(function() held[4] = pop3.POP3(host, port) end)
      say(pop3.POP3, host, port)
      held[3] = nil                         -- only the collector knows
      say(function() held[5] = pop3.POP3(host, port) end)
      say(pop3.POP3, host, port)
      collectgarbage()
      say(pop3.POP3, host, port)
      -- Those that fail count no longer, though somebody holds them.
      held[5]:close()
      for i = 1, 10 do
        held[10 + i] = core.connect("POP3", false, host, 1, {})
        say(function() error(select(2, core.turn(held[10 + i])), 0) end)
      end
      say(pop3.POP3, host, port)
    ]], request)
    local full = refuses "one more connection (max_connections = 3)"
    local wanted = { full, "ok", full, "ok", full, "ok", full, full }
    for _ = 1, 10 do wanted[#wanted + 1] = "io/econnrefused" end
    wanted[#wanted + 1] = "ok"
    expect(wanted, lines)
  end)

  it("T58 counts those that wait for their name or their greeting", function()
    local s = server.start { connections = { { { stall = true } } }, accepts = 0 }
    local lines = run([[
      local waiting = { wait = function() coroutine.yield() end }
      pop3.restrict { servers = { host }, max_connections = 5 }
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = coroutine.create(function() pop3.POP3(host, port, waiting) end)
        assert(coroutine.resume(tasks[i]))
      end
      say(pop3.POP3, host, port)
      tasks[3] = nil
      collectgarbage()
      tasks[3] = coroutine.create(function() pop3.POP3(host, port, waiting) end)
      print(coroutine.resume(tasks[3]))
    ]], { arguments = { s.host, s.port } })
    expect({ refuses "one more connection", "true" }, lines)
    s:stop()
  end)

  it("T58 bounds TLS contexts, too: their memory is not Lua's", function()
    local lines = run [[
      pop3.restrict { max_connections = 4 }
      local held = {}
      for i = 1, 20 do held[i] = pop3.context { min_version = "1.3" } end
      say(pop3.context, {})
      held[7], held[8] = nil, nil
      say(pop3.context, {})
      for _ = 1, 40 do pop3.context {} end -- nobody holds them
      say(pop3.context, {})
    ]]
    expect({ refuses "one more TLS context (max_connections = 4)", "ok", "ok" }, lines)
  end)
end)
