-- host_spec.lua - pop3 and resty.pop3 inside of nginx: where they work, what
-- they say where they do not, names and times (T30).

local certificates = require "spec.support.certificates"
local dns = require "spec.support.dns"
local nginx = require "spec.support.nginx"
local server = require "spec.support.server"

local function mail_server(more)
  local mailbox = { messages = { "Subject: one\r\n\r\n.dot\r\n" } }
  for key, value in pairs(more or {}) do mailbox[key] = value end
  return server.start { connections = { { { mailbox = mailbox } } },
    accepts = 0 }
end

local function stop_all()
  nginx.stop_all()
  server.stop_all()
end

-- One handler, one answer.
local function answer(code, options)
  options = options or {}
  options.content = { here = code }
  return (nginx.start(options):get("/here"))
end

describe("Inside of nginx", function()
  after_each(stop_all)

  it("pop3 waits by cosockets without being told", function()
    local s = mail_server()
    assert.equal("1 22\nSubject: one/.dot\nnil\n+OK bye\n", answer(([[
      local M = require("pop3").POP3("127.0.0.1", %d)
      M:user("me")
      M:pass_("secret")
      show(M:stat())
      local _, lines = M:retr(1)
      show(lines[1] .. "/" .. lines[3])
      show(M:fd())
      show(M:quit())
    ]]):format(s.port)))
  end)

  it("resty.pop3 has the habits of lua-resty libraries", function()
    local s = mail_server { stls = certificates.server "exact" }
    assert.equal(
      "nil stat: not initialized (connect comes first) state misplaced\n"
        .. "true\n+OK logged in\n1 22\nTLSv1.3\nnil -ERR no such message refused\n"
        .. "+OK bye\nnil closed closed\n", answer(([[
      local pop3 = require "resty.pop3"
      local c = pop3:new { tls = "starttls", cafile = %q }
      local _, message, err = c:stat()
      show(_, message, err.kind, err.name)
      c:set_timeouts(1000, 2000, 3000)
      show(c:connect("127.0.0.1", %d, { servername = %q }))
      show((c:login("me", "secret")))
      show(c:stat())
      show(c:info().tls.version)
      _, message, err = c:retr_string(9)
      show(_, message, err.name)
      show(c:quit())
      _, message, err = c:stat()
      show(_, message, err.name)
    ]]):format(certificates.cafile, s.port, certificates.name)))
  end)

  it("resty.pop3 logs in by one call, which may wait for the password",
    function()
      local s = mail_server { stls = certificates.server "exact" }
      assert.equal("true 1\n1 22\n+OK bye\nnil econnrefused\n"
        .. "nil not initialized state\ntrue nil\nTLSv1.3\n"
        .. "bad argument #1 to 'open'\nbad argument #2 to 'open'\n",
        answer(([[
          local pop3 = require "resty.pop3"
          local c = pop3:new { cafile = %q, servername = %q }
          local function password() ngx.sleep(0.001) return "secret" end
          local ok, extras = c:open("pop3://me@127.0.0.1:%d/",
            { password = password, stat = true })
          show(ok, extras.stat.count)
          show(c:stat())
          show(c:quit())
          local _, message, err = c:open { host = "127.0.0.1", port = %d,
            user = "me", password = password }
          show(_, err.name)
          _, message, err = c:stat()
          show(_, message:match "not initialized", err.kind)
          show(c:open { host = "127.0.0.1", port = %d, tls = "starttls",
            user = "me", password = password })
          show(c:info().tls.version)
          for _, wrong in ipairs { { 17 }, { "pop3s://me@h", 17 } } do
            _, message = pcall(c.open, c, wrong[1], wrong[2])
            show(message:match "bad argument #%%d to 'open'")
          end
        ]]):format(certificates.cafile, certificates.name, s.port,
          server.closed_port(), s.port)))
    end)

  it("resty.pop3 keeps no connection alive, and says why", function()
    local s = mail_server()
    assert.equal("true nil\nnil a POP3 session is one user's state\n1 22\n"
      .. "true\ntrue\nclosed\n13 1\n", answer(([[
      local pop3 = require "resty.pop3"
      local c = pop3:new()
      show(c:open { host = "127.0.0.1", port = %d, tls = "none",
        user = "me", password = "secret" })
      local ok, message, err = c:set_keepalive(10000, 100)
      show(ok, message:match "a POP3 session is one user's", err.kind)
      show(c:stat()) show(c:close()) show(c:close()) show((select(2, c:stat())))
      local _, text = pcall(function() return (pop3:new(17)) end)
      show(text:match "lua:(%%d+): bad argument #(%%d) to 'new'")
    ]]):format(s.port)))
  end)

  it("resty.pop3 has every method of a connection", function()
    assert.equal("", answer [[
      local pop3 = require "resty.pop3"
      for name in pairs(require("pop3.core").methods) do
        local _, message, err = pop3:new()[name](pop3:new())
        if not message:find("^" .. name .. ": not initialized")
          or err.kind ~= "state" then show(name, message) end
      end
    ]])
  end)

  it("times are more than 0, and an error names the line", function()
    assert.equal("9 1\n9 2\n9 3\n9 1\n14 1\n", answer [[
      local c = require("resty.pop3"):new()
      for _, case in ipairs { { 0 }, { 1, "2" }, { 1, 2, -1 }, { 0 / 0, 1, 1 } } do
        local _, text = pcall(function()
          c:set_timeouts(case[1], case[2], case[3])
        end)
        show(text:match "lua:(%d+): bad argument #(%d) to 'set_timeouts' %(milli")
      end
      local _, text = pcall(function()
        c:set_timeout "soon"
        return 1
      end)
      show(text:match "lua:(%d+): bad argument #(%d) to 'set_timeouts' %(milli")
    ]])
  end)

  it("milliseconds are milliseconds", function()
    local s = server.start { { { stall = true } }, { "S: +OK", "C: NOOP",
      { stall = true } } }
    local body = answer(([[
      local c = require("resty.pop3"):new()
      local function late(...)
        ngx.update_time()
        local begun = ngx.now()
        local _, message, err = ...
        if type(_) == "function" then _, message, err = _() end
        ngx.update_time()
        local passed = ngx.now() - begun
        show(message, err.name, passed >= 0.19 and passed < 5)
      end
      c:set_timeout(200)
      late(function() return c:connect("127.0.0.1", %d) end)
      c:set_timeout(20000)
      show(c:connect("127.0.0.1", %d))
      c:set_timeouts(20000, 100, 200)
      late(function() return c:noop() end)
    ]]):format(s.port, s.port))
    assert.equal("timeout connect true\ntrue\ntimeout idle true\n", body)
  end)

  it("files would block, so they are refused", function()
    local s = mail_server()
    local body = answer(([[
      local M = require("pop3").POP3("127.0.0.1", %d)
      M:login("me", "secret")
      for _, sink in ipairs { 1, { path = "/nowhere/x" }, io.stdout } do
        show(pcall(M.retr_to, M, 1, sink))
      end
      local message = M:messages():next()
      show(pcall(message.save, message, "/nowhere/x"))
      show(pcall(M.retr_many, M, { 1 }, { sink = function() return 1 end }))
    ]]):format(s.port))
    local count = 0
    for line in body:gmatch("[^\n]+") do
      assert.truthy(line:find("^false") and line:find("would block"), line)
      count = count + 1
    end
    assert.equal(5, count)
  end)
end)

