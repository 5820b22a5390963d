---@meta pop3.loop.luv
-- Types for the Lua language server; docs/hosts.md has the words.

---@class pop3.loop.luv: pop3.Loop
---@field on_error fun(err: any, thread: thread) is told what ended a coroutine
local Loop = {}

---@return string? why the caller cannot wait where it is
function Loop.unusable() end

return Loop
