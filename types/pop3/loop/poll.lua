---@meta pop3.loop.poll
-- Types for the Lua language server; docs/retrieving.md has the words.

local M = {}

---@class pop3.loop.poll: pop3.Loop
local Loop = {}

---@return pop3.loop.poll
function M.new() end

---@param interests pop3.Interest[]
---@param deadline number on the clock of pop3.now
function Loop:wait(interests, deadline) end

---@param fn fun(...)
---@param ... any its arguments
---@return thread
function Loop:spawn(fn, ...) end

---Until all tasks have ended; raises the first error.
function Loop:run() end

---@param err any what `run` raises
function Loop:stop(err) end

return M
