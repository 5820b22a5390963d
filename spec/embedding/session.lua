-- What a state does in threads.c: one session, by a way that depends on the
-- thread, whose end is left to lua_close every other time.
local plain, tls, cafile, thread, round = ...
local pop3 = require "pop3"
local options = { cafile = cafile, timeout = 30 }

local function clear() return pop3.POP3("127.0.0.1", plain, { timeout = 30 }) end
local function named() return pop3.POP3("localhost", plain, { timeout = 30 }) end
local function implicit() return pop3.POP3_SSL("127.0.0.1", tls, options) end

local function stls()
  local conn = named()
  conn:stls(pop3.context { cafile = cafile })
  return conn
end

local ways = { clear, implicit, stls, named }

plain, tls = tonumber(plain), tonumber(tls)
local conn = ways[thread % #ways + 1]()
conn:login("joe", pop3.secret { env = "EMBEDDING_PASSWORD" })
assert(#conn:listing() == 6)
assert(conn:retr_string(6))
if round % 2 == 1 then conn:quit() end

-- A second one by the same options, whose context and session are cached.
if round % 3 == 0 then
  conn = implicit()
  conn:login("joe", "secret")
  local lines = conn:retr_lines(6)
  lines:next() -- and no more: the state is closed in the midst of it
end

-- A lookup that nobody waits for.
local loop = { wait = function() error "not now" end }
assert(not pcall(pop3.POP3, "localhost", plain, { loop = loop }))
