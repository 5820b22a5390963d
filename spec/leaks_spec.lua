-- leaks_spec.lua - a process that opens ten thousand sessions holds as many
-- descriptors and as much memory as one that opened a few hundred.

local pop3 = require "pop3"
local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local descriptors = require "spec.support.descriptors"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"

local WARM_UP = 500
local OCTETS_ALLOWED = 512 * 1024 -- what malloc and the collector wobble by

local function resident()
  for _ = 1, 2 do collectgarbage() end
  return claims.resident()
end

local function start(more)
  local mailbox = {
    -- so long that a copy a session is more than what memory wobbles by
    greeting = "+OK " .. ("ready "):rep(30)
      .. "<1896.697170952@dbc.mtview.ca.us>",
    messages = { "Subject: one\r\n\r\n.dot\r\n" },
    capa = { "USER", "STLS", "UIDL" },
  }
  for key, value in pairs(more or {}) do mailbox[key] = value end
  return server.start {
    connections = { { { mailbox = mailbox } } },
    accepts = 0, deadline = 540, keep = 0, record = 0, backlog = 1024,
  }
end

-- Run `session` again and again; after the warm-up nothing may grow. Garbage is
-- collected often: how much of it a Lua lets lie is not what is measured.
local function repeat_session(count, session)
  local octets, fds
  for i = 1, WARM_UP + count do
    session()
    if i % 10 == 0 then collectgarbage() end
    if i == WARM_UP then octets, fds = resident(), descriptors.count() end
  end
  local more = resident() - octets
  assert.equal(fds, descriptors.count())
  assert.is_true(more <= OCTETS_ALLOWED,
    ("%d sessions left %d octets behind"):format(count, more))
end

describe("a long-lived process", function()
  after_each(server.stop_all)

  it("does 10,000 cycles of connect, login, quit", function()
    local s = start()
    repeat_session(10000, function()
      local conn = pop3.POP3(s.host, s.port)
      conn:user("me")
      conn:pass_("secret")
      conn:quit()
    end)
  end)

  it("does 1,000 cycles over STLS, with a message", function()
    local s = start { stls = certificates.server "exact" }
    local options = {
      tls = "starttls", cafile = certificates.cafile,
      servername = certificates.name,
    }
    repeat_session(1000, function()
      local conn = pop3.POP3(s.host, s.port, options)
      conn:login("me", "secret")
      assert.equal(3, #select(2, conn:retr(1)))
      conn:quit()
    end)
  end)

  it("receives by every sink 100 times, to the end and not", function()
    local s = start { capa = { "USER", "UIDL", "TOP", "PIPELINING" } }
    local options = { eol = "lf", hash = "sha256" }
    local cache = {}
    repeat_session(100, function()
      local conn = pop3.POP3(s.host, s.port, { cache = cache })
      conn:login("me", "secret", { stat = true, listing = true })
      for _, sink in ipairs(sinks.all) do
        sink.receive(conn, 1, options)
        sink.receive(conn, 9, options)
        sink.receive(conn, 1, { max_octets = 5 })
      end
      pcall(conn.retr_string, conn, 1, { hash = "sha256", top = -1 })
      pcall(conn.retr_many, conn, { 1, 1, 1 }, function() return false end)
      conn:retr_lines(1):close()
      assert.equal(22, #conn:messages():next():text())
      conn:retr_lines(1, options):next() -- and is left like this
    end)
  end)

  it("is refused 1,000 times at the login", function()
    local s = start { password = "another" }
    repeat_session(1000, function()
      local conn = pop3.POP3(s.host, s.port)
      conn:user("me")
      assert.is_false((pcall(conn.pass_, conn, "secret")))
      conn:close()
    end)
  end)

  it("logs in by SCRAM 1,000 times, or breaks that off", function()
    local steps = { "S: +OK", "C: CAPA",
      { send = "+OK\r\nSASL SCRAM-SHA-256\r\n.\r\n" } }
    local function server_of(options)
      options.password = "secret"
      return server.start { connections = { { steps[1], steps[2], steps[3],
        { scram = options } } }, accepts = 0, deadline = 540, keep = 0,
        record = 0, backlog = 1024 }
    end
    local good, bad = server_of {}, server_of { fault = "signature" }
    repeat_session(500, function()
      local conn = pop3.POP3(good.host, good.port)
      conn:login("me", "secret")
      conn:close()
      conn = pop3.POP3(bad.host, bad.port)
      assert.is_false((pcall(conn.login, conn, "me", "secret")))
      conn = pop3.POP3(good.host, good.port)
      assert.is_false((pcall(conn.login, conn, "me", "wrong")))
      conn:close()
    end)
  end)

  it("is refused 1,000 times by a closed port", function()
    local port = server.closed_port()
    repeat_session(1000, function()
      assert.is_false((pcall(pop3.POP3, "127.0.0.1", port)))
    end)
  end)

  it("fails 300 handshakes", function()
    local s = start { stls = certificates.server "exact" }
    local options = {
      tls = "starttls", cafile = certificates.cafile,
      servername = "another.example.org",
    }
    repeat_session(300, function()
      assert.is_false((pcall(pop3.POP3, s.host, s.port, options)))
    end)
  end)

  it("forgets 1,000 connections, and the collector closes them", function()
    local s = start()
    repeat_session(1000, function()
      pop3.POP3(s.host, s.port):user("me")
    end)
  end)
end)
