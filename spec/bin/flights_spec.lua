-- bin/pop3 fetch: many messages in few round trips, large ones in little
-- memory, and a server that refuses some.
local mailbox = require "spec.support.mailbox"
local scene = require "spec.bin.scene"
local server = require "spec.support.server"
local program = require "spec.bin.program"

local files, count = scene.files, scene.count
local read_file = require("spec.support.files").read
local quote = require("spec.support.files").quote

local MIB = 1048576

describe("bin/pop3", function()
  local here = scene.new()

  before_each(function() here:begin() end)
  after_each(function()
    server.stop_all()
    here:finish()
  end)

  -- ---------------------------------------------------------- round trips

  local function small_mails(number)
    local folder = here.folder .. "/mails"
    scene.shell(([[mkdir %s; cd %s; i=0; while [ $i -lt %d ]; do i=$((i+1))
      printf 'Subject: %%05d\r\n\r\nbody\r\n' $i >$(printf %%05d $i); done]])
      :format(folder, folder, number))
    return folder
  end

  it("fetches and deletes 1,000 messages in some 50 round trips", function()
    local box = mailbox.start { "--folder", small_mails(1000), "--delay",
      "0.02" }
    local result = here:fetch(box, nil, "--delete", "-q")
    assert.equal(0, result.status, result.err)
    assert.equal(1000, #files(here.maildir .. "/new"))
    assert.equal(1000, count(box, "DELE"))
    local rounds = count(box, "ROUND")
    assert.is_true(rounds > 5 and rounds < 100, rounds .. " round trips")
  end)

  it("sends one command at a time where PIPELINING is missing", function()
    local box = mailbox.start { "--folder", small_mails(40), "--delay", "0.001",
      "--without", "PIPELINING" }
    local result = here:fetch(box, nil, "-q")
    assert.equal(0, result.status, result.err)
    assert.equal(40, #files(here.maildir .. "/new"))
    local rounds = count(box, "ROUND")
    assert.is_true(rounds >= 40, rounds .. " round trips")
  end)

  it("deletes flight by flight, each behind what it stored", function()
    local box = mailbox.start { "--folder", small_mails(600) }
    assert.equal(0, here:fetch(box, nil, "--delete", "-q").status)
    local retrieved, most, first = 0, 0, nil
    for word, number in box:log():gmatch("%d (%u+) ?(%d*)\n") do
      if word == "RETR" then retrieved = tonumber(number) end
      if word == "DELE" then
        first = first or retrieved
        most = math.max(most, tonumber(number) - retrieved)
      end
    end
    assert.equal(0, most) -- nothing is deleted before it was retrieved
    assert.is_true(first < 600, "the first DELE came behind RETR " .. first)
  end)

  -- ---------------------------------------------------------- memory

  describe("holds little of a message of 100 MiB:", function()
    local folder, peak
    local octets = 100 * MIB

    before_each(function()
      folder, peak = here.folder .. "/mails", here.folder .. "/peak"
      scene.shell(("mkdir %s; yes \"$(printf '%s\\r')\" | head -c %d >%s/1")
        :format(folder, ("x"):rep(70), octets - 2, folder))
    end)

    local under = (os.getenv("PYTHON") or "python3") .. " "
      .. quote("spec/support/peak.py")

    local function run(words, options)
      local box = mailbox.start { "--folder", folder }
      options.under = under .. " " .. peak
      local result = here:run(box, words, options)
      assert.equal(0, result.status, result.err)
      local held = tonumber(read_file(peak))
      if not os.getenv("POP3_SANITIZED") then -- whose shadows are large
        assert.is_true(held < 40 * MIB, held .. " octets")
      end
    end

    local function size_of(path)
      return tonumber((scene.shell("stat -c %s " .. quote(path))))
    end

    it("fetch", function()
      run({ "fetch", "--maildir", here.maildir, "-q", "--eol", "crlf" }, {})
      local name = files(here.maildir .. "/new")[1]
      local size = size_of(here.maildir .. "/new/" .. name)
      assert.is_true(size >= octets - 2 and size <= octets, size .. " octets")
    end)

    it("get", function()
      local out = here.folder .. "/out"
      run({ "get", "1", "--eol", "crlf" }, { stdout = out })
      assert.is_true(size_of(out) >= octets - 2)
    end)
  end)

  -- ---------------------------------------------------------- refusals

  it("fetches all others when a message is refused: 76", function()
    local bad = server.start { accepts = 0, connections = { { "S: +OK ready", {
      auto = {
        { "CAPA", "+OK\r\nUIDL\r\nPIPELINING\r\n.\r\n" },
        { "USER .*|PASS .*|QUIT|DELE .*", "+OK\r\n" },
        { "LIST", "+OK\r\n1 3\r\n2 3\r\n3 3\r\n.\r\n" },
        { "UIDL", "+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n" },
        { "RETR 2", "-ERR it is\27[31m broken\r\n" },
        { "RETR .*", "+OK\r\na\r\n.\r\n" },
      } } } } }
    local result = program.run({ "fetch", "--allow-cleartext", "--delete", "-q",
      "--maildir", here.maildir, "pop://otto@127.0.0.1:" .. bad.port },
      { password = "x" })
    assert.equal(76, result.status)
    assert.equal("pop3: the server refused: -ERR it is\\x1b[31m broken "
      .. "(2 of 3 messages are stored)\n", result.err)
    local sent = table.concat(bad:report().connections[1].commands, " ")
    assert.truthy(sent:find("DELE 1 DELE 3 QUIT", 1, true), sent)
    assert.is_nil(sent:find("DELE 2", 1, true))
    assert.equal(2, #files(here.maildir .. "/new"))
    -- What was deleted is not there to be known; the second one never was.
    assert.same({}, here:uids())
  end)
end)
