--- threats.md: what a careless or hostile caller may hand in. Nothing of it
-- ever reaches the wire.
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

local unpack = require("spec.support.lua").unpack

-- Each method, with arguments that are good.
local methods = {
  {"user", "name"}, {"pass_", "secret"}, {"rpop", "name"},
  {"apop", "name", "secret"}, {"login", "name", "secret"},
  {"list", "1"}, {"uidl", "1"}, {"retr", "1"}, {"dele", "1"},
  {"top", "1", "0"}, {"lang", "en"}, {"command", "NOOP"},
  {"retr_string", "1"}, {"retr_to", "1"}, {"retr_lines", "1"},
  {"retr_chunks", "1"},
}

local controls = {CR = "\r", LF = "\n", CRLF = "\r\n", NUL = "\0"}

local places = {
  first = function(good, bad) return bad .. good end,
  inside = function(good, bad) return good .. bad .. "DELE 1" end,
  last = function(good, bad) return good .. bad end,
  alone = function(_, bad) return bad end,
}

after_each(server.stop_all)

teardown(child.clean)

--- A connection to a server that answers everything.
local function connect(options)
  local s = server.start{
    {"S: +OK ready <1.2@example.org>", {auto = {
      {"TOP .*", "+OK\r\n.\r\n"}, {".*", "+OK\r\n"},
    }}},
  }
  options = options or {}
  options.timeout = 10
  return pop3.POP3(s.host, s.port, options), s
end

--- Write over what C functions left on their stack.
local function use_stack()
  local chunk = "local a = " .. ("("):rep(29) .. "1" .. (")"):rep(29) .. " "
  local text = ("xy"):rep(4000):gsub("..()", "%0%1")
  return require("spec.support.lua").load(chunk:rep(40)), text
end

--- What the server got, after the connection was closed.
local function received(conn, s)
  conn:close()
  return s:report().connections[1].received
end

