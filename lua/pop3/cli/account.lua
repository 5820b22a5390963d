--- The messages of one account on their way into its Maildir.
--
-- They travel in flights. Behind each flight all that it brought is made
-- durable, then noted as known, and only then the server is told to delete it.
-- Whatever goes wrong in between costs at most that messages are fetched twice.
--
-- @module pop3.cli.account

local Maildir = require "pop3.cli.maildir"
local Uids = require "pop3.cli.uids"
local disk = require "pop3.cli.disk"
local interrupt = require "pop3.cli.interrupt"
local problem = require "pop3.cli.problem"
local server = require "pop3.cli.server"

local Account = {}
Account.__index = Account

-- A flight: enough for the round trips between flights not to matter, and so
-- little that little is fetched twice.
local FLIGHT_MESSAGES = 256
local FLIGHT_OCTETS = 16 * 1048576

-- Errors of kind "io" that are the network's; others are the disk's.
local OF_NETWORK = {
  econnreset = true, econnrefused = true, econnaborted = true, epipe = true,
  etimedout = true, ehostunreach = true, ehostdown = true, enetunreach = true,
  enetdown = true, enobufs = true, enotconn = true,
}

--- What can be checked or asked before anybody connects.
-- @tparam table options of the command line, or of the account's section
-- @param progress
-- @tparam[opt] string name where there are several accounts
function Account.new(options, progress, name)
  options.eol = options.eol or "lf"
  server.describe(options) -- a wrong URL comes before a wrong folder
  Maildir.check(options.maildir)
  return setmetatable({
    options = options,
    prepared = server.prepare(options),
    progress = progress,
    meter = progress:meter(name),
    name = name,
    batch = {},        -- rows that are published, and not yet durable
    safe = {},         -- message numbers that may be deleted
    deleted = {},      -- message numbers that are marked, as keys
    deletions = 0,
    left_out = 0,      -- messages that were known
  }, Account)
end

-- ------------------------------------------------------------ durable

