-- examples/*.lua: each as a reader would run it, its output compared, and what
-- it says when something is wrong.

local files = require "spec.support.files"
local mailbox = require "spec.support.mailbox"
local program = require "spec.examples.program"
local server = require "spec.support.server"

local root = debug.getinfo(1, "S").source:match("^@(.*/)spec/") or "./"
local quote = files.quote
local lua_name = require("spec.support.lua").name

local box

-- What a refused login says; by STLS nobody has a timestamp.
local WRONG = "-ERR [AUTH] wrong user or password (login by USER, offered: "
  .. "USER; check user and password; some servers want one made for programs)"
local WRONG_IN_CLEAR = WRONG:gsub(": USER;", ": USER, APOP;")

local function skip(reason)
  it("runs", function() pending(reason) end)
end

local function open(...) box = mailbox.start { "--sample", ... } end

-- What a child writes comes as characters, one for each octet.
local function to_utf8(octets)
  return (octets:gsub("[\128-\255]", function(octet)
    local code = octet:byte()
    return string.char(192 + math.floor(code / 64), 128 + code % 64)
  end))
end

after_each(function()
  mailbox.stop_all()
  server.stop_all()
end)

--- What every script that takes HOST PORT USER says of common mistakes.
-- @tparam string name of the example
-- @tparam string usage
local function fails_with_sentences(name, usage)
  local function run(port, changes)
    local env = { POP3_PASSWORD = box.password, POP3_CAFILE = box.ca }
    for key, value in pairs(changes or {}) do env[key] = value end
    return program.run(name, { "127.0.0.1", port, "otto" }, env)
  end

  it("says how it is called", function()
    program.assert_says(program.run(name, {}, { POP3_PASSWORD = "x" }), 64,
      usage)
  end)

  it("says that the password is wrong", function()
    open "1"
    program.assert_says(run(box.plain, { POP3_PASSWORD = "wrong" }), 1,
      name .. ": " .. WRONG .. "\n")
    assert.falsy(box:log():find "LIST")
  end)

  it("says that the server is down", function()
    open "1"
    local result = run(server.closed_port())
    assert.equal(1, result.status)
    assert.truthy(result.err:find("^" .. name
      .. ": 127%.0%.0%.1:%d+: Connection refused[^\n]*\n$"), result.err)
  end)

  it("says that the certificate is wrong", function()
    box = mailbox.start { "--sample", "1", "--names", "DNS:other.example" }
    local result = run(box.plain)
    assert.equal(1, result.status)
    assert.truthy(result.err:find("^" .. name .. ": [^\n]*certificate[^\n]*\n$"),
      result.err)
    assert.falsy(box:log():find "USER")
  end)
end

describe("examples/mailbox.lua", function()
  it("prints all messages", function()
    open "25"
    local result = program.run("mailbox", { "127.0.0.1", box.plain, "otto" },
      { POP3_PASSWORD = box.password, POP3_CAFILE = box.ca })
    assert.same({ 0, "" }, { result.status, result.err })
    local expected = table.concat(box:served()):gsub("\r\n", "\n")
    assert.is_true(result.out == to_utf8(expected))
  end)

  fails_with_sentences("mailbox",
    "usage: POP3_PASSWORD=... lua mailbox.lua HOST PORT USER\n")
end)

