--- Whose words they are, in the table of what servers announced: one that
-- nobody verified, or that somebody else stands for behind a proxy, says
-- nothing for the one that is meant.
local certificates = require "spec.support.certificates"
local files = require "spec.support.files"
local pop3 = require "pop3"
local server = require "spec.support.server"

after_each(server.stop_all)

local CAPA = { send = "+OK\r\nUIDL\r\n.\r\n" }
local NAME = "mail.example.org"

--- How often each of the connections was asked for its capabilities.
local function asked(s)
  local report = s:report()
  assert.equal(0, report.failed)
  local counts = {}
  for i, connection in ipairs(report.connections) do
    counts[i] = 0
    for _, command in ipairs(connection.commands) do
      if command == "CAPA" then counts[i] = counts[i] + 1 end
    end
  end
  return counts
end

--- Connect by each table of options in turn, with one cache.
local function ask_all(open, host, port, ...)
  local cache = {}
  for _, options in ipairs { ... } do
    local given = { timeout = 10, cache = cache }
    for key, value in pairs(options) do given[key] = value end
    local conn = open(host, port, given)
    assert.is_true(conn:capabilities().uidl)
    conn:close()
  end
  return cache
end

describe("What was announced by TLS", function()
  local verified = { cafile = certificates.cafile, servername = NAME }
  local others = {
    ["one that nobody verified"] = { verify = false, check_hostname = false },
    ["one whose name nobody compared"] = { check_hostname = false },
    ["one whose chain nobody verified"] = { verify = false },
  }
  for _, other in pairs(others) do
    for key, value in pairs(verified) do other[key] = value end
  end

  local function talk(first, second)
    local s = server.start { accepts = 4, connections = { {
      { tls = certificates.server "exact" }, "S: +OK ready",
      { auto = { { "CAPA", CAPA.send } } } } } }
    ask_all(pop3.POP3_SSL, s.host, s.port, first, second, first, second)
    return asked(s)
  end

  for name, other in pairs(others) do
    it("by " .. name .. " is not what the server said", function()
      assert.same({ 1, 1, 0, 0 }, talk(other, verified))
    end)

    it("by the server is not what was said by " .. name, function()
      assert.same({ 1, 1, 0, 0 }, talk(verified, other))
    end)
  end

  it("by one of another name is not what the server said", function()
    local s = server.start { accepts = 3, connections = { {
      { tls = certificates.server "wildcard" }, "S: +OK ready",
      { auto = { { "CAPA", CAPA.send } } } } } }
    local function as(name)
      return { cafile = certificates.cafile, servername = name }
    end
    ask_all(pop3.POP3_SSL, s.host, s.port, as "a.example.org",
            as "b.example.org", as "a.example.org")
    assert.same({ 1, 1, 0 }, asked(s))
  end)

  it("in a session that was resumed is still the server's", function()
    local s = server.start { accepts = 2, connections = { {
      { tls = certificates.server "exact" }, "S: +OK ready",
      { auto = { { "CAPA", CAPA.send } } } } } }
    local cache = ask_all(pop3.POP3_SSL, s.host, s.port, verified)
    local conn = pop3.POP3_SSL(s.host, s.port, { timeout = 10, cache = cache,
      cafile = certificates.cafile, servername = NAME })
    assert.is_true(conn:info().tls.resumed)
    assert.is_true(conn:capabilities().uidl)
    conn:close()
    assert.same({ 1, 0 }, asked(s))
  end)
end)

-- Each of them is asked for the same host and port.
describe("What was announced by another way", function()
  local GREET, ANSWER = "S: +OK ready", { auto = { { "CAPA", CAPA.send } } }

  local function greeting(options)
    options.connections = { { GREET, ANSWER } }
    options.accepts = 2
    return server.start(options)
  end

  --- Straight, and by this way, twice; what each was asked.
  local function by(options, other)
    local s = greeting {}
    local cache = ask_all(pop3.POP3, s.host, s.port, {}, options, {}, options)
    assert.same({ 1, 0 }, asked(s))
    if other then assert.same({ 1, 0 }, asked(other)) end
    return cache
  end

  it("a proxy, is not what the server said", function()
    local s = server.start { accepts = 2, connections = { {
      { expect = true }, { expect = true }, { expect = true },
      { send = "HTTP/1.1 200 Connected\r\n\r\n" }, GREET, ANSWER } } }
    local cache = by({ proxy = "http://127.0.0.1:" .. s.port }, s)
    for key in pairs(cache) do
      assert.is_truthy(key:find "^127%.0%.0%.1:%d+ clear$"
        or key:find(" via http://127.0.0.1:" .. s.port .. " clear", 1, true))
    end
  end)

  it("a proxy, has no password in its key", function()
    local s = server.start { { { read = 4 }, { send = "\5\2" }, { read = 13 },
      { send = "\1\0" }, { read = 5 + #NAME + 2 },
      { send = "\5\0\0\1\0\0\0\0\0\0" }, GREET, ANSWER } }
    local cache = ask_all(pop3.POP3, NAME, 110, {
      proxy = "socks5://joe:topmost@127.0.0.1:" .. s.port })
    for key in pairs(cache) do assert.is_nil(key:find("topmost", 1, true)) end
    s:stop()
  end)

  it("a Unix socket, is not what the server said", function()
    local folder = files.make_folder()
    local path = folder .. "/pop3"
    by({ unix_socket = path }, greeting { host = path })
    files.remove_folder(folder)
  end)

  it("a transport, is not what the server said", function()
    local questions = 0
    local function transport()
      local answers = { "+OK ready\r\n" }
      return {
        send = function(_, octets)
          if octets == "CAPA\r\n" then questions = questions + 1 end
          answers[#answers + 1] = CAPA.send
          return #octets
        end,
        receive = function() return table.remove(answers, 1), "timeout" end,
        close = function() end,
      }
    end
    local s = greeting {}
    local cache = {}
    for _ = 1, 2 do
      for _, own in ipairs { false, transport() } do
        local conn = pop3.POP3(s.host, s.port, {
          timeout = 10, cache = cache, transport = own or nil })
        assert.is_true(conn:capabilities().uidl)
        conn:close()
      end
    end
    assert.same({ 1, 0 }, asked(s))
    assert.equal(1, questions)
  end)
end)