-- Make durable what is published, and note it as known. What cannot be made
-- durable is forgotten here: a second fsync may say that all is well when it
-- is not.
local function settle(self)
  local batch = self.batch
  self.batch = {}
  if #batch == 0 then return end
  self.box:sync()
  local uids = {}
  for _, row in ipairs(batch) do uids[#uids + 1] = row.uid end
  self.uids:add(uids)
  for _, row in ipairs(batch) do self.safe[#self.safe + 1] = row.number end
end

-- Mark for deletion what is safe.
local function mark(self)
  local numbers = self.safe
  self.safe = {}
  if not self.options.delete or #numbers == 0 then return end
  local marked, _, errors = self.conn:dele_many(numbers)
  self.deletions = self.deletions + marked
  for _, number in ipairs(numbers) do
    self.refusal = self.refusal or errors[number]
    if not errors[number] then self.deleted[number] = true end
  end
end

-- ------------------------------------------------------------ flights

-- The rows of the next flight, from the one at `first`.
local function gather(wanted, first)
  local rows, octets = {}, 0
  for i = first, math.min(first + FLIGHT_MESSAGES - 1, #wanted) do
    local row = wanted[i]
    octets = octets + (row.size or 0)
    if #rows > 0 and octets > FLIGHT_OCTETS then break end
    rows[#rows + 1] = row
  end
  return rows
end

-- Show a message that is complete. False ends the flight.
local function publish(self, row, octets)
  local ok, err = pcall(self.box.publish, self.box)
  if not ok then
    if interrupt.exit_code(err) then error(err, 0) end
    self.broken = err
    return false
  end
  self.batch[#self.batch + 1] = row
  self.meter:done(octets)
end

local function receiver(self, rows)
  local at = 0
  return {
    sink = function()
      self.meter:begin(rows[at + 1].size or 0)
      return { path = self.box:begin() }
    end,
    done = function(_, octets, err)
      at = at + 1
      if not err then return publish(self, rows[at], octets) end
      self.refusal = self.refusal or err
    end,
  }
end

-- In place of what the library says: what the command line says of a disk.
local function explain(self, err)
  if self.broken then error(self.broken, 0) end
  local of_disk = type(err) == "table" and err.kind == "io" and err.errno
    and not OF_NETWORK[err.name] and self.box.pending
  if of_disk then disk.broken(self.box.pending, err.errno) end
  error(err, 0)
end

local function fly(self, rows)
  local numbers = {}
  for i, row in ipairs(rows) do numbers[i] = row.number end
  local ok, err = self.try(self.conn.retr_many, self.conn, numbers,
    receiver(self, rows), {
      eol = self.options.eol,
      progress = function(octets) self.meter:advance(octets) end,
    })
  if not ok then explain(self, err) end
end

-- ------------------------------------------------------------ what to fetch

-- Known UIDs that name several messages of this mailbox: whoever deletes has
-- to look at each of them.
local function repeated(listing, known)
  local seen, found = {}, {}
  for _, _, uid in listing:each() do
    if uid and known[uid] then
      found[uid] = seen[uid]
      seen[uid] = true
    end
  end
  return found
end

-- What is known already and need not be fetched; it may be deleted.
local function leave_out(self, listing)
  local known = {}
  local ambiguous = self.options.delete and repeated(listing, self.uids.known)
  for number, _, uid in listing:each() do
    if uid and self.uids.known[uid] and not (ambiguous and ambiguous[uid]) then
      known[uid] = true
      self.left_out = self.left_out + 1
      self.safe[#self.safe + 1] = number
    end
  end
  return listing:without(known)
end

local NO_UIDS = "the server has no UIDs: without --delete all messages are "
  .. "fetched each time"

local function choose(self, listing)
  if self.options.all then return listing end
  if not listing.uids and #listing > 0 and not self.options.delete
    and not self.options.quiet then
    self:say(NO_UIDS)
  end
  return leave_out(self, listing)
end

local function fetch(self)
  local wanted = choose(self, self.listing)
  self.meter:plan(#wanted, wanted:octets())
  mark(self)
  local first = 1
  while first <= #wanted do
    local rows = gather(wanted, first)
    fly(self, rows)
    settle(self)
    mark(self)
    first = first + #rows
  end
end

-- ------------------------------------------------------------ the session

local function open(self)
  local parts = self.prepared.parts
  local extras
  self.conn, extras = server.open(self.prepared, self.try, self.loop,
    { listing = true })
  self.listing = server.listing(self.conn, extras)
  self.box = Maildir.open(self.options.maildir)
  self.uids = Uids.open(self.options.maildir .. "/"
    .. Uids.file_name(parts.user, parts.host, parts.port))
end

local function run(self)
  open(self)
  fetch(self)
  self.quitting = true
  self.conn:quit()
  self.committed = true
  self.uids:prune(self.listing, self.deleted)
end

--- Let go of everything. What arrived whole is not fetched again.
function Account:close()
  if self.box then
    self.box:clean()
    pcall(settle, self)
  end
  self.meter:finish()
  if self.conn then self.conn:close() end
end

-- Leave the session well if that still can be: QUIT, so that what is durable
-- and marked is not fetched again.
local function commit(self)
  mark(self)
  self.conn:quit()
  self.committed = self.deletions > 0
end

local function recover(self, err)
  local exit, text = problem.of(err)
  if not self.box then return exit, text end
  pcall(settle, self)
  local open_end = self.quitting and self.deletions > 0
  if self.options.delete and not self.quitting then self.try(commit, self) end
  local kept = open_end and ", perhaps deleted from the server"
    or ", nothing was deleted from the server"
  if self.committed then kept = "" end
  return exit, ("%s (%d of %d messages are stored%s)"):format(text,
    self.meter.stored, self.meter.messages, kept)
end

-- The server refused some messages; all others are where they should be.
local function judge(self)
  if not self.refusal then return end
  local exit, text = problem.of(self.refusal)
  return exit, ("%s (%d of %d messages are stored)"):format(text,
    self.meter.stored, self.meter.messages)
end

--- Fetch. Afterwards `exit` and `text` say what went wrong, or are nil.
-- @tparam function try a pcall that may wait
-- @param[opt] loop
function Account:fetch(try, loop)
  self.try, self.loop = try, loop
  local ok, err = try(run, self)
  if not ok and interrupt.exit_code(err) then error(err, 0) end
  if ok then
    self.exit, self.text = judge(self)
  else
    self.exit, self.text = recover(self, err)
  end
  self:close()
end

--- A line about this account, above the bar.
function Account:say(text)
  local prefix = self.name and self.name .. ": " or ""
  self.progress:say(problem.line(prefix .. text))
end

--- "3 messages, 1.2 MiB stored in Mail, 2 known ones left out"
function Account:summary()
  local parts = { ("%s stored in %s"):format(self.meter:summary(),
    self.options.maildir) }
  if self.left_out > 0 then
    parts[#parts + 1] = ("%d known already"):format(self.left_out)
  end
  if self.options.delete then
    parts[#parts + 1] = ("%d deleted from the server"):format(self.deletions)
  end
  return table.concat(parts, ", ")
end

return Account
