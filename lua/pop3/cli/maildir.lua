--- Delivery into a Maildir: a message is written to tmp/, made durable by
-- fsync, linked into new/, and the folder made durable. Only then does
-- `deliver` return.
--
-- Names are made of time, process, a counter and this host's name, as the
-- Maildir convention has it, and of nothing that a server said.
--
-- @module pop3.cli.maildir

local dirent = require "posix.dirent"
local errno = require "posix.errno"
local fcntl = require "posix.fcntl"
local gettimeofday = require("posix.sys.time").gettimeofday
local stat = require "posix.sys.stat"
local unistd = require "posix.unistd"
local problem = require "pop3.cli.problem"

local Maildir = {}
Maildir.__index = Maildir

local FOLDERS = { "tmp", "new", "cur" }
local IS_FOLDER = { tmp = true, new = true, cur = true }
local LINES_AT_ONCE = 4096 -- put together before a write

-- ------------------------------------------------------------ small steps

local function fail(exit, path, reason, remedy)
  problem.raise(exit, path .. ": " .. reason, remedy)
end

local CHECK_DISK = "make room, or check the disk, then fetch again"

-- luaposix puts the path before some reasons.
local function reason_of(text)
  return (text:match("([^:]*)$"):gsub("^ ", ""))
end

local function write_all(fd, octets, path)
  local at = 1
  while at <= #octets do
    local written, reason, code = unistd.write(fd, octets:sub(at))
    if written then
      at = at + written
    elseif code ~= errno.EINTR then
      fail(problem.IO, path, reason_of(reason), CHECK_DISK)
    end
  end
end

local function sync(fd, path)
  local done, reason = unistd.fsync(fd)
  if not done then fail(problem.IO, path, reason_of(reason), CHECK_DISK) end
end

local function sync_folder(path)
  local fd, reason = fcntl.open(path, fcntl.O_RDONLY + fcntl.O_CLOEXEC)
  if not fd then fail(problem.IO, path, reason_of(reason)) end
  local ok, err = pcall(sync, fd, path)
  unistd.close(fd)
  if not ok then error(err, 0) end
end

local function is_directory(path)
  local found = stat.stat(path)
  return found ~= nil and stat.S_ISDIR(found.st_mode) ~= 0
end

local function parent_of(path)
  return path:match("^(.*[^/])/+[^/]+/*$") or path:match("^/") and "/" or "."
end

local function make_directory(path)
  local done, reason = stat.mkdir(path, 448) -- 0700: mail is private
  if not done then
    fail(problem.CANNOT_CREATE, path, reason_of(reason),
      "choose another folder")
  end
end

-- ------------------------------------------------------------ the folder

--- May `path` be used? A Maildir, an empty folder, or nothing at all.
-- Raises a problem otherwise; changes nothing.
function Maildir.check(path)
  if not stat.lstat(path) then
    if is_directory(parent_of(path)) then return end
    fail(problem.CANNOT_CREATE, path, "there is no folder to make it in",
      "create " .. parent_of(path) .. ", or choose another folder")
  end
  if not is_directory(path) then
    fail(problem.CANNOT_CREATE, path, "is not a folder", "choose another one")
  end
  local names, reason = dirent.dir(path)
  if not names then
    fail(problem.CANNOT_CREATE, path, reason_of(reason), "choose another one")
  end
  local folders = 0
  local others = false
  for _, name in ipairs(names) do
    if IS_FOLDER[name] then folders = folders + 1
    elseif name ~= "." and name ~= ".." then others = true end
  end
  if others and folders < #FOLDERS then
    fail(problem.CANNOT_CREATE, path, "is not empty and not a Maildir",
      "choose another folder")
  end
end

--- Use the Maildir at `path`; what is missing of it is made.
function Maildir.open(path)
  Maildir.check(path)
  if not is_directory(path) then
    make_directory(path)
    sync_folder(parent_of(path))
  end
  for _, name in ipairs(FOLDERS) do
    if not is_directory(path .. "/" .. name) then
      make_directory(path .. "/" .. name)
      sync_folder(path)
    end
  end
  return setmetatable({ path = path, count = 0 }, Maildir)
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

function Maildir:unique_name()
  local now = gettimeofday()
  self.count = self.count + 1
  return ("%d.M%06dP%dQ%d.%s"):format(now.tv_sec, now.tv_usec,
    unistd.getpid(), self.count, host)
end

local function write_lines(fd, lines, eol, path)
  for first = 1, #lines, LINES_AT_ONCE do
    local last = math.min(first + LINES_AT_ONCE - 1, #lines)
    write_all(fd, table.concat(lines, eol, first, last) .. eol, path)
  end
end

local function write_file(path, lines, eol)
  local fd, reason = fcntl.open(path, fcntl.O_WRONLY + fcntl.O_CREAT
    + fcntl.O_EXCL + fcntl.O_CLOEXEC, 384) -- 0600
  if not fd then fail(problem.CANNOT_CREATE, path, reason_of(reason)) end
  local ok, err = pcall(function()
    write_lines(fd, lines, eol, path)
    sync(fd, path)
  end)
  local closed, why = unistd.close(fd)
  if not ok then error(err, 0) end
  if not closed then fail(problem.IO, path, reason_of(why), CHECK_DISK) end
end

-- A link never replaces a file; where there are no links, rename has to do.
local function publish(from, to)
  local done, reason, code = unistd.link(from, to)
  if not done and (code == errno.EPERM or code == errno.EOPNOTSUPP) then
    done, reason = os.rename(from, to)
  end
  if not done then
    fail(problem.IO, to, reason_of(reason), CHECK_DISK)
  end
  unistd.unlink(from)
end

--- Deliver one message. When this returns, it is on the disk.
-- @tparam table lines without line ends
-- @tparam string eol
-- @treturn string the file's name in new/
function Maildir:deliver(lines, eol)
  local name = self:unique_name()
  self.pending = self.path .. "/tmp/" .. name
  write_file(self.pending, lines, eol)
  publish(self.pending, self.path .. "/new/" .. name)
  self.pending = nil
  sync_folder(self.path .. "/new")
  return name
end

--- Remove what a delivery that failed has left in tmp/.
function Maildir:clean()
  if self.pending then
    unistd.unlink(self.pending)
    self.pending = nil
  end
end

return Maildir
