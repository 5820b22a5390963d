-- Text of others, made fit for a terminal and for one line: T15.

local escape = require("pop3.core").escape

describe("What a server says", function()
  local rows = {
    { "plain ~", "plain ~" }, { "a\nb\r", "a\\nb\\r" }, { "\0", "\\x00" },
    { "\t", "\t" },
    { "\27[31mred", "\\x1b[31mred" }, { "\127", "\\x7f" },
    { "\195\164", "\195\164" }, { "\226\130\172", "\226\130\172" },
    { "\240\159\152\128", "\240\159\152\128" },
    { "\194\155", "\\xc2\\x9b" }, { "\155", "\\x9b" }, -- C1
    { "\195", "\\xc3" }, { "\192\175", "\\xc0\\xaf" },
    { "\237\160\128", "\\xed\\xa0\\x80" },
    { "\244\144\128\128", "\\xf4\\x90\\x80\\x80" },
    { "\226\128\174x", "\\xe2\\x80\\xaex" }, { "\226\128\147", "\226\128\147" },
    { "\226\129\167", "\\xe2\\x81\\xa7" },
  }
  for _, row in ipairs(rows) do
    it("is shown as " .. row[2], function()
      assert.equal(row[2], escape(row[1]))
    end)
  end
end)
