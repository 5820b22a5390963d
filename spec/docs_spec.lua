-- The code that people copy: every Lua block of README.md and docs/ runs, as it
-- stands, against the sample mailbox. What a block says that it prints (behind
-- "-->") has to be printed. A block that begins with "```lua @dovecot" runs
-- against Dovecot, where there is one.

local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local dnssec = require "spec.support.dnssec"
local dovecot = require "spec.support.dovecot"
local mailbox = require "spec.support.mailbox"
local providers = require "spec.support.providers"
local proxies = require "spec.support.proxies"
local scripted = require "spec.support.server"

local root = debug.getinfo(1, "S").source:match("^@(.*/)spec/") or "./"

-- The blocks name example hosts and ports; this leads them to the server. What
-- a block asks for beyond that reaches the module unchanged.
local PREAMBLE = [[
local plain, tls, ca, certfile, keyfile = ...
require("lfs").chdir(os.getenv "DOCS_FOLDER") -- what they write stays here
local pop3 = require "pop3"
local trusted
local function trusting(options)
  options = options or {}
  if options.context then return options end
  if trusted then options.context = trusted else options.cafile = ca end
  return options
end
-- "HOST=PORT" of each stand-in for a provider; they go by their own names.
local stand_ins = {}
for host, port in (os.getenv "DOCS_PROVIDERS"):gmatch "(%S+)=(%d+)" do
  stand_ins[host] = tonumber(port)
end
local function stand_in(options)
  options.servername = options.servername or options.host
  options.host, options.port = "127.0.0.1", stand_ins[options.host]
  options.cafile = os.getenv "DOCS_PROVIDERS_CA"
  return options
end
-- Proxies and Unix sockets are examples, too: ports by the URL's scheme.
local function lead(options)
  local proxy = options.proxy
  if options.unix_socket then options.unix_socket = os.getenv "DOCS_SOCKET" end
  if not proxy then return options end
  local url = type(proxy) == "table" and proxy.url or proxy
  local scheme = url:match "^[%w+]+"
  url = ("%s://127.0.0.1:%s"):format(scheme,
    os.getenv("DOCS_PROXY_" .. scheme:gsub("%+", "_")))
  if type(proxy) == "table" then proxy.url = url else options.proxy = url end
  if scheme == "https" or scheme:find "tls" then
    options.proxy_tls = { cafile = os.getenv "DOCS_PROXY_CA",
      servername = "mail.example.org" }
  end
  return options
end
local function redirect(M)
  local POP3, POP3_SSL, context = M.POP3, M.POP3_SSL, M.context
  M.POP3 = function(_, _, options)
    options = lead(trusting(options))
    return POP3("127.0.0.1", tonumber(plain), options)
  end
  M.POP3_SSL = function(_, port, options)
    if type(port) == "table" then options = port end
    if options and options.certfile then
      options.certfile, options.keyfile = certfile, keyfile
    end
    return POP3_SSL("127.0.0.1", tonumber(tls), lead(trusting(options)))
  end
  M.context = function(options) return context(trusting(options)) end
  local open = M.open
  M.open = function(target, options)
    local own = {}
    if type(target) == "string" then
      own = assert(require("pop3.url").parse(target))
      own = { user = own.user, tls = own.tls }
    else
      options = target
    end
    for key, value in pairs(options) do own[key] = value end
    if stand_ins[own.host] then return open(stand_in(own)) end
    if own.srv then -- where the server is the DNS tells; see start_names
      own.host, own.dane_config = "example.org", os.getenv "DOCS_NAMES"
      return open(trusting(own))
    end
    local implicit = own.tls == nil or own.tls == "implicit"
    own.host, own.port = "127.0.0.1", tonumber(implicit and tls or plain)
    return open(trusting(own))
  end
  local restrict = M.restrict
  M.restrict = function(policy)
    trusted = trusted or context(trusting())
    for _, key in ipairs { "servers", "ports" } do -- the server's, too
      local list = policy[key]
      if list then list[#list + 1] = key == "ports" and tonumber(tls) or "127.0.0.1" end
    end
    return restrict(policy)
  end
  local secret = M.secret
  M.secret = function(source)
    secret(source) -- the source itself is an example
    local token = source.command and source.command:find "token"
    return secret { env = token and "DOCS_TOKEN" or "DOCS_PASSWORD" }
  end
end
redirect(pop3)
redirect(pop3.safe)
local has_socket, socket = pcall(require, "socket")
if has_socket then
  local connect = socket.connect
  socket.connect = function() return connect("127.0.0.1", tonumber(plain)) end
end
]]

local files = require "spec.support.files"
local read_file = files.read

local function documents()
  local names = { "README.md" }
  local pipe = io.popen("ls " .. files.quote(root .. "docs") .. "/*.md")
  for path in pipe:lines() do names[#names + 1] = path:match("docs/[^/]*$") end
  pipe:close()
  return names
end

--- Blocks between ```lua and ```, with the line on which each begins, whether it
-- wants Dovecot, and the module that it needs, if one is named behind "lua".
local function blocks(text)
  local found, current, line_number = {}, nil, 0
  for line in text:gmatch("([^\n]*)\n") do
    line_number = line_number + 1
    if current and line == "```" then
      found[#found + 1], current = current, nil
    elseif current then
      current.text = current.text .. line .. "\n"
    elseif line:find "^```lua" then
      current = { line = line_number, text = "",
        dovecot = line:find(" @dovecot", 1, true) ~= nil,
        needs = line:match " ([^@%s]%S*)$" }
    end
  end
  return found
end

--- Start the providers that a block opens, each for the user that it names.
-- @return what the preamble is told of them
local function stand_in(text)
  local started = {}
  for call in text:gmatch "open (%b{})" do
    local host = call:match 'host = "([^"]+)"'
    local user = call:match 'user = "([^"]+)"'
    if host and providers.has(host) then
      local s = providers.start(host, user, "secret")
      started[#started + 1] = host .. "=" .. s.port
    end
  end
  return table.concat(started, " ")
end

-- What the blocks need in their environment to find the proxies, or nil and why
-- there are none.
local function start_proxies()
  local ports = {}
  for scheme, kind in pairs { socks5 = "socks5", http = "http" } do
    local plain, none = proxies.start(kind)
    if not plain then return nil, none end
    local front, reason = proxies.start("tls", { to = plain.port,
      certificate = certificates.file "exact", key = certificates.file "key" })
    if not front then return nil, reason end
    ports["DOCS_PROXY_" .. scheme] = tostring(plain.port)
    ports["DOCS_PROXY_" .. (kind == "http" and "https" or "socks5_tls")] =
      tostring(front.port)
  end
  ports.DOCS_PROXY_CA = certificates.cafile
  return ports
end

describe("Documentation", function()
  local box, folder, ways, no_ways, names

  -- For a block that names one.
  local function start_socket()
    local path = folder .. "/socket"
    scripted.start { host = path, connections = { { { mailbox = {
      messages = {} } } } } }
    return path
  end

  -- For a block that looks a domain's server up: it is the mailbox.
  local function start_names()
    names = dnssec.start {
      "_pop3s._tcp.example.org SRV 0 0 " .. box.tls .. " localhost" }
    return names.config
  end

  local function environment(block, password)
    local env = { DOCS_PASSWORD = password, DOCS_TOKEN = "token-of-joe",
      DOCS_FOLDER = folder, DOCS_PROVIDERS = stand_in(block.text),
      DOCS_PROVIDERS_CA = certificates.cafile }
    for key, value in pairs(ways or {}) do env[key] = value end
    if block.text:find "unix_socket =" then env.DOCS_SOCKET = start_socket() end
    if block.text:find "srv = true" then env.DOCS_NAMES = start_names() end
    return env
  end

  setup(function()
    ways, no_ways = start_proxies()
    box = mailbox.start {
      "--sample", "3", "--user", "joe", "--password", "secret",
    }
  end)

  before_each(function() folder = files.make_folder() end)
  after_each(function()
    scripted.stop_all()
    files.remove_folder(folder)
    if names then names:stop() end
    names = nil
  end)

  teardown(mailbox.stop_all)
  teardown(proxies.stop_all)

  -- The servers' ports, files and secrets, by the block's wish.
  local server
  local function sample()
    return { box.plain, box.tls, box.ca }, "secret"
  end
  local function real()
    if not server then
      server = dovecot.start { sasl = true }
      server:deliver("joe", {})
    end
    return { server.plain, server.implicit, server.cafile, server.certfile,
      server.keyfile }, server.password
  end
  teardown(function() if server then server:stop() end end)

  for _, name in ipairs(documents()) do
    for _, block in ipairs(blocks(read_file(root .. name))) do
      it(("%s:%d runs as it stands"):format(name, block.line), function()
        if block.needs and not pcall(require, block.needs) then
          return pending("there is no " .. block.needs)
        end
        if block.dovecot and dovecot.missing() then
          return pending(dovecot.missing())
        end
        if block.text:find("proxy =", 1, true) and not ways then
          return pending(no_ways)
        end
        local places, password = (block.dovecot and real or sample)()
        local result = child.run {
          script = PREAMBLE .. "do\n" .. block.text .. "\nend\n",
          arguments = places,
          env = environment(block, password),
        }
        assert.equal(0, result.status, result.err)
        for promised in block.text:gmatch("%-%->%s*([^\n]+)") do
          assert.truthy(result.out:find(promised, 1, true),
            ("%q is not printed: %s"):format(promised, result.out))
        end
      end)
    end
  end
end)

describe("The table of docs/hosts.md", function()
  it("has a result for every host and Lua, and none that failed", function()
    local text = read_file(root .. "docs/hosts.md")
    local cells = text:match("<!%-%- cells %-%->\n(.-)<!%-%- end of cells")
    local rows = 0
    for line in cells:gmatch("[^\n]+") do
      local _, bars = line:gsub("|", "")
      assert.equal(8, bars, line)
      assert.falsy(line:find("fail", 1, true) or line:find("not run", 1, true))
      rows = rows + 1
    end
    assert.equal(12, rows)
  end)
end)

describe("The table of docs/testing.md", function()
  local names, defaults, page = {}, {}, read_file(root .. "docs/testing.md")

  -- What scripts/hosts-table calls the hosts.
  for key, name in read_file(root .. "scripts/hosts-table"):match(
    "HOSTS = {(.-)}"):gmatch('"(%w+)": "([^"]+)"') do
    names[key] = name
  end

  local quick = read_file(root .. "scripts/lanes/hosts"):match('quick="([^"]+)"')
  for host, lua in quick:gmatch("(%w+):(%S+)") do
    defaults[#defaults + 1] = host
    lua = lua == "luajit" and "LuaJIT" or lua:match("lua(.*)")
    it("says with which Lua " .. host .. " is tried by default", function()
      local row = ("\n| %s | %s |"):format(names[host], lua)
      assert.truthy(page:find(row, 1, true), row)
    end)
  end

  it("has every host", function()
    for key in pairs(names) do
      assert.truthy((" " .. table.concat(defaults, " ") .. " "):find(
        " " .. key .. " ", 1, true), key)
    end
  end)

  it("names every lane", function()
    local lanes = read_file(root .. "scripts/test"):match("\nlanes='\n(.-)'")
    for lane in ("\n" .. lanes):gmatch("\n([%w.-]+)") do
      assert.truthy(page:find("`" .. lane .. "`", 1, true), lane)
    end
  end)
end)

-- A guide's word on what is tested: the file is there, and says so.
describe("docs/security.md", function()
  local function find(name)
    for _, folder in ipairs { "spec/", "spec/csrc/" } do
      local file = io.open(root .. folder .. name)
      if file then return file:read("*a"), file:close() end
    end
  end

  local function complaint(name, ids)
    local text = find(name)
    if not text then return "there is no " .. name end
    for id in ids:gmatch("[RT]%d%d") do
      if not text:find(id, 1, true) then return id .. " is not in " .. name end
    end
  end

  it("names specs that are there, and whose claims they have", function()
    local complaints, count = {}, 0
    for name, ids in read_file(root .. "docs/security.md"):gmatch(
      "`([%w_/]+%.[%w]+)`([%s,RT%d]*)") do
      if name:find("_spec%.lua$") or name:find("_test%.c$")
        or name:find("^wire/") then
        count = count + 1
        complaints[#complaints + 1] = complaint(name, ids)
      end
    end
    assert.same({}, complaints)
    assert.is_true(count > 30)
  end)
end)

-- As GitHub and LDoc make names of headings.
local function anchors(text)
  local found = {}
  for heading in ("\n" .. text):gmatch("\n#+ ([^\n]*)") do
    local text_only = heading:gsub("%[([^%]]*)%]%([^)]*%)", "%1"):lower()
    found["#" .. text_only:gsub("[^%w%- _]", ""):gsub(" ", "-")] = true
  end
  return found
end

-- A page without its code.
local function prose(name)
  return ("\n" .. read_file(root .. name)):gsub("\n```.-\n```", "")
end

describe("A link", function()
  local function complaint(name, link)
    local path, anchor = link:match("^([^#]*)(.*)$")
    local folder = name:match("^docs/") or ""
    path = path == "" and name or (folder .. path):gsub("[^/]+/%.%./", "")
    local file = io.open(root .. path)
    if not file then return ("%s: there is no %s"):format(name, link) end
    file:close()
    if anchor ~= "" and not anchors(prose(path))[anchor] then
      return ("%s: %s has no such heading"):format(name, link)
    end
  end

  it("of a page leads somewhere", function()
    local complaints, count = {}, 0
    for _, name in ipairs(documents()) do
      for link in prose(name):gmatch("%]%(([^)%s]+)%)") do
        if not link:find("^%a+:") then
          count = count + 1
          complaints[#complaints + 1] = complaint(name, link)
        end
      end
    end
    assert.same({}, complaints)
    assert.is_true(count > 100)
  end)
end)
