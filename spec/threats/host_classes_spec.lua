--- threats.md, T50, for objects that are tables: a script that has one of them
-- reaches nothing by it that others have in common with it.
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

after_each(server.stop_all)

local SCRIPT = { { mailbox = {
  messages = { "Subject: one\r\n\r\nx\r\n", "two\r\n" }, open = true,
  capa = { "UIDL", "TOP" },
} } }

local function connect()
  local s = server.start { accepts = 0, keep = 0, connections = { SCRIPT } }
  return pop3.POP3(s.host, s.port, { timeout = 10 })
end

--- One of each kind, by its name.
local function each()
  local objects, readers = {}, connect()
  local messages = connect():messages()
  objects["pop3.task"] = pop3.start(function() end)
  objects["pop3.messages"] = messages
  objects["pop3.message"] = messages:next()
  objects["pop3.reader"] = readers:retr_lines(1)
  objects["pop3.loop.poll"] = require("pop3.loop.poll").new()
  objects["resty.pop3"] = require("resty.pop3"):new()
  local found, luasocket = pcall(require, "pop3.loop.luasocket")
  if found then
    local function nothing() end
    objects["pop3.loop.luasocket.transport"] = luasocket.wrap {
      settimeout = nothing, getfd = nothing }
  end
  return objects
end

describe("T50 The class of an object that is a table", function()
  it("is hidden", function()
    for name, object in pairs(each()) do
      assert.equal("table", type(object))
      assert.equal(name, getmetatable(object))
      assert.is_false((pcall(setmetatable, object, {})))
      assert.is_false((pcall(setmetatable, object, nil)))
    end
  end)

  it("is not among what the object has", function()
    for name, object in pairs(each()) do
      for _, key in ipairs { "__index", "__metatable", "__name", "__call",
        "__tostring", "__close", "__len", "__gc" } do
        assert.is_nil(object[key], name .. "." .. key)
      end
    end
  end)

  it("is not changed by what a script does to its own object", function()
    local first, second = each(), each()
    for name, object in pairs(first) do
      for _, method in ipairs { "step", "cancel", "next", "text", "close",
        "wait", "connect", "send" } do
        local before = second[name][method]
        object[method] = error
        assert.equal(before, second[name][method], name .. ":" .. method)
      end
    end
  end)
end)

describe("T51 The wrong receiver of a task's method", function()
  it("is refused, whatever it says it is", function()
    local task = pop3.start(function() end)
    local forged = setmetatable({ thread = task.thread, connections = {} },
      { __metatable = "pop3.task" })
    for _, receiver in ipairs { {}, forged, "task", 1, print } do
      local err = claims.misuse(task.step, receiver)
      assert.matches("pop3 task expected", err, 1, true)
      claims.misuse(task.cancel, receiver)
    end
    assert.equal("done", task:step())
  end)
end)
