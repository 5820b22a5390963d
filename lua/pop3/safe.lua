--- `pop3` returning `nil, message, err` where it would raise an error object.
--
-- `message` is `closed` or `timeout` where poplib-shaped code wants to compare,
-- the error's text otherwise; `err` is the error object. Wrong arguments are
-- ordinary Lua errors here as well.
--
-- @module pop3.safe
return require("pop3").safe
