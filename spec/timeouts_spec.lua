--- Every deadline, and what it is called. Delays here are what is tested; upper
-- bounds are wide, so that a slow machine is not taken for a broken client.
local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

local unpack = require("spec.support.lua").unpack

local SHORT = 0.2
local PATIENCE = 10

after_each(server.stop_all)

teardown(child.clean)

--- `f` must fail with this timeout, not before `seconds` and not much later.
local function times_out(name, seconds, f, ...)
  local arguments, err = {...}, nil
  local took = claims.within(seconds + PATIENCE, function()
    err = claims.fails("timeout", name, f, unpack(arguments))
  end)
  assert.is_true(took >= seconds, ("only %.3f s"):format(took))
  assert.are.equal("timed out", tostring(err))
  assert.is_true(err.retryable)
  assert.is_false(pop3.is_error_proto(err))
  return err
end

local function stalling(...)
  local steps = {...}
  steps[#steps + 1] = {stall = true}
  return server.start{steps}
end

--- Octets one at a time, `gap` seconds between them.
local function drip(octets, gap)
  local steps = {}
  for octet in octets:gmatch(".") do
    steps[#steps + 1] = {send = octet}
    steps[#steps + 1] = {delay = gap}
  end
  return steps
end

local function dripping(octets, gap, ...)
  local steps = {...}
  for _, step in ipairs(drip(octets, gap)) do steps[#steps + 1] = step end
  return server.start{steps}
end

describe("connect_timeout", function()
  it("T10 ends the wait for a greeting", function()
    local s = stalling()
    times_out("connect", SHORT, pop3.POP3, s.host, s.port,
              {connect_timeout = SHORT})
    s:report()
  end)

  it("T10 ends a greeting that comes slowly", function()
    local s = dripping("+OK ready, in a moment\r\n", 0.1)
    times_out("connect", 0.5, pop3.POP3, s.host, s.port,
              {connect_timeout = 0.5, timeout = 20})
    s:stop()
  end)

  it("ends the wait for a connection", function()
    -- A full queue of connections that nobody accepts swallows the next.
    local s = server.start{accept = false, backlog = 0}
    for _ = 1, 3 do
      times_out("connect", SHORT, pop3.POP3, s.host, s.port,
                {connect_timeout = SHORT})
    end
    s:stop()
  end)

  it("ends the look-up of a name", function()
    local result = child.run{
      script = [[
        local pop3 = require "pop3"
        local ok, err = pcall(pop3.POP3, "slow.example", 1,
                              {connect_timeout = 0.2})
        print(ok, err.kind, err.name)
      ]], shim = true, env = {SHIM_SLOW = "15000"},
    }
    assert.are.equal("false\ttimeout\tconnect\n", result.out, result.err)
    assert.is_true(result.seconds < 0.2 + PATIENCE)
  end)

  it("ends a handshake on the implicit port", function()
    local s = stalling()
    times_out("connect", SHORT, pop3.POP3_SSL, s.host, s.port,
              {connect_timeout = SHORT, cafile = certificates.cafile})
    s:report()
  end)

  it("ends CAPA and STLS of tls = 'starttls'", function()
    local s = stalling("S: +OK ready", "C: CAPA")
    times_out("connect", SHORT, pop3.POP3, s.host, s.port,
              {connect_timeout = SHORT, tls = "starttls",
               cafile = certificates.cafile})
    s:report()
  end)

  it("does not count once the connection is there", function()
    local s = server.start{
      {"S: +OK ready", "C: NOOP", {delay = 0.6}, "S: +OK"},
    }
    local conn = pop3.POP3(s.host, s.port, {connect_timeout = 0.5,
                                            timeout = 20})
    assert.are.equal("+OK", conn:noop())
    conn:close()
    s:report()
  end)
end)

describe("timeout", function()
  local calls = {
    {"user", "a"}, {"pass_", "a"}, {"rpop", "a"}, {"apop", "a", "b"},
    {"stat"}, {"list"}, {"list", 1}, {"retr", 1}, {"top", 1, 0}, {"dele", 1},
    {"noop"}, {"rset"}, {"uidl"}, {"uidl", 1}, {"capa"}, {"capabilities"},
    {"utf8"}, {"lang"}, {"last"}, {"quit"}, {"login", "a", "b"},
    {"command", "X"}, {"command", "X", true},
  }
  for _, call in ipairs(calls) do
    local text = table.concat({call[1], tostring(call[2] or "")}, " ")
    it("ends the wait for an answer, for good: " .. text, function()
      local s = stalling("S: +OK <1.2@example.org>")
      local conn = pop3.POP3(s.host, s.port, {timeout = SHORT})
      local method = conn[call[1]]
      times_out("idle", SHORT, method, conn, unpack(call, 2))
      if call[1] ~= "quit" then
        claims.fails("timeout", "idle", conn.noop, conn)
      end
      conn:close()
      claims.fails("state", "closed", conn.noop, conn)
      s:report()
    end)
  end

  it("ends the wait inside a message, and it is no success", function()
    local s = stalling("S: +OK", "C: RETR 1", {send = "+OK\r\nhalf\r\n."})
    local conn = pop3.POP3(s.host, s.port, {timeout = SHORT})
    times_out("idle", SHORT, conn.retr, conn, 1)
    conn:close()
    s:report()
  end)

  it("ends a command that the server does not read", function()
    local s = stalling("S: +OK")
    local conn = pop3.POP3(s.host, s.port, {timeout = SHORT})
    times_out("idle", SHORT, conn.command, conn, "X " .. ("x"):rep(2 ^ 26))
    conn:close()
    s:stop() -- it would wait for an end that is queued behind the rest
  end)

  it("ends a wait under TLS", function()
    local s = stalling({tls = certificates.server "ip"}, "S: +OK")
    local conn = pop3.POP3_SSL(s.host, s.port,
                               {timeout = SHORT, connect_timeout = 20,
                                cafile = certificates.cafile})
    times_out("idle", SHORT, conn.noop, conn)
    conn:close()
    s:report()
  end)

  it("counts from the last octet, not from the first", function()
    local s = dripping("+OK slow\r\n", 0.25, "S: +OK", "C: NOOP")
    local conn = pop3.POP3(s.host, s.port, {timeout = 1.5})
    local took = claims.within(20, function()
      assert.are.equal("+OK slow", conn:noop())
    end)
    assert.is_true(took > 1.5)
    conn:close()
    s:report()
  end)

  it("serves in the third place, as poplib's", function()
    local s = stalling("S: +OK")
    local conn = pop3.POP3(s.host, s.port, SHORT)
    times_out("idle", SHORT, conn.noop, conn)
    conn:close()
    s:report()
  end)

  it("is the module's default where none is given", function()
    local before = pop3.getdefaulttimeout()
    assert.are.equal(60, before)
    finally(function() pop3.setdefaulttimeout(before) end)
    pop3.setdefaulttimeout(SHORT)
    assert.are.equal(SHORT, pop3.getdefaulttimeout())
    local s = stalling("S: +OK")
    local conn = pop3.POP3(s.host, s.port)
    times_out("idle", SHORT, conn.noop, conn)
    conn:close()
    s:report()
  end)

  it("is 'timeout' to pop3.safe", function()
    local safe = require "pop3.safe"
    local s = stalling("S: +OK")
    local conn = safe.POP3(s.host, s.port, {timeout = SHORT})
    local result, message, err = conn:noop()
    assert.are.same({nil, "timeout", "timeout"}, {result, message, err.kind})
    conn:close()
    s:report()
  end)

  it("of 0, below, or no number is an argument error", function()
    for _, seconds in ipairs{0, -1, 0 / 0, "1 s"} do
      assert.are.equal("string",
                       type(claims.misuse(pop3.POP3, "127.0.0.1", 1,
                                          {timeout = seconds})))
      claims.misuse(pop3.POP3, "127.0.0.1", 1, seconds)
    end
    assert.is_truthy(claims.misuse(pop3.POP3, "127.0.0.1", 1, 0)
                     :find("timeout", 1, true))
    claims.misuse(pop3.setdefaulttimeout, 0)
    claims.misuse(pop3.setdefaulttimeout, -1)
    claims.misuse(pop3.setdefaulttimeout, "1")
  end)
end)

describe("total_timeout", function()
  it("T10 ends a reply that comes one octet at a time", function()
    local s = dripping("+OK this takes a while\r\n", 0.1, "S: +OK", "C: NOOP")
    local conn = pop3.POP3(s.host, s.port, {timeout = 20, total_timeout = 0.5})
    times_out("total", 0.5, conn.noop, conn)
    conn:close()
    s:stop()
  end)

  it("T11 ends a message that never does", function()
    local s = server.start{
      {"S: +OK", "C: RETR 1", "S: +OK", {send = "line\r\n", times = 1e9}},
    }
    local conn = pop3.POP3(s.host, s.port, {timeout = 20, total_timeout = 0.5})
    times_out("total", 0.5, conn.retr, conn, 1)
    conn:close()
    s:stop()
  end)

  it("ends an idle wait that is longer", function()
    local s = stalling("S: +OK")
    local conn = pop3.POP3(s.host, s.port, {timeout = 20,
                                            total_timeout = SHORT})
    times_out("total", SHORT, conn.noop, conn)
    conn:close()
    s:report()
  end)

  it("starts anew with each call", function()
    local steps = {"S: +OK"}
    for _ = 1, 4 do
      steps[#steps + 1] = "C: NOOP"
      steps[#steps + 1] = {delay = 1.2}
      steps[#steps + 1] = "S: +OK"
    end
    local s = server.start{steps}
    local conn = pop3.POP3(s.host, s.port, {total_timeout = 4.5})
    -- All together take longer than one may, and each has 3.3 s to spare.
    local took = claims.within(20, function()
      for _ = 1, 4 do conn:noop() end
    end)
    assert.is_true(took > 4.5)
    conn:close()
    s:report()
  end)
end)