-- ------------------------------------------------------------ phases

local ALLOWED = { "rewrite", "access", "content", "timer", "server_rewrite" }
local REFUSED = { "init", "init_worker", "set", "header_filter", "body_filter",
  "log" }

-- Each phase tries both faces once and keeps what they say. (init has to find
-- the server: it is asked first.)
local TRY = [[
  local tried = package.loaded.tried or {}
  package.loaded.tried = tried
  local phase = ngx.get_phase()
  if not tried[phase] then
    tried[phase] = {}
    local ok, err = pcall(require("pop3").POP3, "127.0.0.1", %d)
    tried[phase][1] = ok and "ok" or err.kind .. "/" .. err.name .. " "
      .. tostring(err)
    local c = require("resty.pop3"):new()
    local fine, message, why = c:connect("127.0.0.1", %d)
    tried[phase][2] = fine and "ok" or why.kind .. "/" .. why.name .. " "
      .. message
  end
]]

describe("Phases of nginx", function()
  local host, s

  teardown(stop_all)

  setup(function()
    s = mail_server()
    local try = TRY:format(s.port, s.port)
    local content = { phases = [[
      local tried = package.loaded.tried
      for phase, said in pairs(tried) do show(phase, said[1], "|", said[2]) end
    ]] }
    local blocks = { "rewrite", "access", "content", "header_filter",
      "body_filter", "log" }
    local lines = {}
    for _, phase in ipairs(blocks) do
      lines[#lines + 1] = phase .. "_by_lua_block {" .. try .. "}"
    end
    host = nginx.start {
      content = content, init = try,
      worker = try .. "ngx.timer.at(0, function() " .. try .. "end)",
      server = "server_rewrite_by_lua_block {" .. try .. "}\n"
        .. "location = /try { set_by_lua_block $x {" .. try
        .. "\nreturn 1 }\n" .. table.concat(lines, "\n") .. "}",
    }
    host:get("/try")
  end)

  local function said(phase)
    return host:get("/phases"):match("%f[^\n%z]" .. phase .. " ([^\n]*)\n")
      or host:log()
  end

  for _, phase in ipairs(ALLOWED) do
    it(phase .. " can wait", function()
      assert.equal("ok | ok", said(phase))
    end)
  end

  for _, phase in ipairs(REFUSED) do
    it(phase .. " cannot, and says so before any octet", function()
      local text = said(phase)
      local one = "state/misplaced 127.0.0.1: nginx cannot wait in the phase '"
        .. phase .. "': do it in ngx.timer.at(0, function() ... end)"
      assert.equal(one .. " | " .. one, text)
    end)
  end

  it("connect only where they can wait", function()
    host:stop()
    assert.equal(2 * #ALLOWED, s:report().accepted)
  end)
end)

-- ------------------------------------------------------------ names, failures

describe("nginx's resolver", function()
  local names

  setup(function() names = dns.start() end)
  after_each(stop_all)
  teardown(function() names:stop() end)

  local function resolver()
    return "resolver 127.0.0.1:" .. names.port .. " ipv6=off;"
  end

  local function failure(host, options)
    return answer(([[
      local ok, err = pcall(require("pop3").POP3, %q, %s)
      if ok then return ngx.print("ok") end
      ngx.print(err.kind, "/", err.name, " ", err.message)
    ]]):format(host, options.arguments), { http = options.http or resolver() })
  end

  it("finds names", function()
    local s = mail_server()
    assert.equal("ok", failure("good.example.org", { arguments = s.port }))
  end)

  for name, expected in pairs {
    missing = "resolve/not_found missing.example.org: missing.example.org "
      .. "could not be resolved (3: Host not found)",
    broken = "resolve/again broken.example.org: broken.example.org could not "
      .. "be resolved (2: Server failure)",
  } do
    it("says that a name is " .. name, function()
      assert.equal(expected, failure(name .. ".example.org",
        { arguments = "110" }))
    end)
  end

  it("is missed in words", function()
    assert.equal('resolve/again x.example.org: no resolver defined to resolve '
      .. '"x.example.org"', failure("x.example.org", { arguments = 110,
      http = "# none" }))
  end)

  it("says that nobody listens", function()
    local text = failure("127.0.0.1", { arguments = server.closed_port() })
    assert.truthy(text:find("^io/econnrefused 127.0.0.1:"), text)
  end)

  it("takes addresses of version 6", function()
    local text = failure("::1", { arguments = server.closed_port() })
    assert.truthy(text:find("^io/econnrefused ::1:"), text)
  end)

  it("never takes a host for a path", function()
    local body = answer [[
      local ok, err = pcall(require("pop3").POP3, "unix:http.sock",
        { timeout = 5 })
      show(ok, err.kind, err.message)
    ]]
    assert.truthy(body:find("^false resolve unix:[^\n]*failed to parse"), body)
  end)

  it("shows no URL that was taken for a host", function()
    local body = answer [[
      local ok, err = pcall(function()
        return require("resty.pop3"):new():connect(
          "pop3s://joe:topmost@mail.example.org", 995, { timeout = 5 })
      end)
      show(ok, err)
    ]]
    assert.truthy(body:find("pop3.open takes URLs", 1, true), body)
    assert.is_nil(body:find("topmost", 1, true), body)
  end)

  -- T30. The silent one is asked first and answers last, in its own time.
  it("does not delay others, and timeouts cover it", function()
    local host = nginx.start {
      http = resolver(),
      content = {
        slow = [[
          ngx.say("begun")
          ngx.flush(true)
          ngx.update_time()
          local begun = ngx.now()
          local ok, err = pcall(require("pop3").POP3, "silent.example.org",
            { connect_timeout = 0.5 })
          ngx.update_time()
          show(ok, err.kind, err.name, ngx.now() - begun < 3)
          package.loaded.over = true
        ]],
        other = "show(package.loaded.over)",
      },
    }
    local slow = host:open("/slow")
    assert(slow:read(15)) -- it has begun
    for _ = 1, 20 do assert.equal("nil\n", (host:get("/other"))) end
    local body = slow:answer()
    assert.truthy(body:find("false timeout connect true", 1, true), body)
    assert.equal("true\n", (host:get("/other")))
  end)
end)

-- ------------------------------------------------------------ a policy

describe("With pop3.restrict inside of nginx", function()
  local names

  setup(function() names = dns.start() end)
  after_each(stop_all)
  teardown(function() names:stop() end)

  local function attempt(policy, host)
    local s = mail_server()
    return answer(([[
      local ok, err = pcall(require("pop3").POP3, %q, %d)
      show(ok or err.kind .. "/" .. err.name .. " " .. err.message)
    ]]):format(host, s.port), {
      init = 'require("pop3").restrict ' .. policy,
      http = "resolver 127.0.0.1:" .. names.port .. " ipv6=off;",
    })
  end

  it("addresses of its servers connect", function()
    assert.equal("true\n", attempt(
      '{ transport = true, servers = { "127.0.0.0/8" } }', "127.0.0.1"))
  end)

  it("other addresses do not", function()
    local said = attempt('{ transport = true, servers = { "10.0.0.0/8" } }',
      "127.0.0.1")
    assert.truthy(said:find("^policy/restricted"), said)
  end)

  it("no name does: nginx does not tell where it leads", function()
    local said = attempt(
      '{ transport = true, servers = { "good.example.org", "127.0.0.0/8" } }',
      "good.example.org")
    assert.truthy(said:find("give the address", 1, true), said)
  end)

  it("nothing does unless streams are allowed", function()
    local said = attempt('{ servers = { "127.0.0.0/8" } }', "127.0.0.1")
    assert.truthy(said:find("transport = false", 1, true), said)
  end)
end)
