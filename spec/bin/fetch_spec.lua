-- bin/pop3 ls, get, capa and fetch: what they do when all goes well, and what
-- is on the disk and on the server when it does not.
local program = require "spec.bin.program"
local scene = require "spec.bin.scene"

local files, shell = scene.files, scene.shell
local read_file = require("spec.support.files").read

describe("bin/pop3", function()
  local here = scene.new()
  local folder, maildir

  before_each(function()
    here:begin()
    folder, maildir = here.folder, here.maildir
  end)
  after_each(function() here:finish() end)

  local function server(...) return here:server(...) end
  local function run(...) return here:run(...) end
  local function fetch(...) return here:fetch(...) end
  local function messages_left(box) return here:messages_left(box) end
  local function assert_stored(...) return here:assert_stored(...) end

  -- ---------------------------------------------------------- ls, get, capa

  it("ls shows number, octets and UID in columns", function()
    local box = server("--sample", "12")
    local result = run(box, { "ls" })
    assert.same({ 0, "" }, { result.status, result.err })
    local n = 0
    for line in result.out:gmatch("[^\n]+") do
      n = n + 1
      local number, size, uid = line:match("^ *(%d+) +(%d+) (%S+)$")
      assert.same({ n, #box:served()[n] }, { tonumber(number), tonumber(size) })
      assert.truthy(#uid >= 32)
      assert.equal(line:find("%x+%-?%d*$"), result.out:find("%x+%-?%d*\n"))
    end
    assert.equal(12, n)
  end)

  it("ls of an empty mailbox shows nothing", function()
    local result = run(server("--sample", "0"), { "ls" })
    assert.same({ 0, "", "" }, { result.status, result.out, result.err })
  end)

  it("get writes every awkward mail octet for octet", function()
    local box = server("--sample", "21")
    for n, mail in ipairs(box:served()) do
      local result = run(box, { "get", tostring(n), "--eol", "crlf" })
      assert.equal(0, result.status, result.err)
      assert.truthy(result.out == mail, "mail " .. n .. " differs")
    end
    local result = run(box, { "get", "5" })
    assert.truthy(result.out == box:served()[5]:gsub("\r\n", "\n"))
  end)

  it("capa needs no password and shows what the server can", function()
    local box = server("--sample", "0")
    local result = program.run { "capa", "--cafile", box.ca,
      "pop3://127.0.0.1:" .. box.plain }
    assert.same({ 0, "" }, { result.status, result.err })
    assert.truthy(result.out:find("\nEXPIRE NEVER\n", 1, true))
    assert.is_nil(box:log():find("USER", 1, true))
  end)

  it("does nothing but CAPA and STLS before TLS", function()
    for _, scheme in ipairs { "pop", "pop3" } do
      local box = server("--sample", "1")
      local result = run(box, { "ls" },
        { url = scheme .. "://otto@127.0.0.1:" .. box.plain })
      assert.equal(0, result.status, result.err)
      assert.truthy(box:log():find("^1 CAPA\n1 STLS\n"), box:log())
    end
  end)

  -- ---------------------------------------------------------- fetch

  it("fetch stores all and keeps them on the server", function()
    local box = server("--sample", "30")
    local result = fetch(box)
    assert.equal(0, result.status, result.err)
    assert.equal("", result.out)
    assert_stored(box, 30)
    assert.equal(30, messages_left(box))
    assert.is_nil(box:log():find("DELE", 1, true))
  end)

  it("fetch --eol crlf stores the octets of the wire", function()
    local box = server("--sample", "30")
    assert.equal(0, fetch(box, nil, "--eol", "crlf", "--keep").status)
    assert_stored(box, 30, "crlf")
  end)

  it("fetch --delete deletes what it stored", function()
    local box = server("--sample", "9")
    assert.equal(0, fetch(box, nil, "--delete").status)
    assert_stored(box, 9)
    assert.equal(0, messages_left(box))
  end)

  it("fetch prints a line for each message where nobody watches", function()
    local result = fetch(server("--sample", "3"))
    assert.equal("1/3: 1 octet\n2/3: 1 octet\n3/3: 2 octets\n"
      .. "3 messages, 4 octets stored in " .. maildir .. "\n", result.err)
  end)

  it("fetch --quiet prints nothing", function()
    local result = fetch(server("--sample", "3"), nil, "-q")
    assert.same({ 0, "", "" }, { result.status, result.out, result.err })
  end)

  it("fetch makes private folders and files", function()
    fetch(server("--sample", "1"), { before = "umask 0;" })
    local name = files(maildir .. "/new")[1]
    assert.equal("700\n700\n600\n", (shell(("stat -c %%a %s %s/new %s/new/%s")
      :format(maildir, maildir, maildir, name))))
  end)

  it("fetch names files by time, process, counter and host", function()
    local box = server("--sample", "2")
    fetch(box)
    fetch(box, nil, "--all")
    local names = files(maildir .. "/new")
    assert.equal(4, #names)
    for _, name in ipairs(names) do
      assert.truthy(name:find("^%d+%.M%d%d%d%d%d%dP%d+Q%d+%.[^/:]+$"), name)
    end
  end)

  local EVIL = "../../../evil"

  -- A server whose only message has a UID that is a path.
  local function evil_server(...)
    local script = { "S: +OK ready", "C: CAPA", "S: +OK\r\nUIDL\r\n.",
      "C: USER otto", "S: +OK", "C: PASS x", "S: +OK",
      "C: LIST", "S: +OK\r\n1 3\r\n.",
      "C: UIDL", "S: +OK\r\n1 " .. EVIL .. "\r\n." }
    for _, line in ipairs { ... } do script[#script + 1] = line end
    return require("spec.support.server").start { script }
  end

  local function run_evil(bad, ...)
    local words = { ... }
    words[#words + 1] = "--allow-cleartext"
    words[#words + 1] = "pop://otto@127.0.0.1:" .. bad.port
    local result = program.run(words, { password = "x" })
    bad:stop()
    assert.equal(0, result.status, result.err)
    return result
  end

  it("ls shows a UID as it is", function()
    local bad = evil_server("C: QUIT", "S: +OK")
    assert.equal("1 3 " .. EVIL .. "\n", run_evil(bad, "ls").out)
  end)

  it("fetch never makes a file name of a UID", function()
    local bad = evil_server("C: RETR 1",
      "S: +OK\r\nx\r\n.", "C: QUIT", "S: +OK")
    run_evil(bad, "fetch", "--maildir", maildir)
    assert.same({ EVIL }, here:uids())
    local names = shell("find " .. folder .. " /tmp -maxdepth 1 -name '*evil*'")
    assert.equal("", names)
    assert.equal(1, #files(maildir .. "/new"))
    assert.is_nil(files(maildir .. "/new")[1]:find("evil", 1, true))
  end)

  it("fetch refuses a folder that is no Maildir", function()
    local box = server("--sample", "1")
    shell(("mkdir %s; touch %s/letter"):format(maildir, maildir))
    local result = fetch(box)
    assert.equal(73, result.status)
    assert.truthy(result.err:find("is not empty and not a Maildir", 1, true))
    assert.same({ "letter" }, files(maildir))
    assert.equal("", box:log()) -- looked before it logged in
  end)

  it("fetch uses an empty folder, and completes a half-made one", function()
    local box = server("--sample", "1")
    shell("mkdir " .. maildir)
    assert.equal(0, fetch(box).status)
    shell("rm -r " .. maildir .. "/cur " .. maildir .. "/new")
    assert.equal(0, fetch(box, nil, "--all").status)
    assert_stored(box, 1)
  end)

  it("fetch refuses a file, or a folder without one above it", function()
    local box = server("--sample", "1")
    shell("touch " .. maildir)
    assert.equal(73, fetch(box).status)
    here.maildir = folder .. "/none/Maildir"
    local result = fetch(box)
    assert.equal(73, result.status)
    assert.truthy(result.err:find("create " .. folder .. "/none", 1, true))
  end)

  -- ---------------------------------------------------------- when it fails

  it("fetch over a file limit: 74, the rest stays on the server", function()
    local box = server("--sample", "23") -- mail 21 has some 160 KiB
    local result = fetch(box, { before = "ulimit -f 100;" }, "--delete", "-q")
    assert.equal(74, result.status)
    assert.truthy(result.err:find("^pop3: [^\n]*too large[^\n]*make room"),
      result.err)
    assert.truthy(result.err:find("20 of 23 messages are stored", 1, true),
      result.err)
    assert_stored(box, 20)
    assert.equal(3, messages_left(box))
  end)

  it("fetch from a server that dies: nothing is deleted", function()
    local box = server("--sample", "23", "--cut", "100000")
    local result = fetch(box, nil, "--delete", "-q")
    assert.equal(75, result.status)
    assert.truthy(result.err:find("20 of 23 messages are stored, nothing was "
      .. "deleted from the server", 1, true), result.err)
    assert_stored(box, 20)
    assert.equal(23, messages_left(box))
  end)

  local it_traced = scene.has_strace and it or pending

  local CALLS = "-e trace=open,openat,fsync,link,rename,unlink,?send,sendto,sendmsg,"
    .. "write,close"

  it_traced("a message is durable before it is deleted", function()
    local box = server("--sample", "3", "--no-stls")
    local result, trace = here:traced(box, CALLS, "--delete")
    assert.equal(0, result.status, result.err)
    local path = maildir:gsub("%p", "%%%0")
    local at = 1
    local function next_call(pattern)
      local from, to, capture = trace:find(pattern, at)
      assert.truthy(from, "not found, or too early: " .. pattern .. "\n"
        .. trace:sub(-3000))
      at = to + 1
      return capture
    end
    for _ = 1, 3 do
      local fd = next_call("openat%([^)]*, \"[^\"]+\", "
        .. "O_WRONLY|O_CREAT|O_EXCL[%u_|]*, 0600%) = (%d+)")
      next_call("write%(" .. fd .. ",")
      next_call("fsync%(" .. fd .. "%) += 0")
      next_call("link%(\"" .. path .. "/tmp/[^\"]+\", \"" .. path
        .. "/new/[^\"]+\"%) = 0")
    end
    -- musl's open() is open(2), glibc's openat(2).
    local OPEN = "open[at]*%([ATFDCW_, ]*\""
    local fd = next_call(OPEN .. path
      .. "/new\", [%u_|]+%) = (%d+)")
    next_call("fsync%(" .. fd .. "%) += 0")
    -- Known by their UIDs, and only then deleted.
    fd = next_call(OPEN .. path .. "/pop3%-uids%-[^\"]+\", "
      .. "[%u_|]+, 0600%) = (%d+)")
    next_call("write%(" .. fd .. ",")
    next_call("fsync%(" .. fd .. "%) += 0")
    next_call("rename%(")
    assert.is_nil(trace:sub(1, at):find("DELE", 1, true))
    next_call("DELE 1\\r\\nDELE 2\\r\\nDELE 3\\r\\n")
    next_call("QUIT")
  end)

  -- Which fsync: Maildir 1, its three folders 2 to 4, then of each message the
  -- file and tmp/, then new/ and the file of UIDs.
  for when, what in pairs { [5] = "the first file", [9] = "the third file",
                            [11] = "new/", [12] = "the file of UIDs" } do
    it_traced("no DELE when the disk fails at " .. what, function()
      local box = server("--sample", "3", "--no-stls")
      local result = here:traced(box, "-e trace=fsync "
        .. "-e inject=fsync:error=EIO:when=" .. when .. "+", "--delete")
      assert.equal(74, result.status, result.err)
      assert.truthy(result.err:find("Input/output error", 1, true)
        or result.err:find("I/O error", 1, true), result.err) -- musl's words
      assert.is_nil(box:log():find("DELE", 1, true))
      assert.same({}, here:uids())
      assert.same({}, files(maildir .. "/tmp"))
      assert.equal(3, messages_left(box))
    end)
  end

  it_traced("what fsync failed at is not taken for durable later", function()
    local box = server("--sample", "3", "--no-stls")
    local result = here:traced(box, "-e trace=fsync "
      .. "-e inject=fsync:error=EIO:when=11", "--delete") -- new/, once
    assert.equal(74, result.status, result.err)
    assert.is_nil(box:log():find("DELE", 1, true))
    assert.same({}, here:uids())
  end)

  -- name, the call after which SIGINT comes, files in new/ then
  for _, row in ipairs {
    { "while a file is made durable", "fsync:signal=SIGINT:when=5", 0 },
    { "while it is published", "link:signal=SIGINT:when=1", 1 },
    { "while the next one is written", "fsync:signal=SIGINT:when=7", 1 },
    { "while new/ is made durable", "fsync:signal=SIGINT:when=11", 3 },
    { "while the UIDs are noted", "rename:signal=SIGINT:when=1", 3 },
  } do
    for name, status in pairs { SIGINT = 130, SIGTERM = 143 } do
      it_traced(name .. " " .. row[1] .. " leaves nothing in tmp/", function()
        local box = server("--sample", "3", "--no-stls")
        local result = here:traced(box, "-e trace=fsync,link,rename "
          .. "-e inject=" .. row[2]:gsub("SIGINT", name), "--delete")
        assert.equal(status, result.status, result.err)
        assert.same({}, files(maildir .. "/tmp"))
        assert.equal(row[3], #files(maildir .. "/new"))
        assert.is_nil(box:log():find("DELE", 1, true))
        assert.is_nil(box:log():find("QUIT", 1, true))
        assert.equal(3, messages_left(box))
      end)
    end
  end

  -- name, the call that it dies at
  for _, row in ipairs {
    { "in a message", "fsync:signal=SIGKILL:when=7" },
    { "before it is published", "link:signal=SIGKILL:when=2" },
    { "before new/ is durable", "fsync:signal=SIGKILL:when=11" },
    { "while the UIDs are noted", "fsync:signal=SIGKILL:when=12" },
    { "before they are named", "rename:signal=SIGKILL:when=1" },
    { "behind that", "fsync:signal=SIGKILL:when=13" },
  } do
    it_traced("SIGKILL " .. row[1] .. " loses nothing", function()
      local box = server("--sample", "3", "--no-stls")
      here:traced(box, "-e trace=fsync,link,rename -e inject=" .. row[2],
        "--delete")
      assert.is_nil(box:log():find("DELE", 1, true))
      assert.equal(3, messages_left(box))
      -- What is known is there; the next run completes the rest.
      assert.is_true(#here:uids() <= #files(maildir .. "/new"))
      local again = fetch(box, nil, "--delete")
      assert.equal(0, again.status, again.err)
      assert.equal(0, messages_left(box))
      local stored = {}
      for _, name in ipairs(files(maildir .. "/new")) do
        stored[read_file(maildir .. "/new/" .. name)] = true
      end
      for _, mail in ipairs(box:served()) do
        assert.is_true(stored[mail:gsub("\r\n", "\n")])
      end
    end)
  end

  -- CAPA, login, messages, DELE, QUIT, in this order; two more for luck.
  for when = 1, 7 do
    for _, call in ipairs { "sendto", "poll" } do
      local what = ("SIGINT at %s %d"):format(call, when)
      it_traced(what .. ": all is here or on the server", function()
        local box = server("--sample", "3", "--no-stls")
        local result = here:traced(box, ("-e trace=%s "
          .. "-e inject=%s:signal=SIGINT:when=%d"):format(call, call, when),
          "--delete")
        assert.is_true(result.status == 130 or result.status == 0, result.err)
        assert.same({}, files(maildir .. "/tmp"))
        local left = messages_left(box)
        assert.equal(result.status == 0 and 0 or left, left)
        if left == 0 then assert_stored(box, 3) else assert.equal(3, left) end
        local again = fetch(box, { url = "pop://otto@127.0.0.1:" .. box.plain },
          "--delete", "--allow-cleartext")
        assert.equal(0, again.status, again.err)
        assert_stored(box, 3)
        assert.equal(0, messages_left(box))
      end)
    end
  end

  it("a large message that has no room: the rest is not fetched twice",
    function()
      shell(("mkdir %s/m; cd %s/m; echo a >1; echo b >2; yes | head -c 9000000 "
        .. ">3; echo d >4"):format(folder, folder))
      local box = server("--folder", folder .. "/m")
      local result = fetch(box, { before = "ulimit -f 2000;" }, "--delete",
        "-q")
      assert.equal(74, result.status, result.err)
      assert.truthy(result.err:find("(2 of 4 messages are stored, nothing was "
        .. "deleted from the server)", 1, true), result.err)
      assert.equal(4, messages_left(box))
      result = fetch(box, nil, "--delete", "-q")
      assert.equal(0, result.status, result.err)
      assert.equal(0, messages_left(box))
      assert.equal(4, #files(maildir .. "/new"))
    end)

  it_traced("no DELE of what a full disk has no room for", function()
    local box = server("--sample", "3", "--no-stls")
    local result = here:traced(box, "-e trace=fsync "
      .. "-e inject=fsync:error=ENOSPC:when=7", "--delete") -- the second file
    assert.equal(74, result.status, result.err)
    assert.truthy(result.err:find("No space left on device; make room", 1,
      true), result.err)
    assert_stored(box, 1)
    assert.equal(2, messages_left(box)) -- the first was safe
  end)
end)
