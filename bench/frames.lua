-- How long the steps of a task take, where each frame allows 64 KiB and 1 ms:
-- a distribution in microseconds, in JSON.
-- Usage: lua frames.lua JOB PORT [AUTHORITY]   with an authority: by TLS
--
-- Between two steps the frame is over (2 ms, not 16, so that measuring ends):
-- what the server sends meanwhile is there when the next step begins. Steps
-- that find nothing to do are counted apart.

local pop3 = require "pop3"
local core = require "pop3.core"

local job, port, authority = arg[1], tonumber(arg[2]), arg[3]

local FRAME = 0.002
local OCTETS, SECONDS = 65536, 0.001

-- A step that only asks whether there is something takes less, seconds.
local IDLE = 0.00001

local context = authority and pop3.context { cafile = authority, resume = false }

local function connect()
  if not context then return pop3.POP3("127.0.0.1", port) end
  return pop3.POP3_SSL("127.0.0.1", port, { context = context })
end

local function logged_in()
  local conn = connect()
  conn:login("u", "p", { auth = "USER" })
  return conn
end

local jobs = {}

function jobs.sink()
  local octets = 0
  logged_in():retr_to(1, function(piece) octets = octets + #(piece or "") end)
  return octets
end

function jobs.file()
  local file = assert(io.open("/dev/null", "w"))
  return (logged_in():retr_to(1, file))
end

function jobs.string() return #(logged_in():retr_string(1)) end

function jobs.lines() return #select(2, logged_in():retr(1)) end

function jobs.iterator()
  local reader, count = logged_in():retr_lines(1), 0
  while reader:next() do count = count + 1 end
  return count
end

function jobs.small()
  local conn, numbers = logged_in(), {}
  for i = 1, (conn:stat()) do numbers[i] = i end
  return (conn:retr_many(numbers, function() end))
end

function jobs.each()
  local conn, octets = logged_in(), 0
  for i = 1, math.min((conn:stat()), 1000) do
    octets = octets + #(conn:retr_string(i))
  end
  return octets
end

function jobs.listing() return #logged_in():listing() end

function jobs.handshake()
  for _ = 1, 300 do connect():close() end
end

-- A key of 600,000 iterations is derived, each time.
function jobs.scram()
  for _ = 1, 5 do
    local conn = connect()
    conn:login("u", "p", { auth = "SCRAM-SHA-256" })
    conn:quit()
  end
end

-- ------------------------------------------------------------ measuring

local function at(sorted, part)
  return sorted[math.max(1, math.ceil(#sorted * part))] * 1e6
end

local task = pop3.start(jobs[job])
local times, used, idle = {}, {}, 0
local state, result
repeat
  local before, cpu = core.now(), os.clock()
  state, result = task:step(OCTETS, SECONDS)
  local took, spent = core.now() - before, os.clock() - cpu
  if took < IDLE then
    idle = idle + 1
  else
    times[#times + 1], used[#used + 1] = took, spent
  end
  core.poll({}, FRAME)
until state ~= "waiting"
assert(state == "done", tostring(result))

local function show(samples)
  table.sort(samples)
  return ('{"p50": %.0f, "p99": %.0f, "p999": %.0f, "max": %.0f}'):format(
    at(samples, 0.5), at(samples, 0.99), at(samples, 0.999), at(samples, 1))
end

print(('{"steps": %d, "idle": %d, "wall": %s, "cpu": %s}'):format(#times, idle,
  show(times), show(used)))
