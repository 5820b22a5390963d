-- capabilities(): poplib's lists under the names in upper case, and beside them
-- typed fields (RFC 2449 6, RFC 2595, RFC 3206, RFC 5034, RFC 6856). What a
-- server says that means nothing is nothing, never an error.

local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

local unpack = require("spec.support.lua").unpack

after_each(server.stop_all)

--- The lower-case part of what capabilities() makes of these lines, and all.
local function typed(...)
  local answer = "+OK\r\n" .. table.concat({ ... }, "\r\n") .. "\r\n.\r\n"
  local all
  server.talk({ { "S: +OK", "C: CAPA", { send = answer } } }, function(conn)
    all = conn:capabilities()
  end)
  local fields = {}
  for key, value in pairs(all) do
    if key:find("^%l") then fields[key] = value end
  end
  return fields, all
end

-- lines, fields
local rows = {
  { { "TOP", "UIDL", "USER", "STLS", "PIPELINING", "RESP-CODES",
      "AUTH-RESP-CODE", "LANG" },
    { top = true, uidl = true, user = true, stls = true, pipelining = true,
      resp_codes = true, auth_resp_code = true, lang = true } },
  { { "top", "Uidl", "resp-Codes" },
    { top = true, uidl = true, resp_codes = true } },
  { { "LOGIN-DELAY 900" }, { login_delay = 900 } },
  { { "LOGIN-DELAY 120 USER" }, { login_delay = 120, login_delay_user = true } },
  { { "login-delay 0 user" }, { login_delay = 0, login_delay_user = true } },
  { { "EXPIRE 60" }, { expire = 60 } },
  { { "EXPIRE 0" }, { expire = 0 } },
  { { "EXPIRE NEVER" }, { expire = "never" } },
  { { "expire never" }, { expire = "never" } },
  { { "EXPIRE 5 USER" }, { expire = 5, expire_user = true } },
  { { "IMPLEMENTATION Shlemazle-Plotz-v302" },
    { implementation = "Shlemazle-Plotz-v302" } },
  { { "IMPLEMENTATION  Dovecot   POP3d (x) " },
    { implementation = "Dovecot   POP3d (x)" } },
  { { "SASL PLAIN scram-sha-256 LOGIN" },
    { sasl = { PLAIN = true, ["SCRAM-SHA-256"] = true, LOGIN = true } } },
  { { "SASL" }, { sasl = {} } },
  { { "UTF8" }, { utf8 = true } },
  { { "UTF8 USER" }, { utf8 = true, utf8_user = true } },
  -- what nobody can make sense of
  { { "LOGIN-DELAY" }, {} }, { { "LOGIN-DELAY -1" }, {} },
  { { "LOGIN-DELAY x" }, {} }, { { "LOGIN-DELAY 1.5" }, {} },
  { { "LOGIN-DELAY 1e3" }, {} }, { { "LOGIN-DELAY 0x10" }, {} },
  { { "LOGIN-DELAY +60" }, {} }, { { "LOGIN-DELAY USER" }, {} },
  { { "LOGIN-DELAY 18446744073709551616" }, {} },
  { { "LOGIN-DELAY 4294967296" }, {} }, { { "LOGIN-DELAY 1000000000" }, {} },
  { { "LOGIN-DELAY 999999999" }, { login_delay = 999999999 } },
  { { "LOGIN-DELAY " .. ("0"):rep(60) .. "7" }, { login_delay = 7 } },
  { { "LOGIN-DELAY " .. ("9"):rep(400) }, {} },
  { { "EXPIRE" }, {} }, { { "EXPIRE soon" }, {} }, { { "EXPIRE -1" }, {} },
  { { "EXPIRE NEVERMORE" }, {} }, { { "IMPLEMENTATION" }, {} },
  { { "XTOP", "TOPX", "X TOP", "x_top" }, {} },
  -- several lines
  { { "LOGIN-DELAY 60 USER", "LOGIN-DELAY 30" }, { login_delay = 30 } },
  { { "LOGIN-DELAY 60 USER", "LOGIN-DELAY x" },
    { login_delay = 60, login_delay_user = true } },
  { { "EXPIRE 7 USER", "EXPIRE NEVER" }, { expire = "never" } },
  { { "SASL PLAIN", "SASL LOGIN PLAIN" },
    { sasl = { PLAIN = true, LOGIN = true } } },
}

describe("capabilities() has typed fields:", function()
  for _, row in ipairs(rows) do
    local shown = table.concat(row[1], ", "):sub(1, 60)
    it(shown, function()
      assert.same(row[2], (typed(unpack(row[1]))))
    end)
  end

  it("beside the lists", function()
    local _, all = typed("SASL PLAIN LOGIN", "xvendor 1 2", "SASL PLAIN", "17")
    assert.same({ ["17"] = {}, SASL = { "PLAIN" }, XVENDOR = { "1", "2" },
      sasl = { PLAIN = true, LOGIN = true } }, all)
  end)

  it("of a thousand lines", function()
    local lines = {}
    for i = 1, 998 do lines[i] = "LOGIN-DELAY " .. i .. " USER" end
    lines[999], lines[1000] = "EXPIRE 3", "TOP"
    assert.same({ login_delay = 998, login_delay_user = true, expire = 3,
      top = true }, (typed(unpack(lines))))
  end)

  it("of 60 mechanisms", function()
    local names = {}
    for i = 1, 60 do names[i] = "x-" .. i end
    local fields = typed("SASL " .. table.concat(names, " "))
    assert.is_true(fields.sasl["X-1"] and fields.sasl["X-60"])
    assert.is_nil(fields.sasl["X-61"])
  end)

  it("which capa() has not: it is poplib's", function()
    server.talk({ { "S: +OK", "C: CAPA",
      { send = "+OK\r\nTop\r\nLOGIN-DELAY 5\r\n.\r\n" } } }, function(conn)
      assert.same({ Top = {}, ["LOGIN-DELAY"] = { "5" } }, conn:capa())
    end)
  end)
end)

