--- What Copas 4 needs of the module `timerwheel`, which Debian does not have:
-- few timers, so a table will do.

local Wheel = {}
Wheel.__index = Wheel

function Wheel:set(seconds, callback, argument)
  self.last = self.last + 1
  self.timers[self.last] = { self.now() + seconds, callback, argument }
  return self.last
end

function Wheel:cancel(id) self.timers[id] = nil end

function Wheel:count()
  local count = 0
  for _ in pairs(self.timers) do count = count + 1 end
  return count
end

function Wheel:step()
  local due = {}
  for id, timer in pairs(self.timers) do
    if timer[1] <= self.now() then due[#due + 1] = id end
  end
  for _, id in ipairs(due) do
    local timer = self.timers[id]
    self.timers[id] = nil
    if timer then timer[2](timer[3]) end
  end
end

return { new = function(options)
  return setmetatable({ now = options.now, timers = {}, last = 0 }, Wheel)
end }
