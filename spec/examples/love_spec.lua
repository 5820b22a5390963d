--- examples/love: in real LÖVE, where there is one, and with a clock of 60 Hz
-- that costs no time.

local child = require "spec.support.child"
local files = require "spec.support.files"
local lua = require "spec.support.lua"
local mailbox = require "spec.support.mailbox"

local quote = files.quote
local root = debug.getinfo(1, "S").source:match("^@(.*/)spec/") or "./"

-- LÖVE is LuaJIT, whose dialect is 5.1's.
if lua.name ~= "luajit" then return end

local COUNT = 12

local function octets_of(box)
  local octets = 0
  for _, mail in ipairs(box:served()) do octets = octets + #mail end
  return octets
end

-- What is said when all of it was fetched.
local function promised(box)
  return ("^%d messages, %d octets, (%%d+) frames\n$"):format(COUNT, octets_of(box))
end

-- A love that draws nothing, sixty times a second by its own clock.
local FAKE = [[
local folder = arg[1]
package.path = folder .. "/?.lua;" .. package.path
local status
local nothing = setmetatable({}, { __index = function() return function() end end })
love = { graphics = nothing, event = { quit = function(code) status = code end } }
function nothing.getDimensions() return 480, 240 end
require "conf"
love.conf({ window = {}, modules = {} })
require "main"
love.load({ select(2, unpack(arg)) })
local poll = require("pop3.core").poll
while not status do
  love.update(1 / 60)
  love.draw()
  poll({}, 0.0005)
end
love.quit()
os.exit(status)
]]

describe("examples/love", function()
  local box

  setup(function()
    box = mailbox.start { "--sample", tostring(COUNT), "--user", "joe",
      "--password", "secret" }
  end)

  teardown(mailbox.stop_all)

  local function environment(password)
    return { POP3_PASSWORD = password, SSL_CERT_FILE = box.ca }
  end

  local function play(password)
    return child.run {
      script = FAKE, env = environment(password),
      arguments = { root .. "examples/love", "127.0.0.1", box.tls, "joe", "--quit" },
    }
  end

  it("fetches a mailbox in frames of 60 Hz", function()
    local result = play("secret")
    assert.equal("", result.err)
    assert.equal(0, result.status)
    local frames = result.out:match(promised(box))
    assert(frames, result.out)
    assert.is_true(tonumber(frames) > 1)
  end)

  it("shows what went wrong", function()
    local result = play("wrong")
    assert.equal(1, result.status)
    assert.truthy(result.out:find("^%-ERR"), result.out)
  end)

  local function has(program)
    local status = os.execute("command -v " .. program .. " >/dev/null")
    return status == true or status == 0
  end

  it("does so in LÖVE", function()
    if os.getenv("LD_PRELOAD") then return pending("nothing is preloaded into LÖVE") end
    if not (has("love") and has("xvfb-run")) then return pending("there is no LÖVE") end
    local words = {}
    for name, value in pairs(environment("secret")) do
      words[#words + 1] = name .. "=" .. quote(value)
    end
    local pipe = io.popen(("env %s SDL_AUDIODRIVER=dummy LUA_PATH=%s LUA_CPATH=%s"
      .. " timeout 60 xvfb-run -a love %sexamples/love 127.0.0.1 %d joe --quit")
      :format(table.concat(words, " "), quote(package.path), quote(package.cpath),
        quote(root), box.tls))
    local output = pipe:read("*a")
    pipe:close()
    assert.truthy(output:match(promised(box)), output)
  end)
end)
