--- threats.md, T59: a host that runs scripts which it does not trust: to which
-- servers and addresses they come, and what one learns that says nothing.
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local sandbox = require "spec.support.sandbox"
local server = require "spec.support.server"

local run, mailbox, refuses = sandbox.run, sandbox.mailbox, sandbox.refuses
local expect = claims.lines

after_each(server.stop_all)

teardown(child.clean)

describe("Servers and ports", function()
  it("T59 are compared before anything is resolved", function()
    local lines = run([[
      pop3.restrict { servers = { "Mail.Example.", "*.example.net", "192.0.2.0/24" },
        ports = { 110, 995 } }
      for _, name in ipairs { "evil.example", "example.net", "mail.example.evil",
        "mail.example\0.evil", "192.0.3.1", "[::1]", "127.0.0.1", "0x7f.1", "" } do
        say(pop3.POP3, name, 110)
      end
      say(pop3.POP3, "mail.example", 25)
      say(pop3.POP3, "mail.example", 111)
    ]], { shim = true, env = { SHIM_SLOW = "20000", SHIM_NAMES = "127.0.0.1" },
      deadline = 15 })
    for i = 1, 9 do
      assert.truthy(lines[i]:find("refuses server", 1, true), lines[i])
    end
    expect({ "refuses port 25", "refuses port 111" }, { lines[10], lines[11] })
    assert.equal(11, #lines)
  end)

  -- What is asked of the DNS for one name tells its owner whatever is in it.
  it("T59 hold for the name that TLSA records are looked up by", function()
    expect({ refuses "server told.evil.example", refuses "server told.evil.example",
      refuses "server told.evil.example", "ok", "ok" },
      run([[
      local options = { dane = "dns", dane_domain = "told.evil.example" }
      pop3.context(options)
      pop3.restrict { servers = { "mail.example", "*.example.net" } }
      say(pop3.POP3_SSL, "mail.example", 995, options)
      say(pop3.POP3, "mail.example", 110, { context = options })
      say(pop3.context, options)
      say(pop3.context, { dane = "dns", dane_domain = "mx.example.net" })
      say(pop3.context, { dane = "3 1 1 " .. ("ab"):rep(32),
        dane_domain = "told.evil.example" })
    ]]))
  end)
end)

-- Every form that leads into the network of the host itself.
local INSIDE = {
  "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",
  "100.64.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255", "192.0.2.1",
  "198.18.0.1", "::1", "::", "fe80::1", "fd00::1", "fec0::1", "ff02::1",
  "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
  "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
  "2001:db8::1", "2001::1",
}

describe("An address inside of the host's network", function()
  for _, address in ipairs(INSIDE) do
    it("T59 is refused, by name and as it is: " .. address, function()
      local lines = run([[
        pop3.restrict {}
        say(pop3.POP3, "mail.example", port, { connect_timeout = 5 })
        say(pop3.POP3, extra, port, { connect_timeout = 5 })
      ]], { shim = true, env = { SHIM_NAMES = address }, arguments = { "", 1, address } })
      expect({ refuses "address ", refuses "address " }, lines)
      assert.truthy(lines[1]:find("of mail.example", 1, true), lines[1])
    end)
  end

  it("T59 is refused in every way to write it", function()
    local lines = run [[
      pop3.restrict {}
      for _, host in ipairs { "127.1", "0x7f000001", "0177.0.0.1", "2130706433",
        "[::1]", "0", "[::ffff:7f00:1]", "::ffff:127.0.0.1" } do
        say(pop3.POP3, host, 1)
      end
    ]]
    assert.equal(8, #lines)
    for _, line in ipairs(lines) do
      assert.truthy(line:find("refuses address ", 1, true), line)
    end
  end)

  it("T59 is passed over for one that is not; nothing is sent to it", function()
    local s = server.start { { "S: +OK inside" } }
    local lines = run([[
      pop3.restrict { servers = { "mail.example", "127.0.0.2" } }
      say(pop3.POP3, "mail.example", port)
    ]], { shim = true, env = { SHIM_NAMES = "127.0.0.1,127.0.0.2,127.0.0.1" },
      arguments = { s.host, s.port } })
    expect({ "io/econnrefused" }, lines)
    assert.equal(0, s:cut().accepted)
  end)

  it("T59 is allowed where the host lists it", function()
    for _, listed in ipairs { "127.0.0.1", "127.0.0.0/8", "::ffff:127.0.0.1" } do
      local s = server.start { { "S: +OK inside" } }
      expect({ "ok" }, run([[
        pop3.restrict { servers = { "mail.example", extra } }
        say(pop3.POP3, "mail.example", port)
      ]], { shim = true, env = { SHIM_NAMES = "127.0.0.1" },
        arguments = { s.host, s.port, listed } }))
      s:stop()
    end
  end)
end)

describe("on_address", function()
  local function judge(body, names)
    local s = server.start { connections = { { "S: +OK inside" } }, accepts = 0 }
    local lines = run(([[
      pop3.restrict { on_address = function(...) %s end }
      say(pop3.POP3, "mail.example", port)
    ]]):format(body), { shim = true, env = { SHIM_NAMES = names or "127.0.0.1" },
      arguments = { s.host, s.port } })
    return lines, s:cut().accepted
  end

  it("T59 is given the name, the address and the port, before connect", function()
    local lines = judge([[ print(select("#", ...), ...) return false ]],
      "127.0.0.1,::ffff:127.0.0.2,::1")
    for i, address in ipairs { "127.0.0.1", "127.0.0.2", "::1" } do
      assert.match("^3\tmail.example\t" .. address .. "\t%d+$", lines[i])
    end
    expect({ refuses "address ::1 (on_address)" }, { lines[4] })
  end)

  it("T59 allows by true, and by nothing else", function()
    local lines, accepted = judge "return true"
    expect({ "ok" }, lines)
    assert.equal(1, accepted)
    for body, words in pairs {
      ["return false"] = "127.0.0.1 (on_address)",
      ["return false, 'not today'"] = "127.0.0.1 (not today)",
      ["return nil, 'not ever'"] = "127.0.0.1 (not ever)",
      ["return nil, {}"] = "127.0.0.1 (on_address)",
      ["return nil"] = "(loopback, none of its servers)",
      ["return"] = "(loopback, none of its servers)",
      ["return 1"] = "neither true, false nor nil",
      ["return 'true'"] = "neither true, false nor nil",
      ["return {}"] = "neither true, false nor nil",
      ["error('broken', 0)"] = "127.0.0.1 (broken)",
      ["error({})"] = "on_address raised an error",
      ["error()"] = select(2, pcall(error)) or "on_address raised an error",
      ["error(setmetatable({}, {__tostring = error}))"] = "raised an error",
      ["coroutine.yield(true)"] = "yield",
    } do
      lines, accepted = judge(body)
      expect({ refuses "address 127.0.0.1" }, lines)
      assert.truthy(lines[1]:find(words, 1, true), body .. ": " .. lines[1])
      assert.equal(0, accepted)
    end
  end)

  it("T59 refuses what is listed, if it likes", function()
    local s = server.start { connections = { { "S: +OK inside" } }, accepts = 0 }
    expect({ refuses "address 127.0.0.1 (no)", "ok" }, run([[
      local answers = { false }
      pop3.restrict { servers = { host },
        on_address = function() return table.remove(answers), "no" end }
      answers = { false }
      say(pop3.POP3, host, port)
      answers = { true }
      say(pop3.POP3, host, port)
    ]], { arguments = { s.host, s.port } }))
  end)

  it("T59 may close the connection, use another one, and collect garbage", function()
    local request = mailbox {}
    expect({ "ok", "state/closed", "ok" }, run([[
      local act = function() return true end
      pop3.restrict { on_address = function() return act() end }
      local first = pop3.POP3(host, port)
      local opening
      act = function()
        collectgarbage()
        first:noop()
        act = function() return true end
        return pop3.POP3(host, port):noop() ~= nil
      end
      say(pop3.POP3, host, port)
      act = function() core.close(opening) return true end
      opening = core.connect("POP3", false, host, port, {})
      say(function() error(select(2, core.turn(opening)), 0) end)
      assert(core.info(opening).closed)
      act = function() return true end
      say(pop3.POP3, host, port)
    ]], request))
  end)

  it("T59 is asked in a coroutine, and where Lua waits outside", function()
    local request = mailbox {}
    expect({ "true\t5018" }, run([[
      pop3.restrict { fds = true, on_address = function() return true end }
      local loop = require("pop3.loop.poll").new()
      loop:spawn(function()
        local M = pop3.POP3(host, port, { loop = loop })
        print(true, #M:retr_string(1))
      end)
      loop:run()
    ]], request))
  end)
end)

describe("A host that resolves by itself", function()
  it("T59 can ask about an address, and never about a name", function()
    local lines = run [[
      print(core.admit("mail.example", 110))
      pop3.restrict { servers = { "192.0.2.0/24", "mail.example", "8.8.8.8" },
        ports = { 110 } }
      print(core.admit("192.0.2.1", 110))
      print(core.admit("8.8.8.8", 110))
      for _, host in ipairs { "mail.example", "10.0.0.1", "9.9.9.9", "8.8.8.8\0" } do
        local good, err = core.admit(host, 110)
        print(good, err.kind, tostring(err))
      end
      print(core.admit("8.8.8.8", 25))
      say(core.admit)
      say(core.admit, "8.8.8.8", 0)
      say(core.admit, "8.8.8.8", 0 / 0)
    ]]
    expect({ "true", "true", "true", "nil\tpolicy\tpop3.restrict refuses a name",
      "refuses server 10.0.0.1", "refuses server 9.9.9.9", "refuses server 8.8.8.8",
      "refuses port 25", "misuse", "misuse", "misuse" }, lines)
  end)

  it("T59 is held to it by the core, too", function()
    local lines = run [[
      local asked = {}
      pop3.restrict { transport = true, on_address = function(_, address)
        asked[#asked + 1] = address
        return address == "127.0.0.1"
      end }
      local loop = { wait = function() end, connect = function(_, name)
        asked[#asked + 1] = "connect " .. name
        return nil, "connection refused"
      end }
      say(pop3.POP3, "mail.example", 110, { loop = loop })
      say(pop3.POP3, "10.0.0.1", 110, { loop = loop })
      say(pop3.POP3, "127.0.0.1", 110, { loop = loop })
      print(table.concat(asked, ", "))
    ]]
    expect({ refuses "a name", refuses "address 10.0.0.1 (on_address)", "io/",
      "10.0.0.1, 127.0.0.1, connect 127.0.0.1" }, lines)
  end)
end)

describe("A server that says nothing", function()
  it("T59 is told nothing, whatever the script wants of it", function()
    for _, tls in ipairs { "none", "starttls", "opportunistic" } do
      local s = server.start { { { stall = true } } }
      expect({ "timeout/connect" }, run([[
        pop3.restrict { servers = { host } }
        say(pop3.POP3, host, port, { tls = extra, connect_timeout = 0.2 })
      ]], { arguments = { s.host, s.port, tls } }))
      assert.equal("", s:cut().connections[1].received)
      s:stop()
    end
  end)

  it("T59 nor one that greets as no POP3 server does", function()
    for _, greeting in ipairs { "HTTP/1.1 200 OK", "220 mail ESMTP", "-ERR no",
                                "SSH-2.0-x", "* OK IMAP", "" } do
      local s = server.start { complaints = true,
        connections = { { "S: " .. greeting, { eof = true } } } }
      local lines = run([[
        pop3.restrict { servers = { host } }
        say(pop3.POP3, host, port, { tls = "starttls", connect_timeout = 5 })
      ]], { arguments = { s.host, s.port } })
      assert.is_not.equal("ok", lines[1])
      assert.equal("", s:cut().connections[1].received, greeting)
      s:stop()
    end
  end)
end)
