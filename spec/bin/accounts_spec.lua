-- bin/pop3 fetch of several accounts: the file that names them, how many at
-- once, and that one which fails does not harm the others.
local mailbox = require "spec.support.mailbox"
local program = require "spec.bin.program"
local scene = require "spec.bin.scene"

local files = scene.files
local write_file = require("spec.support.files").write
local unpack = require("spec.support.lua").unpack

describe("bin/pop3 fetch --config", function()
  local here = scene.new()
  local folder, config

  before_each(function()
    here:begin()
    folder, config = here.folder, here.folder .. "/config"
    write_file(folder .. "/good", "correct horse\n")
    write_file(folder .. "/bad", "wrong\n")
  end)
  after_each(function() here:finish() end)

  -- A section; its Maildir is a folder of its name.
  local function section(name, box, more)
    return ("[%s]\nurl = pop3s://%s@127.0.0.1:%d\ncafile = %s\nmaildir = %s\n"
      .. "%s\n"):format(name, box.user, box.tls, box.ca, name,
      more or "password-file = good\n")
  end

  local function write_config(...)
    write_file(config, table.concat({ ... }, "\n"))
  end

  local function fetch(options, ...)
    return program.run({ "fetch", "--config", config, ... }, options)
  end

  local function stored(name) return #files(folder .. "/" .. name .. "/new") end

  -- ---------------------------------------------------------- what it does

  it("fetches all accounts, each into its Maildir", function()
    local one, two = here:server("--sample", "3"), here:server("--sample", "4")
    write_config("timeout = 30", section("one", one), section("two", two))
    local result = fetch()
    assert.equal(0, result.status, result.err)
    assert.same({ 3, 4 }, { stored "one", stored "two" })
    assert.truthy(result.err:find("one 1/3: 1 octet\n", 1, true), result.err)
    assert.truthy(result.err:find("two 4/4: 13 octets\n", 1, true), result.err)
    assert.truthy(result.err:find("\n7 messages, 21 octets stored, 2 of 2 "
      .. "accounts done\n$"), result.err)
    result = fetch(nil, "-q")
    assert.same({ 0, "", "" }, { result.status, result.out, result.err })
  end)

  it("fetches the accounts that are named, and no others", function()
    local box = here:server("--sample", "3")
    write_config(section("one", box), section("two", box), section("six", box))
    assert.equal(0, fetch(nil, "-q", "six", "one").status)
    assert.same({ 3, 0, 3 }, { stored "one", stored "two", stored "six" })
  end)

  it("goes on where one account is refused: 77", function()
    local box = here:server("--sample", "3")
    write_config(section("one", box, "password-file = bad\n"),
      section("two", box))
    local result = fetch()
    assert.equal(77, result.status, result.err)
    assert.equal(3, stored "two")
    assert.truthy(result.err:find("pop3: one: the server refused the login: ",
      1, true), result.err)
    assert.truthy(result.err:find("3 messages, 4 octets stored, 1 of 2 "
      .. "accounts done\n$"), result.err)
    result = fetch(nil, "-q")
    assert.truthy(result.err:find("^pop3: one: [^\n]*\n$"), result.err)
  end)

  -- name, section of the account that fails, the exit code
  local broken = {
    { "nobody listens", "url = pop3s://otto@127.0.0.1:1\nmaildir = one\n"
      .. "password-file = good\n", 69 },
    { "there is no password file", "url = pop3s://otto@127.0.0.1:1\n"
      .. "maildir = one\npassword-file = none\n", 66 },
    { "there is no password", "url = pop3s://otto@127.0.0.1:1\n"
      .. "maildir = one\n", 78 },
    { "the URL is wrong", "url = imap://x\nmaildir = one\n", 64 },
    { "the folder is no Maildir", "url = pop3s://otto@127.0.0.1:1\n"
      .. "maildir = .\npassword-file = good\n", 73 },
  }
  for _, row in ipairs(broken) do
    it("goes on where of one account " .. row[1] .. ": " .. row[3], function()
      local box = here:server("--sample", "3")
      write_config("[one]", row[2], section("two", box))
      -- A password that is meant for another server is not tried.
      local result = fetch({ password = "correct horse" }, "-q")
      assert.equal(row[3], result.status, result.err)
      assert.truthy(result.err:find("^pop3: one: [^\n]*\n$"), result.err)
      assert.equal(3, stored "two")
    end)
  end

  it("exits with the first failure, by the order of the file", function()
    local box = here:server("--sample", "1")
    write_config(section("one", box, "password-file = bad\n"),
      "[two]\nurl = pop3s://otto@127.0.0.1:1\nmaildir = two\n"
      .. "password-file = good\n")
    assert.equal(77, fetch().status)
    assert.equal(77, fetch(nil, "two", "one").status)
    assert.equal(69, fetch(nil, "two").status)
  end)

  it("goes on where one server is silent, and where one dies", function()
    local silent = here:server("--hang", "RETR")
    local dying = here:server("--sample", "23", "--cut", "100000")
    local box = here:server("--sample", "3")
    write_config("timeout = 0.5", section("one", silent),
      section("two", dying, "password-file = good\ndelete = yes\n"),
      section("six", box))
    local result = fetch(nil, "-q")
    assert.equal(75, result.status)
    assert.same({ 0, 20, 3 }, { stored "one", stored "two", stored "six" })
    for _, name in ipairs { "one", "two", "six" } do
      assert.same({}, files(folder .. "/" .. name .. "/tmp"))
    end
    assert.truthy(result.err:find("pop3: two: [^\n]*20 of 23 messages are "
      .. "stored, nothing was deleted from the server%)\n"), result.err)
    assert.equal(23, here:messages_left(dying))
  end)

  it("deletes where the file says so, unless --keep does not", function()
    local one, two = here:server("--sample", "3"), here:server("--sample", "3")
    write_config(section("one", one, "password-file = good\ndelete = yes\n"),
      section("two", two))
    assert.equal(0, fetch(nil, "--keep", "-q").status)
    assert.same({ 3, 3 }, { here:messages_left(one), here:messages_left(two) })
    local result = fetch()
    assert.truthy(result.err:find("6 known already, 3 deleted from the servers",
      1, true), result.err)
    assert.same({ 0, 3 }, { here:messages_left(one), here:messages_left(two) })
  end)

  it("lets accounts share a Maildir", function()
    local boxes, sections = {}, { "maildir = all" }
    for i = 1, 4 do
      boxes[i] = here:server("--sample", "30")
      sections[i + 1] = section("n" .. i, boxes[i]):gsub("maildir = [^\n]*", "")
    end
    write_config(unpack(sections))
    local result = fetch(nil, "-q")
    assert.equal(0, result.status, result.err)
    assert.equal(120, stored "all")
  end)

  -- ---------------------------------------------------------- how many

  -- Of four accounts, the most that were connected at the same time.
  local function most_at_once(...)
    local box = here:server("--sample", "8", "--delay", "0.02")
    write_config(section("a", box), section("b", box), section("c", box),
      section("d", box))
    local result = fetch(nil, "-q", ...)
    assert.equal(0, result.status, result.err)
    for _, name in ipairs { "a", "b", "c", "d" } do
      assert.equal(8, stored(name))
    end
    return box:most_at_a_time()
  end

  it("fetches four accounts at once", function()
    assert.equal(4, most_at_once())
  end)

  it("fetches one account at a time with --jobs 1", function()
    assert.equal(1, most_at_once("--jobs", "1"))
  end)

  it("fetches two accounts at a time with --jobs 2", function()
    assert.equal(2, most_at_once("--jobs", "2"))
  end)

  -- ---------------------------------------------------------- the file

  local GOOD = "url = pop3s://otto@127.0.0.1:1\nmaildir = x\n"

  -- name, exit code, a piece of the line, the file
  for _, row in ipairs {
    { "no account", 78, "no [account] in it", "# nothing\ntimeout = 3\n" },
    { "an unknown key", 78, ":2: unknown key 'maildri'; the nearest is "
      .. "'maildir'", "[a]\nmaildri = x\n" },
    { "a password", 78, ":2: a password does not belong into this file; use "
      .. "password-file", "[a]\npassword = Hunter2\n" },
    { "a line that says nothing", 78, ":2: neither [account] nor key = value",
      "[a]\nHunter2\n" },
    { "no URL", 78, ":1: [a] has no url", "[a]\nmaildir = x\n" },
    { "no Maildir", 78, ":1: [a] has no maildir",
      "[a]\nurl = pop3s://a@localhost\n" },
    { "a key without value", 78, ":1: url has no value", "url =\n[a]\n" },
    { "a key twice", 78, ":4: url stands here twice", "[a]\n" .. GOOD
      .. "url = y\n" },
    { "an account twice", 78, ":4: [a] is there twice", "[a]\n" .. GOOD
      .. "[a]\n" },
    { "an account without name", 78, ":1: an account needs a name", "[ ]\n" },
    { "a choice that is none", 78, ":2: delete is yes or no",
      "[a]\ndelete = maybe\n" },
    { "seconds that are none", 78, ":2: timeout is a number of seconds",
      "[a]\ntimeout = soon\n" },
    { "line ends that are none", 78, ":2: eol is lf or crlf",
      "[a]\neol = cr\n" },
    { "a mechanism that is none", 78, "cannot log in by GSSAPI",
      "[a]\n" .. GOOD .. "auth = gssapi\n" },
    { "a proxy that is none", 78, "a proxy is a URL",
      "[a]\n" .. GOOD .. "proxy = ftp://x\n" },
    { "a proxy's password", 78, "use --proxy-password-command",
      "[a]\n" .. GOOD .. "proxy = socks5://a:b@x\n" },
    { "a pin that is none", 78, "44 characters",
      "[a]\n" .. GOOD .. "pin = sha256//abc=\n" },
    { "a token and a password", 78, "password-command and token-command",
      "[a]\n" .. GOOD .. "password-command = x\ntoken-command = y\n" },
    { "two passwords", 78, "password-file and password-command", "[a]\n"
      .. GOOD .. "password-file = a\npassword-command = b\n" },
  } do
    it("refuses a file with " .. row[1] .. ": " .. row[2], function()
      write_file(config, row[4])
      local result = fetch()
      assert.equal(row[2], result.status, result.err)
      assert.truthy(result.err:find("^pop3: [^\n]*\n$"), result.err)
      assert.truthy(result.err:find(row[3], 1, true), result.err)
      assert.is_nil(result.err:find("Hunter2", 1, true))
    end)
  end

  -- name, exit code, a piece of the line, command line
  for _, row in ipairs {
    { "a name that it does not have", 64, "no account 'wrok'; the nearest is "
      .. "'work'", { "wrok" } },
    { "a URL", 64, "not both", { "pop3s://otto@127.0.0.1" } },
    { "--maildir", 64, "--maildir is for one account", { "--maildir", "x" } },
    { "--password-file", 64, "--password-file is for one account",
      { "--password-file", "x" } },
    { "--pin", 64, "--pin is for one account", { "--pin", "sha256//"
      .. ("A"):rep(43) .. "=" } },
    { "--token-command", 64, "--token-command is for one account",
      { "--token-command", "x" } },
    { "no jobs", 64, "not a number from 1", { "--jobs", "0" } },
  } do
    it("refuses " .. row[1] .. ": " .. row[2], function()
      write_config("[work]\n" .. GOOD, "[home]\n" .. GOOD)
      local result = fetch(nil, unpack(row[4]))
      assert.equal(row[2], result.status, result.err)
      assert.truthy(result.err:find(row[3], 1, true), result.err)
    end)
  end

  for _, mode in ipairs { "g+w", "o+w" } do
    it("refuses a file that others can write: chmod " .. mode, function()
      write_config("[a]\n" .. GOOD .. "password-command = touch " .. folder
        .. "/ran\n")
      scene.shell("chmod " .. mode .. " " .. config)
      local result = fetch()
      assert.equal(78, result.status, result.err)
      assert.truthy(result.err:find("others can write it; chmod go-w it", 1,
        true), result.err)
      assert.equal("", (scene.shell("ls " .. folder .. " | grep ran")))
    end)
  end

  local is_root = scene.shell("id -u") == "0\n"
  local it_as_root = is_root and it or pending

  it_as_root("refuses another user's file", function()
    write_config("[a]\n" .. GOOD)
    scene.shell("chown 65534 " .. config)
    local result = fetch()
    assert.equal(78, result.status, result.err)
    assert.truthy(result.err:find("is another user's", 1, true), result.err)
  end)

  it("refuses a file that is not there, or is none: 78", function()
    assert.equal(78, fetch().status)
    scene.shell("mkdir " .. config)
    assert.equal(78, fetch().status)
  end)

  it("reads the user's own file where neither it nor a URL is given", function()
    local box = here:server("--sample", "2")
    local text = section("one", box,
      "password-command = printf '%s = %s' a b >~/said; cat ~/good # all")
      :gsub("maildir = one", "maildir = ~/Mail")
    for _, variables in ipairs {
      "unset XDG_CONFIG_HOME; export HOME=" .. folder .. ";",
      "export XDG_CONFIG_HOME=" .. folder .. "/xdg HOME=" .. folder .. ";",
    } do
      local base = variables:find("xdg", 1, true) and "/xdg" or "/.config"
      local none = program.run({ "fetch" }, { before = variables })
      assert.equal(64, none.status)
      assert.truthy(none.err:find("no URL, and there is no " .. folder .. base
        .. "/pop3/config", 1, true), none.err)
      scene.shell("mkdir -p " .. folder .. base .. "/pop3")
      write_file(folder .. base .. "/pop3/config", "; mine\r\n" .. text)
      local result = program.run({ "fetch", "--all" }, { before = variables })
      assert.equal(0, result.status, result.err)
    end
    assert.equal(4, stored "Mail")
    assert.equal("a = b", require("spec.support.files").read(folder .. "/said"))
  end)

  -- ---------------------------------------------------------- on a terminal

  it("asks for all passwords before it connects", function()
    local one, two = here:server("--sample", "2"), here:server("--sample", "3")
    write_config(section("one", one, "\n"), section("two", two, "\n"))
    local report = program.on_terminal({ "fetch", "--config", config }, {
      { expect = "Password of otto at 127.0.0.1" },
      { type = one.password .. "\n" },
      { expect = "Password of otto at 127.0.0.1" },
      { type = "\3" },
    })
    assert.equal(130, report.status, report.output)
    assert.same({ "", "" }, { one:log(), two:log() })
    assert.is_true(report.echo[#report.echo])
  end)

  it("shows one bar for all, which ends full", function()
    local one, two = here:server("--sample", "22", "--rate", "300000"),
      here:server("--sample", "30")
    write_config(section("one", one), section("two", two))
    local report = program.on_terminal({ "fetch", "--config", config }, {
      { expect = "accounts done" } })
    assert.equal(0, report.status, report.output)
    local last, between, moved = nil, false, {}
    for frame in report.output:gmatch("\r\27%[K([^\r\n]*)") do
      last = frame
      local full = #frame:match("^%[(#*)%.*%]")
      local stored_now, all = frame:match("%] (%d+)/(%d+)")
      if full == 20 then assert.equal(stored_now, all, frame) end
      between = between or full > 2 and full < 18
      moved[frame:match("%] [%d/]+  %S+ %S+")] = true
      local here_now, unit, total, of = frame:match(
        "  ([%d.]+) (%S+) of ([%d.]+) (%S+)")
      if unit == of then
        assert.is_true(tonumber(here_now) <= tonumber(total), frame)
      end
    end
    assert.truthy(last:find("^%[" .. ("#"):rep(20)
      .. "%] 52/52  .*  accounts 2/2$"), last)
    assert.is_true(between)
    local frames = 0
    for _ in pairs(moved) do frames = frames + 1 end
    assert.is_true(frames > 5, frames .. " different frames")
  end)

  for _, how in ipairs { { type = "\3", exit = 130 },
                         { signal = "SIGTERM", exit = 143 } } do
    it("leaves nothing half done after " .. (how.signal or "Ctrl-C"), function()
      local one = mailbox.start { "--sample", "23", "--rate", "100000" }
      local two = mailbox.start { "--sample", "23", "--rate", "100000" }
      local delete = "password-file = good\ndelete = yes\n"
      write_config(section("one", one, delete), section("two", two, delete))
      local report = program.on_terminal({ "fetch", "--config", config }, {
        { expect = "] 40/46" }, { type = how.type, signal = how.signal },
      })
      assert.equal(how.exit, report.status, report.output)
      assert.truthy(report.output:find("\npop3: interrupted", 1, true))
      for name, box in pairs { one = one, two = two } do
        assert.same({}, files(folder .. "/" .. name .. "/tmp"))
        assert.equal(20, stored(name))
        assert.is_nil(box:log():find("QUIT", 1, true))
        assert.equal(23, here:messages_left(box))
      end
      -- What was whole is known.
      assert.equal(0, fetch(nil, "-q").status)
      assert.same({ 23, 23 }, { stored "one", stored "two" })
    end)
  end

  local it_traced = scene.has_strace and it or pending

  for _, call in ipairs { "link", "fsync", "poll", "rename" } do
    for _, when in ipairs { 1, 4, 9 } do
      it_traced(("ends at a signal in %s %d"):format(call, when), function()
        local one = here:server("--sample", "9", "--delay", "0.001")
        local two = here:server("--sample", "9", "--delay", "0.001")
        write_config(section("one", one), section("two", two))
        local result = fetch({ under = ("strace -f -qq -o /dev/null -e trace=%s "
          .. "-e inject=%s:signal=SIGTERM:when=%d"):format(call, call, when) },
          "-q")
        assert.is_true(result.status == 143 or result.status == 0, result.err)
        for _, name in ipairs { "one", "two" } do
          assert.same({}, files(folder .. "/" .. name .. "/tmp"))
        end
        assert.equal(0, fetch(nil, "-q").status)
        assert.is_true(stored "one" >= 9 and stored "two" >= 9)
      end)
    end
  end
end)
