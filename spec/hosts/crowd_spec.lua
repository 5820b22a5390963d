--- A crowd of connections in one process (POP3_CROWD says how many), in a host
-- that runs several at once: nobody is left behind, and nothing is kept.

local claims = require "spec.support.claims"
local host = require "spec.hosts.host"
local pop3 = require "pop3"
local server = require "spec.support.server"

local CROWD = tonumber(os.getenv "POP3_CROWD" or "") or 100

-- What an idle connection may keep, octets; OpenSSL has no part in these.
local MOST_IDLE = 65536

local available, why_not = host.driver.available()
if not available or not host.driver.together then
  return it("is had in " .. host.name, function()
    pending(why_not or "this host runs one at a time")
  end)
end

after_each(server.stop_all)

local mails = {}
for n = 1, 4 do mails[n] = ("mail\r\n"):rep(n * 300) end

local function start()
  return server.start { accepts = 0, record = 1, backlog = 4096, keep = 0,
    deadline = 300, connections = { { { mailbox = { messages = mails } } } } }
end

-- Every message, one round trip each.
local function session(conn)
  for number, mail in ipairs(mails) do
    assert(mail == host.good(conn:retr_string(number)))
  end
end

describe("A crowd of " .. CROWD, function()
  it("ends together: the slowest within twice the median", function()
    local s, times, here = start(), {}, 0
    host.together(CROWD, function()
      local conn = host.connect(s, { timeout = 120, connect_timeout = 120 })
      host.good(conn:login("me", "secret"))
      here = here + 1
      while here < CROWD do host.good(conn:noop()) end -- until all are
      local begun = pop3.now()
      for _ = 1, 3 do session(conn) end
      times[#times + 1] = pop3.now() - begun
      host.good(conn:quit())
    end)
    assert.equal(CROWD, #times)
    table.sort(times)
    local median, slowest = times[math.ceil(CROWD / 2)], times[CROWD]
    assert.is_true(slowest <= 2 * median, ("median %.3f s, slowest %.3f s")
      :format(median, slowest))
  end)

  it("keeps no more than 64 KiB each while it is idle", function()
    local s, conns = start(), {}
    collectgarbage()
    collectgarbage()
    local before = claims.resident()
    host.together(CROWD, function()
      local conn = host.connect(s, { timeout = 120, connect_timeout = 120 })
      host.good(conn:login("me", "secret"))
      session(conn)
      conns[#conns + 1] = conn
    end)
    collectgarbage()
    collectgarbage()
    local each = (claims.resident() - before) / CROWD
    for _, conn in ipairs(conns) do conn:close() end
    assert.equal(CROWD, #conns)
    assert.is_true(each <= MOST_IDLE, each .. " octets")
  end)

  it("leaves nothing behind, crowd after crowd", function()
    local s, held, lua = start(), {}, {}
    local function crowd()
      host.together(CROWD, function()
        local conn = host.connect(s, { timeout = 120, connect_timeout = 120 })
        host.good(conn:login("me", "secret"))
        session(conn)
        host.good(conn:quit())
      end)
      collectgarbage()
      collectgarbage()
      held[#held + 1] = claims.data()
      lua[#lua + 1] = collectgarbage("count")
    end
    for _ = 1, 6 do crowd() end
    assert.is_true(lua[6] - lua[3] < 64, lua[6] - lua[3] .. " KiB of Lua")
    -- A connection has three times that; the C library's heap breathes.
    local most = math.max(2097152, CROWD * 8192)
    local grown = held[6] - held[3]
    assert.is_true(grown < most, grown .. " octets in three crowds")
  end)
end)
