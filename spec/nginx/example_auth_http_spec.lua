-- examples/nginx/auth_http.conf: nginx's own POP3 proxy between Python's poplib
-- and a mailbox server.

local json = require "spec.support.json"
local files = require "spec.support.files"
local mailbox = require "spec.support.mailbox"
local nginx = require "spec.examples.nginx"
local server = require "spec.support.server"

local root = debug.getinfo(1, "S").source:match("^@(.*/)spec/") or "./"
local python = os.getenv("PYTHON") or "python3"

local function web_for(port, changes)
  return assert(nginx.start("auth_http", {
    POP3_HOST = "127.0.0.1", POP3_PORT = port,
  }, changes))
end

--- Try logins through the proxy: see login.py.
local function try(web, ...)
  local path = files.temporary(json.encode { ... })
  local pipe = io.popen(("%s %s %s < %s"):format(files.quote(python),
    files.quote(root .. "spec/examples/login.py"), web.ports["8110"], path))
  local output = pipe:read("*a")
  pipe:close()
  os.remove(path)
  return json.decode(output)
end

--- What the endpoint says to nginx.
local function ask(web, headers)
  local answer = web:get("/auth", { port = "8081", headers = headers })
  assert.equal(200, answer.status)
  return answer.headers
end

local WRONG = "-ERR [AUTH] wrong user or password"

describe("examples/nginx/auth_http.conf", function()
  after_each(function()
    nginx.stop_all()
    mailbox.stop_all()
    server.stop_all()
  end)

  it("lets a good login through to the server", function()
    local box = mailbox.start { "--sample", "6" }
    local said = try(web_for(box.plain), { box.user, box.password })
    assert.same({ "+OK 6 messages" }, said.answers)
    assert.equal(box:served()[1], said.message)
    assert.equal("+OK goodbye", said.goodbye)
    assert.equal("1 CAPA\n1 USER otto\n1 PASS ***\n1 QUIT\n1 END\n"
      .. "2 USER otto\n2 PASS ***\n2 RETR 1\n2 QUIT\n2 END\n", box:log())
  end)

  it("takes passwords as they are", function()
    for _, password in ipairs { "a+b%2Bc d", "%", "ä€", "\"'\\ <&>", "a:b#?" } do
      local box = mailbox.start { "--sample", "6", "--user", "j+o e%",
        "--password", password }
      local said = try(web_for(box.plain), { "j+o e%", password })
      assert.same({ "+OK 6 messages" }, said.answers, password)
      nginx.stop_all()
    end
  end)

  it("refuses a wrong password, slowly, three times", function()
    local box = mailbox.start { "--sample", "1" }
    local wrong = { box.user, "wrong" }
    local said = try(web_for(box.plain), wrong, wrong, wrong)
    assert.same({ WRONG, WRONG, WRONG }, said.answers)
    assert.truthy(said["end"]) -- nginx hung up
  end)

  it("lets somebody try again", function()
    local box = mailbox.start { "--sample", "1" }
    local said = try(web_for(box.plain), { box.user, "wrong" },
      { box.user, box.password })
    assert.same({ WRONG, "+OK 1 messages" }, said.answers)
  end)

  it("passes on why the server refuses", function()
    local s = server.start { accepts = 0, connections = { { { mailbox = {
      messages = {}, answers = {
        { "PASS .*", "-ERR [IN-USE] locked\27[31m\r\n" } } } } } } }
    local said = try(web_for(s.port), { "joe", "secret" })
    assert.same({ "-ERR [IN-USE] locked\\x1b[31m" }, said.answers)
  end)

  it("says that the server cannot be reached, or is silent", function()
    local box = mailbox.start { "--sample", "1", "--hang", "PASS" }
    for _, port in ipairs { server.closed_port(), box.plain } do
      local web = web_for(port, { ["5000, 10000, 10000"] = "300, 300, 300" })
      local said = try(web, { "otto", "secret" })
      assert.same({ "-ERR [SYS/TEMP] the mailbox server cannot be reached" },
        said.answers)
    end
  end)

  it("checks user and password only", function()
    local box = mailbox.start { "--sample", "1" }
    local web = web_for(box.plain)
    for _, method in ipairs { "apop", "cram-md5", "none", "external" } do
      local headers = ask(web, { ["Auth-Method"] = method,
        ["Auth-User"] = "otto", ["Auth-Pass"] = ("0"):rep(32),
        ["Auth-Salt"] = "<1.2@nginx>", ["Auth-Login-Attempt"] = "3" })
      assert.equal("[SYS/PERM] only a user and a password can be checked here",
        headers["auth-status"])
      assert.is_nil(headers["auth-server"])
      assert.is_nil(headers["auth-wait"])
    end
    assert.equal("", box:log())
  end)

  it("never sends what no command can carry", function()
    local box = mailbox.start { "--sample", "1" }
    local web = web_for(box.plain)
    for _, password in ipairs { "", "a%0D%0ADELE 1", "%00", "%0a" } do
      local headers = ask(web, { ["Auth-Method"] = "plain",
        ["Auth-User"] = "otto", ["Auth-Pass"] = password })
      assert.equal("[AUTH] wrong user or password", headers["auth-status"])
    end
    assert.equal("", box:log())
  end)

  it("checks a hundred at a time, with a slow server", function()
    local box = mailbox.start { "--sample", "1", "--delay", "0.05" }
    local web = web_for(box.plain)
    local good = { ["Auth-Method"] = "plain", ["Auth-User"] = box.user,
      ["Auth-Pass"] = "correct%20horse", ["Auth-Login-Attempt"] = "1" }
    local before
    for _ = 1, 3 do
      for _, answer in ipairs(web:get_many("/auth",
          { port = "8081", headers = good }, 100)) do
        assert.equal("OK", answer.headers["auth-status"])
        assert.equal("127.0.0.1", answer.headers["auth-server"])
        assert.equal(tostring(box.plain), answer.headers["auth-port"])
      end
      before = before or web:peak()
    end
    local more = web:peak() - before
    assert.truthy(more < 4 * 1048576, more .. " octets more")
  end)

  it("does not start without an address", function()
    for _, env in ipairs { {}, { POP3_HOST = "mail.example.org" } } do
      local web, said = nginx.start("auth_http", env)
      assert.is_nil(web)
      assert.truthy(said:find("POP3_HOST is not", 1, true), said)
    end
  end)
end)
