-- The certificate matrix of docs/threats: who is believed to be the server,
-- asked through both doors: TLS from the start, and STLS. A row that must be
-- refused also proves that nothing but CAPA and STLS was sent.

local certificates = require "spec.support.certificates"
local pop3 = require "pop3"
local server = require "spec.support.server"

local NAME = certificates.name

--- A row is {claim, cert =, …}: without `error` the server must be accepted,
-- else the error's kind is tls, its name is `error`, and each of `says` is in
-- its text.
--   name     whom the client wants to talk to (false: the host itself)
--   host     where it connects (default 127.0.0.1)
--   options  further options of the client
--   server   further TLS options of the server
local function hostname(claim, cert, says, more)
  local row = { claim, cert = cert, error = "hostname", says = says }
  for key, value in pairs(more or {}) do row[key] = value end
  return row
end

local function untrusted(claim, cert, says, more)
  local row = hostname(claim, cert, says, more)
  row.error = "certificate"
  return row
end

local NO_PIN = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
local NO_RECORD = "3 1 1 " .. ("00"):rep(32)

--- A row of options beside chain and name: without `error` it is accepted.
local function by(options, claim, cert, error, says, more)
  local row = hostname(claim, cert, says, more)
  row.error, row.options = error, row.options or options
  return row
end

--- The same, with an OCSP response stapled, or none.
local function stapled(staple, claim, error, says, more)
  local row = by({ ocsp = "request" }, claim, "exact", error, says, more)
  row.server = { staple = staple and certificates.ocsp(staple) or nil }
  return row
end

--- `text` as a pattern that matches just that.
local function plain(text) return (text:gsub("%p", "%%%0")) end

local function pinned(cert, depth) return certificates.pin(cert, depth) end

local function named(head, cert, depth)
  return certificates.tlsa(cert, head, depth)
end

