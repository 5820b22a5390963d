--- Every way to receive a message, behind one function, for specs that claim
-- the same of all of them.
--
--     for _, sink in ipairs(sinks.all) do
--       local seen = sink.receive(conn, 1, { eol = "lf" })
--       seen.complete   -- was the receiver told that it has everything?
--       seen.told       -- how often it was told of an end
--       seen.text       -- what it has, whole or not; nil: nothing is left
--       seen.octets, seen.digest, seen.err
--     end

local lfs = require "lfs"

local descriptors = require "spec.support.descriptors"
local files = require "spec.support.files"

local sinks = {}

--- A path in a folder that is there already, where no file is.
function sinks.path()
  local path = os.tmpname()
  os.remove(path)
  return path
end

--- What is in a file, which is removed; nil if there is none.
function sinks.take(path)
  if not lfs.attributes(path) then return nil end
  local octets = files.read(path)
  os.remove(path)
  return octets
end

--- A sink in LTN12's shape that collects in a table.
function sinks.collector()
  local got, chunks = { text = "", told = 0 }, {}
  local function sink(chunk, message, err)
    if chunk then
      chunks[#chunks + 1] = chunk
    else
      got.text, got.told = table.concat(chunks), got.told + 1
      got.complete = message == nil and err == nil
      got.message, got.err = message, err
    end
    return 1
  end
  return sink, got
end

-- ------------------------------------------------------------ receivers

-- Calls that say it all by what they return or raise.
local function returning(method, collect)
  return function(conn, number, options)
    local seen = { told = 0, complete = false }
    local ok, err = pcall(function()
      collect(seen, conn, conn[method], number, options)
      seen.complete, seen.told = true, 1
    end)
    if not ok then seen.err, seen.told = err, 1 end
    return seen
  end
end

local all = {}

local function add(name, receive) all[#all + 1] = { name = name, receive = receive } end

add("retr_string", returning("retr_string", function(seen, conn, method, ...)
  seen.text, seen.octets, seen.digest = method(conn, ...)
end))

local function read_out(ending)
  return function(seen, conn, method, ...)
    local reader = method(conn, ...)
    local pieces, finish = {}, ending(...)
    local ok, err = pcall(function()
      while true do
        local piece = reader:next()
        if piece == nil then break end
        pieces[#pieces + 1] = piece
        pieces[#pieces + 1] = finish
      end
    end)
    seen.text = table.concat(pieces)
    if not ok then error(err, 0) end
    seen.octets, seen.digest = reader.octets, reader.digest
  end
end

add("retr_chunks", returning("retr_chunks", read_out(function() return "" end)))
add("retr_lines", returning("retr_lines", read_out(function(_, options)
  return options and options.eol == "lf" and "\n" or "\r\n"
end)))

add("retr_to a function", function(conn, number, options)
  local sink, got = sinks.collector()
  local ok, octets, digest = pcall(conn.retr_to, conn, number, sink, options)
  if ok then
    got.octets, got.digest = octets, digest
  else
    got.raised = octets
    -- A call that is refused before it begins tells its caller only.
    if got.told == 0 then got.err, got.told = octets, 1 end
  end
  assert(ok == (got.complete == true), "told one thing, returned another")
  assert(ok or got.raised == got.err, "told one error, raised another")
  return got
end)

add("retr_to a Lua file", function(conn, number, options)
  local path = sinks.path()
  local file = assert(io.open(path, "wb"))
  local seen = returning("retr_to", function(seen, _, method)
    seen.octets, seen.digest = method(conn, number, file, options)
  end)(conn)
  file:close()
  seen.text = sinks.take(path)
  return seen
end)

add("retr_to a descriptor", function(conn, number, options)
  local path = sinks.path()
  local file = assert(io.open(path, "wb"))
  local fd = descriptors.of(path)
  local seen = returning("retr_to", function(seen, _, method)
    seen.octets, seen.digest = method(conn, number, fd, options)
  end)(conn)
  file:close()
  seen.text = sinks.take(path)
  return seen
end)

add("retr_to a path", function(conn, number, options)
  local path = sinks.path()
  local seen = returning("retr_to", function(seen, _, method)
    seen.octets, seen.digest = method(conn, number, { path = path }, options)
    seen.mode = lfs.attributes(path, "permissions")
  end)(conn)
  seen.text = sinks.take(path)
  assert(seen.complete == (seen.text ~= nil), "a file means a whole message")
  return seen
end)

-- retr_many of one message: `connect` makes the receiver.
local function many(connect)
  return function(conn, number, options)
    local seen = { told = 0, complete = false }
    local receiver, finish = connect(seen)
    local ok, good, bad = pcall(conn.retr_many, conn, { number }, receiver,
      options)
    if not ok then
      assert(not seen.complete, "told complete, raised an error")
      seen.err, seen.told = good, 1
    else
      assert(good + bad == 1)
      assert(seen.told == 1 and (good == 1) == seen.complete)
    end
    if finish then finish() end
    return seen
  end
end

local function done(seen)
  return function(_, octets, err, digest)
    seen.told = seen.told + 1
    seen.complete = octets ~= nil
    seen.octets, seen.err, seen.digest = octets, err, digest
  end
end

add("retr_many a callback", many(function(seen)
  return function(_, text, err, digest)
    seen.told, seen.complete = seen.told + 1, text ~= nil
    seen.text, seen.octets = text, text and #text
    seen.err, seen.digest = err, digest
  end
end))

add("retr_many sinks", many(function(seen)
  local sink, got = sinks.collector()
  return { sink = function() return sink end, done = done(seen) }, function()
    seen.text = got.text
    assert(not got.complete or seen.complete)
    assert(got.told <= 1)
  end
end))

add("retr_many paths", many(function(seen)
  local path = sinks.path()
  return {
    sink = function() return { path = path } end, done = done(seen),
  }, function()
    seen.text = sinks.take(path)
    assert(seen.complete == (seen.text ~= nil), "a file means a whole message")
  end
end))

sinks.all = all

return sinks
