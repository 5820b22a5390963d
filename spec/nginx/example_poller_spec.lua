-- examples/nginx/poller.conf: nginx with two workers between a mailbox and an
-- HTTP endpoint (hook.py).

local json = require "spec.support.json"
local files = require "spec.support.files"
local mailbox = require "spec.support.mailbox"
local nginx = require "spec.examples.nginx"
local server = require "spec.support.server"

local root = debug.getinfo(1, "S").source:match("^@(.*/)spec/") or "./"
local python = os.getenv("PYTHON") or "python3"
local quote = files.quote

--- The endpoint; each word says how to answer one message: see hook.py.
local function open_hook(...)
  local words = { "exec", quote(python), quote(root .. "spec/examples/hook.py"),
    ... }
  local pipe = io.popen(table.concat(words, " "))
  return { port = pipe:read("*l"):match("^PORT (%d+)$"), pipe = pipe }
end

--- The next POST, whenever it comes.
local function await_post(hook) return json.decode(hook.pipe:read("*l")) end

describe("examples/nginx/poller.conf", function()
  local folder, hook

  before_each(function()
    folder = files.make_folder()
    os.execute("chmod 777 " .. quote(folder))
  end)

  after_each(function()
    nginx.stop_all()
    mailbox.stop_all()
    server.stop_all()
    if hook then hook.pipe:close() end
    hook = nil
    files.remove_folder(folder)
  end)

  local function poller(port, ca, password)
    return assert(nginx.start("poller", {
      POP3_HOST = "127.0.0.1", POP3_PORT = port, POP3_CAFILE = ca,
      POP3_USER = "otto", POP3_PASSWORD = password or "correct horse",
      POLLER_STATE = folder .. "/state",
    }, {
      ["every = 60, port = 9000"] = "every = 0.1, port = " .. hook.port,
    }))
  end

  --- POSTs until `count` have come; how often each UID came, and was taken.
  local function collect(count)
    local order, tried, taken = {}, {}, {}
    for _ = 1, count do
      local post = await_post(hook)
      local uid = post.uid
      if not tried[uid] then order[#order + 1] = uid end
      tried[uid] = (tried[uid] or 0) + 1
      taken[uid] = (taken[uid] or 0) + (post.status == "200" and 1 or 0)
    end
    return order, tried, taken
  end

  it("posts each message, whole", function()
    hook = open_hook("200")
    local box = mailbox.start { "--sample", "25" }
    assert.equal(2, #poller(box.plain, box.ca):workers())
    for number, message in ipairs(box:served()) do
      local post = await_post(hook)
      assert.same({ true, "/mail", "message/rfc822" },
        { post.complete, post.path, post.type })
      assert.is_true(post.body == message, "message " .. number)
    end
  end)

  it("loses nothing when a POST fails, and repeats none that was taken",
    function()
      hook = open_hook("200", "200", "500,500,close,200",
        "500,404,500,500,500,500,200")
      local box = mailbox.start { "--sample", "4" }
      poller(box.plain, box.ca)
      -- Each poll tries what is left; where the endpoint hangs up, it ends.
      local order, tried, taken = collect(12)
      local counts = {}
      for i, uid in ipairs(order) do counts[i] = { tried[uid], taken[uid] } end
      assert.same({ { 1, 1 }, { 1, 1 }, { 4, 1 }, { 6, 0 } }, counts)
      local last = await_post(hook)
      assert.same({ order[4], "200" }, { last.uid, last.status })
    end)

  it("remembers what was taken", function()
    hook = open_hook("200", "200", "500")
    local box = mailbox.start { "--sample", "3" }
    local web = poller(box.plain, box.ca)
    local first = collect(3)
    web:stop()
    hook.pipe:close()
    hook = open_hook("200")
    web = poller(box.plain, box.ca)
    assert.equal(first[3], await_post(hook).uid)
    web:stop()
    local state = first[1] .. "\n" .. first[2] .. "\n"
    assert.equal(state, files.read(folder .. "/state"):sub(1, #state))
  end)

  it("goes on through a reload, one session at a time", function()
    hook = open_hook("200", "200", "200", "200", "200",
      "500,500,500,500,200")
    local box = mailbox.start { "--sample", "6", "--delay", "0.05" }
    local web = poller(box.plain, box.ca)
    local seen = { [await_post(hook).uid] = 1 }
    web:signal("HUP")
    for _ = 1, 9 do
      local uid = await_post(hook).uid
      seen[uid] = (seen[uid] or 0) + 1
    end
    local counts = {}
    for _, count in pairs(seen) do counts[#counts + 1] = count end
    table.sort(counts)
    assert.same({ 1, 1, 1, 1, 1, 5 }, counts)
    web:stop()
    local open
    for session, word in box:log():gmatch("(%d+) (%u+)[^\n]*\n") do
      assert.truthy(open == nil or open == session, box:log())
      open = word ~= "END" and session or nil
    end
  end)

  it("posts nothing that was cut", function()
    hook = open_hook("200")
    local box = mailbox.start { "--sample", "25", "--cut", "30000" }
    local web = poller(box.plain, box.ca)
    local number = 0
    repeat
      number = number + 1
      local post = await_post(hook)
    until not post.complete
    assert.truthy(number < 25)
    web:stop()
    local _, noted = files.read(folder .. "/state"):gsub("\n", "")
    assert.equal(number - 1, noted)
  end)

  it("says what is wrong, and tries again", function()
    hook = open_hook("200")
    local s = server.start { accepts = 2, connections = { { { mailbox = {
      messages = {}, answers = { { "STLS", "-ERR not here\r\n" } } } } } } }
    local web = poller(s.port)
    s:await() -- two sessions are over
    assert.truthy(web:log():find("POP3: -ERR STLS not supported by server", 1,
      true), web:log())
    assert.falsy(web:log():find("traceback"), web:log())
  end)

  it("does not start without its variables", function()
    hook = { pipe = { close = function() end } }
    local env = {}
    for _, name in ipairs { "POP3_HOST", "POP3_USER", "POLLER_STATE" } do
      local web, said = nginx.start("poller", env)
      assert.is_nil(web)
      assert.truthy(said:find(name .. " is not set", 1, true), said)
      env[name] = "x"
    end
  end)
end)
