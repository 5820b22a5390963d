---@meta resty.pop3
-- Types for the Lua language server; docs/nginx.md has the words.

---@class resty.pop3: pop3.Connection
---@field _VERSION string
local Client = {}

---@param options? pop3.OpenOptions those of every open and connect
---@return resty.pop3
function Client:new(options) end

---@param connect number milliseconds, from the name to the greeting
---@param send number milliseconds without an octet; the longer one counts
---@param read number
function Client:set_timeouts(connect, send, read) end

---@param milliseconds number all three
function Client:set_timeout(milliseconds) end

---@param host string
---@param port? integer
---@param options? pop3.Options
---@return true? ok
---@return string? message
---@return pop3.Error? err
function Client:connect(host, port, options) end

---@param url string pop3s://user@host[:port], pop3://, pop://
---@param options? pop3.OpenOptions
---@return true? ok
---@return pop3.LoginExtras|string|nil extras or message
---@return pop3.Error? err
---@overload fun(self: resty.pop3, options: pop3.OpenOptions): true?, pop3.LoginExtras|string|nil, pop3.Error?
function Client:open(url, options) end

---@return true? ok
---@return string? message
---@return pop3.Error? err
function Client:close() end

---There is no pool: always nil and why.
---@return nil
---@return string message
---@return pop3.Error err
function Client:set_keepalive() end

return Client
