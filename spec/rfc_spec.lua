-- What the RFCs ask of a client (docs/rfc.md) and no other spec claims,
-- through the module.

local server = require "spec.support.server"

after_each(server.stop_all)

local function lines(...)
  return table.concat({ ... }, "\r\n") .. "\r\n.\r\n"
end

describe("RFC 2449", function()
  it("finds STLS in a capability list in any case", function()
    local seen = server.talk({ complaints = true, connections = { { "S: +OK",
      "C: CAPA", { send = lines("+OK", "stls") },
      "C: STLS", "S: -ERR not now",
    } } }, function(conn)
      assert.has_error(function() conn:stls() end)
    end)
    assert.same({ "CAPA", "STLS" }, seen.commands)
  end)

  it("reads a response code in any case, its detail included", function()
    server.talk({ { "S: +OK",
      "C: NOOP", "S: -ERR [Sys/Temp/whatever] later",
    } }, function(conn)
      local ok, err = pcall(conn.noop, conn)
      assert.is_false(ok)
      assert.equal("SYS/TEMP/WHATEVER", err.code)
    end)
  end)

  it("needs no extension to fetch and delete mail", function()
    local seen = server.talk({ { "S: +OK",
      "C: USER joe", "S: +OK", "C: PASS secret", "S: +OK",
      "C: STAT", "S: +OK 1 7", "C: LIST", { send = lines("+OK", "1 7") },
      "C: RETR 1", { send = lines("+OK", "hello") },
      "C: DELE 1", "S: +OK", "C: QUIT", "S: +OK",
    } }, function(conn)
      conn:user("joe")
      conn:pass_("secret")
      assert.equal(1, (conn:stat()))
      conn:list()
      local _, body = conn:retr(1)
      assert.same({ "hello" }, body)
      conn:dele(1)
      conn:quit()
    end)
    assert.same({}, seen.errors)
  end)
end)

describe("RFC 6856", function()
  it("lists languages, and chooses one", function()
    server.talk({ { "S: +OK",
      "C: LANG", { send = lines("+OK languages:", "en English", "de Deutsch") },
      "C: LANG de", "S: +OK de Sprache gewechselt",
      "C: LANG *", "S: +OK en English again",
    } }, function(conn)
      local _, list = conn:lang()
      assert.same({ "en English", "de Deutsch" }, list)
      assert.equal("+OK de Sprache gewechselt", (conn:lang("de")))
      assert.equal("+OK en English again", (conn:lang("*")))
    end)
  end)

  it("switches to UTF-8 and takes what then comes", function()
    server.talk({ { "S: +OK",
      "C: UTF8", "S: +OK",
      "C: RETR 1", { send = lines("+OK", "Subject: \195\188ber", "", "\195") },
    } }, function(conn)
      assert.equal("+OK", (conn:utf8()))
      local _, body = conn:retr(1)
      assert.same({ "Subject: \195\188ber", "", "\195" }, body)
    end)
  end)
end)
