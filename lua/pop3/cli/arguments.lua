--- The command line of bin/pop3, declared.
--
-- @module pop3.cli.arguments

local argparse = require "argparse"
local mechanisms = require "pop3.cli.mechanisms"
local pop3 = require "pop3"
local problem = require "pop3.cli.problem"
local values = require "pop3.cli.values"

local EPILOG = [[
A URL is pop3s://USER@HOST[:PORT] (TLS, port 995), pop3://USER@HOST (STLS,
port 110) or pop://USER;AUTH=MECHANISM@HOST (RFC 2384; STLS too, unless
--allow-cleartext). It never holds the password, which comes from a prompt,
--password-file, --password-command or the variable POP3_PASSWORD.]]

local function seconds(text)
  local number = tonumber(text)
  if number and number > 0 and number < math.huge then return number end
  return nil, "'" .. text .. "' is not a number of seconds, more than 0"
end

local function message_number(text)
  if text:find("^[1-9]%d*$") and #text < 16 then return text end
  return nil, "'" .. text .. "' is not a message number"
end

-- What is given to the shell; an empty one would be a secret that is none.
local function command_of(option)
  return function(text)
    if text:find("%S") then return text end
    return nil, option .. " needs a command"
  end
end

-- Of every command: { option, argument, description, check }.
local OPTIONS = {
  { "--user", "NAME", "Who logs in, whatever the URL says." },
  { "--cafile", "FILE", "Certificates to trust, PEM." },
  { "--capath", "DIR", "A folder of certificates to trust." },
  { "--servername", "NAME", "The name the certificate must have." },
  { "--proxy", "URL", "Connect through it: socks5://HOST[:PORT], "
    .. "http://HOST:PORT (CONNECT), https:// or socks5+tls://.",
    values.proxy },
  { "--proxy-password-command", "COMMAND",
    "Run COMMAND in a shell; what it prints is the proxy's password.",
    command_of "--proxy-password-command" },
  { "--unix-socket", "PATH", "Connect to this socket of the system's." },
}

-- Of the commands that log in.
local LOGIN_OPTIONS = {
  { "--auth", "MECHANISM", "Log in by this one only: PLAIN, SCRAM-SHA-256, "
    .. "XOAUTH2, USER, APOP ...", mechanisms.check },
}

local function whole_number(text)
  local number = text:find("^%d+$") and #text < 10 and tonumber(text)
  if number and number > 0 then return number end
  return nil, "'" .. text .. "' is not a number from 1"
end

local function add_url(command)
  command:argument("url", "The server, see below."):argname("URL")
end

local function add_options(command, rows)
  for _, row in ipairs(rows) do
    local option = command:option(row[1], row[3]):argname(row[2])
    if row[4] then option:convert(row[4]) end
  end
end

-- Who is there, and how to get there.
local function add_way(command, seconds_text)
  add_options(command, OPTIONS)
  command:option("--pin", "A key of the certificates must have this digest, "
    .. "sha256//BASE64; it may be given again.")
    :argname("DIGEST"):count("*"):convert(values.pin)
  command:option("--timeout", seconds_text)
    :argname("SECONDS"):convert(seconds)
end

local function add_login(command)
  add_options(command, LOGIN_OPTIONS)
  command:mutex(
    command:option("--password-file",
      "Read the password from FILE; one line end at its end is dropped.")
      :argname("FILE"),
    command:option("--password-command",
      "Run COMMAND in a shell; what it prints is the password.")
      :argname("COMMAND"):convert(command_of "--password-command"),
    command:option("--token-command",
      "Run COMMAND in a shell; what it prints is an OAuth token.")
      :argname("COMMAND"):convert(command_of "--token-command"))
end

local function add_common(command)
  add_way(command,
    "Give up after SECONDS without an octet (60), or to connect (30).")
  add_login(command)
  command:flag("--srv", "HOST is a mail domain: its signed SRV record (DNSSEC) "
    .. "names server and port.")
  command:flag("--allow-cleartext",
    "Let a pop:// URL do without TLS: others can read the password.")
  command:flag("--no-verify",
    "Do not check the certificate: anybody can pretend to be the server.")
