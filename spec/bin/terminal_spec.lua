-- bin/pop3 on a terminal: the password prompt, the bar, Ctrl-C; and where else
-- passwords come from.
local files = require "spec.support.files"
local mailbox = require "spec.support.mailbox"
local program = require "spec.bin.program"
local shell = require "spec.support.shell"

describe("bin/pop3", function()
  local folder, maildir

  before_each(function()
    folder = files.make_folder()
    maildir = folder .. "/Maildir"
  end)
  after_each(function()
    mailbox.stop_all()
    files.remove_folder(folder)
  end)

  local function url(box) return "pop3s://otto@127.0.0.1:" .. box.tls end

  local function ls(box)
    return { "ls", "--cafile", box.ca, url(box) }
  end

  local function fetch(box, ...)
    return { "fetch", "--maildir", maildir, "--cafile", box.ca, url(box), ... }
  end

  -- ---------------------------------------------------------- the prompt

  it("asks for the password without echo", function()
    local box = mailbox.start { "--sample", "1" }
    local report = program.on_terminal(ls(box), {
      { expect = "Password of otto at 127.0.0.1: " },
      { type = box.password .. "\n" },
    })
    assert.is_nil(report.failed, report.output)
    assert.equal(0, report.status, report.output)
    assert.same({ false, true }, { report.echo[1], report.echo[3] })
    assert.is_nil(report.output:find(box.password, 1, true))
    assert.truthy(report.output:find("1 2 7eb70257593da06f", 1, true))
  end)

  for _, how in ipairs { { type = "\3" }, { signal = "SIGTERM", exit = 143 },
                         { signal = "SIGHUP", exit = 129 } } do
    it("echoes again after " .. (how.signal or "Ctrl-C"), function()
      local box = mailbox.start { "--sample", "1" }
      local report = program.on_terminal(ls(box), {
        { expect = "Password of otto" }, { type = "corr" },
        { type = how.type, signal = how.signal },
      })
      assert.is_nil(report.failed, report.output)
      assert.same({ false, true }, { report.echo[1], report.echo[4] })
      assert.equal(how.exit or 130, report.status)
      assert.equal("", box:log())
    end)
  end

  -- In one process group, as a script starts them; whichever asks first.
  it("is asked by one of two at a time, and echoes again", function()
    local box = mailbox.start { "--sample", "1" }
    local report = program.on_terminal(ls(box), {
      { find = "Password of otto" },
      { find = "another command asks for a password on this terminal" },
      { type = box.password .. "\n" },
    }, { twice = true })
    assert.is_nil(report.failed, report.output)
    assert.same({ false, true }, { report.echo[2], report.echo[4] })
    assert.is_nil(report.output:find(box.password, 1, true))
    local _, asked = report.output:gsub("Password of otto", "")
    local _, listed = report.output:gsub("1 2 7eb70257593da06f", "")
    assert.same({ 1, 1 }, { asked, listed })
    assert.truthy(report.output:find("--password-file", 1, true))
  end)

  it("is asked in the foreground, whatever a stopped job was about to ask",
    function()
      local box = mailbox.start { "--sample", "1" }
      local report = program.on_terminal(ls(box), {
        { expect = "Password of otto" }, { type = box.password .. "\n" },
        { expect = "1 2 7eb70257593da06f" },
      }, { behind = true })
      assert.is_nil(report.failed, report.output)
      assert.same({ false, true }, { report.echo[1], report.echo[4] })
      assert.is_nil(report.output:find("another command", 1, true))
    end)

  it("takes the end of the terminal for no password", function()
    local box = mailbox.start { "--sample", "1" }
    local report = program.on_terminal(ls(box), {
      { expect = "Password of otto" }, { type = "\4" },
    })
    assert.same({ 77, true }, { report.status, report.echo[3] })
    assert.equal("", box:log())
  end)

  it("says what to do where there is no terminal", function()
    local box = mailbox.start { "--sample", "1" }
    local result = program.run(ls(box))
    assert.equal(78, result.status)
    assert.truthy(result.err:find("use --password-file, --password-command or "
      .. "POP3_PASSWORD", 1, true))
  end)

  -- ---------------------------------------------------------- other sources

  -- name, password, printf format of the file, exit code, piece of stderr
  local rows = {
    { "without a line end", "a b", "a b", 0 },
    { "less one LF", "a b", "a b\\n", 0 },
    { "less one CRLF", "a b", "a b\\r\\n", 0 },
    { "but not less two LF", "a b", "a b\\n\\n", 65, "cannot be sent" },
    { "with its blanks", " a b ", " a b \\n", 0 },
    { "of two lines is refused", "a", "a\\nb\\n", 65, "cannot be sent" },
    { "with NUL is refused", "a", "a\\0b", 65, "cannot be sent" },
    { "in UTF-8", "p\195\164\195\159", "p\195\164\195\159\\n", 0 },
    { "that is empty is refused", "x", "", 77, "no password" },
  }
  for _, row in ipairs(rows) do
    it("takes --password-file " .. row[1], function()
      local box = mailbox.start { "--sample", "1", "--password", row[2] }
      local path = folder .. "/secret"
      shell.output(("printf %s >%s"):format(files.quote(row[3]), path))
      local words = ls(box)
      words[#words + 1] = "--password-file"
      words[#words + 1] = path
      local result = program.run(words)
      assert.equal(row[4], result.status, result.err)
      assert.truthy(result.err:find(row[5] or "", 1, true), result.err)
      words[#words - 1] = "--password-command"
      words[#words] = "cat " .. path
      assert.equal(row[4], program.run(words).status)
    end)
  end

  it("takes POP3_PASSWORD as it is", function()
    local box = mailbox.start { "--sample", "1", "--password", "a b " }
    assert.equal(0, program.run(ls(box), { password = "a b " }).status)
    assert.equal(77, program.run(ls(box), { password = "a b" }).status)
  end)

  it("prefers a file to the environment", function()
    local box = mailbox.start { "--sample", "1", "--password", "good" }
    local words = ls(box)
    words[#words + 1] = "--password-command"
    words[#words + 1] = "echo good"
    assert.equal(0, program.run(words, { password = "bad" }).status)
  end)

  it("stops at a password file that is not there: 66", function()
    local box = mailbox.start { "--sample", "1" }
    local words = ls(box)
    words[#words + 1] = "--password-file"
    words[#words + 1] = folder .. "/none"
    local result = program.run(words)
    assert.equal(66, result.status)
    assert.equal("", box:log())
  end)

  it("stops at a command that fails: 77, no login", function()
    local box = mailbox.start { "--sample", "1" }
    local words = ls(box)
    words[#words + 1] = "--password-command"
    words[#words + 1] = "echo good; exit 3"
    local result = program.run(words)
    assert.equal(77, result.status)
    assert.truthy(result.err:find("exit status 3", 1, true), result.err)
    assert.is_nil(box:log():find("PASS", 1, true))
  end)

  -- ---------------------------------------------------------- the bar

  it("shows octets, rate and message n of m on a terminal", function()
    local box = mailbox.start { "--sample", "10" }
    local report = program.on_terminal(fetch(box), {
      { expect = "stored in" } }, { password = box.password })
    assert.is_nil(report.failed, report.output)
    assert.equal(0, report.status)
    local last = report.output:match(".*\r\27%[K([^\r\n]*)")
    assert.truthy(last:find(
      "^%[####################%] 10/10  14%.%d KiB of 14%.%d KiB  .*/s$"), last)
  end)

  -- name, what LIST says of two messages of 9,002 and 3 octets
  for _, row in ipairs {
    { "too small", "1 10\r\n2 1" }, { "too large", "1 10000\r\n2 90000000" },
    { "0", "1 0\r\n2 0" }, { "missing", "1\r\n2" },
  } do
    it("shows a true bar where the sizes are " .. row[1], function()
      local server = require "spec.support.server"
      local large = ("x"):rep(3000) .. "\r\n"
      local bad = server.start { { "S: +OK ready", { auto = {
        { "CAPA", "+OK\r\n.\r\n" }, { "USER .*|PASS .*|QUIT", "+OK\r\n" },
        { "LIST", "+OK\r\n" .. row[2] .. "\r\n.\r\n" },
        { "RETR 1", { { send = "+OK\r\n" .. large:rep(3) .. ".\r\n",
          split = { 4000, 8000, 9000 } } } },
        { "RETR 2", "+OK\r\nx\r\n.\r\n" },
      } } } }
      local report = program.on_terminal({ "fetch", "--maildir", maildir,
        "--allow-cleartext", "pop://otto@127.0.0.1:" .. bad.port },
        { { expect = "stored in" } }, { password = "x" })
      bad:stop()
      assert.equal(0, report.status, report.output)
      local last
      for frame in report.output:gmatch("\r\27%[K%[([^\r\n]*)") do
        last = frame
        if frame:find("] [01]/2") then
          assert.is_nil(frame:find(("#"):rep(20), 1, true), frame)
        end
      end
      assert.truthy(last:find(("#"):rep(20) .. "] 2/2  8.8 KiB of 8.8 KiB  ", 1,
        true), last)
    end)
  end

  -- ---------------------------------------------------------- Ctrl-C

  for _, how in ipairs { { type = "\3", exit = 130 },
                         { signal = "SIGTERM", exit = 143 } } do
    it("leaves nothing half done after " .. (how.signal or "Ctrl-C"),
      function()
        local box = mailbox.start { "--sample", "23", "--rate", "100000" }
        local report = program.on_terminal(fetch(box, "--delete"), {
          { expect = "] 20/23" }, { type = how.type, signal = how.signal },
        }, { password = box.password })
        assert.is_nil(report.failed, report.output)
        assert.equal(how.exit, report.status, report.output)
        assert.is_true(report.echo[#report.echo])
        assert.equal("", shell.output("ls " .. maildir .. "/tmp"))
        local _, stored = shell.output("ls " .. maildir .. "/new"):gsub("\n", "")
        assert.equal(20, stored)
        -- Nothing is deleted without QUIT.
        assert.is_nil(box:log():find("QUIT", 1, true))
        local result = program.run(ls(box), { password = box.password })
        local _, left = result.out:gsub("\n", "")
        assert.equal(23, left)
      end)
  end
end)
