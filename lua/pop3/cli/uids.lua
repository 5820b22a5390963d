--- Which messages of an account are stored already: a file of UIDs in the
-- Maildir, one a line.
--
-- A line is added when its message is durable, and not before. A line that was
-- cut off by a crash has no end and does not count: its message is fetched
-- again. UIDs that the server no longer lists are dropped, as it may give them
-- to other messages (RFC 1939 7); so the file is never larger than the mailbox.
--
-- A UID may hold any octet, so those that are not printable are written %XX, as
-- are `%` and `#`. No UID ever becomes the name of a file.
--
-- @module pop3.cli.uids

local errno = require "posix.errno"
local disk = require "pop3.cli.disk"

local Uids = {}
Uids.__index = Uids

local TITLE = "# UIDs of the messages that pop3 fetch has stored here\n"

local function percent(octet) return ("%%%02X"):format(octet:byte()) end

-- All but what is printable and neither `#` nor `%`.
local function to_line(uid) return uid:gsub('[^!"$&-~]', percent) .. "\n" end

local function from_line(line)
  return (line:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- What the names of such files begin with.
Uids.PREFIX = "pop3-uids-"

--- The name of an account's file: what the user wrote, nothing of the server's.
function Uids.file_name(user, host, port)
  return (Uids.PREFIX .. "%s@%s:%d"):format((user:gsub("[^%w._@+-]", percent)),
    (host:lower():gsub("[^%w.:-]", percent)), port)
end

local function read(path)
  local file, reason, code = io.open(path, "rb")
  if code == errno.ENOENT then return "" end
  local octets = file and file:read("*a")
  if file then file:close() end
  if not octets then disk.broken(path, reason or "cannot be read") end
  return octets
end

--- What is known of an account; `known` has the UIDs as keys.
function Uids.open(path)
  local self = setmetatable({ path = path, known = {}, lines = 0 }, Uids)
  local octets = read(path)
  for line in octets:gmatch("([^\n]+)\n") do
    if line:sub(1, 1) ~= "#" then
      self.known[from_line(line)] = true
      self.lines = self.lines + 1
    end
  end
  self.is_whole = octets:sub(-1) == "\n"
  return self
end

-- The lines of a file that is not there yet, or ends with half a line.
local function whole(self)
  local lines = { TITLE }
  for uid in pairs(self.known) do lines[#lines + 1] = to_line(uid) end
  return lines
end

--- These are stored, durably.
-- @tparam table list UIDs
function Uids:add(list)
  if #list == 0 then return end
  local lines = self.is_whole and {} or whole(self)
  for _, uid in ipairs(list) do lines[#lines + 1] = to_line(uid) end
  local write = self.is_whole and disk.append or disk.replace
  write(self.path, table.concat(lines))
  for _, uid in ipairs(list) do self.known[uid] = true end
  self.lines, self.is_whole = self.lines + #list, true
end

--- Drop what is not on the server any more.
-- @param listing what is there
-- @tparam table deleted message numbers that are not, as keys
function Uids:prune(listing, deleted)
  local lines, seen = { TITLE }, {}
  for number, _, uid in listing:each() do
    if uid and self.known[uid] and not deleted[number] and not seen[uid] then
      seen[uid] = true
      lines[#lines + 1] = to_line(uid)
    end
  end
  if #lines - 1 == self.lines then return end
  disk.replace(self.path, table.concat(lines))
  self.known, self.lines, self.is_whole = seen, #lines - 1, true
end

return Uids
