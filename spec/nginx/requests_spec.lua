-- requests_spec.lua - a connection is its request's: what hangs up, is killed
-- or reloaded leaves nothing behind (T33, T39), and nobody else may use it
-- (T34).

local certificates = require "spec.support.certificates"
local nginx = require "spec.support.nginx"
local server = require "spec.support.server"
local socket = require "socket"

local WHOLE = os.getenv "POP3_WHOLE" == "yes"

local function stop_all()
  nginx.stop_all()
  server.stop_all()
end

-- Message 2 never ends; message 3 is large.
local function mail_server(more)
  local mailbox = {
    messages = { "Subject: one\r\n\r\n.dot\r\n", "x\r\n",
      { ("x"):rep(998) .. "\r\n", 1000 } },
    answers = { { "RETR 2", { { send = "+OK\r\n" .. ("half "):rep(100) .. "\r\n" },
      { stall = true } } } },
  }
  for key, value in pairs(more or {}) do mailbox[key] = value end
  return server.start { connections = { { { mailbox = mailbox } } },
    accepts = 0, keep = 0, record = 0, deadline = 590, backlog = 1024 }
end

-- What the specs wait for comes from another process.
local function await(condition, what)
  local deadline = socket.gettime() + 20
  while not condition() do
    assert(socket.gettime() < deadline, what)
    socket.sleep(0.005)
  end
end

-- ------------------------------------------------------------ T33

local STREAM = [[
  local options = { timeout = 20 }
  if ngx.var.arg_tls then
    options.tls, options.cafile, options.servername = "starttls", %q, %q
  end
  local M = require("pop3").POP3("127.0.0.1", %d, options)
  M:login("me", "secret")
  local function pass_on(piece)
    if not piece then return end
    ngx.print(piece)
    local ok, reason = ngx.flush(true)
    if not ok then return nil, reason end
  end
  M:retr_to(tonumber(ngx.var.arg_n), pass_on)
  M:quit()
]]

local COLLECT = 'collectgarbage() collectgarbage() ngx.print("done")'

local RESIDENT_ALLOWED = 1024 * 1024
local WARM_UP = 100

describe("Requests that were hung up", function()
  after_each(stop_all)

  -- `path` again and again, each time left in the middle.
  local function hang_up(count, path, options)
    local s = mail_server(options)
    local host = nginx.start {
      server = options.server,
      content = {
        stream = STREAM:format(certificates.cafile, certificates.name, s.port),
        collect = COLLECT,
      },
    }
    local fds, octets
    local function settle()
      host:get("/collect")
      if fds then
        await(function() return host:descriptors() <= fds end,
          "descriptors are left")
      end
      return host:descriptors(), host:status "VmRSS"
    end
    for i = 1, WARM_UP + count do
      local request = host:open(path)
      assert(request:read(200))
      request:abort()
      if i % 50 == 0 then settle() end
      if i == WARM_UP then
        -- Sessions that end by themselves need a moment.
        await(function()
          fds = host:descriptors()
          socket.sleep(0.05)
          return fds == host:descriptors()
        end, "descriptors settle")
        octets = select(2, settle())
      end
    end
    local more = select(2, settle()) - octets
    assert.is_true(more <= RESIDENT_ALLOWED,
      ("%d requests left %d octets behind"):format(count, more))
  end

  local count = WHOLE and 10000 or 1000

  it("leave nothing, ended by nginx while they wait", function()
    hang_up(count, "/stream?n=2", { server = "lua_check_client_abort on;" })
  end)

  it("leave nothing over TLS", function()
    hang_up(count / 10, "/stream?n=2&tls=1", {
      server = "lua_check_client_abort on;",
      stls = certificates.server "exact",
    })
  end)

  it("leave nothing, ended by themselves", function()
    hang_up(count / 10, "/stream?n=3", {})
  end)
end)

-- ------------------------------------------------------------ T34

local OPEN = [[
  local M = require("pop3").POP3("127.0.0.1", %d)
  M:login("me", "secret")
  package.loaded.shared = M
  package.loaded.reader = M:retr_chunks(3)
  ngx.print(("begun "):rep(100))
  ngx.flush(true)
  while not package.loaded.go do ngx.sleep(0.005) end
  while package.loaded.reader:next() do end
  show(package.loaded.reader.octets)
  show(M:stat())
  show(M:quit())
]]

