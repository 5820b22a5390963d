-- pop3.secret{ fd= | path= | command= | env= }: a password that is read in C
-- when it is needed (R18, R22, T22's first half; its other half is
-- memory_spec.lua).

local child = require "spec.support.child"
local descriptors = require "spec.support.descriptors"
local pop3 = require "pop3"
local server = require "spec.support.server"

local PASSWORD = "correct horse battery staple"

local paths = {}

local function file_with(octets)
  local path = os.tmpname()
  paths[#paths + 1] = path
  local file = assert(io.open(path, "wb"))
  file:write(octets)
  file:close()
  return path
end

--- A descriptor from which `octets` can be read, and its file.
local function descriptor_with(octets)
  local path = file_with(octets)
  local file = assert(io.open(path, "rb"))
  return descriptors.of(path), file
end

--- What the server got from conn:pass_(secret).
local function sent_by(secret)
  local report = server.talk({
    { "S: +OK ready", { match = "PASS .*" }, "S: +OK" },
  }, function(conn) conn:pass_(secret) end)
  return report.commands[1]
end

--- The error of conn:pass_(secret), and everything that the server got.
local function refused(secret)
  local s = server.start { { "S: +OK ready", { eof = true } } }
  local conn = pop3.POP3(s.host, s.port, { timeout = 5 })
  local ok, err = pcall(conn.pass_, conn, secret)
  conn:close()
  assert.is_false(ok)
  assert.equal("", s:report().connections[1].received)
  return err
end

describe("pop3.secret", function()
  after_each(function()
    server.stop_all()
    for i, path in ipairs(paths) do
      os.remove(path)
      paths[i] = nil
    end
  end)

  describe("sends a password", function()
    it("from a file", function()
      local secret = pop3.secret { path = file_with(PASSWORD) }
      assert.equal("PASS " .. PASSWORD, sent_by(secret))
      assert.equal("PASS " .. PASSWORD, sent_by(secret))
    end)

    it("from a descriptor, which stays open", function()
      local fd, file = descriptor_with(PASSWORD)
      assert.equal("PASS " .. PASSWORD, sent_by(pop3.secret { fd = fd }))
      assert.equal(0, file:seek("set", 0))
      assert.equal(PASSWORD, file:read("*a"))
      file:close()
    end)

    it("from a command", function()
      local secret = pop3.secret { command = "printf 'two words'" }
      assert.equal("PASS two words", sent_by(secret))
    end)

    it("from the environment", function()
      local value = os.getenv("PATH")
      assert.equal("PASS " .. value, sent_by(pop3.secret { env = "PATH" }))
    end)

    it("of 10,000 octets", function()
      local long = ("0123456789"):rep(1000)
      assert.equal("PASS " .. long,
        sent_by(pop3.secret { path = file_with(long) }))
    end)
  end)

  describe("strips", function()
    local rows = {
      { "one LF", "pw\n", "pw" },
      { "one CRLF", "pw\r\n", "pw" },
      { "nothing else", " pw\t ", " pw\t " },
    }
    for _, row in ipairs(rows) do
      it(row[1] .. " (R18)", function()
        local path = file_with(row[2])
        assert.equal("PASS " .. row[3], sent_by(pop3.secret { path = path }))
        assert.equal("PASS " .. row[3],
          sent_by(pop3.secret { command = "cat " .. path }))
        local fd, file = descriptor_with(row[2])
        assert.equal("PASS " .. row[3], sent_by(pop3.secret { fd = fd }))
        file:close()
      end)
    end

    it("no second line end: the rest is refused unsent", function()
      local err = refused(pop3.secret { path = file_with("pw\n\n") })
      assert.matches("'pass_'", err, 1, true)
      assert.matches("line end", err, 1, true)
    end)

    it("nothing from the environment", function()
      local s = server.start { { "S: +OK ready", { eof = true } } }
      local result = child.run {
        env = { POP3_SPEC_SECRET = "pw\n" },
        arguments = { s.port },
        script = [[
          local pop3, port = require "pop3", ...
          local conn = pop3.POP3("127.0.0.1", tonumber(port))
          local secret = pop3.secret { env = "POP3_SPEC_SECRET" }
          print(pcall(conn.pass_, conn, secret))
          conn:close()
        ]],
      }
      assert.matches("^false.*line end", result.out)
      assert.equal("", s:report().connections[1].received)
    end)
  end)

  it("refuses CR, LF and NUL inside, unsent (R05)", function()
    for _, octet in ipairs { "\r", "\n", "\0" } do
      local path = file_with("be" .. octet .. "QUIT")
      assert.is_string(refused(pop3.secret { path = path }))
    end
  end)

  describe("fails with kind io, saying why,", function()
    local function check(secret, ...)
      local err = refused(secret)
      assert.equal("io", err.kind)
      for _, phrase in ipairs { ... } do
        assert.matches(phrase, tostring(err), 1, true)
      end
      return err
    end

    it("for a missing file", function()
      local err = check(pop3.secret { path = "/nonexistent/pw" },
        "/nonexistent/pw", "No such file")
      assert.equal(2, err.errno)
    end)

    it("for a folder", function()
      check(pop3.secret { path = "/" }, "Is a directory")
    end)

    it("for a bad descriptor", function()
      check(pop3.secret { fd = 900 }, "fd 900", "Bad file descriptor")
    end)

    it("for a descriptor used twice", function()
      local fd, file = descriptor_with(PASSWORD)
      local secret = pop3.secret { fd = fd }
      sent_by(secret)
      check(secret, "read already")
      file:close()
    end)

    it("for a command that fails, without its output or text", function()
      local err = check(pop3.secret { command = "echo hunter2; exit 7" },
        "exit status 7")
      assert.not_matches("hunter2", tostring(err), 1, true)
    end)

    it("for a command that is killed", function()
      check(pop3.secret { command = "kill -9 $$" }, "signal 9")
    end)

    it("for a missing command", function()
      check(pop3.secret { command = "exec /nonexistent/pw 2>/dev/null" },
        "exit status 127")
    end)

    it("for a variable that is not set", function()
      check(pop3.secret { env = "POP3_SPEC_UNSET" }, "POP3_SPEC_UNSET",
        "not set")
    end)

    it("for an empty secret", function()
      check(pop3.secret { path = file_with("\n") }, "empty")
      check(pop3.secret { command = "true" }, "empty")
    end)

    it("for more than 64 KiB, an endless one too", function()
      check(pop3.secret { path = file_with(("x"):rep(65537)) }, "64 KiB")
      check(pop3.secret { path = "/dev/zero" }, "64 KiB")
      check(pop3.secret { command = "yes" }, "64 KiB")
    end)
  end)

  it("accepts 64 KiB exactly", function()
    local path = file_with(("x"):rep(65536) .. "\r\n")
    local report = server.talk({
      keep = 100, -- of what the report repeats
      connections = { { "S: +OK ready", { match = "PASS x*" }, "S: +OK" } },
    }, function(conn) conn:pass_(pop3.secret { path = path }) end)
    assert.equal(#"PASS \r\n" + 65536, report.total)
  end)

  it("reads nothing before it is used", function()
    local path = file_with("early")
    local secret = pop3.secret { path = path }
    local file = assert(io.open(path, "wb"))
    file:write("late")
    file:close()
    assert.equal("PASS late", sent_by(secret))
  end)

  it("runs a command with no descriptor of ours (R22)", function()
    local s = server.start {
      { "S: +OK ready", { match = "PASS .*" }, "S: +OK", { eof = true } },
    }
    local path = os.tmpname()
    local conn = pop3.POP3(s.host, s.port)
    conn:pass_(pop3.secret {
      command = "ls -l /proc/self/fd >" .. path .. "; echo pw",
    })
    conn:close()
    paths[#paths + 1] = path
    local file = assert(io.open(path))
    local list = file:read("*a")
    file:close()
    assert.matches("0 ->", list, 1, true)
    assert.not_matches("socket:", list, 1, true)
    s:report()
  end)

  it("shows nothing of itself", function()
    local secret = pop3.secret { path = "/home/alice/.password" }
    assert.equal("userdata", type(secret))
    assert.equal("pop3.secret", tostring(secret))
    assert.equal("pop3.secret", getmetatable(secret))
    assert.has_error(function() return secret.path end)
    assert.has_error(function() secret.path = "x" end)
    assert.has_error(function() return #secret end)
    assert.has_error(function() return secret .. "" end)
  end)

  describe("refuses, naming itself,", function()
    local rows = {
      { "no table", "PASSWORD", "table expected, got string" },
      { "an empty table", {}, "one of fd, path, command and env" },
      { "two keys", { path = "a", env = "B" }, "exactly one" },
      { "an unknown key", { file = "a" }, "'file'" },
      { "a list", { "a" }, "number as key" },
      { "a path that is a number", { path = 1 }, "path is not a string" },
      { "an empty path", { path = "" }, "path is empty" },
      { "a NUL in a path", { path = "a\0b" }, "NUL" },
      { "a descriptor as string", { fd = "0" }, "fd is not" },
      { "a negative descriptor", { fd = -1 }, "fd is not" },
      { "half a descriptor", { fd = 0.5 }, "fd is not" },
      { "a huge descriptor", { fd = 1e300 }, "fd is not" },
      { "a NaN as descriptor", { fd = 0 / 0 }, "fd is not" },
    }
    for _, row in ipairs(rows) do
      it(row[1], function()
        local ok, err = pcall(pop3.secret, row[2])
        assert.is_false(ok)
        assert.is_string(err)
        assert.matches("bad argument #1 to 'secret'", err, 1, true)
        assert.matches(row[3], err, 1, true)
      end)
    end

    it("where it was called", function()
      local _, err = pcall(function()
        local secret = pop3.secret("PASSWORD")
        return secret
      end)
      assert.matches("^[^:]*secret_spec%.lua:%d+: bad argument #1", err)
    end)
  end)
end)
