-- bin/pop3 and the keys that it is told to look for: --pin.
local mailbox = require "spec.support.mailbox"
local program = require "spec.bin.program"

describe("bin/pop3", function()
  local box

  before_each(function() box = mailbox.start { "--sample", "3" } end)
  after_each(mailbox.stop_all)

  local function run(command, ...)
    return program.run({ command, "pop3s://otto@localhost:" .. box.tls,
      "--cafile", box.ca, ... }, { password = box.password })
  end

  local function pin_of()
    local page = run("probe").out
    return assert(page:match("(sha256//%S+)"), page)
  end

  local OTHER = "sha256//" .. ("A"):rep(43) .. "="

  it("takes a server whose key is pinned, among others", function()
    local pin = pin_of()
    local result = run("ls", "--pin", OTHER, "--pin", pin)
    assert.same({ 0, "" }, { result.status, result.err })
    result = run("probe", "--pin", pin)
    assert.equal(0, result.status, result.out)
  end)

  it("fails for a key that is not pinned, and shows it: 76", function()
    local pin = pin_of()
    local result = run("ls", "--pin", OTHER)
    assert.equal(76, result.status)
    assert.truthy(result.err:find(pin .. '" now', 1, true), result.err)
    assert.truthy(result.err:find("as --pin", 1, true), result.err)
    local page = run("probe", "--pin", OTHER)
    assert.equal(76, page.status)
    assert.truthy(page.out:find("no password was sent", 1, true), page.out)
    assert.truthy(page.out:find("Greeting", 1, true), page.out)
  end)

  it("takes a pin in the place of a certificate, with --no-verify", function()
    box = mailbox.start { "--sample", "1", "--expired" }
    local pin = pin_of()
    for _, command in ipairs { "ls", "probe" } do
      local good = run(command, "--no-verify", "--pin", pin)
      assert.same({ 0, "" }, { good.status, good.err }, good.out)
      local bad = run(command, "--no-verify", "--pin", OTHER)
      assert.equal(76, bad.status, bad.err)
    end
  end)
end)
