--- threats.md: what a script may do while a call of its own is running. It ends
-- in results or an error, whatever it is.
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local files = require "spec.support.files"
local pop3 = require "pop3"
local server = require "spec.support.server"

after_each(server.stop_all)

teardown(child.clean)

-- Run in a small process of its own, where the collector comes round often:
-- call `method` again and again, and close the connection the first, second ...
-- time that a finaliser runs. Prints what the calls ended in.
local CLOSING = [[
  local pop3 = require "pop3"
  local host, port, method = ...

  local function finaliser(f)
    if not newproxy then return setmetatable({}, {__gc = f}) end
    getmetatable(newproxy(true)).__gc = f
  end

  local function call(n)
    local conn = pop3.POP3(host, tonumber(port), {timeout = 10})
    local rounds = 0
    local function again()
      rounds = rounds + 1
      if rounds == n then conn:close() end
      if rounds < n then finaliser(again) end
    end
    collectgarbage()
    finaliser(again)
    local ok, first, second = pcall(conn[method], conn)
    local closed = rounds < n or conn:fd() == nil
    n, rounds = 0, 0
    conn:close()
    if not closed then return "open" end
    if not ok then return first.kind .. "/" .. first.name end
    local count = 0
    for _ in pairs(second or first) do count = count + 1 end
    return count
  end

  require("spec.support.lua").collect_eagerly()
  local seen, n = {}, 1
  while n <= 2000 do
    seen[tostring(call(n))] = true
    n = n < 10 and n + 1 or math.ceil(n * 1.3)
  end
  for what in pairs(seen) do print(what) end
]]

describe("A finaliser that closes the connection", function()
  local many = {}
  for i = 1, 300 do
    many[i] = ("CAP-%d first%d second%d third%d"):format(i, i, i, i)
  end
  local listing = "+OK\r\n" .. table.concat(many, "\r\n") .. "\r\n.\r\n"

  for _, method in ipairs{"capa", "capabilities", "list", "uidl"} do
    it("T54 leaves " .. method .. " whole, or failed as closed", function()
      local s = server.start{
        connections = {{"S: +OK ready", {auto = {{".*", listing}}}}},
        accepts = 0,
      }
      local result = child.run{
        script = CLOSING, arguments = {s.host, s.port, method}, deadline = 60,
      }
      assert.are.equal("", result.err)
      assert.are.equal(0, result.status)
      for what in result.out:gmatch("[^\n]+") do
        assert.is_truthy(what == "300" or what == "state/closed", what)
      end
    end)
  end
end)

