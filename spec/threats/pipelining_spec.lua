--- Servers that are hard on a client with many commands in flight. Each run has
-- a deadline: a dead-lock is a failure, not a wait.

local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"

local MIB = 1024 * 1024
local SANITIZED = os.getenv("POP3_SANITIZED")

after_each(server.stop_all)

local function numbers(count)
  local list = {}
  for n = 1, count do list[n] = n end
  return list
end

local function make(count, text)
  local mails = {}
  for n = 1, count do
    mails[n] = ("Subject: %d\r\n\r\n.%s\r\n"):format(n, text or "body")
  end
  return mails
end

local function connect(s, options)
  local all = { timeout = 20, total_timeout = 60, pipelining = true }
  for key, value in pairs(options or {}) do all[key] = value end
  return pop3.POP3(s.host, s.port, all)
end

--- A server with a mailbox of these messages, behind these steps.
local function start(mails, more, ...)
  local mailbox = { messages = mails, open = true, capa = { "PIPELINING" } }
  local script = { connections = { { ... } }, deadline = 110 }
  for key, value in pairs(more or {}) do
    if key == "buffer" then script.buffer = value else mailbox[key] = value end
  end
  table.insert(script.connections[1], { mailbox = mailbox })
  return server.start(script)
end

local TLS = { tls = "implicit", cafile = certificates.cafile,
  servername = certificates.name }

