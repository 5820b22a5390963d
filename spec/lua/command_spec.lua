-- command(line) is a line by hand, and no way around anything.

local mailbox = require "spec.support.mailbox"
local pop3 = require "pop3"

describe("command", function()
  local box, M

  before_each(function()
    box = mailbox.start { "--sample", "2" }
    M = pop3.POP3("127.0.0.1", box.plain)
  end)

  after_each(function()
    M:close()
    mailbox.stop_all()
  end)

  for _, line in ipairs { "", " NOOP", "\tNOOP" } do
    it(("sends nothing for %q"):format(line), function()
      local ok, err = pcall(M.command, M, line)
      assert.is_false(ok)
      assert.truthy(err:find("begins with a command's name", 1, true), err)
      M:capa()
      assert.is_nil(box:log():find("NOOP", 1, true))
    end)
  end

  it("shows levels between 1 and 2 as 1", function()
    local shown = {}
    M:set_debuglevel(1.5, function(text) shown[#shown + 1] = text end)
    M:command("CAPA", true)
    assert.equal("*cmd* 'CAPA'\n", table.concat(shown))
  end)
end)
