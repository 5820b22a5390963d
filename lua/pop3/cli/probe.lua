--- pop3 probe: one page on a server.
--
-- @module pop3.cli.probe

local Door = require "pop3.cli.probe.door"
local document = require "pop3.cli.probe.document"
local interrupt = require "pop3.cli.interrupt"
local json = require "pop3.cli.json"
local output = require "pop3.cli.output"
local page = require "pop3.cli.probe.page"
local problem = require "pop3.cli.problem"
local server = require "pop3.cli.server"

-- What a host without a scheme is asked by.
local BOTH = { "pop3s://", "pop3://" }

local function described(options, url)
  return server.describe(setmetatable({ url = url }, { __index = options }))
end

-- Both ports of a host.
local function both(options, host)
  local found = {}
  for i, scheme in ipairs(BOTH) do
    found[i] = described(options, scheme .. host)
  end
  if found[1].port == found[2].port then
    problem.raise(problem.USAGE, "a port needs a scheme beside it",
      "write pop3s://HOST:PORT (TLS) or pop3://HOST:PORT (STLS)")
  end
  return found
end

-- The parts of each port's URL; one server, because there is one password.
local function targets(options)
  local words = options.url
  if #words == 1 and not words[1]:find("://", 1, true) then
    return both(options, words[1])
  end
  local found = {}
  for i, word in ipairs(words) do
    found[i] = described(options, word)
    if found[i].host ~= found[1].host or found[i].user ~= found[1].user then
      problem.raise(problem.USAGE, "one server and one user at a time")
    end
  end
  return found
end

-- For one login, if there is somebody to log in and something to do it with.
local function credentials(options, parts)
  if not parts.user then return nil end
  return server.given(parts, options)
end

local function check(options)
  if options.json then json.check() end
  if options.no_verify and not options.pin then
    problem.raise(problem.USAGE, "--no-verify shows nothing without a --pin",
      "probe without it: a certificate that is wrong does not end a probe")
  end
end

--- @treturn number the exit code
return function(options)
  check(options)
  local list = targets(options)
  local run = { credentials = credentials(options, list[1]) }
  local doors = {}
  interrupt.survive_writes()
  for i, parts in ipairs(list) do
    doors[i] = Door.new(parts, options, run)
    doors[i]:probe()
  end
  local found = document.of(doors)
  output.put(options.json and json.encode(found, document.ORDER)
    or page(found))
  output.flush()
  return found.exit
end
