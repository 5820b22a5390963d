--- What was announced, remembered in the caller's table: it saves the question,
-- and holds only where it was learnt: this host and port, in clear or under
-- TLS, before or after the login (RFC 2449 5, RFC 2595 4). From whom, and by
-- which way, is in cache_keys_spec.lua.
local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

local CAPA = { send = "+OK\r\nTOP\r\nUIDL\r\n.\r\n" }
local OTHER = { send = "+OK\r\nTOP\r\nPIPELINING\r\n.\r\n" }

local EOF = { eof = true }

local TLS = "tls by chain+name as 127.0.0.1"

local function start(...)
  return server.start { connections = { ... } }
end

--- What one connection knows of its server.
local function ask(open, s, cache)
  local conn = open("127.0.0.1", s.port,
                    { timeout = 5, cafile = certificates.cafile, cache = cache })
  local found = conn:capabilities()
  conn:close()
  return found
end

local function keys(cache)
  local list = {}
  for key in pairs(cache) do list[#list + 1] = key:gsub("^.*:%d+ ", "") end
  table.sort(list)
  return list
end

describe("the capability cache", function()
  after_each(server.stop_all)

  it("saves a question", function()
    local s = start({ "S: +OK ready", "C: CAPA", CAPA }, { "S: +OK ready", EOF })
    local cache = {}
    local first = ask(pop3.POP3, s, cache)
    assert.same(first, ask(pop3.POP3, s, cache))
    assert.is_not_nil(first.UIDL)
    assert.same({ "clear" }, keys(cache))
    assert.equal(0, s:report().failed)
  end)

  for name, capa in pairs { without = CAPA, with = OTHER } do
    it("lets a login end on a server " .. name .. " PIPELINING", function()
      local s = start({ "S: +OK ready",
                        { auto = { { "CAPA", capa.send },
                                   { ".*", "+OK\r\n" } } } })
      local conn = pop3.POP3("127.0.0.1", s.port, { timeout = 5, cache = {} })
      assert.equal("+OK", conn:login("me", "secret"))
      conn:quit()
      assert.equal(0, s:report().failed)
    end)
  end

  it("does not carry what came in clear over to TLS", function()
    local tls = { tls = certificates.server "ip" }
    local s = start({ "S: +OK ready", "C: CAPA", CAPA },
                    { tls, "S: +OK ready", "C: CAPA", OTHER },
                    { tls, "S: +OK ready", EOF })
    local cache = {}
    ask(pop3.POP3, s, cache)
    local found = ask(pop3.POP3_SSL, s, cache)
    assert.is_not_nil(found.PIPELINING)
    assert.is_nil(found.UIDL)
    assert.same(found, ask(pop3.POP3_SSL, s, cache))
    assert.same({ "clear", TLS }, keys(cache))
    assert.equal(0, s:report().failed)
  end)

  it("does not carry what came in clear over to STLS", function()
    local stls = { send = "+OK\r\nSTLS\r\nUIDL\r\n.\r\n" }
    local s = start({ "S: +OK ready", "C: CAPA", stls, "C: STLS", "S: +OK",
                      { tls = certificates.server "ip" }, "C: CAPA", OTHER })
    local key = "127.0.0.1:" .. s.port .. " clear"
    local cache = { [key] = "STLS\nUIDL\n" }
    local conn = pop3.POP3("127.0.0.1", s.port, {
      timeout = 5, cafile = certificates.cafile, cache = cache })
    conn:stls { cafile = certificates.cafile }
    assert.is_nil(conn:capabilities().UIDL)
    conn:close()
    assert.equal(0, s:report().failed)
  end)

  for _, way in ipairs { "starttls", "opportunistic" } do
    it("saves the question before STLS, " .. way, function()
      local stls = { send = "+OK\r\nSTLS\r\nXCLEAR\r\n.\r\n" }
      local tls = { tls = certificates.server "ip" }
      local s = start({ "S: +OK ready", "C: CAPA", stls, "C: STLS", "S: +OK",
                        tls, "C: CAPA", OTHER, EOF },
                      { "S: +OK ready", "C: STLS", "S: +OK", tls, EOF })
      local function open(host, port, options)
        options.tls = way
        return pop3.POP3(host, port, options)
      end
      local cache = {}
      local found = ask(open, s, cache)
      assert.same({ true, nil }, { found.pipelining, found.XCLEAR })
      assert.same({ "clear", TLS }, keys(cache))
      assert.same(found, ask(open, s, cache))
      assert.equal(0, s:report().failed)
    end)
  end

  it("is not asked by TLS what was said in clear", function()
    local s = start({ { tls = certificates.server "ip" }, "S: +OK ready",
                      "C: CAPA", OTHER })
    local cache = { ["127.0.0.1:" .. s.port .. " clear"] = "XCLEAR\nSTLS\n" }
    local found = ask(pop3.POP3_SSL, s, cache)
    assert.same({ true, nil }, { found.pipelining, found.XCLEAR })
    assert.equal(0, s:report().failed)
  end)

  it("brings nobody to do without TLS, nor to believe in it", function()
    local s = start({ "S: +OK ready", "C: CAPA", CAPA, EOF },
                    { "S: +OK ready", "C: STLS", "S: -ERR not any more", EOF })
    local key = "127.0.0.1:" .. s.port .. " clear"
    local err = claims.fails("proto", "unsupported", pop3.POP3, "127.0.0.1",
      s.port, { timeout = 5, tls = "starttls", cache = { [key] = "UIDL\n" } })
    assert.equal("-ERR STLS not supported by server", tostring(err))
    claims.fails("proto", "refused", pop3.POP3, "127.0.0.1", s.port,
      { timeout = 5, tls = "starttls", cache = { [key] = "STLS\n" } })
    assert.equal(0, s:report().failed)
  end)

  it("holds for before the login or for after it", function()
    local s = start({ "S: +OK ready", "C: CAPA", CAPA, "C: USER me", "S: +OK",
                      "C: PASS secret", "S: +OK", "C: CAPA", OTHER })
    local cache = {}
    local conn = pop3.POP3("127.0.0.1", s.port, { timeout = 5, cache = cache })
    conn:capabilities()
    conn:user "me"
    conn:pass_ "secret"
    assert.is_nil(conn:capabilities().UIDL)
    conn:close()
    assert.same({ "clear", "clear after login" }, keys(cache))
    assert.equal(0, s:report().failed)
  end)

  it("is told once what the server said, and is its owner's again", function()
    local script = { "S: +OK ready", { auto = { { "CAPA", CAPA.send },
                                                { ".*", "+OK\r\n" } } } }
    local s = start(script, script)
    local key = "127.0.0.1:" .. s.port .. " clear"
    for _, known in ipairs { "asked", "UIDL\n" } do
      local cache = { [key] = known ~= "asked" and known or nil }
      local conn = pop3.POP3("127.0.0.1", s.port, { timeout = 5, cache = cache })
      conn:capabilities()
      assert.truthy(cache[key]:find("UIDL", 1, true))
      cache[key] = "PIPELINING\n" -- what another connection has learnt
      conn:noop()
      assert.equal("PIPELINING\n", cache[key], known)
      conn:close()
    end
  end)

  it("asks where its words are none that a server can send", function()
    for _, text in ipairs { "UIDL", "UI\1DL\n", 17, false, {} } do
      local s = start({ "S: +OK ready", "C: CAPA", CAPA })
      local cache = { ["127.0.0.1:" .. s.port .. " clear"] = text }
      assert.is_not_nil(ask(pop3.POP3, s, cache).UIDL)
      assert.equal(0, s:report().failed)
      s:stop()
    end
  end)
end)

-- "y" tells a server that it was seen to offer no -PLUS (RFC 5802 6). One that
-- has got one since the list was made would have to refuse a login that is
-- right: so before it is said of a list that is remembered, CAPA is asked.
describe("A login by what is remembered of TLS", function()
  after_each(server.stop_all)

  local function capa(words)
    return "+OK\r\nSASL " .. words .. "\r\nUSER\r\n.\r\n"
  end

  local UNKNOWN = "-ERR Unsupported authentication mechanism\r\n"

  --- What left, each command without its proof, and what the cache has then.
  local function log_in(known, now, options, answers)
    local auto = { { "CAPA", now and capa(now) or "-ERR no\r\n" },
                   { "PASS .*|AUTH .*", "-ERR [AUTH] no\r\n" },
                   { ".*", "+OK\r\n" } }
    for i, answer in ipairs(answers or {}) do table.insert(auto, i, answer) end
    local s = server.start {
      { { tls = certificates.server "ip" }, "S: +OK ready", { auto = auto } } }
    local key = "127.0.0.1:" .. s.port .. " " .. TLS
    local cache = { [key] = known and "SASL " .. known .. "\nUSER\n" or nil }
    local conn = pop3.POP3_SSL("127.0.0.1", s.port, {
      timeout = 10, cafile = certificates.cafile, cache = cache })
    claims.fails("auth", "refused", conn.login, conn, "me", "secret", options)
    conn:close()
    local left = s:report().connections[1].commands
    for i, line in ipairs(left) do
      left[i] = line:gsub("^AUTH (%S+) (%w%w%w).*$", "AUTH %1 %2")
    end
    return left, cache[key]
  end

  it("asks before it says that there is no -PLUS, and finds the new one",
    function()
      local left, kept = log_in("SCRAM-SHA-256",
        "SCRAM-SHA-256 SCRAM-SHA-256-PLUS")
      assert.same({ "CAPA", "AUTH SCRAM-SHA-256-PLUS cD1" }, left) -- "p="
      assert.equal("SASL SCRAM-SHA-256 SCRAM-SHA-256-PLUS\nUSER\n", kept)
    end)

  it("says so where there is none to this day, after one question", function()
    assert.same({ "CAPA", "AUTH SCRAM-SHA-256 eSw" }, -- "y,,"
                (log_in("SCRAM-SHA-256", "SCRAM-SHA-256 PLAIN")))
  end)

  it("asks, too, where the -PLUS that it knew is unknown now", function()
    assert.same({ "AUTH SCRAM-SHA-512-PLUS cD1", "CAPA",
                  "AUTH SCRAM-SHA-256-PLUS cD1" },
                (log_in("SCRAM-SHA-512-PLUS SCRAM-SHA-256",
                        "SCRAM-SHA-256 SCRAM-SHA-256-PLUS", nil,
                        { { "AUTH SCRAM-SHA-512-PLUS .*", UNKNOWN } })))
  end)

  it("asks once only, where the question is refused", function()
    assert.same({ "CAPA", "USER me", "PASS secret" },
                (log_in("SCRAM-SHA-256", nil)))
  end)

  local rows = {
    ["a -PLUS is known"] = { "SCRAM-SHA-256 SCRAM-SHA-256-PLUS", nil,
      { "AUTH SCRAM-SHA-256-PLUS cD1" } },
    ["no binding is wanted"] = { "SCRAM-SHA-256",
      { channel_binding = "disable" }, { "AUTH SCRAM-SHA-256 biw" } },
    ["it is by PLAIN"] = { "PLAIN", nil, { "AUTH PLAIN AG1" } },
    ["it is by USER"] = { "SCRAM-SHA-256", { auth = "USER" },
      { "USER me", "PASS secret" } },
    ["nothing is known"] = { nil, nil,
      { "CAPA", "AUTH SCRAM-SHA-256 eSw" } },
  }
  for name, row in pairs(rows) do
    it("asks no more than before where " .. name, function()
      assert.same(row[3], (log_in(row[1], "SCRAM-SHA-256", row[2])))
    end)
  end
end)
