--- The differential lane: generated sessions against python3's poplib and
-- against our module; both get a server that behaves the same.

local cjson = require "cjson"
local compare = require "spec.differential.compare"
local server = require "spec.support.server"

local run = {}

local folder = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
local python = os.getenv("PYTHON") or "python3"

local function program(name, ...)
  local command = { python, folder .. "/" .. name, ... }
  for i, word in ipairs(command) do
    command[i] = "'" .. tostring(word):gsub("'", "'\\''") .. "'"
  end
  return table.concat(command, " ")
end

local function output_of(command)
  local pipe = assert(io.popen(command, "r"))
  local text = pipe:read("*a")
  pipe:close()
  return text
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
    return cjson.decode(output_of(program("client.py", path, port)))
  end)
end

local function by_us(sessions)
  local client = require "spec.differential.client"
  return serve(sessions, function(port) return client.run(sessions, port) end)
end

--- Generate `count` sessions of `seed`, run and compare them.
-- @return counts by deviation (`equal` for none), texts by number, and a list
-- of unexplained differences
function run.all(seed, count)
  local path = os.tmpname()
  local generated = output_of(program("generate.py", seed, count))
  local file = assert(io.open(path, "wb"))
  file:write(generated)
  file:close()
  local sessions = cjson.decode(generated)
  local theirs, theirs_sent = by_poplib(path, sessions)
  local ours, ours_sent = by_us(sessions)
  os.remove(path)
  local counts, texts, unexplained = { equal = 0 }, {}, {}
  for i, session in ipairs(sessions) do
    local number, text = compare.session(session, theirs[i].outcomes,
      ours[i].outcomes, theirs_sent[i], ours_sent[i])
    number = number or "equal"
    counts[number] = (counts[number] or 0) + 1
    if number == "unexplained" then
      unexplained[#unexplained + 1] = text
    elseif text then
      texts[number .. " " .. text] = (texts[number .. " " .. text] or 0) + 1
    end
  end
  return counts, texts, unexplained
end

return run
