--- The sample mailbox for specs: starts spec/support/mailbox.py, a POP3 server
-- of its own process with awkward mails.
--
--     local mailbox = require "spec.support.mailbox"
--     after_each(mailbox.stop_all)
--     local box = mailbox.start { "--sample", "5" }
--     box.plain, box.tls, box.ca      -- ports, CA file
--     box.user, box.password
--     box:log()                       -- the commands of all connections
--     box:most_at_a_time()            -- connections, as these tell
--     box:served()                    -- the mails, in CRLF form

local files = require "spec.support.files"
local quote, read_file = files.quote, files.read

local mailbox = {}

local Box = {}
Box.__index = Box

local here = debug.getinfo(1, "S").source:match("^@(.*/)[^/]*$") or "./"
local running = {}

--- @tparam[opt] table options words of mailbox.py's command line
function mailbox.start(options)
  local folder = files.make_folder()
  local words = { "exec", os.getenv("PYTHON") or "python3",
    quote(here .. "mailbox.py"), "--save", folder .. "/served",
    "--certificates", folder, "--log", folder .. "/log" }
  for _, option in ipairs(options or {}) do
    words[#words + 1] = quote(option)
  end
  local pipe = io.popen(table.concat(words, " "), "r")
  local line = pipe:read("*l") or "it did not start"
  local plain, tls, ca = line:match("^PORT plain=(%d+) tls=(%d+) ca=(.*)$")
  assert(plain, line)
  local self = setmetatable({
    plain = tonumber(plain), tls = tonumber(tls), ca = ca,
    user = "otto", password = "correct horse",
    folder = folder, pipe = pipe,
  }, Box)
  running[self] = true
  return self
end

--- Every command that arrived, as "CONNECTION COMMAND ARGUMENTS" lines.
function Box:log()
  return read_file(self.folder .. "/log")
end

--- The most sessions that were open at a time. The server hears of an end late,
-- but one that said QUIT has only its answer to wait for.
function Box:most_at_a_time()
  local state, now, most = {}, 0, 0
  for session, word in self:log():gmatch "(%d+) (%u+)[^\n]*\n" do
    if not state[session] then
      state[session], now = "open", now + 1
      most = math.max(most, now)
    end
    if state[session] == "open" and (word == "QUIT" or word == "END") then
      state[session], now = "over", now - 1
    end
  end
  return most
end

--- The mails in their order.
function Box:served()
  local mails = {}
  while true do
    local path = ("%s/served/%05d"):format(self.folder, #mails + 1)
    local file = io.open(path, "rb")
    if not file then return mails end
    mails[#mails + 1] = file:read("*a")
    file:close()
  end
end

function Box:stop()
  if not running[self] then return end
  running[self] = nil
  self.pipe:close() -- its standard output: it ends
  files.remove_folder(self.folder)
end

function mailbox.stop_all()
  for self in pairs(running) do self:stop() end
end

return mailbox
