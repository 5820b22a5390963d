--- POP3 servers that log in by somebody else's SASL: GNU SASL's ("gsasl":
-- SCRAM-SHA-1, SCRAM-SHA-256, both with -PLUS, CRAM-MD5, PLAIN, LOGIN,
-- EXTERNAL, ANONYMOUS) and Cyrus's ("cyrus": SCRAM-SHA-512 besides, also with
-- -PLUS). Compiled on first use; each ends with this process.
--
--     local servers = require "spec.support.sasl_servers"
--     local missing = servers.missing("gsasl")     -- a reason to be pending
--     after_each(servers.stop_all)
--
--     local s = servers.start("gsasl", { tls = "implicit" })
--     local conn = pop3.POP3_SSL("localhost", s.port, { cafile = s.cafile,
--       servername = s.name })
--     conn:login(s.user, s.password)
--     conn:quit()
--     s:stop()         --> { "COMMAND CAPA ", "COMMAND AUTH SCRAM-SHA-256-PLUS",
--                      --    "ANSWER 212", "ANSWER 0", "COMMAND STAT ", … }
--
-- Options: `tls` ("none", the default; "starttls"; "implicit"), `max_tls`
-- ("1.2"), `mechanisms` (a list in one string: only these), `user`, `password`,
-- `iterations`, `binding` (what -PLUS is offered with: "exporter", "unique",
-- "end-point", "none"; by default what suits the version), `certificate` (a
-- name of certificates.py). After login, only STAT, NOOP, CAPA and QUIT; the
-- mailbox is empty. An ANSWER is a line of AUTH's and its length.

local certificates = require "spec.support.certificates"
local files = require "spec.support.files"
local shell = require "spec.support.shell"

local servers = {}
local Server = {}
Server.__index = Server

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"
local quote = files.quote

local LIBRARIES = {
  gsasl = { header = "gsasl.h", flags = "-lgsasl",
            packages = "libgsasl-dev" },
  cyrus = { header = "sasl/sasl.h", flags = "-lsasl2",
            packages = "libsasl2-dev libsasl2-modules sasl2-bin" },
}

local running = {}

--- A reason for specs to be pending, or nil where there is the library.
function servers.missing(name)
  local library = LIBRARIES[name]
  local _, _, good = shell.run(("echo '#include <%s>' | cc -E -x c - >/dev/null")
                               :format(library.header))
  if good and name == "cyrus" then
    _, _, good = shell.run("PATH=$PATH:/usr/sbin command -v saslpasswd2")
  end
  if good then return nil end
  return ("there is no %s (%s)"):format(name, library.packages)
end

--- Compiled once for all Luas, which may run at the same time.
local function program(name)
  local folder = here .. "../../build/sasl-servers"
  local path = folder .. "/" .. name
  local sources = ("%s %s"):format(quote(here .. "sasl_server.c"),
                                   quote(here .. name .. "_server.c"))
  local fresh = ("for f in %s %s; do [ %s -nt $f ] || exit 1; done")
    :format(sources, quote(here .. "sasl_server.h"), quote(path))
  local _, _, good = shell.run("(" .. fresh .. ")")
  if good then return path end
  shell.succeed(("mkdir -p %s && new=$(mktemp %s/XXXXXX) && "
    .. "cc -std=gnu99 -O1 -Wall -Wextra -o $new %s %s -lssl -lcrypto "
    .. "-lpthread && mv $new %s"):format(quote(folder), quote(folder), sources,
                                         LIBRARIES[name].flags, quote(path)))
  return path
end

local function add_user(folder, user, password)
  shell.succeed("printf %%s %s | PATH=$PATH:/usr/sbin saslpasswd2 -p -c "
                .. "-u spec -f %s %s", password, folder .. "/sasldb2", user)
end

--- End the server.
-- @return what it was told, a line each
function Server:stop()
  if not self.input then return self.lines end
  self.input:close()
  for line in self.output:lines() do self.lines[#self.lines + 1] = line end
  self.output:close()
  self.input = nil
  files.remove_folder(self.folder)
  return self.lines
end

--- Start a server; returns when it listens.
function servers.start(name, options)
  options = options or {}
  local self = setmetatable({
    user = options.user or "joe", password = options.password or "correct-horse",
    host = "127.0.0.1", name = "mail.example.org", lines = {},
    cafile = certificates.cafile, folder = files.make_folder(),
  }, Server)
  if name == "cyrus" then add_user(self.folder, self.user, self.password) end
  local words = { quote(program(name)), "--folder", quote(self.folder),
    "--user", quote(self.user), "--password", quote(self.password),
    "--cert", quote(certificates.file(options.certificate or "exact")),
    "--key", quote(certificates.file("key")) }
  for key, option in pairs{ tls = "--tls", max_tls = "--max-tls",
    mechanisms = "--mechanisms", iterations = "--iterations",
    binding = "--binding" } do
    if options[key] then
      words[#words + 1] = option .. " " .. quote(tostring(options[key]))
    end
  end
  local fifo = self.folder .. "/output"
  shell.succeed("mkfifo -m 600 %s", fifo)
  self.input = assert(io.popen("exec env -u LD_PRELOAD "
    .. table.concat(words, " ") .. " > " .. quote(fifo), "w"))
  self.output = assert(io.open(fifo, "r"))
  self.port = tonumber((self.output:read("*l") or ""):match("^PORT (%d+)$"))
  assert(self.port, name .. " server does not start")
  running[#running + 1] = self
  return self
end

--- End all servers that are still there.
function servers.stop_all()
  for i = #running, 1, -1 do
    running[i]:stop()
    running[i] = nil
  end
end

return servers
