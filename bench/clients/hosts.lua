-- How the benchmark's client runs in each host: what a connection is told, and
-- the function that runs another one to its end.

local hosts = {}

local function at_once(fn) fn() end

hosts.blocking = { options = {}, run = at_once }

hosts.luasocket = { options = { loop = "luasocket" }, run = at_once }

function hosts.poll()
  local loop = require("pop3.loop.poll").new()
  return {
    options = { loop = loop },
    run = function(fn)
      loop:spawn(fn)
      loop:run()
    end,
  }
end

function hosts.cqueues()
  return {
    options = { loop = "cqueues" },
    run = function(fn)
      assert(require("cqueues").new():wrap(fn):loop())
    end,
  }
end

function hosts.luv()
  local uv = require "luv"
  return {
    options = { loop = "luv" },
    run = function(fn)
      local thread = coroutine.create(fn)
      assert(coroutine.resume(thread))
      uv.run()
      assert(coroutine.status(thread) == "dead")
    end,
  }
end

function hosts.copas()
  return {
    options = { loop = "copas" },
    run = function(fn)
      local copas = require "copas"
      local over = false
      copas.addthread(function()
        fn()
        over = true
      end)
      repeat copas.step() until over -- loop() of 1.1.7 has no end
    end,
  }
end

function hosts.task()
  return {
    options = {},
    run = function(fn)
      local task = require("pop3").start(fn)
      local state, err
      repeat
        state, err = task:step(65536, 0.001)
      until state ~= "waiting"
      assert(state == "done", err)
    end,
  }
end

local function find(name)
  local host = hosts[name or "blocking"]
  return type(host) == "function" and host() or host
end

return find