end

local function add_eol(command)
  return command:option("--eol", "Line ends: lf (the default) or crlf.")
    :choices { "lf", "crlf" }
end

local FETCH = [[
Store messages in a Maildir: those of URL (with --maildir), or those of the
accounts in a file: of all, or of those that are NAMEd. Messages that were
stored before are left out.]]

local function add_fetch(parser)
  local fetch = parser:command("fetch", FETCH)
    :summary("Store messages in a Maildir, of one account or of several.")
  fetch:argument("what", "The server, see below; or accounts of the file.")
    :argname("URL or NAME"):args("*")
  fetch:option("--maildir", "The Maildir; it is made where there is none.")
    :argname("DIR")
  fetch:option("--config", "The accounts; otherwise, without a URL, those of "
    .. "$XDG_CONFIG_HOME/pop3/config (~/.config/pop3/config).")
    :argname("FILE")
  fetch:option("--jobs", "Fetch N accounts at once (4).")
    :argname("N"):convert(whole_number):default "4"
  fetch:mutex(
    fetch:flag("--keep", "Leave the messages on the server (the default)."),
    fetch:flag("--delete",
      "Delete each from the server once it is safe on the disk."))
  fetch:flag("--all", "Fetch messages that were stored before as well.")
  fetch:flag("-q --quiet", "Show no progress.")
  add_eol(fetch)
  return fetch
end

local PROBE = [[
Show one page on a server: greeting, TLS, certificate, capabilities, logins,
quirks. For a HOST alone, ports 995 and 110 are asked. At most one login is
tried, with nothing but what the options give, and only where the
certificate was verified. The exit code is 0 if a safe login is possible.]]

local function add_probe(parser)
  local probe = parser:command("probe", PROBE)
    :summary("Show what a server can do, and whether a login is safe.")
  probe:argument("url", "A host; or its ports, each as a URL, see below.")
    :argname("HOST or URL"):args("+")
  probe:flag("--json", "Write JSON.")
  probe:flag("--no-verify", "With --pin: look at the key and at nothing else.")
  add_way(probe, "Give up after SECONDS without an octet (10).")
  add_login(probe)
end

local function declare()
  local parser = argparse("pop3", "Read mail from a POP3 server.", EPILOG)
    :add_help { add_help = "-h --help" }
    :help_max_width(78)
  parser:flag("--version", "Show the version."):action(function()
    print("pop3 (" .. pop3._VERSION .. ")")
    os.exit(0)
  end)
  parser:require_command(true)
  parser:command_target("command")

  local ls = parser:command("ls", "List messages: number, octets, UID.")
  add_url(ls)
  add_common(ls)
  local get = parser:command("get", "Write message N to standard output.")
  get:argument("number", "Which message."):argname("N")
    :convert(message_number)
  add_url(get)
  add_common(get)
  add_eol(get):default "lf"
  add_common(add_fetch(parser))
  local capa = parser:command("capa", "Show what the server can do.")
  add_url(capa)
  add_common(capa)
  add_probe(parser)
  return parser
end

local NO_PASSWORD = "a password is never taken from the command line, where "
  .. "others can see it"
local OTHER_WAYS = "use --password-file, --password-command, POP3_PASSWORD "
  .. "or the prompt"

--- Options of the command line; raises a problem that says what is wrong.
return function(list)
  for _, word in ipairs(list) do
    if word == "--password" or word:find("^%-%-password=") then
      problem.raise(problem.USAGE, NO_PASSWORD, OTHER_WAYS)
    end
  end
  local ok, result = declare():pparse(list)
  if ok then
    if result.pin and #result.pin == 0 then result.pin = nil end
    return result
  end
  -- A mistyped command may be a URL, and that may hold a password.
  local text = tostring(result):gsub("%S*://%S*", "URL"):gsub("\n", " ")
  problem.raise(problem.USAGE, text, "see pop3 --help")
end
