-- Every way in which the module uses memory, in a state that counts it; what
-- is left open is left to lua_close.
local plain, tls, cafile, folder, nobody = ...
local pop3 = require "pop3"
local safe = require "pop3.safe"
plain, tls = tonumber(plain), tonumber(tls)
local options = { cafile = cafile, timeout = 20 }

local function log_in(conn, secret)
  conn:login("joe", secret or "secret")
  return conn
end

local function implicit(host)
  return log_in(pop3.POP3_SSL(host or "127.0.0.1", tls, options))
end

-- Secrets from everywhere; names, which threads look up; STLS.
local path = folder .. "/password"
local file = assert(io.open(path, "w"))
file:write("secret\n")
file:close()
for _, secret in ipairs {
  pop3.secret { path = path }, pop3.secret { command = "cat " .. path },
  pop3.secret { env = "EMBEDDING_PASSWORD" }, function() return "secret" end,
} do
  local conn = pop3.POP3("localhost", plain, { timeout = 20 })
  conn:stls(pop3.context { cafile = cafile })
  log_in(conn, secret):quit()
end

-- Messages in every shape.
local conn = implicit("localhost")
conn:retr(6)
conn:retr_string(6, { eol = "lf", hash = "sha256" })
conn:retr_to(6, function() end)
conn:retr_to(6, { path = folder .. "/mail" })
file = assert(io.open(folder .. "/other", "wb"))
conn:retr_to(6, file)
file:close()
conn:retr_chunks(6):next()
conn:close()
conn = implicit()
conn:retr_many({ 1, 2, 3 }, function() end)
local listing = conn:listing()
assert(#listing == 6)
for _ in listing:each() do assert(listing[1]) end
local mails = conn:messages { order = "newest", ahead = 4096 }
mails:next():save(folder .. "/saved")
conn:set_debuglevel(2, function() end)
conn:capa()
assert(conn:tls_info().chain[1].pem)
assert(conn:session_export())
conn:quit()

-- Failures.
assert(safe.POP3("127.0.0.1", tonumber(nobody)) == nil)
assert(safe.POP3_SSL("127.0.0.1", tls) == nil) -- a root that nobody trusts
assert(safe.POP3("nowhere.invalid", 110) == nil)
conn = safe.POP3_SSL("127.0.0.1", tls, options)
assert(conn:login("joe", "wrong") == nil)
conn = implicit()
assert(not pcall(conn.retr_to, conn, 6, function() error "no" end))
conn = implicit()
assert(not pcall(conn.retr_to, conn, 6, function() return false end))

-- Left to lua_close: a name that is being looked up, a connection that is idle,
-- one in the midst of a message.
local loop = { wait = function() error "not now" end }
assert(not pcall(pop3.POP3, "localhost", plain, { loop = loop }))
implicit()
conn = implicit()
local left = { conn, conn:retr_lines(6), pop3.secret { env = "EMBEDDING_PASSWORD" } }
left[2]:next()
package.loaded.left = left
