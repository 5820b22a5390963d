--- Parity with Python's poplib: two thousand generated sessions, good and bad.
-- POP3_DIFFERENTIAL_SEED and POP3_DIFFERENTIAL_SIZE run others, or more.

local run = require "spec.differential.run"

local SEED = os.getenv("POP3_DIFFERENTIAL_SEED") or "1"
local SIZE = tonumber(os.getenv("POP3_DIFFERENTIAL_SIZE") or 2000)

-- The deviations that octets can show. 1 and 12 need TLS, 11 a clock; they
-- have specs of their own.
local SEEN = { 2, 3, 4, 5, 6, 7, 8, 9, 10, 13 }

local function show(equal, texts)
  local lines = {}
  for text, count in pairs(texts) do
    lines[#lines + 1] = ("#   %s: %d\n"):format(text, count)
  end
  table.sort(lines)
  io.write(("\n# seed %s: %d sessions, %d equal; the others by deviation:\n")
    :format(SEED, SIZE, equal), table.concat(lines))
end

describe("poplib and pop3, the same server", function()
  local equal, numbers, texts, unexplained

  setup(function()
    equal, numbers, texts, unexplained = run.all(SEED, SIZE)
    show(equal, texts)
  end)

  it("differ nowhere but in a numbered deviation", function()
    local some = table.concat(unexplained, "\n", 1, math.min(5, #unexplained))
    assert(#unexplained == 0, #unexplained .. " unexplained:\n" .. some)
  end)

  it("are equal in most sessions without a deviation", function()
    assert.is_true(equal > SIZE / 3)
  end)

  it("differ in every deviation that octets can show", function()
    for _, number in ipairs(SEEN) do
      assert.is_true((numbers[number] or 0) > 0, "deviation " .. number)
    end
  end)
end)
