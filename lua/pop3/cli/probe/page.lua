--- The page that a person reads: 80 columns, and nothing that a server said
-- can play with the terminal.
--
-- @module pop3.cli.probe.page

local escape = require("pop3.core").escape

local COLUMNS = 80
local MARGIN = 16 -- where what follows a label begins
local MOST = 24   -- lines of one row

local rows -- label, and a function of a port that returns its lines

-- ------------------------------------------------------------ lines

-- Characters, not octets: continuation octets of UTF-8 have no width.
local function width(text) return #text - #text:gsub("[^\128-\191]", "") end

-- `text` in pieces of at most `most` characters.
local function cut(text, most)
  local pieces, piece, count = {}, {}, 0
  for character in text:gmatch("[^\128-\191][\128-\191]*") do
    if count == most then
      pieces[#pieces + 1] = table.concat(piece)
      piece, count = {}, 0
    end
    piece[#piece + 1] = character
    count = count + 1
  end
  pieces[#pieces + 1] = table.concat(piece)
  return pieces
end

-- Words into lines that fit; a word that does not is cut.
local function wrap(text, most)
  local lines, line = {}, nil
  for word in escape(text):gmatch("%S+") do
    for _, piece in ipairs(cut(word, most)) do
      if line and width(line) + 1 + width(piece) <= most then
        line = line .. " " .. piece
      else
        lines[#lines + 1] = line
        line = piece
      end
    end
  end
  lines[#lines + 1] = line
  return lines
end

-- A label and texts, each of which begins a line.
local function add(page, label, texts)
  local lines, count = {}, 0
  for _, text in ipairs(texts) do
    for _, line in ipairs(wrap(text, COLUMNS - MARGIN)) do
      count = count + 1
      if count <= MOST then lines[#lines + 1] = line end
    end
  end
  if count > MOST then
    lines[#lines + 1] = ("... and %d lines more: see --json"):format(
      count - MOST)
  end
  for i, line in ipairs(lines) do
    local start = i == 1 and "  " .. label or ""
    page[#page + 1] = start .. (" "):rep(MARGIN - #start) .. line
  end
end

-- ------------------------------------------------------------ rows

local UNVERIFIED = "What follows was seen on a second connection, which "
  .. "trusted anybody; no password was sent."

local function validity(its)
  local left = its.days_left
  if not left or not its.not_before or not its.not_after then
    return "with dates that are none"
  end
  return ("from %s to %s: %s"):format(its.not_before, its.not_after,
    left >= 0 and left .. " days left" or "ended " .. -left .. " days ago")
end

-- "DNS:mail.example.org" and "IP:192.0.2.1" need no prefix to be told apart.
local function names_of(its)
  local names = {}
  for i, name in ipairs(its.names) do
    names[i] = name:gsub("^DNS:", ""):gsub("^IP:", "")
  end
  return #names > 0 and table.concat(names, ", ") or "no name at all"
end

-- A pin of somebody unknown is nothing to copy.
local function pin_of(port, its)
  if not its.pin then return nil end
  if not port.unverified then return "pin: " .. its.pin end
  return "pin: " .. its.pin .. " (ask the administrator whether it is theirs "
    .. "before you give it to --pin)"
end

local function certificate_of(port)
  local its = port.certificate
  if not its then return {} end
  return {
    "for " .. names_of(its),
    validity(its),
    ("%s, %s"):format(its.key or "unknown key",
      its.signature or "unknown signature"),
    "chain: " .. table.concat(its.chain, " <- "),
    pin_of(port, its),
  }
end

local function tls_of(port)
  local tls = port.tls
  if not tls then return {} end
  local texts = { table.concat({ tls.version, tls.cipher, tls.group }, ", ") }
  texts[2] = tls.alpn and "ALPN " .. tls.alpn or "no ALPN"
  if tls.resumed then
    texts[2] = texts[2] .. "; a second connection resumed the session"
  end
  return texts
end

-- What both have is said once, and nothing of what goes as it must: STLS under
-- TLS, logins after one.
local function added(list, base, expected)
  local known, found = {}, {}
  for _, line in ipairs(base) do known[line] = true end
  for _, line in ipairs(list) do
    if not known[line] and not expected[line:match("^%S*")] then
      found[#found + 1] = line
    end
  end
  return found
end

local WHEN = { { "clear", "before TLS" }, { "tls", "under TLS" },
  { "login", "after login" } }
local GOES = { tls = { STLS = true }, login = { USER = true, SASL = true } }

local function changes(list, before, row)
  local texts, title = {}, row[2]
  local new = added(list, before, {})
  local gone = added(before, list, GOES[row[1]])
  if #new > 0 then
    texts[#texts + 1] = title .. " also: " .. table.concat(new, ", ")
  end
  if #gone > 0 then
    texts[#texts + 1] = title .. " no more: " .. table.concat(gone, ", ")
  end
  if #texts == 0 then texts[1] = title .. " the same" end
  return texts
end

local function capabilities_of(port)
  local texts, before = {}, nil
  for _, row in ipairs(WHEN) do
    local list, title = port.capabilities[row[1]], row[2]
    if list and not before then
      texts[1] = title .. ": " .. table.concat(list, ", ")
    elseif list then
      for _, text in ipairs(changes(list, before, row)) do
        texts[#texts + 1] = text
      end
    end
    before = list or before
  end
  return texts
end

local function login_of(port)
  local login, texts = port.login, {}
  if #port.mechanisms == 0 then return {} end
  texts[1] = "offered: " .. table.concat(port.mechanisms, ", ")
  texts[2] = login.mechanism and "pop3 would log in by " .. login.mechanism
  if login.ok and login.messages then
    texts[#texts + 1] = ("%s logged in: %.0f messages, %.0f octets"):format(
      login.user, login.messages, login.octets)
  elseif login.ok then
    texts[#texts + 1] = login.user .. " logged in"
  elseif login.tried then
    texts[#texts + 1] = login.user .. " could not log in"
  else
    texts[#texts + 1] = "no login was tried: " .. login.untried
  end
  return texts
end

local function pipelining_of(port)
  local its = port.pipelining
  if its.announced == nil then return {} end
  if not its.announced then return { "not announced" } end
  if its.untried then return { "announced; not tried: " .. its.untried } end
  if its.honoured == nil then
    return { port.login.ok and "announced; not tried"
      or "announced; it is tried behind a login only" }
  end
  return { its.honoured and "announced, and works" or "announced, but FAILS" }
end

local function codes_of(port)
  local texts = {}
  if #port.codes.announced > 0 then
    texts[1] = "announced: " .. table.concat(port.codes.announced, ", ")
  end
  if #port.codes.seen > 0 then
    texts[#texts + 1] = "seen: " .. table.concat(port.codes.seen, ", ")
  end
  return texts
end

local function quirks_of(port)
  local texts = {}
  for i, quirk in ipairs(port.quirks) do
    texts[i] = (quirk.risk and "! " or "- ") .. quirk.text
  end
  return texts
end

local function field(name)
  return function(port) return { port[name] } end
end

local function verdict_of(port)
  if port.safe then return { port.verdict } end
  local failed = port.login.ok == false -- or there was nothing to log in with
  local how = failed and "FAILED: " or port.greeting and "NOT SAFE: "
    or "NOT POSSIBLE: "
  return { how .. port.verdict }
end

rows = {
  { "Login", verdict_of },
  { "", function(port) return { port.unverified and UNVERIFIED or nil } end },
  { "Address", field "address" },
  { "Proxy", field "proxy" },
  { "Greeting", field "greeting" },
  { "TLS", tls_of },
  { "Certificate", certificate_of },
  { "Capabilities", capabilities_of },
  { "Mechanisms", login_of },
  { "PIPELINING", pipelining_of },
  { "Codes", codes_of },
  { "Notes", quirks_of },
}

local ENTRIES = { implicit = "TLS from the first octet", starttls = "STLS" }

--- @tparam table document
-- @treturn string
return function(document)
  local page = {}
  for _, port in ipairs(document.ports) do
    page[#page + 1] = ("%s (%s)"):format(escape(port.url), ENTRIES[port.entry])
    for _, row in ipairs(rows) do add(page, row[1], row[2](port)) end
    page[#page + 1] = ""
  end
  page[#page + 1] = document.safe
    and "A safe login is possible: " .. escape(document.url)
    or "No safe login is possible."
  return table.concat(page, "\n") .. "\n"
end
