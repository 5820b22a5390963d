---@meta pop3.loop.luasocket
-- Types for the Lua language server; docs/hosts.md has the words.

---@class pop3.loop.luasocket: pop3.Loop
local Loop = {}

---@param sock table|userdata LuaSocket's, connected, or LuaSec's behind its handshake
---@return pop3.Transport
function Loop.wrap(sock) end

return Loop
