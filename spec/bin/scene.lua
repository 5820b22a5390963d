--- What the specs of bin/pop3 fetch have in common: a folder of their own, a
-- Maildir in it, servers, and what is left on the disk and on the server.
--
--     local here = require("spec.bin.scene").new()
--     before_each(function() here:begin() end)
--     after_each(function() here:finish() end)
--     local box = here:server("--sample", "3")
--     local result = here:fetch(box, nil, "--delete")

local assert = require "luassert"
local mailbox = require "spec.support.mailbox"
local program = require "spec.bin.program"
local files = require("spec.support.files")

local quote = files.quote
local scene = {}

function scene.shell(command)
  local pipe = io.popen(command .. "; echo $?")
  local out, status = pipe:read("*a"):match("^(.-)(%d+)\n$")
  pipe:close()
  return out, tonumber(status)
end

-- When a file of a Maildir was made: the second and its fraction, always of the
-- same width, and the count of the process that made it.
local function moment(name)
  local time, count = name:match("^(%d+%.M%d+)P%d+Q(%d+)%.")
  return time or name, tonumber(count or 0)
end

--- The names in a folder, in the order of delivery.
function scene.files(folder)
  local list = {}
  local out = scene.shell("ls -A " .. quote(folder) .. " 2>/dev/null")
  for name in out:gmatch("[^\n]+") do list[#list + 1] = name end
  table.sort(list, function(a, b)
    local a_time, a_count = moment(a)
    local b_time, b_count = moment(b)
    if a_time ~= b_time then return a_time < b_time end
    return a_count < b_count
  end)
  return list
end

local function with(words, ...)
  local all = {}
  for i, word in ipairs(words) do all[i] = word end
  for _, word in ipairs { ... } do all[#all + 1] = word end
  return all
end

local methods = {}

function methods.server(_, ...) return mailbox.start { ... } end

--- The program with a box's CA and password.
function methods.run(_, box, words, options)
  options = options or {}
  options.password = box.password
  return program.run(with(words, "--cafile", box.ca,
    options.url or "pop3s://otto@127.0.0.1:" .. box.tls), options)
end

function methods.fetch(self, box, options, ...)
  return self:run(box, { "fetch", "--maildir", self.maildir, ... }, options)
end

function methods.messages_left(self, box)
  local result = self:run(box, { "ls" })
  assert.equal(0, result.status, result.err)
  local _, count = result.out:gsub("\n", "")
  return count
end

--- How often a server was given this command.
function scene.count(box, word)
  local _, found = box:log():gsub("%d " .. word .. "[^\n]*\n", "")
  return found
end

--- The first `count` mails are in new/, and nothing else anywhere.
function methods.assert_stored(self, box, count, eol)
  local names = scene.files(self.maildir .. "/new")
  assert.equal(count, #names)
  for i, mail in ipairs(box:served()) do
    if i > count then break end
    local wanted = eol == "crlf" and mail or mail:gsub("\r\n", "\n")
    assert.truthy(files.read(self.maildir .. "/new/" .. names[i]) == wanted,
      "mail " .. i .. " differs")
  end
  assert.same({}, scene.files(self.maildir .. "/tmp"))
  assert.same({}, scene.files(self.maildir .. "/cur"))
end

--- The file of UIDs, or nil.
function methods.uids_path(self)
  for _, name in ipairs(scene.files(self.maildir)) do
    if name:find("^pop3%-uids%-.*%d$") then
      return self.maildir .. "/" .. name
    end
  end
end

--- The UIDs in it, as they stand there, sorted.
function methods.uids(self)
  local path, list = self:uids_path(), {}
  if not path then return list end
  for line in files.read(path):gmatch("[^\n]+") do
    if line:sub(1, 1) ~= "#" then list[#list + 1] = line end
  end
  table.sort(list)
  return list
end

function methods.begin(self)
  self.folder = scene.shell("mktemp -d"):match("[^\n]+")
  self.maildir = self.folder .. "/Maildir"
end

function methods.finish(self)
  mailbox.stop_all()
  scene.shell("rm -rf " .. quote(self.folder))
end

--- A scene; its folder and servers live from `begin` to `finish`.
function scene.new() return setmetatable({}, { __index = methods }) end

scene.has_strace = scene.shell("command -v strace") ~= ""

--- What the program asked the kernel for, a line each, with faults injected.
-- Without TLS, so that commands are seen.
function methods.traced(self, box, inject, ...)
  local log = self.folder .. "/trace"
  local result = self:fetch(box, {
    under = ("strace -f -qq -s 400 -o %s %s"):format(log, inject),
    url = "pop://otto@127.0.0.1:" .. box.plain,
  }, "--allow-cleartext", "-q", ...)
  return result, files.read(log)
end

return scene
