-- What an error of login() says: whatever it is that the server did, the text
-- names the mechanism, what there is and what to do, and the server's line with
-- its code is there, too.
local claims = require "spec.support.claims"
local server = require "spec.support.server"

after_each(server.stop_all)

-- "e=no-resources", in base64.
local NO_RESOURCES = "S: + ZT1uby1yZXNvdXJjZXM="

local function fails(sasl, steps, kind, name, options, secret)
  local all = { "S: +OK ready", "C: CAPA",
    { send = "+OK\r\n" .. sasl .. "\r\n.\r\n" } }
  for _, step in ipairs(steps) do all[#all + 1] = step end
  local _, err = server.talk({ complaints = true, connections = { all } },
    function(conn)
      return claims.fails(kind, name, conn.login, conn, "me",
        secret ~= false and "secret" or nil, options)
    end, { timeout = 20 })
  return err
end

local function says(err, ...)
  for _, words in ipairs { ... } do
    assert.truthy(tostring(err):find(words, 1, true),
      tostring(err) .. "\n  lacks " .. words)
  end
end

local SCRAM = { "SASL SCRAM-SHA-256 LOGIN\r\nUSER" }
local START = { expect = true }

describe("an error of login()", function()
  it("has the code of the line that follows SCRAM's reason", function()
    local err = fails(SCRAM[1], { START, NO_RESOURCES, "C: *",
      "S: -ERR [SYS/TEMP] try later" }, "auth", "refused")
    assert.same({ "SYS/TEMP", true, "-ERR [SYS/TEMP] try later",
      "e=no-resources" }, { err.code, err.retryable, err.response, err.detail })
    says(err, "no-resources", "SCRAM-SHA-256", "SASL SCRAM-SHA-256 LOGIN, USER",
      "try again later")
  end)

  for _, row in ipairs {
    { "a challenge that is no base64", "S: + @@@@", "not base64" },
    { "a message that is none of SCRAM's", "S: + eD15", "nonce" },
  } do
    it("says what else there is behind " .. row[1], function()
      local err = fails(SCRAM[1], { START, row[2], "C: *", "S: -ERR no" },
        "proto", "malformed")
      says(err, "SCRAM-SHA-256: ", row[3], "offers SASL SCRAM-SHA-256 LOGIN",
        "name another by auth")
    end)
  end

  it("names the mechanism though the server hangs up on our cancelling",
    function()
      local err = fails(SCRAM[1], { START, "S: + eD15", "C: *",
        { close = true } }, "proto", "malformed")
      assert.equal("SCRAM-SHA-256", err.mechanism)
    end)

  it("keeps OAuth's reason where +OK comes all the same", function()
    local err = fails("SASL XOAUTH2", { "C: AUTH XOAUTH2", "S: + ",
      { expect = true }, "S: + eyJzdGF0dXMiOiI0MDAifQ==", { expect = true },
      "S: +OK" }, "auth", "refused", { token = "t" }, false)
    assert.equal('{"status":"400"}', err.detail)
  end)

  it("says that the mechanism is not known, and not to check the password",
    function()
      local err = fails("SASL PLAIN", { { expect = true },
        "S: -ERR Unsupported authentication mechanism" }, "auth", "refused")
      says(err, "name another by auth")
      assert.is_nil(tostring(err):find("check user", 1, true))
    end)

  it("gives the advice of a code that has details behind it", function()
    local err = fails("SASL PLAIN", { { expect = true },
      "S: -ERR [SYS/TEMP/DISK] full" }, "auth", "refused")
    says(err, "may pass: try again later")
  end)

  it("shows all of a line that holds NUL", function()
    local err = fails("SASL PLAIN", { { expect = true },
      { send = "-ERR [AUTH] a\0b\r\n" } }, "auth", "refused")
    says(err, "-ERR [AUTH] a\\x00b (login by PLAIN")
  end)

  it("asks what there is before it says that APOP is not", function()
    local err = fails("SASL PLAIN", {}, "proto", "unsupported",
      { auth = "APOP" })
    says(err, "APOP; it offers SASL PLAIN;")
  end)

  it("says of a token, too, that it ends in a line end", function()
    server.talk({ { "S: +OK ready", "C: NOOP", "S: +OK" } }, function(conn)
      local ok, err = pcall(conn.login, conn, "me", nil, { token = "t\n" })
      assert.is_false(ok)
      says(err, "option 'token'", "ends in a line end")
      conn:noop()
    end)
  end)
end)
