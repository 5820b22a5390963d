--- Every sink, in clear and by TLS, against every way a reply can end. No
-- receiver learns "complete" but from the terminator, and what the connection
-- is good for afterwards is what docs/retrieving.md says.

local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"

local MAIL = "Subject: sinks\r\n\r\n.dot\r\n..\r\na\rb\r\n\r\n\r.\r\n\xff\0.\r\nlast\r\n"
local WIRE = "+OK 60 octets\r\n" .. MAIL:gsub("\r\n%.", "\r\n..") .. ".\r\n"

local doors = { "in clear", "by TLS" }

local function options_for(door)
  local options = { timeout = 20 }
  if door == "by TLS" then
    options.tls = "implicit"
    options.cafile = certificates.cafile
    options.servername = certificates.name
  end
  return options
end

--- One connection's steps, behind greeting and, perhaps, handshake.
local function connection(door, steps)
  local all = { "S: +OK ready" }
  if door == "by TLS" then
    table.insert(all, 1, { tls = certificates.server "exact" })
  end
  for _, step in ipairs(steps) do all[#all + 1] = step end
  return all
end

--- Play each case on a connection of its own, all with one server.
local function play(door, cases, use)
  local script = {}
  for i, case in ipairs(cases) do script[i] = connection(door, case.steps) end
  local s = server.start { connections = script }
  for _, case in ipairs(cases) do
    local conn = pop3.POP3(s.host, s.port, options_for(door))
    local ok, err = pcall(use, case, conn)
    conn:close()
    if not ok then error(case.name .. ": " .. tostring(err), 0) end
  end
  local report = s:report()
  for i, case in ipairs(cases) do
    local errors = report.connections[i].errors
    if errors[1] and not case.complaints then
      error(case.name .. ": " .. errors[1], 0)
    end
  end
  return report
end

local function usable(conn)
  assert.equal("+OK still here", conn:noop())
end

local function closed(conn)
  assert.is_true(conn:info().closed)
  claims.failure(conn.noop, conn)
end

local AGAIN = { "C: NOOP", "S: +OK still here" }

local function with_again(steps)
  for _, step in ipairs(AGAIN) do steps[#steps + 1] = step end
  return steps
end

-- ------------------------------------------------------------ the truth rule

local whole = {
  { name = "in one segment", steps = with_again { "C: RETR 1", { send = WIRE } } },
  { name = "octet by octet",
    steps = with_again { "C: RETR 1", { chop = 1 }, { send = WIRE }, { chop = 0 } } },
  { name = "empty", mail = "", steps = with_again { "C: RETR 1", { send = "+OK\r\n.\r\n" } } },
}

-- Every place at which a reply can be cut that means something else.
local cuts = {
  { name = "before anything", at = 0 },
  { name = "in the status", at = 2 },
  { name = "in the status line's end", at = 14 },
  { name = "behind the status", at = 15 },
  { name = "in a line", at = 20 },
  { name = "in a line's end", at = 30 },
  { name = "between lines", at = 31 },
  { name = "behind a stuffed dot", at = 34 },
  { name = "before the terminator", at = #WIRE - 3 },
  { name = "in the terminator, behind its dot", at = #WIRE - 2 },
  { name = "in the terminator, before its LF", at = #WIRE - 1 },
}

local function cut_cases(ending)
  local cases = {}
  for i, cut in ipairs(cuts) do
    cases[i] = {
      name = "cut " .. cut.name, at = cut.at,
      steps = { "C: RETR 1", { send = WIRE:sub(1, cut.at) }, ending },
    }
  end
  return cases
end

--- What a receiver has of a message that was not completed is its beginning.
local function is_beginning(text)
  if text == nil then return true end
  return MAIL:sub(1, #text) == text
end

for _, sink in ipairs(sinks.all) do
  for _, door in ipairs(doors) do
    describe(sink.name .. ", " .. door .. ",", function()
      after_each(server.stop_all)

      it("gets a message octet for octet, however it is cut", function()
        play(door, whole, function(case, conn)
          local mail = case.mail or MAIL
          local seen = sink.receive(conn, 1)
          assert.is_nil(seen.err)
          assert.same({ true, 1, #mail, mail },
            { seen.complete, seen.told, seen.octets, seen.text })
          usable(conn)
        end)
      end)

      it("is never told that a truncated message is complete (T06)", function()
        play(door, cut_cases { shutdown = true }, function(case, conn)
          local seen = sink.receive(conn, 1)
          assert.same({ false, 1 }, { seen.complete or false, seen.told })
          assert.same({ "closed", "eof" }, { seen.err.kind, seen.err.name })
          assert.is_true(is_beginning(seen.text), case.name)
          closed(conn)
        end)
      end)

      it("is never told so when the connection is reset", function()
        play(door, cut_cases { reset = true }, function(case, conn)
          local seen = sink.receive(conn, 1)
          assert.same({ false, 1 }, { seen.complete or false, seen.told })
          assert.same({ "io", "econnreset" }, { seen.err.kind, seen.err.name })
          assert.is_true(is_beginning(seen.text), case.name)
          closed(conn)
        end)
      end)

      if door == "by TLS" then
        it("is never told so without close_notify", function()
          play(door, cut_cases { shutdown = "abrupt" }, function(_, conn)
            local seen = sink.receive(conn, 1)
            assert.same({ false, 1 }, { seen.complete or false, seen.told })
            assert.same({ "tls", "truncated" }, { seen.err.kind, seen.err.name })
            closed(conn)
          end)
        end)
      end

      it("is told of a refusal, which leaves the connection usable", function()
        play(door, { { name = "refused", steps = with_again {
          "C: RETR 9", "S: -ERR [SYS/TEMP] not now",
        } } }, function(_, conn)
          local seen = sink.receive(conn, 9)
          assert.same({ false, 1 }, { seen.complete or false, seen.told })
          assert.same({ "proto", "refused", "SYS/TEMP", true },
            { seen.err.kind, seen.err.name, seen.err.code, seen.err.retryable })
          assert.equal("-ERR [SYS/TEMP] not now", tostring(seen.err))
          usable(conn)
        end)
      end)

      it("gets no more than max_octets, and no success", function()
        play(door, {
          { name = "a little over", limit = #MAIL - 1, usable = true,
            steps = with_again { "C: RETR 1", { send = WIRE } } },
          { name = "exactly", limit = #MAIL, whole = true, usable = true,
            steps = with_again { "C: RETR 1", { send = WIRE } } },
          { name = "far over", limit = 1000,
            steps = { "C: RETR 1", "S: +OK",
              { send = ("x"):rep(65534) .. "\r\n", times = 20 }, "S: .", { eof = true } } },
        }, function(case, conn)
          local seen = sink.receive(conn, 1, { max_octets = case.limit })
          assert.equal(case.whole or false, seen.complete or false)
          assert.equal(1, seen.told)
          if not case.whole then
            assert.same({ "limit", "octets" }, { seen.err.kind, seen.err.name })
            assert.truthy(tostring(seen.err):find("max_octets = " .. case.limit, 1, true))
            assert.is_true(#(seen.text or "") <= case.limit)
          end
          if case.usable then usable(conn) else closed(conn) end
        end)
      end)
    end)
  end
end