describe("examples/transport.lua", function()
  if lua_name == "lua5.1" then
    skip "it reads lines that hold NUL, which PUC Lua 5.1 cannot"
    return
  end

  local function run(port, password)
    return program.run("transport", { "otto", ("exec %s %s 127.0.0.1 %d")
      :format(quote(os.getenv "PYTHON" or "python3"),
        quote(root .. "spec/examples/pipe.py"), port) },
      { POP3_PASSWORD = password or "correct horse" })
  end

  it("prints a mailbox that only a command reaches", function()
    open "5"
    local result = run(box.plain)
    assert.same({ 0, "" }, { result.status, result.err })
    local count = 0
    for number, size, uid in result.out:gmatch "(%d+)\t(%d+)\t(%S+)\n" do
      count = count + 1
      assert.equal(count, tonumber(number))
      assert.equal(#box:served()[count], tonumber(size))
      assert.truthy(uid:find "^%x+")
    end
    assert.equal(5, count)
  end)

  it("says that the password is wrong", function()
    open "1"
    program.assert_says(run(box.plain, "wrong"), 1,
      "transport: " .. WRONG_IN_CLEAR .. "\n")
  end)

  it("says that the command has ended", function()
    local result = program.run("transport", { "otto", "false" },
      { POP3_PASSWORD = "x" })
    program.assert_says(result, 1, "transport: -ERR EOF\n")
  end)

  it("says how it is called", function()
    program.assert_says(program.run("transport", { "otto" },
      { POP3_PASSWORD = "x" }), 64,
      "usage: POP3_PASSWORD=... lua transport.lua USER COMMAND\n")
  end)
end)

describe("examples/cqueues_poller.lua", function()
  if not pcall(require, "cqueues") then
    skip "it needs cqueues (lua-cqueues)"
    return
  end

  local function run(lines, ...)
    local path = files.temporary(table.concat(lines, "\n") .. "\n")
    local result = program.run("cqueues_poller", { path, ... },
      { POP3_CAFILE = box.ca })
    os.remove(path)
    return result
  end

  local function account(port, password)
    return ("127.0.0.1 %d otto %s"):format(port, password)
  end

  it("looks into a hundred mailboxes", function()
    open("3", "--delay", "0.02")
    local lines, expected = {}, {}
    local octets = #table.concat(box:served())
    local closed = server.closed_port()
    for i = 1, 100 do
      lines[i] = account(box.plain, "correct horse")
      expected[i] = "otto@127.0.0.1\tok\t3 messages, " .. octets .. " octets"
    end
    lines[7], lines[50] = account(box.plain, "wrong"), account(closed, "x")
    expected[7] = "otto@127.0.0.1\tfailed\t" .. WRONG
    expected[50] = "otto@127.0.0.1\tfailed\t127.0.0.1:" .. closed
      .. ": Connection refused"
    local result = run(lines)
    assert.same({ 1, "" }, { result.status, result.err })
    local got, summary = {}, nil
    for line in result.out:gmatch "([^\n]*)\n" do
      if summary then got[#got + 1] = summary end
      summary = line:gsub("(refused).*", "%1")
    end
    table.sort(got)
    table.sort(expected)
    assert.same(expected, got)
    assert.equal("100 mailboxes, 2 failed", summary)
    local most = box:most_at_a_time()
    -- Who gave a wrong password says no QUIT.
    assert.truthy(most > 1 and most <= 17, tostring(most))
  end)

  it("succeeds when all do", function()
    open "1"
    assert.equal(0, run { account(box.plain, "correct horse") }.status)
  end)

  it("says how it is called", function()
    for _, words in ipairs { {}, { "/does/not/exist" } } do
      program.assert_says(program.run("cqueues_poller", words), 64,
        "usage: lua cqueues_poller.lua ACCOUNTS [SECONDS]\n")
    end
  end)
end)

describe("examples/sandbox.lua", function()
  if lua_name == "lua5.1" or lua_name == "luajit" then
    skip "it limits instructions by a coroutine's own hook, which PUC Lua has"
    return
  end

  local function run(script, seconds, changes)
    local path = files.temporary(script)
    local env = { POP3_PASSWORD = box.password, POP3_CAFILE = box.ca }
    for key, value in pairs(changes or {}) do env[key] = value end
    local result = program.run("sandbox",
      { path, "127.0.0.1", box.plain, "otto", seconds }, env)
    os.remove(path)
    return result
  end

  before_each(function() open "3" end)

  it("runs a script that reads the mailbox", function()
    local result = run [[
      local M = mailbox()
      for _, line in ipairs(select(2, M:list())) do print(line) end
      M:quit()
    ]]
    local expected = ""
    for number, message in ipairs(box:served()) do
      expected = expected .. number .. " " .. #message .. "\n"
    end
    assert.same({ 0, "", expected },
      { result.status, result.err, result.out })
  end)

  it("gives it nothing else", function()
    assert.equal(("nil\t"):rep(12) .. "nil\n", run([[
      print(io, os, require, load, loadfile, dofile, debug, coroutine, package,
        getmetatable, pcall, pop3, _G)
    ]]).out)
    for refused, call in pairs {
      ["port 25 (none of its ports)"] = [[POP3("127.0.0.1", 25)]],
      ["cafile (files = false)"] =
        [[mailbox():stls { cafile = "/etc/passwd" }]],
      ["a path as sink (files = false)"] =
        [[mailbox():retr_to(1, { path = "/tmp/pop3-sandbox" })]],
      ["set_debuglevel without a function (debug = false)"] =
        [[mailbox():set_debuglevel(1)]],
    } do
      program.assert_says(run(call), 1,
        "sandbox: pop3.restrict refuses " .. refused .. "\n")
    end
  end)

  it("changes nothing of the host's", function()
    local result = run [[
      for _, t in ipairs { string, table, math } do
        for name in pairs(t) do t[name] = nil end
      end
      print(("x"):rep(3), mailbox():stat())
    ]]
    assert.equal("", result.err)
    assert.truthy(result.out:find "^xxx\t3\t%d+\n$", result.out)
  end)

  it("ends what does not end by itself", function()
    program.assert_says(run "while true do end", 1,
      "sandbox: too many instructions\n")
  end)

  it("ends what waits too long", function()
    mailbox.stop_all()
    open("1", "--hang", "CONNECT")
    program.assert_says(run("mailbox()", "0.2"), 1,
      "sandbox: the task was cancelled\n")
  end)

  it("says what is wrong with a script", function()
    local result = run "x ="
    assert.equal(1, result.status)
    assert.truthy(result.err:find "^sandbox: [^\n]*unexpected symbol[^\n]*\n$",
      result.err)
  end)

  it("says that the password is wrong", function()
    program.assert_says(run("mailbox()", nil, { POP3_PASSWORD = "wrong" }), 1,
      "sandbox: " .. WRONG .. "\n")
  end)

  it("says how it is called", function()
    program.assert_says(program.run("sandbox", { "x" }), 64,
      "usage: POP3_PASSWORD=... lua sandbox.lua SCRIPT HOST PORT USER "
      .. "[SECONDS]\n")
  end)
end)

--- What the examples in event loops print of the sample mailbox.
local function subjects()
  local lines = {}
  local mails = box:served()
  for number = #mails, 1, -1 do
    local head = mails[number]:match "^(.-\r\n)\r\n" or ""
    local subject = head:match "\nSubject: ([^\r\n]*)" or "(none)"
    lines[#lines + 1] = number .. "\t" .. subject:gsub("%c", "?") .. "\n"
  end
  return to_utf8(table.concat(lines))
end

for name, row in pairs {
  luv_mailbox = { library = "luv", last = "meanwhile the clock went on\n" },
  copas_mailbox = { library = "copas", last = "" },
} do
  describe("examples/" .. name .. ".lua", function()
    if not pcall(require, row.library) then
      skip("it needs " .. row.library .. ", which this Lua does not have")
      return
    end

    it("prints the subjects, newest first", function()
      open("25", "--delay", "0.02")
      local result = program.run(name, { "127.0.0.1", box.plain, "otto" },
        { POP3_PASSWORD = box.password, POP3_CAFILE = box.ca })
      assert.same({ 0, "", subjects() .. row.last },
        { result.status, result.err, result.out })
    end)

    fails_with_sentences(name,
      "usage: POP3_PASSWORD=... lua " .. name .. ".lua HOST PORT USER\n")
  end)
end
