---@meta pop3.loop.nginx
-- Types for the Lua language server; docs/nginx.md has the words.

---@class pop3.loop.nginx: pop3.Loop
local Loop = {}

---@param options {verify?: boolean, send_status_req?: boolean} for sslhandshake
---@return pop3.loop.nginx
function Loop.new(options) end

return Loop
