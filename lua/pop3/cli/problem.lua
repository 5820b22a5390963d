--- How the command line fails: one sentence and an exit code of sysexits.h.
--
-- A problem is a table { exit =, text = }; whatever else arrives in the main
-- program's pcall is turned into one by `problem.of`.
--
-- @module pop3.cli.problem

local escape = require("pop3.core").escape

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

-- "kind name", or "kind": the exit code, what to do where the error itself
-- does not say it, what goes before its text, and whether that is all.
local ERRORS = {
  ["auth"] = { P.NO_PERMISSION, "check the user name and the password",
    "the server refused the login: " },
  ["proto"] = { P.PROTOCOL },
  ["proto refused"] = { P.PROTOCOL, nil, "the server refused: " },
  ["proto unsolicited"] = { P.PROTOCOL,
    "do not trust this server: tell its administrator" },
  ["proto unsupported"] = { P.UNAVAILABLE, "the server cannot do that" },
  ["proto proxy"] = { P.PROTOCOL, "check --proxy" },
  ["auth proxy"] = { P.NO_PERMISSION,
    "check the user in --proxy, and --proxy-password-command" },
  ["io proxy"] = { P.UNAVAILABLE, "check host and port" },
  ["closed"] = { P.TEMPORARY, "try again later",
    "the server ended the connection: " },
  ["closed eof"] = { P.TEMPORARY, "try again later",
    "the server ended the connection", true },
  ["limit"] = { P.PROTOCOL, "tell the server's administrator" },
  ["tls"] = { P.PROTOCOL, "ask the server's administrator" },
  ["tls hostname"] = { P.PROTOCOL,
    "use a name of the certificate, in the URL or by --servername" },
  ["tls injection"] = { P.PROTOCOL,
    "somebody may be between you and the server: tell its administrator" },
  ["tls config"] = { P.CONFIGURATION, "check the TLS options" },
  ["timeout"] = { P.TEMPORARY, "check host and port (pop3s:// is for 995, "
    .. "pop3:// for 110), or try again later", "the server is silent: " },
  ["io"] = { P.UNAVAILABLE, "try again later" },
  ["resolve"] = { P.UNAVAILABLE, "check the network, then try again" },
  ["resolve not_found"] = { P.NO_HOST, "check the host's name" },
  ["resolve dnssec"] = { P.PROTOCOL,
    "give the server's name in place of the domain, without --srv" },
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

-- What poplib's short texts want added.
local UNSUPPORTED = {
  STLS = "use pop3s:// if it has TLS on port 995; a pop:// URL with "
    .. "--allow-cleartext sends the password in clear",
  APOP = "use ;AUTH=* over TLS",
}

-- The module's words for what is an option here; and for what is none.
local WORDS = {
  { "check unix_socket", "check --unix-socket" },
  { "put that into pins", "give that as --pin" },
  { "leave srv out", "leave --srv out" },
  { "srv = true", "--srv" },
  { "use cafile$", "use --cafile" },
  { 'auth = "([%w-]+)"', "--auth %1" },
  { "name another by auth", "name another by --auth" },
  { "leave auth out, or name", "leave --auth out, or name" },
  { ", or see min_version and max_version %b()", "" },
  { ", or lower security_level", "" },
  { ": use certfile and keyfile", ", and this command has none to show" },
}

-- The module says what to do in the module's words.
local function in_our_words(text)
  for _, option in ipairs { "cafile", "capath", "servername" } do
    text = text:gsub("%f[%w]" .. option .. ' = "', "--" .. option .. ' "')
      :gsub("%f[%w]use " .. option .. " ", "use --" .. option .. " ")
  end
  for _, row in ipairs(WORDS) do text = text:gsub(row[1], row[2]) end
  return text
end

-- Texts of the module that end with what to do.
local REMEDIES = { "; ", ": use ", ": ask ", ": connect " }

local function remedy_of(err, row, text)
  for _, mark in ipairs(REMEDIES) do
    if text:find(mark, 1, true) then return end
  end
  local what = err.name == "unsupported" and text:match("^%-ERR (%u+) not ")
  return UNSUPPORTED[what] or row[2]
end

-- What is behind a slash only adds to what is before (RFC 2449 8).
local function row_of(code)
  return code and (CODES[code] or CODES[code:match("^[^/]*/[^/]*")]
    or CODES[code:match("^[^/]*")])
end

local function of_error(err)
  local row = ERRORS[err.kind .. " " .. err.name] or ERRORS[err.kind]
    or { P.SOFTWARE }
  local text = row[4] and "" or in_our_words(tostring(err))
  local by_code = row_of(err.code)
  local exit = (by_code or row)[1]
  return exit, (row[3] or "") .. text, remedy_of(err, by_code or row, text)
end

-- What the module calls them, where that differs from --NAME.
local OPTIONS = { pins = "pin", token = "token-command" }

-- An option whose value only the module could tell to be wrong.
local function of_option(err)
  local name, reason = tostring(err):match("bad option '(%S+)'.- %((.*)%)")
  if not name then return P.SOFTWARE, "this is a bug: " .. tostring(err) end
  return P.USAGE, ("--%s: %s"):format(OPTIONS[name] or name:gsub("_", "-"),
    reason)
end

--- Is it about where a secret comes from, and not about the server? The reason
-- and the exit code, or nil.
function problem.of_secret(err)
  local reason = type(err) == "table" and tostring(err):match("^secret: (.*)")
  if not reason then return nil end
  local unread = reason:find("^cannot read path ")
  return reason, unread and P.NO_INPUT or P.NO_PERMISSION
end

--- What a caught error is: exit code, text.
function problem.of(err)
  if getmetatable(err) == Problem then return err.exit, err.text end
  if type(err) ~= "table" or not err.kind then return of_option(err) end
  local secret, code = problem.of_secret(err)
  if secret then
    return code, ("no password: %s; check where it comes from"):format(secret)
  end
  local exit, what, remedy = of_error(err)
  return exit, remedy and what .. "; " .. remedy or what
end

--- One line for stderr; what a server said cannot play with the terminal.
function problem.line(text)
  return "pop3: " .. escape(text) .. "\n"
end

return problem
