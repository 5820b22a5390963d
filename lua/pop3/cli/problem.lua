--- How the command line fails: one sentence and an exit code of sysexits.h.
--
-- A problem is a table { exit =, text = }; whatever else arrives in the main
-- program's pcall is turned into one by `problem.of`.
--
-- @module pop3.cli.problem

local escape = require "pop3.cli.escape"

local problem = {}

problem.USAGE = 64
problem.DATA = 65
problem.NO_INPUT = 66
problem.NO_HOST = 68
problem.UNAVAILABLE = 69
problem.SOFTWARE = 70
problem.OS = 71
problem.CANNOT_CREATE = 73
problem.IO = 74
problem.TEMPORARY = 75
problem.PROTOCOL = 76
problem.NO_PERMISSION = 77
problem.CONFIGURATION = 78

local Problem = {}

--- Raise a problem.
-- @tparam number exit the exit code
-- @tparam string what what went wrong
-- @tparam[opt] string remedy what to do about it
function problem.raise(exit, what, remedy)
  local text = remedy and what .. "; " .. remedy or what
  error(setmetatable({ exit = exit, text = text }, Problem), 0)
end

local P = problem

-- "kind name", or "kind", to the exit code and what to do.
local ERRORS = {
  ["auth"] = { P.NO_PERMISSION, "check the user name and the password" },
  ["proto"] = { P.PROTOCOL },
  ["proto unsolicited"] = { P.PROTOCOL,
    "do not trust this server: tell its administrator" },
  ["proto unsupported"] = { P.UNAVAILABLE },
  ["closed"] = { P.TEMPORARY, "try again later" },
  ["limit"] = { P.PROTOCOL, "tell the server's administrator" },
  ["tls"] = { P.PROTOCOL },
  ["tls handshake"] = { P.PROTOCOL,
    "check the port (pop3s:// is for 995, pop3:// for 110)" },
  ["tls certificate"] = { P.PROTOCOL,
    "give the right authority by --cafile, or ask the administrator" },
  ["tls hostname"] = { P.PROTOCOL,
    "use a name of the certificate, in the URL or by --servername" },
  ["tls injection"] = { P.PROTOCOL,
    "somebody may be between you and the server: tell its administrator" },
  ["tls insecure"] = { P.PROTOCOL,
    "use pop3s:// or pop3://, or --allow-cleartext if you must" },
  ["tls config"] = { P.CONFIGURATION, "check the TLS options" },
  ["timeout"] = { P.TEMPORARY, "try again later, or with a longer --timeout" },
  ["io"] = { P.UNAVAILABLE,
    "check host and port, and that the server is up" },
  ["resolve"] = { P.NO_HOST, "check the host's name" },
  ["resolve again"] = { P.TEMPORARY, "check the network, then try again" },
  ["memory"] = { P.OS },
}

-- Response codes (RFC 2449, RFC 3206) know better.
local CODES = {
  ["IN-USE"] = { P.TEMPORARY,
    "another session holds the mailbox: try again later" },
  ["LOGIN-DELAY"] = { P.TEMPORARY, "wait before the next login" },
  ["SYS/TEMP"] = { P.TEMPORARY, "try again later" },
  ["SYS/PERM"] = { P.UNAVAILABLE, "ask the server's administrator" },
}

local NO_STLS = "use pop3s:// if it has TLS on port 995; a pop:// URL with "
  .. "--allow-cleartext sends the password in clear"

local function remedy_of(err, row)
  local stls = tostring(err.message):find("STLS", 1, true)
  if err.name == "unsupported" and stls then return NO_STLS end
  return row[2]
end

local function of_error(err)
  local row = CODES[err.code] or ERRORS[err.kind .. " " .. err.name]
    or ERRORS[err.kind] or { P.SOFTWARE }
  return row[1], tostring(err), remedy_of(err, row)
end

--- What a caught error is: exit code, text.
function problem.of(err)
  if getmetatable(err) == Problem then return err.exit, err.text end
  if type(err) ~= "table" or not err.kind then
    return P.SOFTWARE, "this is a bug: " .. tostring(err)
  end
  local exit, what, remedy = of_error(err)
  return exit, remedy and what .. "; " .. remedy or what
end

--- One line for stderr; what a server said cannot play with the terminal.
function problem.line(text)
  return "pop3: " .. escape(text) .. "\n"
end

return problem
