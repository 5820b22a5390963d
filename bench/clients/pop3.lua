-- This module as a client of the benchmark; see bench/README.md.

local pop3 = require "pop3"

local verb, options = arg[1], {}
for i = 2, #arg do
  local name, value = arg[i]:match("^(%w+)=(.*)$")
  options[name] = value
end

local function number(name, otherwise)
  return tonumber(options[name]) or otherwise or 0
end

local function cannot(why)
  io.stderr:write(why, "\n")
  os.exit(77)
end

package.path = arg[0]:gsub("[^/]*$", "?.lua;") .. package.path
local runs, host = pcall(require("hosts"), options.host)
if not runs or not host then cannot("there is no " .. options.host) end

local cache = {} -- what the server can: CAPA is asked once a process

local function connect(more)
  local given = { cache = cache, max_octets = 0 } -- 2 GiB are a job, too
  for name, value in pairs(host.options) do given[name] = value end
  for name, value in pairs(more or {}) do given[name] = value end
  if not options.ca then
    return pop3.POP3("127.0.0.1", number "port", given)
  end
  given.cafile = options.ca
  return pop3.POP3_SSL("127.0.0.1", number "port", given)
end

-- USER and PASS, as the others, without the question what there is.
local function open()
  local conn = connect()
  conn:login("u", "p", { auth = "USER" })
  return conn
end

local out = options.out and assert(io.open(options.out, "wb"))
local octets = 0

-- Every way of delivery: function(conn, first, last).
local deliver = {}

local function count(chunk)
  if chunk then octets = octets + #chunk end
end

local function write(chunk)
  if chunk then
    octets = octets + #chunk
    out:write(chunk)
  end
end

local function numbers(first, last)
  local list = {}
  for n = first, last do list[#list + 1] = n end
  return list
end

function deliver.callback(conn, first, last)
  local sink = out and write or count
  if first == last then return conn:retr_to(first, sink) end
  conn:retr_many(numbers(first, last), {
    sink = function() return sink end,
    done = function(_, _, err) assert(not err, err) end,
  }, { quit = options.quit == "1" or nil })
end

function deliver.string(conn, first, last)
  local take = out and write or count
  if first == last then return take(conn:retr_string(first)) end
  conn:retr_many(numbers(first, last), function(_, text, err)
    take(text or error(err))
  end, { quit = options.quit == "1" or nil })
end

-- A table of lines, as poplib's.
function deliver.lines(conn, first, last)
  for n = first, last do
    local _, lines = conn:retr(n)
    if out then out:write(table.concat(lines, "\r\n"), "\r\n") end
  end
end

local verbs = {}

function verbs.start() return "{}" end

function verbs.fetch()
  local conn = open()
  for _ = 1, number("rounds", 1) do
    deliver[options.deliver](conn, 1, number("messages", 1))
  end
  if options.quit ~= "1" then conn:quit() end
  if out then out:close() end
  if options.deliver == "lines" then return "{}" end
  return ('{"octets": %.0f}'):format(octets)
end

local listings = {}

function listings.iterate(conn)
  local items = 0
  for _, size in conn:listing():each() do
    items, octets = items + 1, octets + size
  end
  return ('{"items": %d, "octets": %.0f}'):format(items, octets)
end

function listings.tables(conn)
  local _, sizes = conn:list()
  local _, uids = conn:uidl()
  assert(#sizes == #uids)
  return "{}"
end

function verbs.listing()
  local conn = open()
  local told = listings[options.as](conn)
  conn:quit()
  return told
end

-- Resuming is the default: what is measured must be what is named.
local function check_resumed(conn)
  local tls = conn:info().tls
  if tls.resumed ~= (options.resume == "1") then cannot("wrong handshakes") end
end

function verbs.session()
  local together = { auth = "USER", stat = true, quit = true }
  local full = options.ca and options.resume ~= "1" and { resume = false }
  local last = number "sessions"
  for i = 1, last do
    local conn = connect(full or nil)
    if options.ca and i == last then check_resumed(conn) end
    conn:login("u", "p", together)
    conn:close()
  end
  return "{}"
end

-- What a program calls that wants a session: the way is chosen by what the
-- server offers, unless it is told.
function verbs.open()
  local given = {
    host = "127.0.0.1", port = number "port", tls = options.ca and "implicit",
    cafile = options.ca, user = "u", password = "p", auth = options.auth,
    cache = cache, stat = true, quit = true,
    channel_binding = "disable", -- the server has none: no CAPA to make sure
  }
  for name, value in pairs(host.options) do given[name] = value end
  for _ = 2, number "sessions" do pop3.open(given):close() end
  given.quit = nil
  local conn = pop3.open(given)
  check_resumed(conn) -- a closed one does not know any more
  conn:quit()
  return "{}"
end

-- All at once, so that no cache could help: it is told what the server can.
function verbs.boxes()
  local found, poll = pcall(require, "pop3.loop.poll")
  if not found then cannot("there is no pop3.loop.poll") end
  local loop, times = poll.new(), {}
  local list = numbers(1, number "messages")
  local begin = pop3.now()
  for i = 1, number "boxes" do
    loop:spawn(function()
      local conn = connect { loop = loop, pipelining = true }
      conn:login("u", "p", { auth = "USER", stat = true })
      conn:retr_many(list, function(_, text) count(assert(text)) end)
      conn:quit()
      times[i] = pop3.now() - begin
    end)
  end
  loop:run()
  table.sort(times)
  return ('{"median_ms": %.2f, "slowest_ms": %.2f}'):format(
    times[math.ceil(#times / 2)] * 1000, times[#times] * 1000)
end

if not verbs[verb] then cannot("no " .. verb) end
local told
host.run(function() told = verbs[verb]() end)
print(told)
