--- Where a password comes from: a file, a command, the environment or a
-- prompt; never the command line, which others can see. A token of OAuth comes
-- from a command.
--
-- @module pop3.cli.password

local fcntl = require "posix.fcntl"
local termio = require "posix.termio"
local unistd = require "posix.unistd"
local pop3 = require "pop3"
local escape = require("pop3.core").escape
local problem = require "pop3.cli.problem"

local password = {}

local VARIABLE = "POP3_PASSWORD"

-- ------------------------------------------------------------ the prompt

local function without_echo(attributes)
  local quiet = {}
  for key, value in pairs(attributes) do quiet[key] = value end
  local flags = quiet.lflag
  local echo = termio.ECHO
  if math.floor(flags / echo) % 2 == 1 then flags = flags - echo end
  local newline = termio.ECHONL
  if math.floor(flags / newline) % 2 == 0 then flags = flags + newline end
  quiet.lflag = flags
  return quiet
end

local function read_line(fd)
  local parts = {}
  repeat
    local octets, reason = unistd.read(fd, 1024)
    if not octets then
      problem.raise(problem.IO, "cannot read the terminal: " .. reason)
    end
    parts[#parts + 1] = octets
  until octets == "" or octets:find("\n", 1, true)
  return (table.concat(parts):gsub("\n.*", ""))
end

local function attributes_of(fd)
  local attributes = termio.tcgetattr(fd)
  if attributes then return attributes end
  problem.raise(problem.CONFIGURATION, "the terminal cannot hide a password")
end

-- What to do where nobody can be asked.
local INSTEAD = "use --password-file, --password-command or " .. VARIABLE

-- The terminal by its own name: /dev/tty is one file for all of them.
local function open_by_name()
  for fd = 0, 2 do
    local name = unistd.isatty(fd) == 1 and unistd.ttyname(fd)
    if name then
      return fcntl.open(name, fcntl.O_RDWR + fcntl.O_NOCTTY + fcntl.O_CLOEXEC)
    end
  end
end

local WHOLE = { l_type = fcntl.F_WRLCK, l_whence = 0, l_start = 0, l_len = 0 }

-- Two that ask at a time would take one's password for the other, and leave the
-- terminal without echo: the second has seen none. Nobody waits: the first may
-- be stopped.
local function alone_on_terminal(fn, ...)
  local fd = open_by_name()
  local free = not fd or fcntl.fcntl(fd, fcntl.F_SETLK, WHOLE)
  local ok, result = free, nil
  if free then ok, result = pcall(fn, ...) end
  if fd then unistd.close(fd) end
  if not free then
    problem.raise(problem.CONFIGURATION,
      "another command asks for a password on this terminal", INSTEAD)
  end
  if not ok then error(result, 0) end
  return result
end

-- Whatever happens in between, the terminal echoes again.
local function read_quietly(fd, prompt)
  local before = attributes_of(fd)
  local ok, result = pcall(function()
    termio.tcsetattr(fd, termio.TCSAFLUSH, without_echo(before))
    unistd.write(fd, prompt)
    return read_line(fd)
  end)
  termio.tcsetattr(fd, termio.TCSAFLUSH, before)
  if not ok then
    unistd.write(fd, "\n")
    error(result, 0)
  end
  return result
end

--- Ask on the terminal, even when the standard streams are not it.
local function ask(prompt)
  local fd = fcntl.open("/dev/tty", fcntl.O_RDWR + fcntl.O_NOCTTY
    + fcntl.O_CLOEXEC)
  if not fd then
    problem.raise(problem.CONFIGURATION, "no password, and no terminal to "
      .. "ask for one", INSTEAD)
  end
  -- A background job is stopped here, with nothing in its hands.
  termio.tcdrain(fd)
  local ok, result = pcall(alone_on_terminal, read_quietly, fd, prompt)
  unistd.close(fd)
  if not ok then error(result, 0) end
  if result == "" then
    problem.raise(problem.NO_PERMISSION, "no password was given")
  end
  return result
end

-- ------------------------------------------------------------ the choice

local function from_file(path)
  local file, reason = io.open(path, "rb")
  if not file then
    problem.raise(problem.NO_INPUT, "cannot read the password: " .. reason,
      "check --password-file")
  end
  file:close()
  return pop3.secret { path = path }
end

-- What was said where it comes from, or nil.
local function find(options)
  if options.password_file then return from_file(options.password_file) end
  if options.password_command then
    return pop3.secret { command = options.password_command }
  end
  if os.getenv(VARIABLE) and not options.no_environment then
    return pop3.secret { env = VARIABLE }
  end
end

--- What the options name to log in with: `password` or `token`, which are read
-- when they are needed and wiped after it; nil where they name nothing.
function password.given(options)
  if options.token_command then
    return { token = pop3.secret { command = options.token_command } }
  end
  local found = find(options)
  return found and { password = found }
end

--- The password as `given` returns it, from the terminal.
function password.ask(user, host)
  return { password = ask(("Password of %s at %s: "):format(escape(user),
    escape(host))) }
end

return password