-- The same, but the finaliser comes back into the connection, or takes the
-- options away. Prints what the calls ended in, and what the finalisers met.
local RETURNING = [[
  local pop3 = require "pop3"
  local host, port, what = ...

  local function finaliser(f)
    if not newproxy then return setmetatable({}, {__gc = f}) end
    getmetatable(newproxy(true)).__gc = f
  end

  local conn = pop3.POP3(host, tonumber(port), {timeout = 10})
  local met, options = {}, nil
  local acts = {
    use = function()
      local ok, err = pcall(conn.noop, conn)
      met[ok and "ok" or err.kind .. "/" .. err.name] = true
    end,
    take = function()
      for key in pairs(options) do options[key] = nil end
      collectgarbage()
      local trash = {}
      for i = 1, 50 do trash[i] = ("none%d"):format(i) end
    end,
  }

  local function call(n)
    local rounds = 0
    local function again()
      rounds = rounds + 1
      if rounds == n then acts[what]() end
      if rounds < n then finaliser(again) end
    end
    -- New strings, which nothing but the table holds.
    options = {hash = ("SHA%d"):format(256), eol = ("l%s"):format("f"), top = 0}
    collectgarbage()
    finaliser(again)
    local ok, text, octets, digest = pcall(conn.retr_string, conn, 1, options)
    n, rounds = 0, 0
    if not ok then
      return type(text) == "table" and text.kind .. "/" .. text.name or text
    end
    return ("%s %d %s"):format(text:gsub("\n", "|"), octets, digest and #digest or 0)
  end

  require("spec.support.lua").collect_eagerly()
  local seen, n = {}, 1
  while n <= 400 do
    seen[tostring(call(n))] = true
    n = n < 40 and n + 1 or math.ceil(n * 1.3)
  end
  for result in pairs(seen) do print(result) end
  for result in pairs(met) do print("met " .. result) end
]]

describe("A finaliser that comes back while a call begins", function()
  local function run(what)
    local s = server.start{accepts = 0, keep = 0, connections = {{{mailbox = {
      messages = {"Subject: one\r\n\r\nx\r\n"}, open = true}}}}}
    local result = child.run{script = RETURNING, arguments = {s.host, s.port, what},
                             deadline = 60}
    assert.are.equal("", result.err)
    assert.are.equal(0, result.status)
    return result.out
  end

  it("T54 finds it busy, and changes nothing of it", function()
    for line in run("use"):gmatch("[^\n]+") do
      assert.is_truthy(line == "Subject: one|| 14 64" or line == "met ok"
                       or line == "met state/busy", line)
    end
  end)

  it("T54 takes no option away that was read", function()
    for line in run("take"):gmatch("[^\n]+") do
      -- Before they are read they are the caller's, all or none of them.
      assert.is_truthy(line == "Subject: one|| 14 64"
                       or line == "Subject: one\r|\r|x\r| 19 0"
                       or line:find("invalid key to 'next'", 1, true), line)
    end
  end)
end)

-- The same, but the finaliser takes the path out of the sink's table.
local EMPTYING = [[
  local pop3 = require "pop3"
  local host, port, folder = ...

  local function finaliser(f)
    if not newproxy then return setmetatable({}, {__gc = f}) end
    getmetatable(newproxy(true)).__gc = f
  end

  local conn = pop3.POP3(host, tonumber(port), {timeout = 10})

  local function call(n)
    local rounds, sink = 0, {path = ("%s/%d"):format(folder, n)}
    local function again()
      rounds = rounds + 1
      if rounds == n then sink.path = nil end
      if rounds < n then finaliser(again) end
    end
    collectgarbage()
    finaliser(again)
    local ok, err = pcall(conn.retr_to, conn, 1, sink, {eol = "lf"})
    n, rounds = 0, 0
    return ok and "ok" or err
  end

  require("spec.support.lua").collect_eagerly()
  local seen = {}
  for n = 1, 60 do seen[tostring(call(n))] = true end
  for result in pairs(seen) do print(result) end
]]

describe("A finaliser that empties a sink while its call begins", function()
  it("T54 comes too late for a path that was looked at", function()
    local folder = files.make_folder()
    local s = server.start{accepts = 0, keep = 0, connections = {{{mailbox = {
      messages = {"Subject: one\r\n\r\nx\r\n"}, open = true}}}}}
    local result = child.run{script = EMPTYING, arguments = {s.host, s.port, folder},
                             deadline = 60}
    files.remove_folder(folder)
    assert.are.equal("", result.err)
    assert.are.equal(0, result.status)
    for line in result.out:gmatch("[^\n]+") do
      assert.is_truthy(line == "ok" or line:find("bad argument #2", 1, true), line)
    end
  end)
end)

describe("A debug function that closes the connection", function()
  it("T54 makes the call fail as closed, whichever line it was", function()
    local s = server.start{
      connections = {{"S: +OK ready", {auto = {
        {"CAPA", "+OK\r\nTOP\r\nUIDL\r\n.\r\n"},
      }}}},
      accepts = 0,
    }
    -- *cmd* and *put*; *get* and *resp*; two capabilities and the end
    for line = 1, 7 do
      local conn, shown = pop3.POP3(s.host, s.port, {timeout = 10}), 0
      conn:set_debuglevel(2, function(text)
        shown = shown + select(2, text:gsub("\n", "\n"))
        if shown >= line then conn:close() end
      end)
      claims.fails("state", "closed", conn.capa, conn)
    end
  end)
end)
