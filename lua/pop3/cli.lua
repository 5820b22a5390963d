--- The program `pop3`: list, read and fetch mail.
--
-- @module pop3.cli

local escape = require("pop3.core").escape
local interrupt = require "pop3.cli.interrupt"
local parse_arguments = require "pop3.cli.arguments"
local problem = require "pop3.cli.problem"
local server = require "pop3.cli.server"

local cli = {}

local EOL = { lf = "\n", crlf = "\r\n" }
local LINES_AT_ONCE = 4096

local function put(text)
  local done, reason = io.stdout:write(text)
  if not done then
    problem.raise(problem.IO, "cannot write to standard output: " .. reason)
  end
end

local function flush()
  local done, reason = io.stdout:flush()
  if not done then
    problem.raise(problem.IO, "cannot write to standard output: " .. reason)
  end
end

-- ------------------------------------------------------------ commands

local commands = { fetch = require "pop3.cli.fetch" }

-- Numbers of messages to UIDs; servers without UIDL exist.
local function uids(conn)
  local found = {}
  if not conn:capabilities().UIDL then return found end
  local _, lines = conn:uidl()
  for _, line in ipairs(lines) do
    local number, uid = line:match("^(%d+) +(.*)$")
    if number then found[number] = uid end
  end
  return found
end

function commands.ls(options)
  server.session(options, function(conn)
    local _, lines = conn:list()
    local uid_of = uids(conn)
    local rows, widths = {}, { 1, 1 }
    for i, line in ipairs(lines) do
      local number, size = line:match("^(%S*) *(%S*)")
      rows[i] = { escape(number), escape(size), escape(uid_of[number] or "-") }
      for column = 1, 2 do
        widths[column] = math.max(widths[column], #rows[i][column])
      end
    end
    for _, row in ipairs(rows) do
      put((" "):rep(widths[1] - #row[1]) .. row[1] .. " "
        .. (" "):rep(widths[2] - #row[2]) .. row[2] .. " " .. row[3] .. "\n")
    end
    flush()
  end)
end

local function retrieve(conn, number)
  local ok, status, lines = pcall(conn.retr, conn, number)
  if ok then return lines end
  if type(status) == "table" and status.name == "refused" and not status.code
  then
    problem.raise(problem.NO_INPUT, "message " .. number .. ": "
      .. tostring(status), "pop3 ls shows which there are")
  end
  error(status, 0)
end

function commands.get(options)
  local eol = EOL[options.eol]
  server.session(options, function(conn)
    local lines = retrieve(conn, options.number)
    for first = 1, #lines, LINES_AT_ONCE do
      local last = math.min(first + LINES_AT_ONCE - 1, #lines)
      put(table.concat(lines, eol, first, last) .. eol)
    end
    flush()
  end)
end

function commands.capa(options)
  local conn = server.connect(server.describe(options), options)
  interrupt.survive_writes()
  local rows = {}
  for name, words in pairs(conn:capa()) do
    local arguments = table.concat(words, " ")
    rows[#rows + 1] = escape(name .. (arguments == "" and "" or " ")
      .. arguments)
  end
  table.sort(rows)
  for _, row in ipairs(rows) do put(row .. "\n") end
  flush()
  conn:quit()
end

-- ------------------------------------------------------------ main

local function run(list)
  interrupt.install()
  local options = parse_arguments(list)
  commands[options.command](options)
end

--- @tparam table list the words of the command line
-- @treturn number the exit code
function cli.main(list)
  local ok, err = pcall(run, list)
  if ok then return 0 end
  local by_signal = interrupt.exit_code(err)
  if by_signal then
    io.stderr:write("pop3: interrupted\n")
    return by_signal
  end
  local exit, text = problem.of(err)
  io.stderr:write(problem.line(text))
  return exit
end

return cli
