--- A mailbox as an iterator over its messages, fetched when they are asked for
-- and then some ahead.
--
--     for m in conn:messages { since = known } do
--       m:save("Mail/" .. m.number)
--     end
--
-- What is asked of one message after the other is asked of the next ones in the
-- same flight: one at first, four when the second message is asked the same,
-- then sixteen and so on, as many as `ahead` octets hold. Nothing is fetched
-- that nobody has asked the like of.
--
-- @classmod pop3.messages

local core = require "pop3.core"
local call = require "pop3.call"
local class = require "pop3.class"

-- Octets that are fetched ahead, and held until they are asked for.
local AHEAD = 1048576

-- A flight that comes to so many times `ahead` is a server that lies.
local LIES = 4
local TOO_MUCH = "the server sends far more than its LIST says"

-- Messages of one flight: the first time, and how it grows.
local FIRST, GROWTH, MOST = 1, 4, 512

-- ------------------------------------------------------------ one message

--- A message. Fields: `number`, `size` (octets, as the server says; nil if it
-- does not), `uid` (nil if the server has none).
-- @type pop3.message
local Message = {}
local of_message = class("pop3.message", Message)

function of_message:__tostring()
  return ("pop3.message (%d)"):format(self.number)
end

local function fail(messages, err)
  return call.fail(core.is_safe(messages.conn), err)
end

-- What was fetched, or the server's refusal.
local function get(self, top)
  local messages = self.messages
  local key = top or "text"
  if self.got[key] == nil then
    local ok, message, err = messages:fetch(self, top)
    if not ok then return nil, message, err end
  end
  local got = self.got[key]
  if type(got) == "table" then return fail(messages, got) end
  return got
end

--- The whole message.
-- @treturn string lines end in CRLF
function Message:text() return get(self) end

local function is_count(value)
  return type(value) == "number" and value >= 0 and value % 1 == 0
end

--- The header, and some lines of the body.
-- @tparam[opt=0] number lines of the body
-- @treturn string
function Message:headers(lines)
  if lines ~= nil and not is_count(lines) then
    call.bad_argument(1, "headers", "lines, a whole number from 0,", lines)
  end
  return get(self, lines or 0)
end

--- Write the message into a new file, durable when this returns. A large one
-- goes there directly.
-- @tparam string path must not exist
-- @treturn number octets
function Message:save(path)
  if type(path) ~= "string" or path:find("\0", 1, true) then
    call.bad_argument(1, "save", "path", path)
  end
  local messages = self.messages
  if not core.takes_files(messages.conn) then
    error("bad call to 'save' (files would block this host: use retr_to and "
      .. "a function)", 2)
  end
  if self.got.text == nil and messages:is_large(self) then
    return messages.conn:retr_to(self.number, { path = path })
  end
  local text, message, err = get(self)
  if text == nil then return nil, message, err end
  local failure = core.save(path, text)
  if failure then return fail(messages, failure) end
  return #text
end

--- Mark the message for deletion; QUIT deletes it.
-- @treturn string the status line
function Message:delete() return self.messages.conn:dele(self.number) end

-- ------------------------------------------------------------ all of them

--- The iterator. `#messages`; fields `listing` and `uids`: false if the server
-- has no UIDL, so that `since` could leave out nothing.
-- @type pop3.messages
local Messages = {}
local of_messages = class("pop3.messages", Messages)

-- The row of a place in the order asked for.
local function row_at(self, place)
  return self.newest and self.count + 1 - place or place
end

-- The message at a place, one object for as long as somebody holds it.
local function message_at(self, place)
  local message = self.fetched[place] or self.handed[place]
  if message then return message end
  local row = self.listing[row_at(self, place)]
  return setmetatable({
    number = row.number, size = row.size, uid = row.uid,
    messages = self, place = place, got = {},
  }, of_message)
end

--- The next message, or nil.
function Messages:next()
  if self.place >= self.count then return nil end
  local place = self.place + 1
  local message = message_at(self, place)
  self.place, self.fetched[place], self.handed[place] = place, nil, message
  return message
end

function of_messages:__call() return self:next() end
function of_messages:__len() return self.count end

--- How many there are; `#messages` where Lua is 5.2 or newer.
function Messages:len() return self.count end

function of_messages:__tostring()
  return ("pop3.messages (%d)"):format(self.count)
end

function Messages:is_large(message)
  return message.size == nil or message.size > self.ahead