local rows = {
  -- names
  { "accepts the exact name", cert = "exact" },
  { "accepts the name in other case", cert = "exact",
    name = "Mail.EXAMPLE.org" },
  { "accepts a name with the root's dot", cert = "exact", name = NAME .. "." },
  hostname("refuses another name", "mismatch", { NAME, "pop.example.net" }),
  hostname("refuses the parent's name", "parent", { NAME, "example.org" }),
  hostname("refuses a sub-domain's name", "subdomain", { "deep." .. NAME }),
  { "accepts a wildcard as left-most label", cert = "wildcard" },
  hostname("refuses a partial wildcard", "partial-wildcard",
    { "m*.example.org" }),
  hostname("refuses a wildcard over two labels", "wildcard",
    { "*.example.org" }, { name = "deep." .. NAME }),
  hostname("refuses a wildcard for its own parent", "wildcard",
    { "*.example.org" }, { name = "example.org" }),
  hostname("refuses an inner wildcard", "inner-wildcard", { "mail.*.org" }),
  hostname("refuses a wildcard for a top-level domain", "public-wildcard",
    { "*.org" }, { name = "example.org" }),
  hostname("refuses a lone star", "star", { NAME }),
  hostname("refuses a lone star for a single label", "star", {},
    { name = "localhost" }),
  hostname("refuses a common name alone", "cn-only", { NAME }),
  hostname("refuses a common name beside an IP", "cn-and-ip", { NAME }),
  hostname("refuses a common name beside an address of mail", "cn-and-email",
    { NAME }),
  hostname("refuses a NUL in a name", "nul", { NAME }),
  hostname("escapes what a certificate's name holds", "control", { "evil" }),
  { "accepts an A-label", cert = "idna",
    name = "xn--mnchen-3ya.example.org" },
  { "refuses a U-label and asks for the A-label", cert = "idna",
    name = "m\195\188nchen.example.org", error = "config",
    says = { "A%-label" }, unsent = true },
  { "refuses a leading dot", cert = "subdomain", name = ".example.org",
    error = "config", says = { "%.example%.org", "host name" }, unsent = true },
  { "refuses a NUL in the wanted name", cert = "nul",
    name = NAME .. "\0.evil.example", unsent = true, argument = true },
  -- addresses
  { "accepts an address", cert = "ip", name = false },
  { "accepts an IPv6 address", cert = "ip", name = false, host = "::1" },
  hostname("refuses another address", "other-ip", { "127.0.0.1" },
    { name = false }),
  hostname("refuses an address written as a name", "ip-as-name",
    { "127.0.0.1" }, { name = false }),
  hostname("refuses an IPv6 address written as a name", "ip-as-name",
    { "::1" }, { name = false, host = "::1" }),
  hostname("refuses a name's certificate for an address", "exact",
    { "127.0.0.1" }, { name = false }),
  -- time
  untrusted("refuses an expired certificate", "expired", { "expired" }),
  untrusted("refuses an expired intermediate", "expired-intermediate",
    { "expired" }),
  untrusted("refuses an expired root", "expired-root", { "expired" },
    { options = { cafile = certificates.file("old-root") } }),
  untrusted("refuses a certificate of the future", "not-yet",
    { "not yet valid", "clock" }),
  -- chains
  untrusted("refuses an unknown root", "unknown-root", { "cafile" }),
  untrusted("refuses a self-signed certificate", "self-signed",
    { "self%-signed", "cafile" }),
  untrusted("refuses a chain without its intermediate", "missing-intermediate",
    { "intermediate" }),
  { "accepts a chain in another order", cert = "reversed" },
  untrusted("refuses an issuer that is no authority", "non-ca", {}),
  untrusted("refuses a chain that is longer than allowed", "path-length", {}),
  untrusted("refuses a client's certificate", "client-only", { "for servers" }),
  untrusted("refuses an RSA key of 1024 bits", "weak-key-leaf", { "too short" },
    { server = { key = certificates.file("weak-key"),
                 ciphers = "DEFAULT:@SECLEVEL=0" } }),
  untrusted("refuses a SHA-1 signature", "sha1", { "weak" },
    { server = { ciphers = "DEFAULT:@SECLEVEL=0" } }),
  { "finds the last of 10,000 names", cert = "crowd" },
  hostname("refuses 10,000 other names with a short text", "crowd-without",
    { "h0000%.x" }),
  -- what is negotiated
  { "refuses TLS 1.0 and 1.1", cert = "exact", error = "handshake",
    says = { "version" },
    server = { min_version = "1.0", max_version = "1.1",
               ciphers = "DEFAULT:@SECLEVEL=0" } },
  { "says what TLS 1.0 takes beside min_version", cert = "exact",
    error = "handshake", says = { "security_level = 0" },
    options = { min_version = "1.0" },
    server = { min_version = "1.0", max_version = "1.0",
               ciphers = "DEFAULT:@SECLEVEL=0" } },
  { "refuses ciphers that do not encrypt", cert = "exact",
    error = "handshake", says = { "cipher" },
    server = { max_version = "1.2", ciphers = "NULL:@SECLEVEL=0" } },
  { "refuses an anonymous server", cert = "exact", error = "handshake",
    says = { "cipher" },
    server = { max_version = "1.2", ciphers = "aNULL:@SECLEVEL=0" } },
  { "names its option when ALPN is refused", cert = "exact", error = "alpn",
    says = { "alpn = false" },
    handshake = { { read = 5 }, { raw = "\21\3\3\0\2\2\120" }, { eof = true } },
  },
  -- keys that the caller knows
  by({ pins = pinned("exact") }, "accepts a pinned key", "exact"),
  by({ pins = NO_PIN .. ";" .. pinned("exact", 2) },
    "accepts a pinned authority", "exact"),
  by({ pins = NO_PIN }, "refuses a key that is not pinned, and tells it",
    "exact", "pin", { plain(pinned("exact")) }),
  by({ pins = pinned("self-signed") }, "refuses a pinned key without a chain",
    "self-signed", "certificate", { "self%-signed" }),
  by({ pins = pinned("mismatch") }, "refuses a pinned key of another name",
    "mismatch", "hostname", { "pop%.example%.net" }),
  by({ pins = "sha256//oops" }, "refuses what is no pin, and names it", "exact",
    "config", { "sha256//oops" }, { unsent = true }),
  by({ verify = false, pins = pinned("self-signed") },
    "accepts a pinned key alone, of an appliance", "self-signed"),
  by({ verify = false, pins = pinned("expired") },
    "accepts a pinned key alone, of whatever date", "expired"),
  by({ verify = false, pins = pinned("mismatch") },
    "accepts a pinned key alone, of whatever name", "mismatch"),
  by({ verify = false, pins = pinned("exact", 2) },
    "refuses a pinned authority alone, which nobody verified", "exact", "pin",
    { plain(pinned("exact")) }),
  by({ verify = false, pins = NO_PIN },
    "refuses another key than the pinned one alone", "self-signed", "pin",
    { plain(pinned("self-signed")) }),
  -- keys that the DNS knows
  by({ dane = named("3 1 1", "self-signed") },
    "accepts what DANE-EE names, self-signed", "self-signed"),
  by({ dane = named("3 0 2", "expired") },
    "accepts what DANE-EE names, of whatever date", "expired"),
  by({ dane = named("3 1 1", "mismatch") },
    "accepts what DANE-EE names, of whatever name", "mismatch"),
  by({ dane = NO_RECORD }, "refuses what DANE-EE does not name", "exact",
    "dane", { "TLSA", plain(named("3 1 1", "exact")) }),
  by({ dane = named("2 0 1", "unknown-root", 2) },
    "accepts an authority that DANE-TA names", "unknown-root"),
  by({ dane = named("2 0 1", "exact", 2) },
    "refuses another authority than DANE-TA names", "unknown-root", "dane",
    { "TLSA" }),
  by({ dane = named("2 0 1", "mismatch", 2) },
    "refuses another name with DANE-TA", "mismatch", "hostname",
    { "pop%.example%.net" }),
  by({ dane = named("2 0 1", "expired", 2) },
    "refuses another date with DANE-TA", "expired", "certificate",
    { "expired" }),
  by({ dane = named("1 1 1", "exact") },
    "accepts a trusted chain with PKIX-EE", "exact"),
  by({ dane = named("1 1 1", "unknown-root") },
    "refuses PKIX-EE without a trusted chain", "unknown-root", "certificate",
    {}),
  by({ dane = "3 1 9 00; " .. named("3 1 1", "exact") },
    "ignores records that nobody can use", "exact"),
  by({ dane = "3 1 9 00" }, "refuses when none can be used", "exact", "config",
    { "none of the 1" }, { unsent = true }),
  by({ dane = "3 1 1 xyz" }, "refuses what is no record, and names it", "exact",
    "config", { "3 1 1 xyz" }, { unsent = true }),
  -- what an authority says today, stapled
  stapled("good", "accepts a good OCSP answer"),
  stapled("delegated", "accepts one by whom the authority appointed"),
  stapled(nil, "accepts none where none is promised"),
  stapled("later", "accepts none today where none is promised"),
  stapled(nil, "refuses none where one is promised", "ocsp",
    { "must%-staple" }, { cert = "must-staple" }),
  stapled(nil, "refuses none where one is required", "ocsp",
    { "ocsp = \"require\"" }, { options = { ocsp = "require" } }),
  stapled("revoked", "refuses what an OCSP answer says is revoked", "revoked",
    { "revoked on 2", "keyCompromise" }, { cert = "revoked" }),
  stapled("unknown", "refuses what the authority does not know", "ocsp",
    { "does not know" }),
  stapled("old", "refuses an OCSP answer that is too old", "ocsp",
    { "was good until 2" }),
  stapled("early", "refuses an OCSP answer of the future", "ocsp",
    { "clock" }),
  stapled("another", "refuses an OCSP answer about another certificate", "ocsp",
    { "another certificate" }, { hostile_staple = true }),
  stapled("usurped", "refuses an OCSP answer by whom nobody appointed", "ocsp",
    { "signed" }),
  stapled("self", "refuses an OCSP answer by the server itself", "ocsp",
    { "signed" }),
  stapled("forged", "refuses an OCSP answer by a stranger", "ocsp",
    { "signed" }),
  stapled("foreign", "refuses an OCSP answer by another authority's", "ocsp",
    { "signed" }),
  stapled("garbage", "refuses an OCSP answer that is cut short", "ocsp",
    { "not an OCSP response" }, { hostile_staple = true }),
  -- what an authority said in a list
  by({ crlfile = certificates.crl("good") }, "accepts what no list revokes",
    "exact"),
  by({ crlfile = certificates.crl("good") }, "refuses what a list revokes",
    "revoked", "revoked", { "revoked on 2", "Spec intermediate" }),
  by({ crlfile = certificates.crl("middle") },
    "refuses an authority that a list revokes", "exact", "revoked",
    { "CN=Spec intermediate was revoked" }),
  by({ crlfile = certificates.crl("old") }, "refuses an expired list", "exact",
    "certificate", { "crlfile", "expired on 2" }),
  by({ crlfile = certificates.crl("forged") }, "refuses a forged list", "exact",
    "certificate", { "crlfile", "signature" }),
  by({ crlfile = certificates.crl("root") },
    "refuses when the authority has no list", "exact", "certificate",
    { "crlfile holds no revocation list" }),
  by({ crlfile = certificates.cafile }, "refuses a file without lists", "exact",
    "config", { "crlfile" }, { unsent = true }),
  -- the client's own certificate
  { "shows its certificate when asked for it", cert = "exact",
    server = { ca = certificates.cafile },
    options = { certfile = certificates.file("client"),
                keyfile = certificates.file("key") } },
  { "says that the server wants a certificate (TLS 1.2)", cert = "exact",
    error = "handshake", says = { "certfile" },
    server = { ca = certificates.cafile, max_version = "1.2" } },
  { "says that the server wants a certificate (TLS 1.3)", cert = "exact",
    error = "*", says = { "certfile" },
    server = { ca = certificates.cafile, min_version = "1.3" } },
}

