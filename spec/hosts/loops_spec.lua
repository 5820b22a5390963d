--- The adapters themselves: what each does where its loop does not run, where
-- its library is missing, and with descriptors that are closed and used again.

local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

after_each(server.stop_all)

teardown(child.clean)

local function noop_server()
  return server.start { accepts = 0, connections = {
    { "S: +OK", { auto = { { "NOOP", "+OK\r\n" } } } } } }
end

--- A claim that needs a library.
local function with(library, text, fn)
  it(text, function()
    local found = pcall(require, library)
    if not found then return pending("there is no " .. library) end
    fn(require(library))
  end)
end

describe("A loop by name", function()
  for name, library in pairs { cqueues = "cqueues", luv = "luv",
    copas = "copas" } do
    it("says which package is missing: " .. name, function()
      local module = "pop3.loop." .. name
      local loaded, adapter = package.loaded[library], package.loaded[module]
      package.loaded[module], package.loaded[library] = nil, nil
      package.preload[library] = function() error("none here", 0) end
      local text = claims.misuse(pop3.POP3, "127.0.0.1", 1, { loop = name })
      package.preload[library] = nil
      package.loaded[library], package.loaded[module] = loaded, adapter
      assert.truthy(text:find("LuaRocks package '" .. library .. "'", 1, true),
        text)
    end)
  end

  it("of nobody is refused with those that are known", function()
    local text = claims.misuse(pop3.POP3, "127.0.0.1", 1, { loop = "uloop" })
    assert.truthy(text:find("cqueues", 1, true), text)
  end)
end)

describe("cqueues", function()
  with("cqueues", "outside of a controller blocks", function()
    local s = noop_server()
    local conn = pop3.POP3(s.host, s.port, { loop = "cqueues" })
    assert.equal("+OK", conn:noop())
    conn:close()
  end)

  with("cqueues", "forgets a descriptor before it is used again",
    function(cqueues)
      local s, count = noop_server(), 0
      local controller = cqueues.new()
      controller:wrap(function()
        for _ = 1, 20 do
          local conn = pop3.POP3(s.host, s.port, { loop = "cqueues" })
          conn:noop()
          conn:close()
          cqueues.sleep(0) -- now it looks at what it remembers
          count = count + 1
        end
      end)
      claims.within(20, function() assert(controller:loop()) end)
      assert.equal(20, count)
    end)
end)