end

-- What messages are asked for has a run of its own: text, headers of 0 lines.
local function run_of(self, top)
  local key = top or "text"
  local run = self.runs[key] or { to = -1, flight = FIRST }
  self.runs[key] = run
  return run
end

-- How many to fetch with this one: more each time that the next message in a
-- row is asked the same.
local function next_flight(run, message)
  local continues = message.place == run.to + 1
  run.flight = continues and math.min(run.flight * GROWTH, MOST) or FIRST
  return run.flight
end

-- Whole messages have the size that LIST says; headers are taken for 8 KiB.
local function cost(message, top)
  return top and 8192 + top * 80 or message.size or math.huge
end

-- The message at a place, if somebody may still ask it for what it lacks.
local function lacking(self, place, top)
  if place <= self.place and not self.handed[place] then return nil end
  local message = message_at(self, place)
  return message.got[top or "text"] == nil and message or nil
end

-- The messages of the next flight, this one first; where the run goes on.
local function choose(self, run, message, top)
  local chosen, to = { message }, message.place
  local octets = cost(message, top)
  local last = math.min(to + next_flight(run, message) - 1, self.count)
  for place = to + 1, last do
    local following = lacking(self, place, top)
    octets = octets + (following and cost(following, top) or 0)
    if octets > self.ahead then break end
    chosen[#chosen + 1] = following
    to = place
  end
  return chosen, to
end

-- LIST is a hint. What was fetched ahead because of it may be more than it
-- said, but not without end.
local function limit(self, chosen)
  if #chosen > 1 then return LIES * self.ahead end
end

--- Fetch a message, and perhaps some that follow.
-- @treturn boolean or nil, message, err
function Messages:fetch(message, top)
  local run = run_of(self, top)
  local chosen, to = choose(self, run, message, top)
  local numbers, at, octets, most = {}, 0, 0, limit(self, chosen)
  for i, one in ipairs(chosen) do numbers[i] = one.number end
  local good, text, err = self.conn:retr_many(numbers, function(_, got, why)
    at = at + 1
    local one = chosen[at]
    one.got[top or "text"] = got or why
    if one.place > self.place then self.fetched[one.place] = one end
    octets = octets + #(got or "")
    if most and octets > most then return false, TOO_MUCH end
  end, { top = top, max_octets = most })
  if good == nil then return nil, text, err end
  run.to = to
  return true
end

-- ------------------------------------------------------------ options

local KEYS = { since = "table", order = "string", ahead = "number" }

local function check(options)
  for key, value in pairs(options) do
    local wanted = KEYS[key]
    if not wanted then
      error(("unknown option '%s' to 'messages' (there are since, order and "
        .. "ahead)"):format(tostring(key):sub(1, 32)), 3)
    end
    local listing = key == "since" and type(value) == "userdata"
    if type(value) ~= wanted and not listing then
      error(("bad option '%s' to 'messages' (%s expected, got %s)"):format(key,
        wanted, type(value)), 3)
    end
  end
  local order = options.order
  if order and order ~= "oldest" and order ~= "newest" then
    error("bad option 'order' to 'messages' (\"oldest\" or \"newest\" "
      .. "expected, got " .. order:sub(1, 32) .. ")", 3)
  end
  local ahead = options.ahead
  if ahead and (ahead < 0 or ahead ~= ahead) then
    error("bad option 'ahead' to 'messages' (octets, 0 or more, expected)", 3)
  end
end

--- The messages of a mailbox.
-- @param conn connection, logged in
-- @tparam[opt] table options `since`: UIDs that are known, as a list, as the
-- keys of a table, or a listing; `order`: "oldest" (the default) or "newest"
-- first; `ahead`: octets to fetch ahead (1 MiB)
return function(conn, options)
  core.is_safe(conn, "messages") -- or no connection at all
  options = options or {}
  if type(options) ~= "table" then
    call.bad_argument(1, "messages", "option table", options)
  end
  check(options)
  local listing, message, err = conn:listing()
  if not listing then return nil, message, err end
  local wanted = options.since and listing:without(options.since) or listing
  return setmetatable({
    conn = conn, listing = wanted, uids = listing.uids, count = #wanted,
    newest = options.order == "newest", ahead = options.ahead or AHEAD,
    place = 0, fetched = {}, handed = setmetatable({}, { __mode = "v" }),
    runs = {},
  }, of_messages)
end
