--- threats.md, T22: a URL, or what is half of one, where a host is expected. It
-- may hold a password, so nobody gets to see it: no error, no traceback, no
-- server of names; and the error says who takes URLs.
local claims = require "spec.support.claims"
local pop3 = require "pop3"

local URLS = { "pop3s://joe:topmost@mail.example.org", "joe:topmost@localhost",
  "//joe:topmost@localhost", "pop3s://joe:top/topmost@localhost:995/",
  "joe@topmost", "localhost/topmost", "socks5://joe:topmost@localhost" }

local function opens(url)
  return pop3.open { host = url, user = "joe", password = "x" }
end

local function opens_safely(url)
  return pop3.safe.open { host = url, user = "joe", password = "x" }
end

describe("T22 A URL in place of a host", function()
  local functions = { POP3 = pop3.POP3, POP3_SSL = pop3.POP3_SSL,
    ["safe.POP3"] = pop3.safe.POP3, ["safe.POP3_SSL"] = pop3.safe.POP3_SSL,
    open = opens, ["safe.open"] = opens_safely }

  for name, connect in pairs(functions) do
    it("is refused by " .. name .. ", and not shown", function()
      for _, url in ipairs(URLS) do
        local shown
        local ok = xpcall(connect, function(err)
          shown = err
          return debug.traceback(err)
        end, url, { timeout = 1 })
        assert.is_false(ok)
        assert.equal("string", type(shown)) -- nobody was asked for it
        assert.is_nil(debug.traceback(shown):find("topmost", 1, true))
        assert.is_nil(shown:find("joe", 1, true))
      end
    end)
  end

  it("is told who takes URLs", function()
    local text = claims.misuse(pop3.POP3_SSL, URLS[1])
    assert.matches("bad argument #1 to 'POP3_SSL'", text, 1, true)
    assert.matches("pop3.open takes URLs", text, 1, true)
  end)

  it("is not shown by open either, whose URLs have no password", function()
    for _, url in ipairs(URLS) do
      for _, open in ipairs { pop3.open, pop3.safe.open } do
        local text = claims.misuse(open, url, { password = "x" })
        assert.is_nil(text:find("topmost", 1, true), text)
      end
    end
  end)

  it("is not shown where the host is not one of those allowed", function()
    local text = require("spec.support.child").run { script = [[
      local pop3 = require "pop3"
      pop3.restrict { servers = { "mail.example.org" } }
      for _, url in ipairs { "pop3s://joe:topmost@other.example",
        "joe:topmost@mail.example.org" } do
        print(pcall(pop3.POP3, url))
      end
    ]] }
    assert.equal("", text.err)
    assert.is_nil(text.out:find("topmost", 1, true), text.out)
  end)
end)
