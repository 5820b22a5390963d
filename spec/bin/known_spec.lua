-- bin/pop3 fetch, again and again: what is stored already is neither fetched
-- nor lost, whatever the server calls its messages.
local mailbox = require "spec.support.mailbox"
local program = require "spec.bin.program"
local scene = require "spec.bin.scene"
local server = require "spec.support.server"

local files, count = scene.files, scene.count
local read_file = require("spec.support.files").read
local write_file = require("spec.support.files").write

local TITLE = "# UIDs of the messages that pop3 fetch has stored here\n"

describe("bin/pop3 fetch, once more,", function()
  local here = scene.new()

  before_each(function() here:begin() end)
  after_each(function()
    server.stop_all()
    here:finish()
  end)

  local function fetch(box, ...)
    local result = here:fetch(box, nil, ...)
    assert.equal(0, result.status, result.err)
    return result
  end

  it("fetches nothing that it has, and says so", function()
    local box = here:server("--sample", "25")
    fetch(box)
    local result = fetch(box)
    assert.equal(25, count(box, "RETR"))
    assert.equal("0 messages, 0 octets stored in " .. here.maildir
      .. ", 25 known already\n", result.err)
    here:assert_stored(box, 25)
  end)

  it("with --all fetches everything", function()
    local box = here:server("--sample", "3")
    fetch(box)
    fetch(box, "--all")
    assert.equal(6, #files(here.maildir .. "/new"))
    assert.equal(3, #here:uids())
  end)

  it("knows what was moved out of new/", function()
    local box = here:server("--sample", "3")
    fetch(box)
    scene.shell(("mv %s/new/* %s/cur"):format(here.maildir, here.maildir))
    fetch(box)
    assert.same({}, files(here.maildir .. "/new"))
  end)

  it("with --delete deletes what it has, and fetches it no more", function()
    local box = here:server("--sample", "5")
    fetch(box)
    fetch(box, "--delete")
    assert.equal(5, count(box, "RETR"))
    assert.equal(0, here:messages_left(box))
    here:assert_stored(box, 5)
  end)

  it("forgets what is no longer on the server", function()
    local box = here:server("--sample", "5")
    fetch(box)
    assert.equal(5, #here:uids())
    fetch(box, "--delete")
    assert.same({}, here:uids())
  end)

  it("keeps an account's UIDs apart from another one's", function()
    local one = here:server("--sample", "2")
    local two = here:server("--sample", "3")
    fetch(one)
    fetch(two)
    assert.equal(5, #files(here.maildir .. "/new"))
  end)

  it("fetches all from a server without UIDs, and says so", function()
    local box = here:server("--sample", "3", "--without", "UIDL")
    local result = fetch(box)
    assert.truthy(result.err:find("pop3: the server has no UIDs: ", 1, true))
    fetch(box, "-q")
    assert.equal(6, #files(here.maildir .. "/new"))
    assert.is_nil(here:uids_path())
    -- Nothing to say where they are deleted anyway.
    result = fetch(box, "--delete")
    assert.is_nil(result.err:find("UID", 1, true))
    assert.equal(0, here:messages_left(box))
  end)

  -- ---------------------------------------------------------- odd UIDs

  -- A server with two messages, which answers what a fetch asks of it.
  local function odd(first, second)
    return server.start { accepts = 0, connections = { { "S: +OK ready", { auto = {
      { "CAPA", "+OK\r\nUIDL\r\n.\r\n" },
      { "USER .*|PASS .*|QUIT|DELE .*", "+OK\r\n" },
      { "LIST", "+OK\r\n1 3\r\n2 3\r\n.\r\n" },
      { "UIDL", "+OK\r\n1 " .. first .. "\r\n2 " .. second .. "\r\n.\r\n" },
      { "RETR 1", "+OK\r\na\r\n.\r\n" },
      { "RETR 2", "+OK\r\nb\r\n.\r\n" },
    } } } } }
  end

  local function fetch_odd(with, ...)
    local result = program.run({ "fetch", "--allow-cleartext", "--maildir",
      here.maildir, "pop://otto@127.0.0.1:" .. with.port, ... },
      { password = "x" })
    assert.equal(0, result.status, result.err)
    return result
  end

  local function commands(with, word)
    local found = {}
    for _, connection in ipairs(with:report().connections) do
      for _, line in ipairs(connection.commands) do
        if line:find("^" .. word) then found[#found + 1] = line end
      end
    end
    return found
  end

  -- UIDs that must not be taken for each other, nor break the file.
  local every = {}
  for octet = 33, 255 do every[#every + 1] = string.char(octet) end
  for _, pair in ipairs {
    { "%41", "A" }, { "a b", "a%20b" }, { "#x", "%23x" }, { "%", "%25" },
    { "x", ("x"):rep(5000) }, { table.concat(every), "\127\255" },
  } do
    it("knows " .. ("%q and %q"):format(pair[1]:sub(1, 9), pair[2]:sub(1, 9))
      .. " apart", function()
      local with = odd(pair[1], pair[2])
      fetch_odd(with)
      assert.equal(2, #here:uids())
      for _, line in ipairs(here:uids()) do
        assert.is_nil(line:find("[^\33-\126]"))
      end
      assert.truthy(fetch_odd(with).err:find("2 known already", 1, true))
      assert.equal(2, #commands(with, "RETR"))
    end)
  end

  it("takes an empty UID for none", function()
    local with = odd("", "x")
    fetch_odd(with)
    fetch_odd(with)
    assert.same({ "RETR 1", "RETR 2", "RETR 1" }, commands(with, "RETR"))
  end)

  it("fetches what it deletes where a known UID is there twice", function()
    local with = odd("same", "same")
    fetch_odd(with)
    fetch_odd(with, "--delete")
    local found = commands(with, "[RD]E")
    assert.same({ "RETR 1", "RETR 2", "RETR 1", "RETR 2", "DELE 1", "DELE 2" },
      found)
  end)

  -- ---------------------------------------------------------- the file

  local function known_file(with, text)
    scene.shell("mkdir -p " .. here.maildir .. "/tmp " .. here.maildir
      .. "/new " .. here.maildir .. "/cur")
    write_file(here.maildir .. "/pop3-uids-otto@127.0.0.1:" .. with.port, text)
  end

  it("does not believe half a line", function()
    local with = odd("abc", "def")
    known_file(with, TITLE .. "abc\ndef")
    fetch_odd(with)
    assert.same({ "RETR 2" }, commands(with, "RETR"))
    assert.equal(TITLE .. "abc\ndef\n", read_file(here:uids_path()))
  end)

  it("survives a file of anything", function()
    local with = odd("abc", "def")
    known_file(with, "\0\0\n\n%zz\n" .. ("x"):rep(70000) .. "\nabc\n")
    fetch_odd(with)
    assert.same({ "RETR 2" }, commands(with, "RETR"))
    assert.same({ "abc", "def" }, here:uids())
  end)

  it("keeps the file to its user", function()
    local box = here:server("--sample", "1")
    here:fetch(box, { before = "umask 0;" })
    assert.equal("600\n", (scene.shell("stat -c %a " .. here:uids_path())))
  end)

  it("names the file by what the user wrote, as one name", function()
    local box = mailbox.start { "--sample", "1", "--user", "../a/b c" }
    here:fetch(box, { url = "pop3s://x@127.0.0.1:" .. box.tls }, "--user",
      "../a/b c")
    assert.equal(here.maildir .. "/pop3-uids-..%2Fa%2Fb%20c@127.0.0.1:"
      .. box.tls, here:uids_path())
  end)

  it("stops where the file cannot be read: 74", function()
    local with = odd("abc", "def")
    scene.shell(("mkdir -p %s/tmp %s/new %s/cur '%s/pop3-uids-otto@127.0.0.1:%d'")
      :format(here.maildir, here.maildir, here.maildir, here.maildir, with.port))
    local result = program.run({ "fetch", "--allow-cleartext", "--delete",
      "--maildir", here.maildir, "pop://otto@127.0.0.1:" .. with.port },
      { password = "x" })
    assert.equal(74, result.status, result.err)
    assert.same({}, commands(with, "[RD]E"))
  end)
end)