describe("An argument with a control character", function()
  for _, row in ipairs(methods) do
    local method, good = row[1], {unpack(row, 2)}

    for position = 1, #good do
      for control, octets in pairs(controls) do
        it(("R05 %s's argument %d with %s sends nothing"):format(
             method, position, control), function()
          local conn, s = connect()
          local wanted = ("bad argument #%d to '%s'"):format(position, method)
          for _, place in pairs(places) do
            local arguments = {unpack(good)}
            arguments[position] = place(good[position], octets)
            local text = claims.misuse(conn[method], conn, unpack(arguments))
            assert.is_truthy(text:find(wanted, 1, true), text)
          end
          assert.are.equal("", received(conn, s))
        end)
      end
    end
  end

  it("R05 leaves the connection as it was", function()
    local conn, s = connect()
    claims.misuse(conn.user, conn, "a\r\nDELE 1")
    assert.are.equal("+OK", conn:user("a"))
    assert.are.equal("USER a\r\n", received(conn, s))
  end)

  it("R05 in a host name is refused before anything is asked", function()
    for _, host in ipairs{"127.0.0.1\0.example", "", ("a"):rep(256)} do
      assert.is_false(pcall(pop3.POP3, host, 1, {timeout = 1}))
    end
  end)

  it("R05 in a secret is refused, and its text never shown", function()
    local path = os.tmpname()
    for control, octets in pairs(controls) do
      local file = assert(io.open(path, "wb"))
      file:write("correct", octets, "horse\n")
      file:close()
      for _, call in ipairs{{"pass_"}, {"login", "name"}, {"apop", "name"}} do
        local conn, s = connect()
        call[#call + 1] = pop3.secret{path = path}
        local ok, err = pcall(conn[call[1]], conn, unpack(call, 2))
        local said = received(conn, s)
        assert.is_false(ok, control)
        assert.is_nil(tostring(err):find("horse", 1, true))
        -- login() may have sent the name by then.
        assert.is_nil(said:find("horse", 1, true))
        assert.is_nil(said:find("correct", 1, true))
      end
    end
    os.remove(path)
  end)
end)

describe("A message number", function()
  local bad = {
    ["NaN"] = 0 / 0, ["inf"] = math.huge, ["-inf"] = -math.huge,
    ["a fraction"] = 1.5, ["negative"] = -1, ["with a blank"] = "1 2",
    ["empty"] = "", ["8-bit"] = "1\195\169", ["DEL"] = "1\127",
    ["a tab"] = "1\t2", ["a table"] = {}, ["a function"] = print,
    ["true"] = true,
  }
  for what, number in pairs(bad) do
    it("R05 T52 that is " .. what .. " sends nothing", function()
      local conn, s = connect()
      for _, method in ipairs{"retr", "dele", "list", "uidl"} do
        local text = claims.misuse(conn[method], conn, number)
        local wanted = "bad argument #1 to '" .. method .. "'"
        assert.is_truthy(text:find(wanted, 1, true), text)
      end
      local text = claims.misuse(conn.top, conn, number, 1)
      assert.is_truthy(text:find("bad argument #1 to 'top'", 1, true), text)
      text = claims.misuse(conn.top, conn, 1, number)
      assert.is_truthy(text:find("bad argument #2 to 'top'", 1, true), text)
      assert.are.equal("", received(conn, s))
    end)
  end

  it("beside a long one is borrowed as safely as that", function()
    local conn, s = connect()
    conn:set_debuglevel(1, use_stack) -- between the call and the sending
    conn:top(("9"):rep(3000), 12345)
    assert.are.equal(("TOP %s 12345\r\n"):format(("9"):rep(3000)),
                     received(conn, s))
  end)

  it("is sent as poplib sends it", function()
    local conn, s = connect()
    for _, number in ipairs{1, "1", 0, "foo", 2 ^ 31, 2 ^ 53, 3.0, "00012",
                            "1e9", "-1"} do
      conn:dele(number)
    end
    conn:dele(-0.0)
    assert.are.equal("DELE 1\r\nDELE 1\r\nDELE 0\r\nDELE foo\r\n"
                     .. "DELE 2147483648\r\nDELE 9007199254740992\r\nDELE 3\r\n"
                     .. "DELE 00012\r\nDELE 1e9\r\nDELE -1\r\nDELE 0\r\n",
                     received(conn, s))
  end)
end)

describe("A password", function()
  it("R18 with a file's line end is refused as a string", function()
    local conn, s = connect()
    for _, ending in ipairs{"\n", "\r\n"} do
      local text = claims.misuse(conn.pass_, conn, "horse" .. ending)
      assert.is_truthy(text:find("ends in a line end", 1, true), text)
      assert.is_nil(text:find("horse", 1, true))
    end
    assert.are.equal("", received(conn, s))
  end)

  for name, ending in pairs{none = "", LF = "\n", CRLF = "\r\n"} do
    it("R18 in a file loses its line end: " .. name, function()
      local path = os.tmpname()
      local file = assert(io.open(path, "wb"))
      file:write("horse", ending)
      file:close()
      local conn, s = connect()
      conn:pass_(pop3.secret{path = path})
      os.remove(path)
      assert.are.equal("PASS horse\r\n", received(conn, s))
    end)
  end

  it("R18 in a file loses one line end only: another is refused", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write("horse\n\n")
    file:close()
    local conn, s = connect()
    assert.is_false(pcall(conn.pass_, conn, pop3.secret{path = path}))
    os.remove(path)
    assert.are.equal("", received(conn, s))
  end)

  it("R18 keeps its blanks and 8-bit octets", function()
    local conn, s = connect()
    conn:pass_(" a  b \195\169\255 ")
    assert.are.equal("PASS  a  b \195\169\255 \r\n", received(conn, s))
  end)

  it("T22 is in no trace, error or tostring", function()
    local conn, s = connect()
    local shown = {}
    conn:set_debuglevel(2, function(text) shown[#shown + 1] = text end)
    conn:user("name")
    conn:pass_("correct-horse")
    conn:apop("name", "battery-staple")
    conn:command("PASS correct-horse")
    pcall(conn.command, conn, "AUTH PLAIN correct-horse")
    local all = table.concat(shown) .. tostring(conn)
    assert.is_truthy(all:find("USER name", 1, true))
    assert.is_nil(all:find("horse", 1, true))
    assert.is_nil(all:find("staple", 1, true))
    assert.is_nil(all:find("APOP name %x%x%x"))
    received(conn, s)
  end)
end)

describe("An option", function()
  local function refused(...)
    local s = server.start{connections = {{"S: +OK"}}, accepts = 1}
    local text = claims.misuse(pop3.POP3, s.host, s.port, ...)
    assert.are.equal(0, s:cut().accepted)
    return text
  end

  it("T23 with a typo is an error that names it and the nearest", function()
    local text = refused{verfy = false}
    assert.is_truthy(text:find("verfy", 1, true), text)
    assert.is_truthy(text:find("verify", 1, true), text)
    text = refused{cleartext_allow = true}
    assert.is_truthy(text:find("cleartext_allow", 1, true), text)
    text = refused{time_out = 1}
    assert.is_truthy(text:find("timeout", 1, true), text)
  end)

  it("T23 of the wrong type or value is an error that names it", function()
    for key, value in pairs{verify = "no", timeout = "soon", tls = "maybe",
                            cafile = true, framing = "loose", max_line = -1,
                            allow_cleartext = 1, check_hostname = "false"} do
      local text = refused{[key] = value}
      assert.is_truthy(text:find(key, 1, true), text)
    end
  end)

  it("T23 that is no string is an error", function()
    refused{true}
    refused{[1.5] = 1}
  end)
end)

describe("AUTH by hand", function()
  -- Mechanisms come later; R16, R17, R20, T19 to T21 are pinned there. Until
  -- then what cannot be spoken is not begun.
  it("R16 R17 T19 is refused before anything is sent", function()
    local conn, s = connect()
    for _, line in ipairs{"AUTH", "AUTH PLAIN", "auth login", "STLS"} do
      assert.is_false(pcall(conn.command, conn, line))
    end
    assert.are.equal("", received(conn, s))
  end)
end)

describe("A login in clear", function()
  local script = [[
    local pop3 = require "pop3"
    local port, method, allow = ...
    local conn = pop3.POP3("127.0.0.1", tonumber(port),
                           {allow_cleartext = allow == "yes", timeout = 10})
    local ok, err = pcall(conn[method], conn, "name", "secret")
    print(ok, type(err) == "table" and err.kind .. "/" .. err.name or err)
    print(err)
    conn:close()
  ]]

  local function attempt(method, allow, peer)
    local s = server.start{
      {"S: +OK <1.2@example.org>", {auto = {{"TOP .*|CAPA", "+OK\r\n.\r\n"}, {".*", "+OK\r\n"}}}},
    }
    local result = child.run{
      script = script, arguments = {s.port, method, allow}, shim = true,
      env = {SHIM_PEER = peer},
    }
    return result.out, s:report().connections[1].commands
  end

  it("T24 to another host is refused, and says which option allows it",
     function()
    local out, commands = attempt("login", "no", "192.0.2.1")
    assert.is_truthy(out:find("^false\ttls/insecure"), out)
    assert.is_truthy(out:find("allow_cleartext", 1, true), out)
    assert.are.same({"CAPA"}, commands)
  end)

  it("T24 to another host is done by explicit choice", function()
    local out, commands = attempt("login", "yes", "192.0.2.1")
    assert.is_truthy(out:find("^true"), out)
    assert.are.same({"CAPA", "USER name", "PASS secret"}, commands)
  end)

  it("T24 to this host is done", function()
    local out, commands = attempt("login", "no", "127.0.0.1")
    assert.is_truthy(out:find("^true"), out)
    assert.are.same({"CAPA", "USER name", "PASS secret"}, commands)
  end)

  it("T24 by poplib's own calls does what it is told", function()
    local out, commands = attempt("user", "no", "192.0.2.1")
    assert.is_truthy(out:find("^true"), out)
    assert.are.same({"USER name"}, commands)
  end)
end)
