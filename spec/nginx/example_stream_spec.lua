-- examples/nginx/stream.conf: the newest message through a real nginx.

local mailbox = require "spec.support.mailbox"
local nginx = require "spec.examples.nginx"
local server = require "spec.support.server"

local MIB = 1048576
local JOE = { user = "otto", password = "correct horse" }

--- The example against a mailbox server, with short timeouts if asked for.
local function web_for(port, ca, changes)
  return assert(nginx.start("stream", {
    POP3_HOST = "127.0.0.1", POP3_PORT = port, POP3_CAFILE = ca,
  }, changes))
end

--- A server whose newest message is `size` octets of lines, by STLS.
local function large(box, mebibytes)
  local lines = (("x"):rep(1022) .. "\r\n"):rep(64)
  return server.start {
    accepts = 0,
    connections = { {
      "S: +OK ready",
      { auto = {
        { "CAPA", "+OK\r\nSTLS\r\n.\r\n" },
        { "STLS", { "S: +OK", { tls = { cert = box.folder .. "/server.pem",
          key = box.folder .. "/server.key" } } } },
        { "(USER|PASS).*", "+OK\r\n" },
        { "STAT", "+OK 1 1\r\n" },
        { "RETR 1", { "S: +OK", { send = lines, times = mebibytes * 16 },
          "S: ." } },
      } },
    } },
  }
end