--- Retrieve all; each has to come under its number.
local function retrieve(conn, mails)
  local next_one = 1
  local good, bad = conn:retr_many(numbers(#mails), function(n, text, err)
    assert(n == next_one, "out of order")
    if text ~= mails[n] then error(("message %d: %s"):format(n, tostring(text or err))) end
    next_one = n + 1
  end)
  assert.same({ #mails, 0 }, { good, bad })
end

describe("A server that", function()
  it("answers one octet at a time", function()
    local mails = make(100)
    local s = start(mails, nil, { chop = 1 })
    retrieve(connect(s), mails)
  end)

  it("answers in bursts of many replies", function()
    local mails = make(2000)
    for _, options in ipairs { {}, { max_inflight = 65536, max_ahead = 0 } } do
      local s = start(mails, { burst = true })
      retrieve(connect(s, options), mails)
    end
  end)

  it("reads nothing while it writes, with more to read than buffers hold", function()
    local mails = make(600, ("x"):rep(100000))
    for _, options in ipairs { {}, { max_inflight = 65536, max_ahead = 0 } } do
      local s = start(mails, { buffer = 4096 })
      local conn = connect(s, options)
      local list, seen = {}, 0
      -- 4,000 digits a number: 2.4 MB of commands.
      for n = 1, #mails do list[n] = ("0"):rep(4000 - #tostring(n)) .. n end
      claims.within(60, function()
        conn:retr_many(list, function(n, text)
          seen = seen + 1
          assert(tonumber(n) == seen and text == mails[seen])
        end)
      end)
      assert.equal(#mails, seen)
      assert.equal(#mails, (conn:stat()))
      conn:quit()
    end
  end)

  it("is given no more lines than max_inflight", function()
    local mails = make(50)
    for _, inflight in ipairs { 1, 2, 3, 7 } do
      local s = start(mails)
      local conn = connect(s, { max_inflight = inflight })
      retrieve(conn, mails)
      conn:close()
      local most = s:report().connections[1].waiting
      assert.is_true(most <= inflight, most)
    end
  end)

  it("is given no more octets than max_ahead, but always a line", function()
    local mails = make(50)
    for _, ahead in ipairs { 1, 8, 9, 20, 100 } do
      local s = start(mails)
      local conn = connect(s, { max_ahead = ahead })
      retrieve(conn, mails)
      conn:close()
      local most = s:report().connections[1].waiting
      assert.is_true(most <= math.max(1, math.floor(ahead / 8)), most)
    end
  end)

  it("answers half of what it was asked is asked for more", function()
    local steps = { "S: +OK" }
    local function say(n) return { send = ("+OK\r\n%d\r\n.\r\n"):format(n) } end
    for _, step in ipairs { "C: RETR 1", "C: RETR 2", "C: RETR 3", say(1), say(2),
      "C: RETR 4", "C: RETR 5", say(3), say(4), say(5) } do steps[#steps + 1] = step end
    server.talk({ steps }, function(conn)
      assert.same({ 5, 0 }, { conn:retr_many(numbers(5), function() end) })
    end, { pipelining = true, max_inflight = 3, timeout = 20 })
  end)

  for _, door in ipairs { { name = "in clear" }, { name = "by TLS", tls = TLS } } do
    describe("(" .. door.name .. ")", function()
      local function begin(mails, more)
        if not door.tls then return start(mails, more) end
        return start(mails, more, { tls = certificates.server "exact" })
      end

      local endings = {
        { name = "ends the stream", how = { shutdown = true }, { "closed", "eof" } },
        { name = "closes", how = { close = true }, { "closed", "eof" } },
        { name = "resets", how = { reset = true }, fewer = true },
        { name = "cuts the stream", how = { close = "abrupt" } },
      }
      for _, ending in ipairs(endings) do
        it(ending.name .. " in the 300th of 500: what is before is whole", function()
          local mails = make(500)
          local half = "+OK\r\n" .. mails[300]:sub(1, 15)
          local s = begin(mails, { answers = { { "RETR 300", { { send = half }, ending.how } } } })
          local conn = connect(s, door.tls)
          local seen, ends, parts = 0, {}, nil
          local err = claims.failure(conn.retr_many, conn, numbers(500), function(n, text)
            seen = seen + 1
            assert(n == seen and text == mails[n])
          end)
          -- A reset takes with it what is on its way.
          assert.is_true(ending.fewer and seen <= 299 or seen == 299, seen)
          assert.is_truthy(err.kind == "closed" or err.kind == "io" or err.name == "truncated",
            err.kind .. " " .. err.name)
          if ending[1] then assert.same(ending[1], { err.kind, err.name }) end
          claims.failure(conn.noop, conn)

          s = begin(mails, { answers = { { "RETR 300", { { send = half }, ending.how } } } })
          conn = connect(s, door.tls)
          claims.failure(conn.retr_many, conn, numbers(500), {
            sink = function(n)
              local sink, got = sinks.collector()
              if n == 300 then parts = got end
              return sink
            end,
            done = function(n, octets) ends[#ends + 1] = n == #ends + 1 and octets end,
          })
          assert.is_true(ending.fewer and #ends <= 299 or #ends == 299, #ends)
          if parts then
            assert.same({ 1, false }, { parts.told, parts.complete })
            assert.equal(mails[300]:sub(1, #parts.text), parts.text)
          end
        end)
      end
    end)
  end

  it("leaves with our commands unread: what it said before is heard", function()
    local function say(n, size)
      return { send = "+OK\r\n" .. ("x"):rep(size) .. n .. "\r\n.\r\n" }
    end
    local s = server.start { { "S: +OK",
      "C: RETR 1", "C: RETR 2", "C: RETR 3", "C: RETR 4", say(1, 1), say(2, 1),
      { unread = 16 }, -- RETR 5 and 6: because of them it resets
      say(3, 10000), say(4, 10000), say(5, 30000), say(6, 30000), { arrived = true },
      { close = true } } }
    local conn = connect(s, { max_inflight = 4 })
    local seen, sizes = {}, { 1, 1, 10000, 10000, 30000, 30000 }
    local err = claims.failure(conn.retr_many, conn, numbers(12), function(n, text)
      seen[#seen + 1] = n
      assert(text == ("x"):rep(sizes[n]) .. n .. "\r\n")
      if n == 3 then s:report() end -- it is gone, the rest is in our kernel
    end)
    assert.same({ 1, 2, 3, 4, 5, 6 }, seen)
    assert.same({ "io", "econnreset" }, { err.kind, err.name })
  end)

  it("falls silent in the middle meets the deadline; what came is whole", function()
    local mails = make(20)
    local s = start(mails, { answers = {
      { "RETR 8", { { send = "+OK\r\nhal" }, { eof = true } } } } })
    local seen = 0
    local conn = connect(s, { timeout = 0.3 })
    claims.fails("timeout", "idle", conn.retr_many, conn, numbers(20), function(n, text)
      seen = seen + 1
      assert(n == seen and text == mails[n])
    end)
    assert.equal(7, seen)
  end)

  it("drips for ever meets the total deadline", function()
    local s = start(make(3), { answers = { { "RETR 2", { "S: +OK",
      { send = "x", times = 1e9, drip = true } } } } })
    local conn = connect(s, { total_timeout = 0.5 })
    claims.within(15, function()
      claims.fails("timeout", "total", conn.retr_many, conn, numbers(3), function() end)
    end)
  end)

  it("sends a refusal too many: what is behind is not ours any more", function()
    local mails = make(10)
    local s = start(mails, { burst = true, answers = {
      { "RETR 5", { "-ERR an extra one\r\n", { own = true } } } } })
    local conn = connect(s)
    pcall(conn.retr_many, conn, numbers(10), function() end)
    -- One reply is left over. It answers nothing, least of all a DELE.
    local err = claims.failure(conn.dele_many, conn, numbers(10))
    assert.is_truthy(err.name == "unsolicited" or err.name == "goodbye", err.name)
    conn:close()
    for _, line in ipairs(s:report().connections[1].commands) do
      assert.is_nil(line:find("DELE", 1, true))
    end
  end)

  it("answers before it is asked", function()
    local s = server.start { { { send = "+OK ready\r\n+OK\r\nfake\r\n.\r\n" }, { eof = true } } }
    local conn = connect(s)
    local called = false
    local err = claims.failure(function()
      conn:retr_many(numbers(3), function() called = true end)
    end)
    assert.equal("unsolicited", err.name)
    assert.is_false(called)
    conn:close()
    assert.same({}, s:report().connections[1].commands)
  end)

  it("answers what was not sent yet", function()
    local fake = "+OK\r\nfake\r\n.\r\n"
    local s = server.start { { "S: +OK", "C: RETR 1", { send = fake:rep(3) }, { eof = true } } }
    local conn = connect(s, { max_inflight = 1 })
    local seen = {}
    claims.fails("proto", "unsolicited", conn.retr_many, conn, numbers(3), function(n)
      seen[#seen + 1] = n
    end)
    assert.same({ 1 }, seen)
  end)
end)

--- In a process of its own, whose memory no other spec has grown.
local TEN_THOUSAND = [[
  local claims = require "spec.support.claims"
  local descriptors = require "spec.support.descriptors"
  local pop3 = require "pop3"
  local port, huge, cafile, name = ...
  local conn = pop3.POP3("127.0.0.1", tonumber(port), { timeout = 20,
    total_timeout = 60, pipelining = true, tls = cafile and "implicit",
    cafile = cafile, servername = name })
  local numbers = {}
  for n = 1, 10000 do numbers[n] = n end
  conn:retr_many({ unpack(numbers, 1, 100) }, function() end) -- warm
  collectgarbage()
  collectgarbage()
  local before, fds, most = claims.resident(), descriptors.held(), 0
  local count, held = 0, fds
  local good, bad = conn:retr_many(numbers, {
    sink = function(n)
      local octets, first = 0, ""
      return function(chunk)
        if chunk then
          octets = octets + #chunk
          if #first < 20 then first = first .. chunk end
          return
        end
        local subject = "Subject: " .. n .. "\r\n"
        if n == 5000 then
          assert(octets == tonumber(huge), octets)
        else
          assert(octets == #subject + #"\r\n.body\r\n", n)
          assert(first:sub(1, #subject) == subject, n)
        end
        count = count + 1
      end
    end,
    done = function(n)
      if n % 500 == 0 then
        most = math.max(most, claims.resident())
        held = math.max(held, descriptors.held())
      end
    end,
  })
  conn:quit()
  print(good, bad, count, held - fds)
  print(most - before)
]]

describe("10,000 small messages and a huge one", function()
  for _, tls in ipairs { false, true } do
    it("take no memory and no descriptors with them" .. (tls and ", by TLS" or ""), function()
      local mails = make(10000)
      local size = 64 * MIB
      mails[5000] = { ("h"):rep(1022) .. "\r\n", size / 1024 }
      local secured = tls and { tls = certificates.server "exact" } or nil
      local s = start(mails, nil, secured)
      local result = child.run {
        script = "local unpack = table.unpack or unpack\n" .. TEN_THOUSAND,
        arguments = tls and { s.port, size, certificates.cafile,
          certificates.name } or { s.port, size },
      }
      local counts, grown = result.out:match("^(.-)\n(%-?%d+)\n$")
      assert.equal("10000\t0\t10000\t0", counts, result.out .. result.err)
      if not SANITIZED then
        assert.is_true(tonumber(grown) < 12 * MIB, grown .. " octets more")
      end
      s:stop()
    end)
  end
end)
