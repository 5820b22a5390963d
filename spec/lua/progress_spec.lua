-- retr and top tell how far they are.

local mailbox = require "spec.support.mailbox"
local pop3 = require "pop3"

describe("progress", function()
  after_each(mailbox.stop_all)

  local function connect(...)
    local box = mailbox.start { "--sample", "40", ... }
    local M = pop3.POP3("127.0.0.1", box.plain)
    M:login(box.user, box.password)
    return M
  end

  local function largest(M)
    local number, size = 1, 0
    for _, line in ipairs((select(2, M:list()))) do
      local n, octets = line:match("^(%d+) (%d+)$")
      if tonumber(octets) > size then number, size = n, tonumber(octets) end
    end
    return number, size
  end

  it("is told growing octets of a message that takes a while", function()
    local M = connect("--rate", "400000")
    local number, size = largest(M)
    local told = {}
    local _, _, octets = M:retr(number, {
      progress = function(so_far) told[#told + 1] = so_far end,
    })
    M:close()
    assert.equal(size, octets)
    assert.is_true(#told >= 2, #told .. " calls")
    for i = 2, #told do assert.is_true(told[i] >= told[i - 1]) end
    assert.is_true(told[#told] > 0 and told[#told] <= size)
  end)

  it("leaves a busy connection behind when it raises", function()
    local M = connect("--rate", "400000")
    local ok, err = pcall(M.retr, M, (largest(M)), {
      progress = function() error("enough", 0) end,
    })
    assert.is_false(ok)
    assert.equal("enough", err)
    ok, err = pcall(M.noop, M)
    assert.is_false(ok)
    assert.same({ "state", "busy" }, { err.kind, err.name })
    M:close()
    ok, err = pcall(M.noop, M)
    assert.is_false(ok)
    assert.same({ "state", "closed" }, { err.kind, err.name })
  end)

  it("is not looked for in what a busy connection has not looked at", function()
    local M = connect()
    local reader = M:retr_lines(1)
    for _, name in ipairs { "retr", "retr_string", "retr_lines" } do
      local ok, err = pcall(M[name], M, 1, 5)
      assert.is_false(ok)
      assert.equal("busy", type(err) == "table" and err.name or err)
    end
    reader:close()
    M:quit()
  end)

  it("is the only option there is", function()
    local M = connect()
    for _, case in ipairs {
      { { progres = print }, "unknown option 'progres' to 'retr'" },
      { { progress = 1 }, "bad option 'progress' to 'retr'" },
      { 1, "bad argument #2 to 'retr'" },
    } do
      local ok, err = pcall(M.retr, M, 1, case[1])
      assert.is_false(ok)
      assert.truthy(tostring(err):find(case[2], 1, true), err)
    end
    M:quit()
  end)
end)
