-- results.lua - busted's output as TAP, into the file that -Xoutput names, so
-- that nothing a spec prints can be taken for a result. Unlike busted's own
-- handler it counts what fails outside an `it` (a file that does not load, a
-- setup), and says how long each took.
--
--   busted -o spec/support/results.lua -Xoutput FILE

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local path = options.arguments[1]
  local file = path and assert(io.open(path, "w")) or io.stdout
  file:setvbuf("line")
  local started

  local function one_line(text)
    return (tostring(text):gsub("[%s%c]+", " "))
  end

  local function explain(text)
    if type(text) ~= "string" then
      text = require("pl.pretty").write(text)
    end
    file:write("# ", (text:gsub("\n", "\n# ")), "\n")
  end

  local function report(found)
    file:write("not ok - ", one_line(found.name), "\n")
    explain(found.message or "no message")
  end

  function handler.testStart()
    started = busted.monotime and busted.monotime() or os.time()
    return nil, true
  end

  function handler.testEnd(_, _, status)
    local lists = {
      success = handler.successes, pending = handler.pendings,
      failure = handler.failures, error = handler.errors,
    }
    local found = lists[status][#lists[status]]
    local now = busted.monotime and busted.monotime() or os.time()
    if status == "success" then
      file:write(string.format("ok - %s # %.2f s\n",
        one_line(found.name):gsub("#", ""), now - started))
    elseif status == "pending" then
      file:write(string.format("ok - %s # SKIP %s\n",
        one_line(found.name):gsub("#", ""),
        one_line(found.message or "no reason given")))
    else
      report(found)
    end
    return nil, true
  end

  local function outside(list)
    return function(element)
      if element.descriptor ~= "it" then report(list[#list]) end
      return nil, true
    end
  end

  function handler.error(element, ...)
    return outside(handler.errors)(element, ...)
  end

  busted.subscribe({ "test", "start" }, handler.testStart)
  busted.subscribe({ "test", "end" }, handler.testEnd)
  busted.subscribe({ "error" }, handler.error)
  busted.subscribe({ "failure" }, handler.error)
  return handler
end
