-- worker_spec.lua - what a worker serves its other users with while sessions
-- run in it: files, memory, time, OpenSSL's error queue, the process itself
-- (T31, T35 to T38, T41).

local certificates = require "spec.support.certificates"
local files = require "spec.support.files"
local nginx = require "spec.support.nginx"
local server = require "spec.support.server"
local shell = require "spec.support.shell"

local quote = files.quote
local here = debug.getinfo(1, "S").source:match("^@(.*/)[^/]*$") or "./"

local WHOLE = os.getenv "POP3_WHOLE" == "yes"
local MIB = 1048576

local function mail_server(more, accepted)
  local mailbox = { messages = { "Subject: one\r\n\r\n.dot\r\n" } }
  for key, value in pairs(more or {}) do mailbox[key] = value end
  return server.start { connections = { { { mailbox = mailbox } } },
    accepts = accepted or 0, deadline = 300, backlog = 1024 }
end

local function stop_all()
  nginx.stop_all()
  server.stop_all()
end

local TRUSTING = ([[
  local trusting = { tls = "starttls", cafile = %q, servername = %q }
]]):format(certificates.cafile, certificates.name)

-- ------------------------------------------------------------ T31, T36

describe("A worker", function()
  after_each(stop_all)

  it("opens no file for the second connection", function()
    local s = mail_server { stls = certificates.server "exact" }
    local log = os.tmpname()
    local host = nginx.start {
      under = "strace -f -qq -e trace=%file -o " .. quote(log),
      content = { session = TRUSTING .. ([[
        local M = require("pop3").POP3("127.0.0.1", %d, trusting)
        M:login("me", "secret")
        show(#M:retr_string(1))
      ]]):format(s.port), mark = 'io.open("/marked")' },
    }
    assert.equal("22\n", (host:get("/session")))
    host:get("/mark") -- whose own file is loaded by now
    host:get("/mark")
    for _ = 1, 3 do assert.equal("22\n", (host:get("/session"))) end
    host:get("/mark")
    host:stop()
    local text = files.read(log)
    os.remove(log)
    local between = text:match('.*/marked"[^\n]*(.*)\n[^\n]*/marked"')
    assert.equal("", between)
  end)

  -- What a library in somebody else's process has no business with.
  it("is left as it is: no signal, atexit, locale, umask, random", function()
    local kept = { "Umask", "SigBlk", "SigIgn", "SigCgt" }
    local s = mail_server { stls = certificates.server "exact" }
    local host = nginx.start { content = { session = TRUSTING .. ([[
      local M = require("pop3").POP3("127.0.0.1", %d, trusting)
      M:login("me", "secret")
      M:retr(1)
      M:quit()
      show(pcall(require("pop3").POP3, "127.0.0.1", 1))
    ]]):format(s.port), locale = [[
      local ffi = require "ffi"
      ffi.cdef "char *setlocale(int category, const char *locale);"
      show(ffi.string(ffi.C.setlocale(6, nil))) -- LC_ALL
    ]] } }
    local function process()
      local text = files.read("/proc/" .. host.worker .. "/status")
      local found = { (host:get("/locale")) }
      for _, key in ipairs(kept) do
        found[#found + 1] = text:match(key .. ":%s*(%S+)")
      end
      return found
    end
    local before = process()
    assert.equal(1 + #kept, #before)
    host:get("/session")
    assert.same(before, process())
  end)

  it("has a library that cannot even name such functions", function()
    local path = here .. "../../build/luajit/pop3/core.so"
    local imported = shell.output("nm -D --undefined-only " .. quote(path))
    assert.truthy(imported:find(" clock_gettime", 1, true), "nm said nothing")
    for _, name in ipairs { "signal", "sigaction", "bsd_signal", "sigprocmask",
      "__sysv_signal", "atexit", "on_exit", "setlocale", "uselocale", "umask",
      "srand", "srandom", "rand", "random", "setenv", "putenv", "chdir", "exit",
      "_exit", "abort", "raise", "kill", "alarm", "setitimer", "fork" } do
      assert.falsy(imported:find(" " .. name .. "%f[^%w_]"), name)
    end
  end)
end)

-- ------------------------------------------------------------ T35

-- Each line: what is done, and how it ends. OpenSSL's queue belongs to nginx
-- and everybody else in the worker.
local TRIES = [[
  local ffi = require "ffi"
  ffi.cdef "unsigned long ERR_peek_error(void);"
  local pop3 = require "pop3"
  local function try(what, fn, ...)
    local ok, err = pcall(fn, ...)
    local name = type(err) == "table" and err.name or "usage"
    show(what, ok and "ok" or name, ffi.C.ERR_peek_error() == 0ULL)
  end
  local function connect(port, options)
    local all = { tls = "starttls" }
    for key, value in pairs(trusting) do all[key] = value end
    for key, value in pairs(options or {}) do all[key] = value end
    return function() return pop3.POP3("127.0.0.1", port, all) end
  end
  local good, cut, plain = $good, $cut, $plain
  try("session", function()
    local M = connect(good)()
    M:login("me", "secret")
    M:retr(1)
    M:quit()
  end)
  try("name", connect(good, { servername = "other.example.org" }))
  try("roots", connect(good, { cafile = "$stranger" }))
  try("file", connect(good, { cafile = "/nowhere" }))
  try("key", connect(good, { certfile = "$root", keyfile = "$key" }))
  try("ciphers", connect(good, { ciphers = "NONE" }))
  try("session data", connect(good, { session = "rubbish" }))
  try("version", connect(good, { max_version = "1.2", min_version = "1.3" }))
  try("digest", function() connect(good)():retr_string(1, { hash = "x" }) end)
  try("plaintext", connect(plain, { tls = "implicit" }))
  try("cut", function()
    local M = connect(cut)()
    M:noop()
  end)
  try("context", pop3.context, { cafile = "/nowhere" })
]]

local ENDS = [[
session ok true
name hostname true
roots certificate true
file config true
key config true
ciphers config true
session data config true
version config true
digest usage true
plaintext handshake true
cut truncated true
context config true
]]

describe("OpenSSL's error queue", function()
  after_each(stop_all)

  local function start()
    local tls = certificates.server "exact"
    local s = mail_server { stls = tls }
    local cut = server.start { connections = { { "S: +OK", "C: CAPA",
      "S: +OK\r\nSTLS\r\n.", "C: STLS", "S: +OK", { tls = tls }, "C: NOOP",
      { close = "abrupt" } } }, accepts = 0 }
    local plain = server.start { connections = { { "S: +OK",
      { close = true } } }, accepts = 0 }
    local values = {
      good = s.port, cut = cut.port, plain = plain.port,
      stranger = certificates.file "unknown-root",
      root = certificates.file "root", key = certificates.file "key",
    }
    return nginx.start {
      content = {
        tries = TRUSTING .. TRIES:gsub("%$(%l+)", values),
        secure = [[
          local sock = ngx.socket.tcp()
          sock:connect("unix:" .. ngx.config.prefix() .. "/tls.sock")
          show(sock:sslhandshake(false, "mail.example.org", true))
          sock:send("GET / HTTP/1.0\r\n\r\n")
          show(sock:receive("*a"):match("[^\n]*$"))
        ]],
      },
      http = ([[
        lua_ssl_trusted_certificate %s;
        lua_ssl_verify_depth 3;
        server {
          listen unix:tls.sock ssl;
          ssl_certificate %s;
          ssl_certificate_key %s;
          location / { return 200 "by TLS"; }
        }]]):format(certificates.cafile, certificates.file "exact",
        certificates.file "key"),
    }
  end

  it("is empty after each call, whatever came of it", function()
    assert.equal(ENDS, (start():get("/tries")))
  end)

  it("is nginx's, whose TLS works beside ours", function()
    local host = start()
    for _ = 1, 3 do
      assert.equal("true\nby TLS\n", (host:get("/secure")))
      host:get("/tries")
    end
  end)
end)

-- ------------------------------------------------------------ T37

describe("A message without end", function()
  after_each(stop_all)

  it("is too large for a string, and streaming is what to do", function()
    local s = server.start { connections = { { "S: +OK", "C: RETR 1",
      { send = "+OK 2147483648 octets\r\n" },
      { send = ("x"):rep(65534) .. "\r\n", times = 40000 } } }, accepts = 0 }
    local limit = not WHOLE and 16 * MIB or nil
    local host = nginx.start {
      http = "lua_socket_buffer_size 64k;",
      content = { get = ([[
        local M = require("pop3").POP3("127.0.0.1", %d, { max_octets = %s })
        local ok, err = pcall(M.retr_string, M, 1)
        show(ok, err.kind, err.name, err.message)
      ]]):format(s.port, tostring(limit)) },
    }
    local before = host:status "VmHWM"
    local body = host:get("/get")
    assert.equal(("false limit octets the message is too large: the limit is "
      .. "max_octets = %d; retr_to takes a message of any size\n"):format(
      limit or 1024 * MIB), body)
    local most = 2 * (limit or 1024 * MIB) + 8 * MIB
    assert.is_true(host:status "VmHWM" - before < most)
  end)
end)

-- ------------------------------------------------------------ T38

describe("1,000 silent sessions", function()
  after_each(stop_all)

  local SESSIONS = 1000

  -- Octets of the worker that each of them holds: what was asked of the
  -- system, touched or not.
  local function held(options, lua_options)
    local s = mail_server(options)
    local host = nginx.start {
      content = { open = ([[
        %s
        local pop3 = require "pop3"
        local list = {}
        for i = 1, %d do
          local M = pop3.POP3("127.0.0.1", %d, %s)
          M:login("me", "secret")
          M:stat()
          list[i] = M
        end
        package.loaded.list = list
        collectgarbage()
        collectgarbage()
        ngx.say(#list)
        ngx.flush(true)
        while not package.loaded.go do ngx.sleep(0.01) end
        for _, M in ipairs(list) do M:close() end
      ]]):format(TRUSTING, SESSIONS, s.port, lua_options),
      warm = ([[
        %s
        for _ = 1, 20 do
          local M = require("pop3").POP3("127.0.0.1", %d, %s)
          M:login("me", "secret")
          M:quit()
        end
        collectgarbage()
        collectgarbage()
      ]]):format(TRUSTING, s.port, lua_options),
      go = "package.loaded.go = true" },
    }
    host:get("/warm")
    local before = host:status "VmData"
    local request = host:open("/open")
    local text = ""
    repeat text = text .. assert(request:read(1)) until text:find("\n1000\n$")
    local each = (host:status "VmData" - before) / SESSIONS
    host:get("/go")
    request:answer()
    return each
  end

  it("hold at most 64 KiB each", function()
    assert.is_true(held({}, "{}") <= 65536)
  end)

  it("hold no more by TLS, OpenSSL's own included", function()
    local tls = certificates.server "exact"
    assert.is_true(held({ stls = tls }, "trusting") <= 65536)
  end)
end)

-- ------------------------------------------------------------ time, T41

-- A light thread counts the turns that it gets while another one is busy.
local TURNS = [[
  local turns, busy = 0, true
  local counting = ngx.thread.spawn(function()
    while busy do
      ngx.sleep(0.001)
      turns = turns + 1
    end
  end)
  local function count(fn, ...)
    local ok, err = pcall(fn, ...)
    busy = false
    ngx.thread.wait(counting)
    return turns, ok, err
  end
]]

describe("Others have their turn", function()
  after_each(stop_all)

  local function turns(s, lua_options, buffer)
    local host = nginx.start {
      http = "lua_socket_buffer_size " .. buffer .. ";",
      content = { get = TRUSTING .. TURNS .. ([[
        local M = require("pop3").POP3("127.0.0.1", %d, %s)
        local turns, ok, err = count(M.retr_to, M, 1, function() end)
        show(turns, ok, err)
      ]]):format(s.port, lua_options) },
    }
    local body = host:get("/get")
    local got = body:match("^(%d+) true")
    return assert(tonumber(got), body)
  end

  local MESSAGE = 128 -- MiB

  local function endless(tls)
    local steps = { "S: +OK", "C: RETR 1", { send = "+OK\r\n" },
      { send = (("x"):rep(1022) .. "\r\n"):rep(64), times = MESSAGE * 16 },
      { send = ".\r\n" } }
    if tls then table.insert(steps, 1, { tls = tls }) end
    return server.start { connections = { steps }, accepts = 0,
      deadline = 120 }
  end

  -- Nothing but the loop's `wait` gives way here: a stream that never does.
  it("while a message flows that is always there", function()
    local host = nginx.start { content = { get = TURNS .. ([[
      local piece = (("x"):rep(1022) .. "\r\n"):rep(64)
      local left = %d
      local replies = { "+OK ready\r\n", "+OK\r\n" }
      local stream = { close = function() end }
      function stream:send(octets) return #octets end
      function stream:receive()
        if #replies > 0 then return table.remove(replies, 1) end
        left = left - 1
        return left >= 0 and piece or ".\r\n"
      end
      local loop = setmetatable({ connect = function() return stream end },
        { __index = require "pop3.loop.nginx" })
      local M = require("pop3").POP3("127.0.0.1", { loop = loop })
      show(count(M.retr_to, M, 1, function() end))
    ]]):format(MESSAGE * 16) } }
    local body = host:get("/get")
    local got = body:match("^(%d+) true")
    assert.is_true(tonumber(got) >= MESSAGE / 4, body)
  end)

  it("while one flows from a server", function()
    assert.is_true(turns(endless(), "{}", "64k") >= MESSAGE / 4)
  end)

  it("while one flows by TLS", function()
    local s = endless(certificates.server "exact")
    assert.is_true(turns(s, '{ tls = "implicit", cafile = trusting.cafile, '
      .. "servername = trusting.servername }", "4k") >= MESSAGE / 4)
  end)

  local program

  setup(function()
    program = os.tmpname()
    local done = os.execute(("cc -O1 -o %s %s -lssl -lcrypto"):format(
      quote(program), quote(here .. "storm.c")))
    assert(done == true or done == 0, "storm.c does not compile")
  end)

  teardown(function() os.remove(program) end)

  local function storm(kind, certificate, seconds)
    local pipe = io.popen(("exec %s %s %s %s"):format(quote(program), kind,
      quote(certificates.file(certificate)),
      quote(certificates.file "key")))
    local port = pipe:read("*l"):match("%d+")
    local host = nginx.start { content = { get = TRUSTING .. TURNS .. ([[
      trusting.tls, trusting.total_timeout = "implicit", %g
      local turns, ok, err = count(function()
        local M = require("pop3").POP3("127.0.0.1", %d, trusting)
        M:noop()
      end)
      show(turns, ok, err.kind, err.name, err)
    ]]):format(seconds, port) } }
    local body = host:get("/get")
    host:stop()
    pipe:close()
    local got, rest = body:match("^(%d+) (.*)\n$")
    return tonumber(got), rest or body
  end

  it("while TLS changes its keys without end", function()
    local got, rest = storm("keys", "exact", 1)
    assert.truthy(rest:find("^false tls protocol")
      or rest:find("^false timeout total"), rest)
    assert.is_true(got >= 1)
  end)

  it("while TLS asks for a new handshake without end", function()
    local got, rest = storm("hello", "exact", 1)
    assert.truthy(rest:find("^false timeout total"), rest)
    assert.is_true(got >= 1)
  end)

  it("and a chain of 60 certificates is read at once", function()
    local _, rest = storm("chain", "exact", 20)
    assert.truthy(rest:find("^false tls truncated")
      or rest:find("^false io econnreset"), rest)
  end)

  it("and one of 60 certificates for 10,000 names is refused", function()
    local _, rest = storm("chain", "crowd", 20)
    assert.truthy(rest:find("excessive message size", 1, true), rest)
  end)
end)
