--- The program `pop3`: list, read and fetch mail.
--
-- @module pop3.cli

local escape = require("pop3.core").escape
local interrupt = require "pop3.cli.interrupt"
local output = require "pop3.cli.output"
local parse_arguments = require "pop3.cli.arguments"
local problem = require "pop3.cli.problem"
local server = require "pop3.cli.server"

local cli = {}

-- Not %d, which is 32 bits wide in PUC Lua 5.1 on some systems.
local function decimal(count) return ("%.0f"):format(count) end

local put, flush = output.put, output.flush

-- ------------------------------------------------------------ commands

local commands = {
  fetch = require "pop3.cli.fetch",
  probe = require "pop3.cli.probe",
}

function commands.ls(options)
  server.session(options, function(conn, extras)
    local rows, widths = {}, { 1, 1 }
    for number, size, uid in server.listing(conn, extras):each() do
      local row = { decimal(number), size and decimal(size) or "-",
        escape(uid or "-") }
      rows[#rows + 1] = row
      for column = 1, 2 do
        widths[column] = math.max(widths[column], #row[column])
      end
    end
    for _, row in ipairs(rows) do
      put((" "):rep(widths[1] - #row[1]) .. row[1] .. " "
        .. (" "):rep(widths[2] - #row[2]) .. row[2] .. " " .. row[3] .. "\n")
    end
    flush()
  end, { listing = true })
end

local function no_such_message(number, err)
  if type(err) == "table" and err.name == "refused" and not err.code then
    problem.raise(problem.NO_INPUT, "message " .. number .. ": "
      .. tostring(err), "pop3 ls shows which there are")
  end
  error(err, 0)
end

function commands.get(options)
  server.session(options, function(conn)
    local ok, err = pcall(conn.retr_to, conn, options.number, function(chunk)
      if chunk then put(chunk) end
    end, { eol = options.eol })
    if not ok then no_such_message(options.number, err) end
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
  return commands[options.command](options)
end

--- @tparam table list the words of the command line
-- @treturn number the exit code
function cli.main(list)
  local ok, err = pcall(run, list)
  if ok then return err or 0 end -- a code that was explained already
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
