-- bin/pop3 ls, get, capa and fetch: what they do when all goes well, and what
-- is on the disk and on the server when it does not.
local mailbox = require "spec.support.mailbox"
local program = require "spec.bin.program"
local quote = require("spec.support.files").quote

local function shell(command)
  local pipe = io.popen(command .. "; echo $?")
  local out, status = pipe:read("*a"):match("^(.-)(%d+)\n$")
  pipe:close()
  return out, tonumber(status)
end

local function files(folder)
  local list = {}
  for name in shell("ls -A " .. quote(folder)):gmatch("[^\n]+") do
    list[#list + 1] = name
  end
  -- In the order of delivery: by the counter.
  table.sort(list, function(a, b)
    return tonumber(a:match("Q(%d+)%.") or 0)
      < tonumber(b:match("Q(%d+)%.") or 0)
  end)
  return list
end

local read_file = require("spec.support.files").read

describe("bin/pop3", function()
  local folder, maildir

  before_each(function()
    folder = shell("mktemp -d"):match("[^\n]+")
    maildir = folder .. "/Maildir"
  end)
  after_each(function()
    mailbox.stop_all()
    shell("rm -rf " .. quote(folder))
  end)

  local function server(...) return mailbox.start { ... } end

  local function run(box, words, options)
    options = options or {}
    options.password = box.password
    local all = {}
    for i, word in ipairs(words) do all[i] = word end
    all[#all + 1] = "--cafile"
    all[#all + 1] = box.ca
    all[#all + 1] = options.url or "pop3s://otto@127.0.0.1:" .. box.tls
    return program.run(all, options)
  end

  local function fetch(box, options, ...)
    return run(box, { "fetch", "--maildir", maildir, ... }, options)
  end

  local function messages_left(box)
    local result = run(box, { "ls" })
    assert.equal(0, result.status, result.err)
    local _, count = result.out:gsub("\n", "")
    return count
  end

  local function assert_stored(box, count, eol)
    local names = files(maildir .. "/new")
    assert.equal(count, #names)
    for i, mail in ipairs(box:served()) do
      if i > count then break end
      local wanted = eol == "crlf" and mail or mail:gsub("\r\n", "\n")
      assert.truthy(read_file(maildir .. "/new/" .. names[i]) == wanted,
        "mail " .. i .. " differs")
    end
    assert.same({}, files(maildir .. "/tmp"))
    assert.same({}, files(maildir .. "/cur"))
  end

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
    assert.equal("1/3: 2 octets\n2/3: 2 octets\n3/3: 3 octets\n"
      .. "3 messages, 7 octets stored in " .. maildir .. "\n", result.err)
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
    fetch(box)
    local names = files(maildir .. "/new")
    assert.equal(4, #names)
    for _, name in ipairs(names) do
      assert.truthy(name:find("^%d+%.M%d%d%d%d%d%dP%d+Q%d+%.[^/:]+$"), name)
    end
  end)

  it("ls shows a UID, fetch never even asks for it", function()
    local evil = "../../../evil"
    local bad = require("spec.support.server").start { {
      "S: +OK ready", "C: CAPA", "S: +OK\r\nUIDL\r\n.", "C: USER otto",
      "S: +OK", "C: PASS x", "S: +OK", "C: LIST", "S: +OK\r\n1 3\r\n.",
      "C: CAPA", "S: +OK\r\nUIDL\r\n.", "C: UIDL",
      "S: +OK\r\n1 " .. evil .. "\r\n.", "C: QUIT", "S: +OK" } }
    local result = program.run({ "ls", "--allow-cleartext",
      "pop://otto@127.0.0.1:" .. bad.port }, { password = "x" })
    bad:stop()
    assert.same({ 0, "1 3 " .. evil .. "\n" }, { result.status, result.out },
      result.err)
    local box = server("--sample", "2")
    assert.equal(0, fetch(box).status)
    assert.is_nil(box:log():find("UIDL", 1, true))
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
    assert.equal(0, fetch(box).status)
    assert_stored(box, 1)
  end)

  it("fetch refuses a file, or a folder without one above it", function()
    local box = server("--sample", "1")
    shell("touch " .. maildir)
    assert.equal(73, fetch(box).status)
    maildir = folder .. "/none/Maildir"
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

  local strace = shell("command -v strace") ~= ""
  local it_traced = strace and it or pending

  -- What the program asked the kernel for, a line each.
  local function traced(box, inject, ...)
    local log = folder .. "/trace"
    local result = fetch(box, {
      under = ("strace -f -qq -s 200 -o %s %s"):format(log, inject),
      url = "pop://otto@127.0.0.1:" .. box.plain,
    }, "--allow-cleartext", "-q", ...)
    return result, read_file(log)
  end

  it_traced("a message is durable before it is deleted", function()
    local box = server("--sample", "3", "--no-stls")
    local result, trace = traced(box, "-e trace=openat,fsync,link,rename,"
      .. "unlink,sendto,sendmsg,write,close", "--delete")
    assert.equal(0, result.status, result.err)
    local at = 1
    local function next_call(pattern)
      local from, to, capture = trace:find(pattern, at)
      assert.truthy(from, "not found, or too early: " .. pattern .. "\n"
        .. trace:sub(-3000))
      at = to + 1
      return capture
    end
    for n = 1, 3 do
      local path = maildir:gsub("%p", "%%%0")
      local fd = next_call("openat%(AT_FDCWD, \"" .. path
        .. "/tmp/[^\"]+\", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600%) = (%d+)")
      next_call("write%(" .. fd .. ",")
      next_call("fsync%(" .. fd .. "%) += 0")
      next_call("link%(\"" .. path .. "/tmp/[^\"]+\", \"" .. path
        .. "/new/[^\"]+\"%) = 0")
      fd = next_call("openat%(AT_FDCWD, \"" .. path
        .. "/new\", [%u_|]+%) = (%d+)")
      next_call("fsync%(" .. fd .. "%) += 0")
      assert.is_nil(trace:sub(1, at):find("DELE " .. n .. "\\r", 1, true))
      next_call("DELE " .. n .. "\\r")
    end
    next_call("QUIT")
  end)

  -- Which fsync: Maildir 1, its three folders 2 to 4, then two a message.
  for when, what in pairs { [5] = "the first file", [6] = "new/" } do
    it_traced("no DELE when the disk fails at " .. what, function()
      local box = server("--sample", "3", "--no-stls")
      local result = traced(box, "-e trace=fsync -e inject=fsync:error=EIO:when="
        .. when, "--delete")
      assert.equal(74, result.status, result.err)
      assert.truthy(result.err:find("Input/output error", 1, true))
      assert.is_nil(box:log():find("DELE", 1, true))
      assert.same({}, files(maildir .. "/tmp"))
      assert.equal(3, messages_left(box))
    end)
  end

  -- name, the call after which SIGINT comes, files in new/ then
  for _, row in ipairs {
    { "while a file is made durable", "fsync:signal=SIGINT:when=5", 0 },
    { "while it is published", "link:signal=SIGINT:when=1", 1 },
    { "while new/ is made durable", "fsync:signal=SIGINT:when=6", 1 },
  } do
    it_traced("Ctrl-C " .. row[1] .. " leaves nothing in tmp/", function()
      local box = server("--sample", "3", "--no-stls")
      local result = traced(box, "-e trace=fsync,link -e inject=" .. row[2],
        "--delete")
      assert.equal(130, result.status, result.err)
      assert.same({}, files(maildir .. "/tmp"))
      assert.equal(row[3], #files(maildir .. "/new"))
      assert.is_nil(box:log():find("DELE", 1, true))
      assert.is_nil(box:log():find("QUIT", 1, true))
      assert.equal(3, messages_left(box))
    end)
  end

  it_traced("no DELE when the disk is full", function()
    local box = server("--sample", "3", "--no-stls")
    local result = traced(box, "-e trace=fsync "
      .. "-e inject=fsync:error=ENOSPC:when=7", "--delete")
    assert.equal(74, result.status, result.err)
    assert.truthy(result.err:find("No space left on device; make room", 1,
      true), result.err)
    assert_stored(box, 1)
    assert.equal(2, messages_left(box)) -- the first was safe
  end)
end)