describe("luv", function()
  -- busted's own coroutines are not the main thread in every Lua
  local function in_main_thread(f, ...)
    local running = coroutine.running
    coroutine.running = function() return nil end -- luacheck: ignore
    local result = { pcall(f, ...) }
    coroutine.running = running -- luacheck: ignore
    if not result[1] then error(result[2], 0) end
  end

  local function is_refused(f, ...)
    local err = claims.fails("state", "misplaced", in_main_thread, f, ...)
    assert.truthy(tostring(err):find("use coroutine.wrap", 1, true), tostring(err))
  end

  with("luv", "in the main thread is an error, before anybody connects",
    function()
      local s = noop_server()
      is_refused(pop3.POP3, s.host, s.port, { loop = "luv" })
      pop3.POP3(s.host, s.port, { loop = false }):close()
      assert.equal(1, #s:report().connections)
    end)

  with("luv", "in the main thread is an error, before anything is said",
    function()
      local uv = require "luv"
      local s, conn = noop_server(), nil
      coroutine.wrap(function()
        conn = pop3.POP3(s.host, s.port, { loop = "luv" })
      end)()
      claims.within(20, function() while not conn do uv.run("once") end end)
      is_refused(conn.noop, conn)
      conn:close()
      assert.equal("", s:report().connections[1].clear)
    end)

  with("luv", "is not loaded by a coroutine, whose stack it would call back on",
    function()
      local loaded = package.loaded
      local luv, loop = loaded.luv, loaded["pop3.loop.luv"]
      loaded.luv, loaded["pop3.loop.luv"] = nil, nil
      local ok, err = coroutine.wrap(function()
        return pcall(require, "pop3.loop.luv")
      end)()
      local again = loaded.luv
      loaded.luv, loaded["pop3.loop.luv"] = luv, loop
      assert.is_false(ok)
      assert.truthy(tostring(err):find("main thread first", 1, true), err)
      assert.is_nil(again)
    end)

  with("luv", "gives way to descriptors, not only to timers", function(uv)
    local loop = require "pop3.loop.luv"
    local s = noop_server()
    local conn, rounds, done = nil, 0, false
    coroutine.wrap(function()
      conn = pop3.safe.POP3(s.host, s.port, { loop = "luv", timeout = 20 })
      conn:noop()
      conn:close()
      done = true
    end)()
    coroutine.wrap(function()
      while not done do
        rounds = rounds + 1
        loop:wait({}, 0)
        if rounds > 1000000 then return end
      end
    end)()
    claims.within(20, function() while not done and uv.run("once") do end end)
    assert.is_true(done)
  end)

  with("luv", "forgets a wait that somebody else has ended", function(uv)
    local loop = require "pop3.loop.luv"
    local got
    local thread = coroutine.create(function()
      loop:wait({}, pop3.now() + 0.02)
      got = coroutine.yield() -- for something of its own
    end)
    coroutine.resume(thread)
    coroutine.resume(thread)
    local timer = uv.new_timer()
    timer:start(100, 0, function()
      timer:stop()
      coroutine.resume(thread, "what it waits for")
    end)
    claims.within(20, function()
      while coroutine.status(thread) ~= "dead" do uv.run("once") end
    end)
    assert.equal("what it waits for", got)
  end)

  -- Its descriptor was closed by somebody, and the number is another's now.
  with("luv", "wakes who waits for a number when another one does", function(uv)
    local loop = require "pop3.loop.luv"
    local s = noop_server()
    local sock, woken = assert(require("socket").connect(s.host, s.port)), 0
    local function wait()
      loop:wait({ { sock:getfd(), "r" } }, pop3.now() + 20)
      woken = woken + 1
    end
    coroutine.wrap(wait)()
    assert.equal(0, woken)
    coroutine.wrap(wait)()
    assert.equal(1, woken)
    claims.within(4, function() while woken < 2 do uv.run("once") end end)
    sock:close()
  end)
end)

describe("copas", function()
  with("copas", "outside of a thread blocks", function()
    local s = noop_server()
    local running = coroutine.running
    coroutine.running = function() return nil end -- luacheck: ignore
    local ok, said = pcall(function()
      local conn = pop3.POP3(s.host, s.port, { loop = "copas" })
      local status = conn:noop()
      conn:close()
      return status
    end)
    coroutine.running = running -- luacheck: ignore
    assert.same({ true, "+OK" }, { ok, said })
  end)
end)

describe("luasocket", function()
  with("socket", "takes a socket that is connected", function(socket)
    local s = noop_server()
    local wrap = require("pop3.loop.luasocket").wrap
    local sock = assert(socket.connect(s.host, s.port))
    local conn = pop3.POP3("mail.example.org", 110, { transport = wrap(sock) })
    assert.equal("+OK", conn:noop())
    conn:close()
    assert.equal("closed", (select(2, sock:send("x"))))
  end)

  with("ssl", "takes a socket under LuaSec, with what it holds back",
    function(ssl)
      local body = ("x"):rep(30000) .. "\r\n"
      local s = server.start { { { tls = certificates.server "exact" },
        "S: +OK", "C: RETR 1", { send = "+OK\r\n" .. body .. ".\r\n" },
        { eof = true } } }
      local sock = assert(require("socket").connect(s.host, s.port))
      sock = assert(ssl.wrap(sock, { mode = "client", protocol = "any",
        verify = "peer", cafile = certificates.cafile }))
      assert(sock:dohandshake())
      local wrap = require("pop3.loop.luasocket").wrap
      local conn = pop3.POP3(certificates.name, 995, { transport = wrap(sock),
        tls = "implicit", tls_engine = "transport" })
      assert.is_true(conn:info().secure)
      assert.is_true(body == (conn:retr_string(1)))
      conn:close()
    end)

  with("socket", "has no TLS of its own", function(socket)
    local s = noop_server()
    local wrap = require("pop3.loop.luasocket").wrap
    local sock = assert(socket.connect(s.host, s.port))
    local err = claims.failure(pop3.POP3, "mail.example.org", 995,
      { transport = wrap(sock), tls = "implicit", tls_engine = "transport" })
    assert.same({ "tls", "handshake" }, { err.kind, err.name })
  end)

  with("socket", "takes nothing but sockets", function()
    local wrap = require("pop3.loop.luasocket").wrap
    for _, other in ipairs { "a name", {}, 7, false } do
      local _, err = pcall(wrap, other)
      assert.truthy(err:find("connected socket expected", 1, true), err)
    end
  end)

  with("socket", "waits where pop3.restrict grants no descriptors", function()
    local s = server.start { { "S: +OK", "C: NOOP", { send = "+" },
      { delay = 0.1 }, { send = "OK\r\n" } } }
    local result = child.run { arguments = { s.host, s.port }, script = [[
      local pop3 = require "pop3"
      local host, port = ...
      pop3.restrict { servers = { host }, transport = true }
      local M = pop3.POP3(host, tonumber(port), { loop = "luasocket" })
      print((M:noop()))
    ]] }
    assert.equal("+OK\n", result.out, result.err)
  end)

  with("socket", "lets an interrupt out of a wait", function(socket)
    local core = require "pop3.core"
    local s = server.start { { "S: +OK", { stall = true } } }
    local wrap = require("pop3.loop.luasocket").wrap
    local conn = pop3.POP3("memory", 110, { timeout = 20,
      transport = wrap(assert(socket.connect(s.host, s.port))) })
    finally(function() debug.sethook() end)
    debug.sethook(function()
      if debug.getinfo(2, "f").func ~= core.poll then return end
      debug.sethook()
      error("interrupted!", 0)
    end, "c")
    local ok, err = pcall(conn.noop, conn)
    assert.same({ false, "interrupted!" }, { ok, err })
    conn:close()
  end)
end)
