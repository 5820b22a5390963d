--- The differential lane: generated sessions against python3's poplib and
-- against our module; both get a server that behaves the same.

local json = require "spec.support.json"
local compare = require "spec.differential.compare"
local files = require "spec.support.files"
local server = require "spec.support.server"
local shell = require "spec.support.shell"

local run = {}

local folder = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
local python = os.getenv("PYTHON") or "python3"

local function program(name, ...)
  local command = { python, folder .. "/" .. name, ... }
  for i, word in ipairs(command) do
    command[i] = files.quote(tostring(word))
  end
  return table.concat(command, " ")
end

local function steps(session)
  return { { send = session.greeting },
           { queue = session.replies, hang_up = session.cut } }
end

--- Run `client(port)` against a server that plays the sessions.
-- @return what the client returns, and what the server received, by session
local function serve(sessions, client)
  local script = { connections = {}, deadline = 300, record = #sessions }
  for i, session in ipairs(sessions) do
    script.connections[i] = steps(session)
  end
  local s = server.start(script)
  local results = client(s.port)
  local received = {}
  for i, connection in ipairs(s:report().connections) do
    received[i] = connection.received
  end
  return results, received
end

local function by_poplib(path, sessions)
  return serve(sessions, function(port)
    return json.decode(shell.output(program("client.py", path, port)))
  end)
end

local function by_us(sessions)
  local client = require "spec.differential.client"
  return serve(sessions, function(port) return client.run(sessions, port) end)
end

--- A difference as somebody who has to find its reason wants it.
local function dump(d)
  return table.concat({
    "session " .. d.session.seed .. ", call " .. json.encode(d.call),
    "  greeting " .. json.encode(d.session.greeting),
    "  reply    " .. json.encode(d.reply),
    "  poplib   " .. json.encode(d.python),
    "  ours     " .. json.encode(d.lua),
  }, "\n")
end

local function count(counts, key) counts[key] = (counts[key] or 0) + 1 end

--- Generate `size` sessions of `seed`, run and compare them.
-- @return how many are equal; how many differ, by the deviation's number;
-- the same by number and text; a list of the unexplained differences
function run.all(seed, size)
  local path = os.tmpname()
  local generated = shell.output(program("generate.py", seed, size))
  local file = assert(io.open(path, "wb"))
  file:write(generated)
  file:close()
  local sessions = json.decode(generated)
  local theirs, theirs_sent = by_poplib(path, sessions)
  local ours, ours_sent = by_us(sessions)
  os.remove(path)
  local equal, numbers, texts, unexplained = 0, {}, {}, {}
  for i, session in ipairs(sessions) do
    local number, why = compare.session(session, theirs[i].outcomes,
      ours[i].outcomes, theirs_sent[i], ours_sent[i])
    if not number then
      equal = equal + 1
    elseif number == "unexplained" then
      unexplained[#unexplained + 1] = dump(why)
    else
      count(numbers, number)
      count(texts, ("%2d  %s"):format(number, why))
    end
  end
  return equal, numbers, texts, unexplained
end

return run