describe("examples/nginx/stream.conf", function()
  after_each(function()
    nginx.stop_all()
    mailbox.stop_all()
    server.stop_all()
  end)

  it("streams the newest message", function()
    local box = mailbox.start { "--sample", "22" }
    local answer = web_for(box.plain, box.ca):get("/newest", JOE)
    assert.equal(200, answer.status)
    assert.equal("message/rfc822", answer.headers["content-type"])
    assert.equal("chunked", answer.headers["transfer-encoding"])
    assert.is_true(answer.complete)
    assert.equal(box:served()[22], answer.body)
    assert.equal("1 CAPA\n1 STLS\n1 CAPA\n1 USER otto\n1 PASS ***\n1 STAT\n"
      .. "1 RETR 22\n1 QUIT\n1 END\n", box:log())
  end)

  it("asks for user and password", function()
    local box = mailbox.start { "--sample", "1" }
    local web = web_for(box.plain, box.ca)
    local wrong = { {}, { headers = { Authorization = "Bearer x" } },
      { headers = { Authorization = "Basic %%%" } },
      { user = "", password = "x" }, { user = "otto", password = "" },
      { user = "otto", password = "a\r\nDELE 1" },
      { user = "otto\r\nDELE 1", password = "a" } }
    for _, options in ipairs(wrong) do
      local answer = web:get("/newest", options)
      assert.equal(401, answer.status)
      assert.equal('Basic realm="mail"', answer.headers["www-authenticate"])
      assert.equal("a user and a password, please\n", answer.body)
    end
    assert.equal("", box:log())
  end)

  it("says what HTTP says to a wrong password", function()
    local box = mailbox.start { "--sample", "1" }
    local web = web_for(box.plain, box.ca)
    local answer = web:get("/newest", { user = "otto", password = "wrong" })
    assert.equal(401, answer.status)
    assert.equal('Basic realm="mail"', answer.headers["www-authenticate"])
    assert.equal("text/plain", answer.headers["content-type"])
    assert.equal("the mailbox server says no: auth\n", answer.body)
    assert.truthy(web:log():find("POP3: -ERR [AUTH] wrong user or password", 1,
      true), web:log())
  end)

  it("tells a mailbox that is in use from a wrong password", function()
    local box = mailbox.start { "--sample", "1" }
    local s = server.start { accepts = 0, connections = { { { mailbox = {
      messages = { "x" }, stls = { cert = box.folder .. "/server.pem",
        key = box.folder .. "/server.key" },
      answers = { { "PASS .*", "-ERR [IN-USE] locked\r\n" } } } } } } }
    local answer = web_for(s.port, box.ca):get("/newest", JOE)
    assert.same({ 503, "the mailbox server says no: busy\n" },
      { answer.status, answer.body })
  end)

  it("says that the mailbox is empty", function()
    local box = mailbox.start { "--sample", "0" }
    local answer = web_for(box.plain, box.ca):get("/newest", JOE)
    assert.same({ 404, "the mailbox is empty\n" },
      { answer.status, answer.body })
  end)

  it("is a bad gateway when the server is down, or not who it is", function()
    local box = mailbox.start { "--sample", "1" }
    local answer = web_for(server.closed_port(), box.ca):get("/newest", JOE)
    assert.same({ 502, "the mailbox server says no: io\n" },
      { answer.status, answer.body })
    local web = web_for(box.plain, nil)
    answer = web:get("/newest", JOE)
    assert.same({ 502, "the mailbox server says no: tls\n" },
      { answer.status, answer.body })
    assert.truthy(web:log():find("POP3: [^\n]*certificate"), web:log())
    assert.falsy(box:log():find("USER"))
  end)

  it("times out when the server is silent", function()
    for _, command in ipairs { "CONNECT", "PASS", "RETR" } do
      local box = mailbox.start { "--sample", "1", "--hang", command }
      local web = web_for(box.plain, box.ca,
        { ["5000, 10000, 10000"] = "300, 300, 300" })
      local answer = web:get("/newest", JOE)
      assert.same({ 504, "the mailbox server says no: timeout\n" },
        { answer.status, answer.body }, command)
      web:stop()
    end
  end)

  it("cuts the response when the message is cut", function()
    local box = mailbox.start { "--sample", "25", "--cut", "70000" }
    local answer = web_for(box.plain, box.ca):get("/newest", JOE)
    assert.equal(200, answer.status)
    assert.is_false(answer.complete)
    assert.equal(box:served()[25]:sub(1, answer.size), answer.body)
  end)

  it("stops when the client goes away", function()
    local box = mailbox.start { "--sample", "1" }
    local s = large(box, 64)
    local web = web_for(s.port, box.ca)
    web:get("/newest", { user = "otto", password = "x", most = 100000 })
    local seen = s:report().connections[1]
    assert.truthy(seen.sent < 63 * MIB, tostring(seen.sent))
  end)

  it("needs the same memory for large messages and slow readers", function()
    local box = mailbox.start { "--sample", "1" }
    local web = web_for(large(box, 32).port, box.ca)
    local first = web:get("/newest", JOE)
    assert.same({ 200, true, 32 * MIB },
      { first.status, first.complete, first.size })
    local before = web:peak()
    local answers = web:get_many("/newest",
      { user = "otto", password = "x", slow = true }, 4)
    for _, answer in ipairs(answers) do
      assert.same({ 200, true, 32 * MIB },
        { answer.status, answer.complete, answer.size })
    end
    local more = web:peak() - before
    assert.truthy(more < 4 * MIB, more .. " octets more")
  end)

  it("serves a hundred at a time from a slow server", function()
    local box = mailbox.start { "--sample", "25", "--delay", "0.05",
      "--rate", "200000" }
    local web = web_for(box.plain, box.ca, { ["5000, 10000, 10000"]
      = "60000, 60000, 60000" })
    local message = box:served()[25]
    local idle = web:peak()
    for _ = 1, 3 do
      local answers = web:get_many("/newest", JOE, 100)
      for _, answer in ipairs(answers) do
        assert.same({ 200, true }, { answer.status, answer.complete })
        assert.is_true(answer.body == message)
      end
    end
    -- TLS and buffers for a hundred, and nothing of those before them.
    local more = web:peak() - idle
    assert.truthy(more < 64 * MIB, more .. " octets more")
  end)

  it("does not start without a server", function()
    local web, said = nginx.start("stream", {})
    assert.is_nil(web)
    assert.truthy(said:find("POP3_HOST is not set", 1, true), said)
  end)
end)