local FOREIGN = [[
  local M = package.loaded.shared
  local function try(name, fn, ...)
    local results = { pcall(fn, ...) }
    local err = results[2]
    if type(err) == "table" then err = err.kind .. "/" .. err.name end
    show(name, results[1], err)
  end
  try("stat", M.stat, M)
  try("retr", M.retr, M, 1)
  try("next", package.loaded.reader.next, package.loaded.reader)
  try("stop", package.loaded.reader.close, package.loaded.reader)
]]

local MISPLACED = "stat false state/misplaced\nretr false state/misplaced\n"
  .. "next false state/misplaced\nstop true nil\n"

describe("A connection", function()
  after_each(stop_all)

  local function start(more)
    local s = mail_server()
    local content = {
      open = OPEN:format(s.port), foreign = FOREIGN,
      go = "package.loaded.go = true",
      close = "show(package.loaded.shared:close())",
      timer = [[
        local said
        ngx.timer.at(0, function()
          local ok, err = pcall(package.loaded.shared.stat,
            package.loaded.shared)
          said = (ok and "ok" or err.kind .. "/" .. err.name)
        end)
        while not said do ngx.sleep(0.001) end
        show(said)
      ]],
    }
    for name, code in pairs(more or {}) do
      content[name] = code:format(s.port)
    end
    return nginx.start { content = content }, s
  end

  it("is nobody's but its request's, which goes on", function()
    local host = start()
    local owner = host:open("/open")
    assert(owner:read(200))
    assert.equal(MISPLACED, (host:get("/foreign")))
    assert.equal("state/misplaced\n", (host:get("/timer")))
    host:get("/go")
    local body = owner:answer()
    assert.truthy(body:find("1000000\n3 1000025\n+OK bye\n", 1, true),
      body)
  end)

  -- A later request may have the address of the one that it belonged to.
  it("is nobody's once its request is over", function()
    local host = start { begin = [[
      local M = require("pop3").POP3("127.0.0.1", %d)
      M:login("me", "secret")
      package.loaded.shared = M
      package.loaded.reader = { next = function() M:noop() end,
        close = function() end }
    ]] }
    host:get("/begin")
    for _ = 1, 50 do assert.equal(MISPLACED, (host:get("/foreign"))) end
    assert.equal("state/misplaced\n", (host:get("/timer")))
    assert.equal("\n", (host:get("/close")))
  end)

  it("is closed by another request without a touch of its stream", function()
    local host = start()
    local owner = host:open("/open")
    assert(owner:read(200))
    assert.equal("\n", (host:get("/close")))
    host:get("/go")
    local body = owner:answer()
    assert.truthy(body:find("the connection is closed", 1, true), body)
    assert.equal("", host:log():gsub("[^\n]*%[warn%][^\n]*\n", ""))
  end)

  it("is left usable where nginx cannot wait", function()
    local s = mail_server()
    local host = nginx.start { server = ([[location = /later {
      content_by_lua_block {
        local M = require("pop3").POP3("127.0.0.1", %d)
        M:login("me", "secret")
        ngx.ctx.conn = M
        ngx.say("x")
        ngx.say(M:quit())
      }
      header_filter_by_lua_block {
        local ok, err = pcall(ngx.ctx.conn.stat, ngx.ctx.conn)
        package.loaded.filter = tostring(ok) .. " " .. tostring(err)
      }
      log_by_lua_block {
        local ok, err = pcall(ngx.ctx.conn.stat, ngx.ctx.conn)
        package.loaded.log = tostring(ok) .. " " .. err.name
        ngx.ctx.conn:close()
      }
    }]]):format(s.port), content = { said = [[
      show(package.loaded.filter)
      show(package.loaded.log)
    ]] } }
    assert.equal("x\n+OK bye\n", (host:get("/later")))
    assert.equal("false nginx cannot wait in the phase 'header_filter': do it "
      .. "in ngx.timer.at(0, function() ... end)\nfalse closed\n",
      (host:get("/said")))
  end)

  it("survives a new ngx.ctx", function()
    local host = start { ctx = [[
      local M = require("pop3").POP3("127.0.0.1", %d)
      ngx.ctx = {}
      M:login("me", "secret")
      show(M:stat())
    ]] }
    assert.equal("3 1000025\n", (host:get("/ctx")))
  end)

  it("is busy for another light thread", function()
    local host = start { threads = [[
      local M = require("pop3").POP3("127.0.0.1", %d)
      M:login("me", "secret")
      local reading = ngx.thread.spawn(function()
        show(pcall(M.retr, M, 2))
      end)
      local ok, err = pcall(M.stat, M)
      show(ok, err.name)
      ngx.thread.kill(reading)
      ok, err = pcall(M.stat, M)
      show(ok, err.kind)
      M:close()
      show(pcall(M.stat, M))
    ]] }
    assert.equal("false busy\nfalse state\n"
      .. "false stat: the connection is closed\n", (host:get("/threads")))
  end)

  it("that is closed while a light thread waits ends there", function()
    local host, s = start { closing = [[
      local M = require("pop3").POP3("127.0.0.1", %d)
      M:login("me", "secret")
      local transport = require("pop3.core").where(M)
      local reading = ngx.thread.spawn(function()
        show(pcall(M.retr, M, 2))
      end)
      M:close()
      show(transport.sock:getreusedtimes())
      ngx.thread.kill(reading)
    ]], late = [[
      local M = require("pop3").POP3("127.0.0.1", %d, { timeout = 0.1 })
      M:login("me", "secret")
      local transport = require("pop3.core").where(M)
      local reading = ngx.thread.spawn(function()
        return pcall(M.retr, M, 2)
      end)
      M:close()
      local _, ok, err = ngx.thread.wait(reading)
      show(ok, err)
      show(transport.sock:getreusedtimes())
    ]] }
    assert.equal("0\n", (host:get("/closing"))) -- it was waiting
    assert.equal("false retr: the connection is closed\nnil closed\n",
      (host:get("/late")))
    host:stop()
    assert.equal(0, s:report().failed)
  end)

  it("that was being made by a killed light thread is gone", function()
    local s = server.start { connections = { { { stall = true } } },
      accepts = 0 }
    local host = nginx.start { content = { kill = ([[
      local thread = ngx.thread.spawn(function()
        require("pop3").POP3("127.0.0.1", %d)
      end)
      ngx.thread.kill(thread)
      collectgarbage()
      collectgarbage()
      show("killed")
    ]]):format(s.port) } }
    local fds = host:descriptors()
    for _ = 1, 20 do assert.equal("killed\n", (host:get("/kill"))) end
    await(function() return host:descriptors() <= fds end, "it stays")
  end)
end)

-- ------------------------------------------------------------ T39

describe("A reload", function()
  after_each(stop_all)

  it("lets sessions that run finish", function()
    local s = mail_server { stls = certificates.server "exact" }
    local host = nginx.start { content = { session = ([[
      local M = require("pop3").POP3("127.0.0.1", %d, { tls = "starttls",
        cafile = %q, servername = %q })
      M:login("me", "secret")
      local pieces = 0
      M:retr_to(3, function(piece)
        pieces = pieces + 1
        if pieces == 1 then
          ngx.print(("begun "):rep(100))
          ngx.flush(true)
          repeat ngx.sleep(0.005) until ngx.worker.exiting()
        end
      end)
      show(M:stat())
      show(M:quit())
    ]]):format(s.port, certificates.cafile, certificates.name), other = 'show("new")' } }
    local request = host:open("/session")
    assert(request:read(200))
    local before = host:reload()
    assert.not_equal(before, host.worker)
    local body = request:answer()
    assert.truthy(body:find("3 1000025\n+OK bye\n", 1, true), body)
    assert.equal("new\n", (host:get("/other")))
    await(function()
      local file = io.open("/proc/" .. before .. "/fd/0")
      if file then file:close() end
      return not file
    end, "the old worker stays")
  end)
end)
