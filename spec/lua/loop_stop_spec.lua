-- pop3.loop.poll: tasks that stop, and progress where a loop waits.

local mailbox = require "spec.support.mailbox"
local pop3 = require "pop3"
local poll = require "pop3.loop.poll"

describe("pop3.loop.poll", function()
  after_each(mailbox.stop_all)

  local function connect(box, loop)
    local M = pop3.POP3("127.0.0.1", box.plain, { loop = loop })
    M:login(box.user, box.password)
    return M
  end

  local function run(fn)
    local loop = poll.new()
    loop:spawn(fn, loop)
    loop:run()
  end

  it("tells how far a message is while it waits for more", function()
    local box = mailbox.start { "--sample", "23", "--rate", "400000" }
    local told = {}
    run(function(loop)
      local M = connect(box, loop)
      M:retr_string(21, { progress = function(octets)
        told[#told + 1] = octets
      end })
      M:close()
    end)
    assert.is_true(#told >= 2, #told .. " calls")
    for i = 2, #told do assert.is_true(told[i] >= told[i - 1]) end
  end)

  it("counts each of many messages anew", function()
    -- 160 KiB and then 100 octets that take as long.
    local box = mailbox.start { "--sample", "21", "--rate", "100" }
    local order, number, most = { 4, 2 }, 4, {}
    local M = connect(box)
    M:retr_many(order, function() number = 2 end, {
      progress = function(octets)
        most[number] = math.max(most[number] or 0, octets)
      end,
    })
    M:close()
    assert.is_true((most[2] or 0) <= #box:served()[2], most[2])
  end)

  for _, where in ipairs { "another task", "the task itself" } do
    it("stops all when " .. where .. " says so", function()
      local box = mailbox.start { "--hang", "STAT" }
      local loop, asked, went_on, M = poll.new(), false, false, nil
      loop:spawn(function()
        M = connect(box, loop)
        if where == "the task itself" then loop:stop("enough") end
        asked = true
        M:stat()
        went_on = true
      end)
      if where == "another task" then
        loop:spawn(function()
          repeat connect(box, loop):close() until asked
          loop:stop("enough")
        end)
      end
      local ok, err = pcall(loop.run, loop)
      assert.same({ false, "enough" }, { ok, err })
      M:close()
      loop:run() -- nothing is left
      assert.is_false(went_on)
    end)
  end

  it("runs again after it was stopped", function()
    local loop, ran = poll.new(), 0
    loop:spawn(function() loop:stop("enough") end)
    loop:spawn(function() ran = ran + 1 end)
    assert.is_false((pcall(loop.run, loop)))
    assert.equal(0, ran)
    loop:spawn(function() ran = ran + 1 end)
    loop:run()
    assert.equal(1, ran)
  end)
end)
