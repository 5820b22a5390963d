-- examples/: each program as a reader would build and run it, against the
-- scripted server, its output compared.

local server = require "spec.support.server"

local ENGINE = "csrc/session.c csrc/reply.c csrc/body.c csrc/scan.c csrc/tables.c"

local read = require("spec.support.files").read
local write = require("spec.support.files").write

--- Run a shell command: its output, its error output, did it succeed.
local function run(command)
  local out, err = os.tmpname(), os.tmpname()
  local status = os.execute(("%s >%s 2>%s"):format(command, out, err))
  local output, errors = read(out), read(err)
  os.remove(out)
  os.remove(err)
  return output, errors, status == true or status == 0
end

local MESSAGE = "Subject: hello\r\n\r\nDots:\r\n..\r\n..end\r\n.\r\n"

local function session(changes)
  local script = {
    "S: +OK ready",
    "C: USER tim", "S: +OK",
    "C: PASS tanstaaf", "S: +OK welcome",
    "C: STAT", "S: +OK 2 42",
    "C: LIST", "S: +OK 2 messages\r\n1 31\r\n2 11\r\n.",
    "C: RETR 1", { send = "+OK 31 octets\r\n" .. MESSAGE, split = { 20, 48 } },
    "C: QUIT", "S: +OK bye",
    { eof = true },
  }
  return changes and changes(script) or script
end

describe("examples/c_session.c", function()
  local program = os.tmpname()

  setup(function()
    local _, errors, good = run(("%s -std=c99 -Wall -Wextra -Wpedantic -Werror"
      .. " -Icsrc -o %s examples/c_session.c %s")
      :format(os.getenv("CC") or "cc", program, ENGINE))
    assert(good, errors)
  end)

  teardown(function() os.remove(program) end)

  after_each(server.stop_all)

  local function talk(script)
    local input = os.tmpname()
    write(input, "tanstaaf\n")
    local s = server.start { script }
    local output, errors, good = run(("%s 127.0.0.1 %d tim <%s")
      :format(program, s.port, input))
    os.remove(input)
    return output, errors, good, s:report().connections[1]
  end

  it("prints a mailbox with the engine and a C compiler only", function()
    local output, errors, good, seen = talk(session())
    assert.equal("", errors)
    assert.equal(read("examples/c_session.expected"), output)
    assert.is_true(good)
    assert.same({}, seen.errors)
    assert.same({ "USER tim", "PASS tanstaaf", "STAT", "LIST", "RETR 1",
      "QUIT" }, seen.commands)
  end)

  it("gives up when the server refuses", function()
    local _, errors, good, seen = talk(session(function(script)
      return { script[1], script[2], "S: -ERR [AUTH] no such user",
        { eof = true } }
    end))
    assert.equal("c_session: the server refused\n", errors)
    assert.is_false(good)
    assert.same({ "USER tim" }, seen.commands)
  end)

  it("never takes a cut message for a whole one", function()
    local _, errors, good = talk(session(function(script)
      script[11] = { send = "+OK 31 octets\r\nSubject: hello\r\n\r\nDo" }
      script[12] = { close = true }
      script[13], script[14] = nil, nil
      return script
    end))
    assert.equal("c_session: -ERR EOF\n", errors)
    assert.is_false(good)
  end)
end)
