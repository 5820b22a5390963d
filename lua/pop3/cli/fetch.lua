--- pop3 fetch: all messages into a Maildir.
--
-- @module pop3.cli.fetch

local Maildir = require "pop3.cli.maildir"
local Progress = require "pop3.cli.progress"
local interrupt = require "pop3.cli.interrupt"
local problem = require "pop3.cli.problem"
local server = require "pop3.cli.server"

local EOL = { lf = "\n", crlf = "\r\n" }

--- The messages that are there, { number =, octets = }, and the octets of all.
local function list(conn)
  local _, lines = conn:list()
  local messages, total = {}, 0
  for i, line in ipairs(lines) do
    local number, size = line:match("^(%d+) +(%d+)")
    if not number then
      problem.raise(problem.PROTOCOL,
        "the server's list is malformed: " .. line, "tell its administrator")
    end
    messages[i] = { number = number, octets = tonumber(size) }
    total = total + messages[i].octets
  end
  return messages, total
end

local function fetch_one(conn, box, number, watch, options)
  local _, lines, octets = conn:retr(number, watch)
  box:deliver(lines, EOL[options.eol])
  if options.delete then conn:dele(number) end -- it is durable now
  return octets
end

local function fetch_all(conn, box, messages, progress, options)
  local watch = { progress = function(octets) progress:advance(octets) end }
  for i, message in ipairs(messages) do
    progress:begin(i, message.octets)
    progress:done(fetch_one(conn, box, message.number, watch, options))
  end
end

-- What was stored before it went wrong is stored; say so in the same line.
local function report(err, progress, committed)
  local exit, text = problem.of(err)
  local kept = committed and "" or ", nothing was deleted from the server"
  problem.raise(exit, ("%s (%d of %d messages are stored%s)"):format(
    text, progress.stored, progress.messages, kept))
end

-- A full disk leaves the session well: QUIT, so that what is durable and
-- marked is not fetched again.
local function commit(conn, options)
  return options.delete and pcall(conn.quit, conn)
end

local function store(conn, options)
  local messages, total = list(conn)
  local box = Maildir.open(options.maildir)
  local progress = Progress.start(#messages, total, options.quiet)
  local ok, err = pcall(fetch_all, conn, box, messages, progress, options)
  box:clean()
  progress:finish()
  if ok then return progress end
  if interrupt.exit_code(err) then error(err, 0) end
  report(err, progress, commit(conn, options))
end

return function(options)
  server.describe(options) -- a wrong URL comes before a wrong folder
  Maildir.check(options.maildir)
  local progress
  server.session(options, function(conn)
    progress = store(conn, options)
  end)
  if options.quiet then return end
  io.stderr:write(("%s stored in %s%s\n"):format(progress:summary(),
    options.maildir, options.delete and ", deleted from the server" or ""))
end