-- ------------------------------------------------------------ codes

--- The error of a NOOP that is answered like this.
local function refusal(line)
  local err
  server.talk({ { "S: +OK", "C: NOOP", "S: " .. line } }, function(conn)
    err = claims.failure(conn.noop, conn)
  end)
  return err
end

describe("A response code", function()
  -- line, code, whether it passes
  local codes = {
    { "-ERR [IN-USE] busy", "IN-USE", true },
    { "-ERR [in-use]", "IN-USE", true },
    { "-ERR [LOGIN-DELAY] slow down", "LOGIN-DELAY", true },
    { "-ERR [SYS/TEMP] later", "SYS/TEMP", true },
    { "-ERR [SYS/TEMP/DISK/FULL] later", "SYS/TEMP/DISK/FULL", true },
    { "-ERR [sys/temp/x]", "SYS/TEMP/X", true },
    { "-ERR [SYS/PERM] never", "SYS/PERM", false },
    { "-ERR [SYS/PERM/GONE] never", "SYS/PERM/GONE", false },
    { "-ERR [AUTH] wrong", "AUTH", false },
    { "-ERR [AUTH/x] wrong", "AUTH/X", false },
    { "-ERR [UTF8] say UTF8 first", "UTF8", false },
    -- none of these
    { "-ERR [SYS/TEMPORARY] x", "SYS/TEMPORARY", false },
    { "-ERR [SYS] x", "SYS", false },
    { "-ERR [IN-USE-OR-SO] x", "IN-USE-OR-SO", false },
    { "-ERR [XVENDOR] x", "XVENDOR", false },
    { "-ERR [timeout] x", "TIMEOUT", false },
    { "-ERR [io] x", "IO", false },
    { "-ERR [two words] x", nil, false },
    { "-ERR [" .. ("X"):rep(100) .. "] x", nil, false },
    { "-ERR SYS/TEMP", nil, false }, { "-ERR", nil, false },
  }
  for _, row in ipairs(codes) do
    it(("says what to do: %s"):format(row[1]:sub(1, 40)), function()
      local err = refusal(row[1])
      assert.same({ row[2], row[3] }, { err.code, err.retryable })
      assert.is_nil(err.retry_after)
    end)
  end

  it("in a greeting counts as well", function()
    for code, passes in pairs { ["SYS/TEMP"] = true, ["SYS/PERM"] = false } do
      local s = server.start { { ("S: -ERR [%s] no"):format(code) } }
      local err = claims.fails("proto", "refused", pop3.POP3, s.host, s.port)
      assert.same({ code, passes }, { err.code, err.retryable })
    end
  end)

  it("in a goodbye says more than that it was one", function()
    for code, passes in pairs { ["SYS/PERM"] = false, ["SYS/TEMP"] = true,
      ["XVENDOR"] = true } do
      local s = server.start { { "S: +OK", "C: NOOP",
        { send = ("+OK\r\n-ERR [%s] bye\r\n"):format(code) }, { close = true },
      } }
      local conn = pop3.POP3(s.host, s.port, { timeout = 20 })
      local ok, err = pcall(conn.noop, conn)
      if ok then err = claims.failure(conn.noop, conn) end
      assert.same({ "goodbye", code, passes },
        { err.name, err.code, err.retryable })
    end
  end)

  it("of success belongs to the status line", function()
    server.talk({ { "S: +OK", "C: NOOP", "S: +OK [XNEWS] hello" } },
      function(conn) assert.equal("+OK [XNEWS] hello", conn:noop()) end)
  end)
end)

-- ------------------------------------------------------------ delays

describe("A login that came too early", function()
  -- By USER alone nobody asks what the server offers.
  local function login(capa, code)
    local steps = { "S: +OK" }
    if capa then
      steps[2], steps[3] = "C: CAPA", { send = "+OK\r\n" .. capa .. "\r\n.\r\n" }
    end
    for _, step in ipairs { "C: USER a", "S: +OK", "C: PASS b",
      ("S: -ERR [%s] not yet"):format(code or "LOGIN-DELAY") } do
      steps[#steps + 1] = step
    end
    local err
    server.talk({ steps }, function(conn)
      err = claims.fails("auth", "refused", conn.login, conn, "a", "b",
        { auth = not capa and "USER" or nil })
    end)
    return err
  end

  it("says how long to wait, where CAPA did", function()
    assert.equal(300, login("LOGIN-DELAY 300").retry_after)
    assert.equal(300, login("login-delay 300 USER").retry_after)
  end)

  it("does not, where CAPA said nothing that makes sense", function()
    for _, capa in ipairs { "TOP", "LOGIN-DELAY", "LOGIN-DELAY -5",
      "LOGIN-DELAY 99999999999", "XLOGIN-DELAY 5", "X LOGIN-DELAY 5" } do
      local err = login(capa)
      assert.same({ true, nil }, { err.retryable, err.retry_after })
    end
  end)

  it("does not, where nobody asked", function()
    assert.is_nil(login(nil).retry_after)
  end)

  it("is none where the reason is another one", function()
    assert.is_nil(login("LOGIN-DELAY 300", "IN-USE").retry_after)
    assert.is_nil(login("LOGIN-DELAY 300", "AUTH").retry_after)
  end)
end)
