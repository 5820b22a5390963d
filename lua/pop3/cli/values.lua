--- Values that the command line and the file of accounts both check. Each
-- function returns the value, or nil and what is wrong.
--
-- @module pop3.cli.values

local values = {}

local PROXIES = {
  ["socks5"] = true, ["socks5h"] = true,
  ["socks5+tls"] = true, ["socks5h+tls"] = true,
  ["http"] = true, ["https"] = true,
}

local PROXY_PASSWORD = "a password does not belong into a proxy's URL, where "
  .. "others can see it: use --proxy-password-command"

--- The URL of a proxy, without a password.
function values.proxy(text)
  local scheme, rest = text:match("^(%a[%w+]*)://([^/]+)/?$")
  if not scheme or not PROXIES[scheme:lower()] then
    return nil, "a proxy is a URL whose scheme is socks5, socks5+tls, http or "
      .. "https"
  end
  local user = rest:match("^(.*)@")
  if user and user:find(":", 1, true) then return nil, PROXY_PASSWORD end
  return text
end

--- The digest of a public key: SHA-256, 32 octets in base64.
function values.pin(text)
  local digest = text:match("^sha256//([%w+/]+)=$")
  if digest and #digest == 43 then return text end
  return nil, "a pin is sha256// and 44 characters of base64"
end

return values
