--- Delivery into a Maildir. A message is written to tmp/ and made durable by
-- the library; `publish` links it into new/, and `sync` makes the links of all
-- that were published durable. Only then may the server forget them.
--
-- Names are made of time, process, a counter and this host's name, as the
-- Maildir convention has it, and of nothing that a server said.
--
-- @module pop3.cli.maildir

local dirent = require "posix.dirent"
local errno = require "posix.errno"
local gettimeofday = require("posix.sys.time").gettimeofday
local stat = require "posix.sys.stat"
local unistd = require "posix.unistd"
local Uids = require "pop3.cli.uids"
local disk = require "pop3.cli.disk"
local problem = require "pop3.cli.problem"

local Maildir = {}
Maildir.__index = Maildir

local FOLDERS = { "tmp", "new", "cur" }
local IS_FOLDER = { tmp = true, new = true, cur = true }
local IS_OURS = "^" .. (Uids.PREFIX:gsub("%-", "%%-"))

-- ------------------------------------------------------------ the folder

local function make_directory(path)
  local done, reason = stat.mkdir(path, 448) -- 0700: mail is private
  if not done then
    disk.fail(problem.CANNOT_CREATE, path, reason, "choose another folder")
  end
  disk.sync_folder(disk.parent_of(path))
end

--- May `path` be used? A Maildir, an empty folder, or nothing at all.
-- Raises a problem otherwise; changes nothing.
function Maildir.check(path)
  if not stat.lstat(path) then
    local parent = disk.parent_of(path)
    if disk.is_directory(parent) then return end
    disk.fail(problem.CANNOT_CREATE, path, "there is no folder to make it in",
      "create " .. parent .. ", or choose another folder")
  end
  if not disk.is_directory(path) then
    disk.fail(problem.CANNOT_CREATE, path, "is not a folder",
      "choose another one")
  end
  local names, reason = dirent.dir(path)
  if not names then
    disk.fail(problem.CANNOT_CREATE, path, reason, "choose another one")
  end
  local folders = 0
  local others = false
  for _, name in ipairs(names) do
    if IS_FOLDER[name] then folders = folders + 1
    elseif not (name:find("^%.%.?$") or name:find(IS_OURS)) then others = true
    end
  end
  if others and folders < #FOLDERS then
    disk.fail(problem.CANNOT_CREATE, path, "is not empty and not a Maildir",
      "choose another folder")
  end
end

--- Use the Maildir at `path`; what is missing of it is made.
function Maildir.open(path)
  Maildir.check(path)
  if not disk.is_directory(path) then make_directory(path) end
  for _, name in ipairs(FOLDERS) do
    local folder = path .. "/" .. name
    if not disk.is_directory(folder) then make_directory(folder) end
  end
  return setmetatable({ path = path }, Maildir)
end

-- ------------------------------------------------------------ delivery

local function host_name()
  local file = io.open("/proc/sys/kernel/hostname")
  local name = file and file:read("*l")
  if file then file:close() end
  name = name or os.getenv("HOSTNAME") or "localhost"
  return (name:gsub("[/:%c]", { ["/"] = "\\057", [":"] = "\\072" }))
end

local host = host_name()
local count = 0 -- of this process: accounts may share a Maildir

local function unique_name()
  local now = gettimeofday()
  count = count + 1
  return ("%d.M%06dP%dQ%d.%s"):format(now.tv_sec, now.tv_usec,
    unistd.getpid(), count, host)
end

--- Begin a message.
-- @treturn string the path of the file in tmp/ that it is to be written to
function Maildir:begin()
  self.name = unique_name()
  self.pending = self.path .. "/tmp/" .. self.name
  return self.pending
end

-- A link never replaces a file; where there are no links, rename has to do.
local function move(from, to)
  local done, reason, code = unistd.link(from, to)
  if not done and (code == errno.EPERM or code == errno.EOPNOTSUPP) then
    done, reason = os.rename(from, to)
  end
  if not done then disk.broken(to, reason) end
  unistd.unlink(from)
end

--- The message that was begun is in its file, durably: show it in new/.
function Maildir:publish()
  move(self.pending, self.path .. "/new/" .. self.name)
  self.pending = nil
end

--- Make all that was published durable.
function Maildir:sync() disk.sync_folder(self.path .. "/new") end

--- Remove what a delivery that failed has left in tmp/.
function Maildir:clean()
  if self.pending then
    unistd.unlink(self.pending)
    self.pending = nil
  end
end

return Maildir
