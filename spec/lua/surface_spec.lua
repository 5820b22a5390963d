-- What there is, the pages and the types name: a method, an option or an error
-- without a word about it is half done.

local core = require "pop3.core"
local pop3 = require "pop3"

local root = debug.getinfo(1, "S").source:match("^@(.*/)spec/") or "./"

local function read(path)
  return require("spec.support.files").read(root .. path)
end

local function mentions(text, words)
  return text:find(words, 1, true) ~= nil
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- First words of the rows `MACRO(word, ...` of a C file.
local function rows(path, pattern)
  local words = {}
  for word in read(path):gmatch(pattern) do words[#words + 1] = word end
  assert(#words > 5, "no rows found in " .. path)
  return words
end

describe("The surface", function()
  local types = read("types/pop3.lua")
  local readme = read("README.md")
  local options = read("docs/options.md")
  local errors = read("docs/errors.md")

  for _, name in ipairs(sorted_keys(core.methods)) do
    it("has types and words for the method " .. name, function()
      assert.is_true(mentions(types, "function Connection:" .. name .. "("))
      assert.is_true(mentions(readme, "`" .. name .. "`")
        or mentions(readme, "`" .. name .. "(")
        or mentions(readme, " " .. name .. "(")
        or mentions(readme, ":" .. name .. "("))
    end)
  end

  for _, name in ipairs(sorted_keys(pop3)) do
    it("has types for pop3." .. name, function()
      assert.is_true(mentions(types, "function pop3." .. name .. "(")
        or types:find("%-%-%-@field " .. name .. " ") ~= nil)
    end)
  end

  local option_rows = {
    { "csrc/lua_connect.c", "\n%s+OPTION%(([%l_]+)," },
    { "csrc/lua_context.c", "OPTION%(([%l_]+), %u" },
    { "csrc/lua_ways.c", "OPTION%(([%l_]+), %u" },
    { "csrc/lua_open.c", "OPEN_OPTION%(([%l_]+), %u" },
    { "csrc/pop3.h", "X%((max_[%l_]+)," },
  }
  for _, row in ipairs(option_rows) do
    for _, name in ipairs(rows(row[1], row[2])) do
      it("has types and words for the option " .. name, function()
        assert.is_true(mentions(options, "`" .. name .. "`"))
        assert.truthy(types:find("%-%-%-@field " .. name .. "%?"))
      end)
    end
  end

  -- What a host's adapter has beside the methods that all of them may have.
  local shared = { wait = true, connect = true }
  for _, loop in ipairs { "poll", "cqueues", "luv", "copas", "luasocket",
    "nginx" } do
    local text = read("lua/pop3/loop/" .. loop .. ".lua")
    for name in text:gmatch("\nfunction Loop[.:]([%l_]+)%(") do
      if not shared[name] then
        it(("has types for %s of pop3.loop.%s"):format(name, loop), function()
          local words = read("types/pop3/loop/" .. loop .. ".lua")
          assert.is_true(mentions(words, "." .. name .. "(")
            or mentions(words, ":" .. name .. "(")
            or mentions(words, "@field " .. name .. " "))
        end)
      end
    end
  end

  -- Never raised as objects: Lua's own errors, and what no method meets.
  local own = { argument = true, memory = true, [""] = true }
  for kind, name in read("csrc/errors.h"):gmatch(
    "X%(%u[%u_]*,%s*\"(%l*)\",%s*\"([%l_]*)\"") do
    if not own[kind] then
      it(("has a row for the error %s %s"):format(kind, name), function()
        assert.is_true(mentions(errors, "`" .. kind .. "`"))
        assert.is_true(mentions(errors, "`" .. name .. "`")
          or kind == "io") -- there it is errno's
      end)
    end
  end
end)
