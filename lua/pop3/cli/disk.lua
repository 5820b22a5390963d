--- Small steps on the disk that raise a problem when one fails.
--
-- @module pop3.cli.disk

local errno = require "posix.errno"
local fcntl = require "posix.fcntl"
local stat = require "posix.sys.stat"
local unistd = require "posix.unistd"
local problem = require "pop3.cli.problem"

local disk = {}

local CHECK = "make room, or check the disk, then fetch again"

--- luaposix puts the path before some reasons.
function disk.reason_of(text)
  return (text:match("([^:]*)$"):gsub("^ ", ""))
end

--- Raise a problem that begins with the path.
function disk.fail(exit, path, reason, remedy)
  problem.raise(exit, path .. ": " .. disk.reason_of(reason), remedy)
end

--- Raise what a full or broken disk is.
-- @param reason text, or errno's number
function disk.broken(path, reason)
  if type(reason) == "number" then reason = errno.errno(reason) end
  disk.fail(problem.IO, path, reason, CHECK)
end

function disk.is_directory(path)
  local found = stat.stat(path)
  return found ~= nil and stat.S_ISDIR(found.st_mode) ~= 0
end

function disk.parent_of(path)
  return path:match("^(.*[^/])/+[^/]+/*$") or path:match("^/") and "/" or "."
end

local function write_all(fd, octets, path)
  local at = 1
  while at <= #octets do
    local written, reason, code = unistd.write(fd, octets:sub(at))
    if written then
      at = at + written
    elseif code ~= errno.EINTR then
      disk.broken(path, reason)
    end
  end
end

local function sync(fd, path)
  local done, reason = unistd.fsync(fd)
  if not done then disk.broken(path, reason) end
end

-- Call `use` with an open descriptor, which is closed whatever happens.
local function with_open(path, flags, use)
  local fd, reason = fcntl.open(path, flags + fcntl.O_CLOEXEC, 384) -- 0600
  if not fd then disk.broken(path, reason) end
  local ok, err = pcall(use, fd)
  local closed, why = unistd.close(fd)
  if not ok then error(err, 0) end
  if not closed then disk.broken(path, why) end
end

--- Make the names in a folder durable.
function disk.sync_folder(path)
  with_open(path, fcntl.O_RDONLY, function(fd) sync(fd, path) end)
end

local function write_durably(path, flags, octets)
  with_open(path, fcntl.O_WRONLY + fcntl.O_CREAT + flags, function(fd)
    write_all(fd, octets, path)
    sync(fd, path)
  end)
end

--- Add to a file's end, durably; it is made where there is none.
function disk.append(path, octets)
  write_durably(path, fcntl.O_APPEND, octets)
end

local function replace(path, new, octets)
  write_durably(new, fcntl.O_EXCL, octets)
  local done, reason = os.rename(new, path)
  if not done then disk.broken(path, reason) end
end

--- Replace a file by another one, durably: whatever happens, there is the old
-- one or the new one.
function disk.replace(path, octets)
  local new = path .. ".new"
  unistd.unlink(new)
  local ok, err = pcall(replace, path, new, octets)
  if not ok then
    unistd.unlink(new)
    error(err, 0)
  end
  disk.sync_folder(disk.parent_of(path))
end

return disk
