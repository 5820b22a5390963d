--- The quirks of mail providers and of their servers, replayed from what was
-- seen of them (spec/providers/*.txt name where); docs/providers.md is what
-- users are told about the same.
local files = require "spec.support.files"
local server = require "spec.support.server"
local transcript = require "spec.support.transcript"

local here = debug.getinfo(1, "S").source:match("^@(.*/)[^/]*$") or "./"

after_each(server.stop_all)

local pipe = io.popen("ls " .. files.quote(here .. "providers") .. "/*.txt")
for path in pipe:lines() do
  describe("providers/" .. path:match("[^/]*$"), function()
    for _, t in ipairs(transcript.read(path)) do
      it(t.name .. ": " .. t.claim, function() transcript.play(t) end)
    end
  end)
end
pipe:close()
