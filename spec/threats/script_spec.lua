--- threats.md: what a script may do while a call of its own is running. It ends
-- in results or an error, whatever it is.
local child = require "spec.support.child"
local claims = require "spec.support.claims"
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