local function copy(from, to)
  for key, value in pairs(from or {}) do to[key] = value end
  return to
end

local function client_options(row)
  local options = { cafile = certificates.cafile, timeout = 20 }
  if row.name ~= false then options.servername = row.name or NAME end
  return copy(row.options, options)
end

--- The steps of a server: TLS by `row`, then a login that must never come
-- where the row is to be refused.
local function handshake_steps(row)
  if row.handshake then return row.handshake end
  return { { tls = certificates.server(row.cert, row.server) } }
end

local function append(list, more)
  for _, step in ipairs(more) do list[#list + 1] = step end
  return list
end

local SESSION = {
  { auto = { { "USER .*", "+OK\r\n" }, { "PASS .*", "+OK\r\n" } } },
}

local doors = {
  {
    name = "implicit TLS",
    clear = "",
    steps = function(row)
      local steps = append({}, handshake_steps(row))
      return append(append(steps, { "S: +OK ready" }), SESSION)
    end,
    connect = function(host, port, options)
      return pop3.POP3_SSL(host, port, options)
    end,
  },
  {
    name = "STLS",
    clear = "CAPA\r\nSTLS\r\n",
    steps = function(row)
      local steps = { "S: +OK ready", "C: CAPA",
                      { send = "+OK\r\nSTLS\r\n.\r\n" }, "C: STLS",
                      "S: +OK begin" }
      return append(append(steps, handshake_steps(row)), SESSION)
    end,
    connect = function(host, port, options)
      options.tls = "starttls"
      return pop3.POP3(host, port, options)
    end,
  },
}

local function attempt(door, row, s)
  local conn = door.connect(s.host, s.port, client_options(row))
  conn:user("alice")
  conn:pass_("correct horse")
  conn:quit()
end

local function check_refusal(row, ok, err)
  assert.is_false(ok)
  if row.argument then return assert.is_string(err) end
  assert.is_table(err)
  assert.equal("tls", err.kind)
  if row.error ~= "*" then assert.equal(row.error, err.name) end
  local text = tostring(err)
  for _, phrase in ipairs(row.says) do
    assert(text:find(phrase), ("%q does not say %q"):format(text, phrase))
  end
  assert(not text:find("%c"), "control characters in the text")
  assert(#text < 1024, "the text is long")
end

local function check(door, row)
  local s = server.start {
    host = row.host,
    connections = { door.steps(row) },
  }
  local ok, err = pcall(attempt, door, row, s)
  -- Where the client never connects, the server has nothing to report.
  local report = row.unsent and s:cut() or s:report()
  local seen = report.connections[1] or { clear = "", secure = "" }
  if not row.error and not row.argument then
    if not ok then error(err, 0) end
    assert.equal("USER alice\r\nPASS correct horse\r\nQUIT\r\n", seen.secure)
    return assert.equal(door.clear, seen.clear)
  end
  check_refusal(row, ok, err)
  assert.equal("", seen.secure)
  if row.unsent then return end
  assert.equal(door.clear, (seen.clear:gsub("\22\3.*", "")))
end

-- Since 3.6 OpenSSL's servers drop a staple that is not their certificate's.
local function sends_any_staple()
  local pipe = io.popen("openssl version")
  local major, minor = pipe:read("*a"):match("(%d+)%.(%d+)")
  pipe:close()
  return major * 100 + minor < 306
end

local function has_ipv6()
  local list = io.open("/proc/net/if_inet6")
  local text = list and list:read("*a") or ""
  if list then list:close() end
  return text:find(" lo", 1, true) ~= nil
end

for _, door in ipairs(doors) do
  describe("the certificate matrix through " .. door.name, function()
    after_each(server.stop_all)
    for _, row in ipairs(rows) do
      it(row[1], function()
        if row.host == "::1" and not has_ipv6() then
          return pending("this host has no IPv6")
        end
        if row.hostile_staple and not sends_any_staple() then
          return pending("OpenSSL's servers drop it (tls_revoked_test.c judges it)")
        end
        check(door, row)
      end)
    end
  end)
end
