--- T66: what a server or a user calls something becomes a line or a file's name
-- of its own: no two the same, none that leads elsewhere.

-- The module without its disk: a file is a string here.
local function load_uids()
  local stored = {}
  local fakes = {
    ["posix.errno"] = { ENOENT = 2 },
    ["pop3.cli.disk"] = {
      replace = function(path, text) stored[path] = text end,
      append = function(path, text) stored[path] = stored[path] .. text end,
    },
  }
  local before = { ["pop3.cli.uids"] = package.loaded["pop3.cli.uids"] }
  for name, fake in pairs(fakes) do
    before[name] = package.loaded[name]
    package.loaded[name] = fake
  end
  package.loaded["pop3.cli.uids"] = nil
  local Uids = require "pop3.cli.uids"
  for name in pairs(fakes) do package.loaded[name] = before[name] end
  package.loaded["pop3.cli.uids"] = before["pop3.cli.uids"]
  return Uids, stored
end

local Uids, stored = load_uids()

-- Every octet, and every pair of those that mean something somewhere.
local function words()
  local list, special = {}, { "%", "#", "/", ".", "\\", ":", "@", "\n", "\r", "\0", " ",
    "4", "1", "A", "a", "F", "_", "-", "+", "~", "!", "\127", "\128", "\255" }
  for octet = 0, 255 do list[#list + 1] = string.char(octet) end
  for _, first in ipairs(special) do
    for _, second in ipairs(special) do
      list[#list + 1] = first .. second
      for _, third in ipairs(special) do list[#list + 1] = first .. second .. third end
    end
  end
  list[#list + 1] = "../../etc/passwd"
  list[#list + 1] = ("x"):rep(8192)
  return list
end

describe("T66 A UID", function()
  it("is a line of its own, whatever octets it has", function()
    local path, list = os.tmpname(), words()
    local uids = Uids.open(path)
    uids:add(list)
    uids:add { "one more" }
    local count = 0
    for line in stored[path]:gmatch "([^\n]*)\n" do
      assert.is_nil(line:find "[^ -~]")
      count = count + 1
    end
    assert.equal(#list + 2, count) -- and the title

    local file = assert(io.open(path, "wb"))
    file:write(stored[path])
    file:close()
    local again, known = Uids.open(path), 0
    os.remove(path)
    for _ in pairs(again.known) do known = known + 1 end
    assert.equal(#list + 1, known)
    for _, uid in ipairs(list) do assert.is_true(again.known[uid]) end
  end)
end)

describe("T66 An account", function()
  it("has a file of its own, whatever the user is called", function()
    local seen = {}
    for _, user in ipairs(words()) do
      local name = Uids.file_name(user, "mail.example", 995)
      assert.is_nil(name:find "[^%w._@+%%:-]", name)
      assert.truthy(name:find("^pop3%-uids%-.*@mail%.example:995$"), name)
      assert.is_nil(seen[name], name)
      seen[name] = true
    end
  end)

  it("has one for each host and port, in whatever case the host is written", function()
    local seen = {}
    for _, host in ipairs { "mail.example", "[::1]", "::1", "a@b", "a", "../x", "x%", "x%25" } do
      for _, user in ipairs { "me", "me@a", "me@a@b", "" } do
        for _, port in ipairs { 110, 995 } do
          local name = Uids.file_name(user, host, port)
          assert.is_nil(name:find("/", 1, true))
          assert.is_nil(seen[name], name)
          seen[name] = true
          assert.equal(name, Uids.file_name(user, host:upper(), port))
        end
      end
    end
  end)
end)
