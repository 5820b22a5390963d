-- bin/pop3 probe: one page on a server, whatever it is like, and nothing sent
-- that could harm: no secret to a server that was not verified, one login at
-- most, few commands that a server does not know.
local certificates = require "spec.support.certificates"
local dovecot = require "spec.support.dovecot"
local json = require "spec.support.json"
local mailbox = require "spec.support.mailbox"
local program = require "spec.bin.program"
local server = require "spec.support.server"
local files = require "spec.support.files"

-- A server's port as a URL of somebody's.
local function implicit(box) return "pop3s://otto@127.0.0.1:" .. box.tls end
local function starttls(box) return "pop3://otto@127.0.0.1:" .. box.plain end

describe("bin/pop3 probe", function()
  after_each(function()
    mailbox.stop_all()
    server.stop_all()
  end)

  local function probe(words, options)
    local all = { "probe" }
    for _, word in ipairs(words) do all[#all + 1] = word end
    local result = program.run(all, options)
    assert.equal("", result.err)
    for line in result.out:gmatch("[^\n]+") do
      assert.is_nil(line:find("[%z\1-\31\127]"), line)
    end
    return result
  end

  -- The document, and its only port.
  local function document(words, options)
    words[#words + 1] = "--json"
    local result = probe(words, options)
    local found = json.decode(result.out)
    assert.equal(result.status, found.exit)
    return found, found.ports[1]
  end

  local function ask(box, url, ...)
    return document({ url(box), "--cafile", box.ca, ... },
      { password = box.password })
  end

  local function count(text, pattern)
    local _, found = text:gsub(pattern, "")
    return found
  end

  local function has(list, wanted)
    for _, one in ipairs(list) do
      if one == wanted or one.name == wanted then return true end
    end
    return false
  end

  -- ---------------------------------------------------------- good servers

  it("tells what a server with TLS can do", function()
    local box = mailbox.start { "--sample", "3" }
    local found, port = ask(box, implicit)
    assert.same({ 0, true }, { found.exit, found.safe })
    assert.equal("pop3s://127.0.0.1:" .. box.tls, found.url)
    assert.equal("implicit", port.entry)
    assert.equal("127.0.0.1", port.address)
    assert.truthy(port.greeting:find("^%+OK sample mailbox ready "))
    assert.equal("TLSv1.3", port.tls.version)
    assert.equal("pop3", port.tls.alpn)
    assert.is_true(port.tls.resumed)
    assert.truthy(has(port.capabilities.tls, "EXPIRE NEVER"))
    assert.is_nil(port.capabilities.clear)
    assert.same({ "APOP", "USER" }, port.mechanisms)
    assert.same({ true, true, "otto", 3 }, { port.login.tried, port.login.ok,
      port.login.user, port.login.messages })
    assert.same({ announced = true, honoured = true }, port.pipelining)
    assert.same({ "AUTH-RESP-CODE", "RESP-CODES" }, port.codes.announced)
    assert.is_true(has(port.quirks, "implementation"))
  end)

  it("tells what a server with STLS can do, before and under TLS", function()
    local box = mailbox.start { "--sample", "3" }
    local found, port = ask(box, starttls)
    assert.equal(0, found.exit, port.verdict)
    assert.equal("starttls", port.entry)
    assert.is_true(has(port.capabilities.clear, "STLS"))
    assert.is_false(has(port.capabilities.tls, "STLS"))
    assert.is_true(port.tls.resumed)
    assert.is_true(has(port.quirks, "clear-login-offered"))
    assert.is_true(port.login.ok)
  end)

  it("looks without a login where nothing is there to log in with", function()
    local box = mailbox.start()
    local found, port = document({ implicit(box), "--cafile", box.ca })
    assert.equal(0, found.exit)
    assert.is_false(port.login.tried)
    assert.truthy(port.login.mechanism)
    assert.is_nil(port.pipelining.honoured)
    assert.equal(0, count(box:log(), "USER") + count(box:log(), "APOP"))
  end)

  it("needs no user", function()
    local box = mailbox.start()
    local found = document({ "pop3s://127.0.0.1:" .. box.tls, "--cafile",
      box.ca }, { password = box.password })
    assert.equal(0, found.exit)
    assert.equal(0, count(box:log(), "USER") + count(box:log(), "APOP"))
  end)

  it("logs in once for all ports together", function()
    local box = mailbox.start { "--sample", "2" }
    local found = document({ implicit(box), starttls(box), "--cafile", box.ca },
      { password = box.password })
    assert.equal(0, found.exit)
    assert.equal(2, #found.ports)
    assert.equal(1, count(box:log(), "PASS") + count(box:log(), "APOP"))
    assert.is_nil(found.ports[2].login.ok)
  end)

  it("leaves the mailbox as it was", function()
    local box = mailbox.start { "--sample", "3" }
    ask(box, implicit)
    for _, word in ipairs { "DELE", "RETR", "TOP", "RSET" } do
      assert.equal(0, count(box:log(), word), word)
    end
  end)

  it("says that a login failed, and not that it is unsafe", function()
    local box = mailbox.start()
    local page = probe({ implicit(box), "--cafile", box.ca },
      { password = "wrong" })
    assert.equal(77, page.status)
    assert.truthy(page.out:find("FAILED: ", 1, true), page.out)
    assert.is_nil(page.out:find("NOT SAFE", 1, true))
  end)

  -- ---------------------------------------------------------- certificates

  for _, row in ipairs {
    { "has expired", "--expired", nil, "expired" },
    { "has another name", "--names", "DNS:mail.example.net",
      "mail.example.net" },
  } do
    for _, way in ipairs { { "TLS", implicit }, { "STLS", starttls } } do
      it("gives the page though the certificate " .. row[1] .. ": "
        .. way[1], function()
        local box = mailbox.start { row[2], row[3] }
        local found, port = ask(box, way[2])
        assert.same({ 76, false, true },
          { found.exit, found.safe, port.unverified })
        assert.truthy(port.verdict:find(row[4], 1, true), port.verdict)
        assert.truthy(port.greeting:find("sample mailbox", 1, true))
        assert.is_true(has(port.capabilities.tls, "UIDL"))
        local page = probe({ way[2](box), "--cafile", box.ca },
          { password = box.password })
        assert.equal(76, page.status)
        assert.truthy(page.out:find("NOT SAFE", 1, true))
        assert.truthy(page.out:find("no password was sent", 1, true))
        -- Nobody logs in, although there is a password.
        assert.equal(0, count(box:log(), "USER") + count(box:log(), "PASS")
          + count(box:log(), "APOP"), box:log())
      end)
    end
  end

  it("does not look again where octets were injected into STLS", function()
    local s = server.start { accepts = 0, connections = { {
      "S: +OK ready", "C: CAPA", "S: +OK\r\nSTLS\r\n.", "C: CAPA",
      "S: +OK\r\nSTLS\r\n.", "C: STLS",
      { send = "+OK begin\r\n+OK injected\r\n" }, { eof = true } } } }
    local found, port = document({ "pop3://otto@127.0.0.1:" .. s.port },
      { password = "x" })
    assert.same({ 76, false }, { found.exit, port.unverified })
    assert.truthy(port.verdict:find("between you and the server", 1, true),
      port.verdict)
    assert.equal(1, s:report().accepted)
  end)

  -- ---------------------------------------------------------- other servers

  -- A server with TLS and a good certificate, and its answers.
  local function scripted(greeting, rules, more)
    local steps = { { tls = certificates.server("exact", more) },
      greeting, { auto = rules } }
    return server.start { accepts = 0, connections = { steps } }
  end

  local function ask_scripted(s, ...)
    return document({ "pop3s://otto@127.0.0.1:" .. s.port, "--cafile",
      certificates.cafile, "--servername", certificates.name, ... },
      { password = "Hunter2Hunter2" })
  end

  local function commands(s, pattern)
    local found = {}
    for _, connection in ipairs(s:report().connections) do
      for _, line in ipairs(connection.commands) do
        if line:find(pattern) then found[#found + 1] = line end
      end
    end
    return found
  end

  local CAPA = "+OK\r\nUSER\r\nUIDL\r\nRESP-CODES\r\n.\r\n"

  for _, row in ipairs {
    { "[AUTH] no", 77, "AUTH" }, { "[IN-USE] busy", 75, "IN-USE" },
    { "[SYS/TEMP] later", 75, "SYS/TEMP" }, { "no", 77 },
  } do
    it("logs in once only, also after " .. row[1], function()
      local s = scripted("S: +OK ready", { { "CAPA", CAPA },
        { "USER .*", "+OK\r\n" }, { "PASS .*", "-ERR " .. row[1] .. "\r\n" } })
      local found, port = ask_scripted(s)
      assert.equal(row[2], found.exit, port.verdict)
      assert.same({ true, false }, { port.login.tried, port.login.ok })
      assert.same({ row[3] }, port.codes.seen)
      assert.equal(1, #commands(s, "^PASS"))
    end)
  end

  -- What the page says, and what a login without it does.
  for _, offer in ipairs { "SASL PLAIN LOGIN", "SASL LOGIN CRAM-MD5",
      "SASL CRAM-MD5", "SASL SCRAM-SHA-1 PLAIN", "SASL XOAUTH2 plain",
      "SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SASL GSSAPI\r\nUSER", "TOP",
      "SASL CRAM-MD5\r\nUSER", "SASL GSSAPI" } do
    for _, stamp in ipairs { "", " <1.2@x>" } do
      it("says what pop3 logs in by: " .. offer:gsub("%c+", ", ") .. stamp,
        function()
          local s = scripted("S: +OK ready" .. stamp, {
            { "CAPA", "+OK\r\n" .. offer .. "\r\n.\r\n" },
            { "USER .*", "+OK\r\n" },
            { "(PASS|AUTH|APOP) .*", "-ERR [AUTH] no\r\n" } })
          local _, port = ask_scripted(s)
          local done = program.run({ "ls", "--cafile", certificates.cafile,
            "--servername", certificates.name,
            "pop3s://otto@127.0.0.1:" .. s.port }, { password = "x" })
          local sent = commands(s, "^[AU][UPS][TOE][HPR] ")
          for i, line in ipairs(sent) do
            sent[i] = line:match("^AUTH (%S+)") or line:match("^%S+")
          end
          local expected = port.login.mechanism
          assert.same({ expected, expected }, sent)
          assert.equal(expected and 77 or 69, done.status)
        end)
    end
  end

  it("errs twice at most on a server that knows nothing", function()
    local s = scripted("S: +OK ready", {})
    local found, port = ask_scripted(s)
    assert.equal(77, found.exit)
    assert.is_true(has(port.quirks, "no-capa"))
    for _, connection in ipairs(s:report().connections) do
      local wrong = 0
      for _, line in ipairs(connection.commands) do
        if line ~= "QUIT" then wrong = wrong + 1 end
      end
      assert.is_true(wrong <= 2, table.concat(connection.commands, ", "))
    end
  end)

  it("notices that PIPELINING is announced and not done", function()
    -- What waits behind LIST is lost.
    local s = scripted("S: +OK ready", {
      { "CAPA", "+OK\r\nUSER\r\nUIDL\r\nPIPELINING\r\n.\r\n" },
      { "USER .*|PASS .*", "+OK\r\n" }, { "STAT", "+OK 1 3\r\n" },
      { "LIST", { { expect = "UIDL" }, "S: +OK\r\n1 3\r\n.",
        { close = true } } } })
    local found, port = ask_scripted(s)
    assert.equal(0, found.exit, port.verdict)
    assert.same({ announced = true, honoured = false }, port.pipelining)
    assert.is_true(has(port.quirks, "pipelining-broken"))
  end)

  it("does not list what would take long", function()
    local s = scripted("S: +OK ready", {
      { "CAPA", "+OK\r\nUSER\r\nUIDL\r\nPIPELINING\r\n.\r\n" },
      { "USER .*|PASS .*", "+OK\r\n" }, { "STAT", "+OK 500000 3\r\n" } })
    local _, port = ask_scripted(s)
    assert.same({ announced = true, untried = "the mailbox is too large" },
      port.pipelining)
    assert.same({}, commands(s, "^LIST"))
  end)

  it("tells what only those see who have logged in", function()
    local s = scripted("S: +OK ready", { { "CAPA", CAPA },
      { "USER .*", "+OK\r\n" }, { "PASS .*",
        { "S: +OK", { auto = { { "STAT", "+OK 0 0\r\n" },
          { "CAPA", "+OK\r\nTOP\r\nUIDL\r\nEXPIRE 30\r\nLOGIN-DELAY 900\r\n"
            .. "IMPLEMENTATION Thing-2\r\n.\r\n" } } } } } })
    local _, port = ask_scripted(s)
    local texts = {}
    for _, quirk in ipairs(port.quirks) do texts[quirk.name] = quirk.text end
    assert.equal("only after login: EXPIRE, IMPLEMENTATION, LOGIN-DELAY, TOP",
      texts["more-after-login"])
    assert.equal("no longer after login: RESP-CODES",
      texts["less-after-login"])
    assert.truthy(texts["login-delay"]:find("900", 1, true))
    assert.truthy(texts["expire"]:find("30", 1, true))
    assert.truthy(texts["implementation"]:find("Thing-2", 1, true))
  end)

  it("names the risk of old TLS, which it does not use", function()
    local s = scripted("S: +OK ready", { { "CAPA", CAPA } },
      { min_version = "1.0", max_version = "1.1",
        ciphers = "DEFAULT@SECLEVEL=0" })
    local found, port = ask_scripted(s)
    assert.same({ 76, true, "TLSv1.1" },
      { found.exit, port.unverified, port.tls.version })
    assert.is_true(has(port.quirks, "old-tls"))
    assert.same({}, commands(s, "^PASS"))
  end)

  it("says that a server without STLS is not safe: 69", function()
    local box = mailbox.start { "--no-stls" }
    local found, port = ask(box, starttls)
    assert.same({ 69, false }, { found.exit, found.safe })
    assert.truthy(found.verdict:find("in clear", 1, true), found.verdict)
    assert.is_true(has(port.quirks, "no-tls"))
    assert.equal(0, count(box:log(), "USER") + count(box:log(), "APOP"))
  end)

  it("says that a server without a login of ours is none: 69", function()
    local s = scripted("S: +OK ready",
      { { "CAPA", "+OK\r\nSASL GSSAPI\r\n.\r\n" } })
    local found, port = ask_scripted(s)
    assert.equal(69, found.exit)
    assert.same({ "GSSAPI" }, port.mechanisms)
    assert.same({}, commands(s, "^[UPA]"))
  end)

  -- ---------------------------------------------------------- Dovecot

  local function with_dovecot(shown, use)
    local reason = dovecot.missing()
    if reason then return pending(reason) end
    local it_is = dovecot.start(shown)
    local ok, err = pcall(use, it_is)
    it_is:stop()
    if not ok then error(err, 0) end
  end

  it("tells what Dovecot can do", function()
    with_dovecot({ sasl = true }, function(it_is)
      it_is:deliver("otto", { "Subject: a\n\none\n", "Subject: b\n\ntwo\n" })
      for _, url in ipairs { "pop3s://otto@localhost:" .. it_is.implicit,
                             "pop3://otto@localhost:" .. it_is.plain } do
        local found, port = document({ url, "--cafile", it_is.cafile },
          { password = it_is.password })
        assert.equal(0, found.exit, port.verdict)
        assert.same({ true, 2 }, { port.login.ok, port.login.messages })
        assert.same({ announced = true, honoured = true }, port.pipelining)
        assert.is_true(has(port.mechanisms, "XOAUTH2"))
        assert.equal(port.login.mechanism, it_is:login())
        assert.equal("SCRAM-SHA-256", port.login.mechanism)
      end
    end)
  end)

  it("logs in to Dovecot by a token, or as --auth says", function()
    with_dovecot({ sasl = true }, function(it_is)
      it_is:deliver("joe", { "Subject: a\n\none\n" })
      local function ask_joe(...)
        local _, port = document({ "pop3s://joe@localhost:" .. it_is.implicit,
          "--cafile", it_is.cafile, ... })
        assert.is_true(port.login.ok, port.verdict)
        assert.equal(port.login.mechanism, it_is:login())
        return port.login.mechanism
      end
      local token = { "--token-command", "echo token-of-joe" }
      local password = { "--password-command", "echo " .. it_is.password }
      assert.equal("OAUTHBEARER", ask_joe(token[1], token[2]))
      assert.equal("XOAUTH2",
        ask_joe("--auth", "xoauth2", token[1], token[2]))
      assert.equal("CRAM-MD5",
        ask_joe("--auth", "CRAM-MD5", password[1], password[2]))
      local list = program.run { "ls", "pop3s://joe;AUTH=XOAUTH2@localhost:"
        .. it_is.implicit, "--cafile", it_is.cafile, token[1], token[2] }
      assert.equal(0, list.status, list.err)
      assert.equal("XOAUTH2", it_is:login())
    end)
  end)

  for _, row in ipairs { { "expired", "expired" },
                         { "mismatch", "pop.example.net" } } do
    it("gives the page on Dovecot with a bad certificate: " .. row[1],
      function()
        with_dovecot(certificates.server(row[1]), function(it_is)
          local found, port = document({ "pop3s://otto@localhost:"
            .. it_is.implicit, "--servername", certificates.name, "--cafile",
            certificates.cafile }, { password = it_is.password })
          assert.same({ 76, true }, { found.exit, port.unverified })
          assert.truthy(port.verdict:find(row[2], 1, true), port.verdict)
          assert.truthy(port.greeting:find("Dovecot", 1, true))
          assert.is_nil(it_is:log():find("Login", 1, true))
        end)
      end)
  end

  -- ---------------------------------------------------------- docs/cli.md

  -- A page without what differs from one run, and one server, to the next.
  local function typical(page)
    return (page:gsub("Address +%S+", "Address")
      :gsub("pop3s://[%w.]+:%d+", "URL"):gsub("sha256//%S+", "PIN")
      :gsub("CN=%w+ %w+", "CN"):gsub(", [xX]25519%w*", ", x25519")
      :gsub("%d+", "N"):gsub("%s+", " "))
  end

  it("looks as docs/cli.md shows it", function()
    local root = debug.getinfo(1, "S").source:match("^@(.*/)spec/") or "./"
    local shown = files.read(root .. "docs/cli.md"):match(
      "%$ pop3 probe[^\n]*joe@mail[^\n]*\n(.-)```")
    local inside = { "S: +OK", { auto = { { "STAT", "+OK 2 6\r\n" },
      { "CAPA", "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\n"
        .. "EXPIRE 60\r\n.\r\n" },
      { "LIST", "+OK\r\n1 3\r\n2 3\r\n.\r\n" },
      { "UIDL", "+OK\r\n1 a\r\n2 b\r\n.\r\n" } } } }
    local s = scripted("S: +OK ready.", {
      { "CAPA", "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\n"
        .. "USER\r\nSASL PLAIN\r\n.\r\n" },
      { "USER .*", "+OK\r\n" }, { "PASS .*|AUTH PLAIN .+", inside },
      { "AUTH PLAIN", { "S: + ", { expect = true }, inside } } },
      { alpn = { "pop3" } })
    local result = probe({ "pop3s://joe@127.0.0.1:" .. s.port, "--cafile",
      certificates.cafile, "--servername", certificates.name },
      { password = "x" })
    assert.equal(typical(shown), typical(result.out))
  end)

  -- ---------------------------------------------------------- hostile servers

  it("shows what a server said without what a terminal obeys", function()
    local s = scripted("S: +OK \27]0;title\7\27[31m \155m \255",
      { { "CAPA", CAPA } })
    local result = probe { "pop3s://127.0.0.1:" .. s.port, "--cafile",
      certificates.cafile, "--servername", certificates.name }
    assert.truthy(result.out:find("\\x1b]0;title\\x07", 1, true), result.out)
    assert.is_nil(result.out:find("[\127-\255]"))
  end)

  it("writes JSON that others can read, whatever a server said", function()
    local s = scripted("S: +OK \27\"\\ \255\254 \195\188",
      { { "CAPA", "+OK\r\nUSER\r\nX\\\" \\\r\n.\r\n" } })
    local name = os.tmpname()
    local result = probe { "pop3s://127.0.0.1:" .. s.port, "--cafile",
      certificates.cafile, "--servername", certificates.name, "--json" }
    files.write(name, result.out)
    local done = os.execute("python3 -m json.tool " .. name .. " >/dev/null")
    os.remove(name)
    assert.truthy(done == true or done == 0)
    assert.equal(0, result.status)
    assert.equal('+OK \\x1b"\\ \\xff\\xfe \195\188',
      json.decode(result.out).ports[1].greeting)
  end)

  it("keeps to 80 columns, however long a word is", function()
    local lines = { "+OK", "USER", ("Y"):rep(900) }
    for i = 1, 900 do lines[#lines + 1] = "Z" .. i .. " zz" end
    local s = scripted("S: +OK " .. ("x"):rep(900),
      { { "CAPA", table.concat(lines, "\r\n") .. "\r\n.\r\n" } })
    local result = probe { "pop3s://127.0.0.1:" .. s.port, "--cafile",
      certificates.cafile, "--servername", certificates.name }
    assert.equal(0, result.status)
    for line in result.out:gmatch("[^\n]+") do
      assert.is_true(#line <= 80, line)
    end
    assert.truthy(result.out:find("lines more", 1, true))
  end)

  -- A capability now and then, for ever so long.
  local drip = { "S: +OK ready", "C: CAPA", "S: +OK" }
  for i = 1, 80 do drip[3 + i] = i % 2 == 0 and "S: X" or { delay = 0.3 } end

  -- name, script, exit code, a piece of the verdict
  for _, row in ipairs {
    { "drips", drip, 75, "silent", "--timeout", "0.5" },
    { "has capabilities without end", { "S: +OK ready", "C: CAPA",
      { send = "+OK\r\n" }, { send = "X\r\n", times = 5000 }, { eof = true } },
      76, "max_capabilities" },
    { "hangs up at once", {}, 75, "ended the connection" },
    { "hangs up in CAPA", { "S: +OK ready", "C: CAPA", "S: +OK\r\nUSER",
      { close = true } }, 75, "ended the connection" },
    { "refuses everybody", { "S: -ERR [SYS/TEMP] no\27[2J", { eof = true } },
      75, "[SYS/TEMP]" },
    { "is no POP3 server", { "S: HTTP/1.1 400 Bad Request", { eof = true } },
      76, "" },
    { "is silent", { { stall = true } }, 75, "silent", "--timeout", "0.5" },
    { "is silent after CAPA", { "S: +OK ready", "C: CAPA", { stall = true } },
      75, "silent", "--timeout", "0.5" },
  } do
    for _, way in ipairs { "pop3s", "pop3" } do
      it(("ends where a server %s: %s"):format(row[1], way), function()
        local steps = { way == "pop3s"
          and { tls = certificates.server("exact") } or nil }
        for _, step in ipairs(row[2]) do steps[#steps + 1] = step end
        local s = server.start { accepts = 0, connections = { steps } }
        local found, port = document({ way .. "://otto@127.0.0.1:" .. s.port,
          "--cafile", certificates.cafile, "--servername", certificates.name,
          row[5], row[6] }, { password = "Hunter2Hunter2" })
        assert.equal(row[3], found.exit, port.verdict)
        assert.truthy(port.verdict:find(row[4], 1, true), port.verdict)
        assert.same({}, commands(s, "Hunter"))
      end)
    end
  end

  -- ---------------------------------------------------------- nobody there

  for _, row in ipairs {
    { "nobody listens", "pop3s://127.0.0.1:1", 69 },
    { "there is no such host", "pop3s://" .. ("a"):rep(64) .. ".invalid", 68 },
  } do
    it(("gives the page where %s: %d"):format(row[1], row[3]), function()
      local found = document { row[2] }
      assert.equal(row[3], found.exit)
      local page = probe({ row[2] }).out
      assert.truthy(page:find("NOT POSSIBLE:", 1, true), page)
      assert.truthy(page:find("No safe login", 1, true), page)
    end)
  end

  -- ---------------------------------------------------------- wrong use

  for _, row in ipairs {
    { "for a port without a scheme", { "127.0.0.1:1995" }, "pop3s://HOST:PORT" },
    { "for two servers", { "pop3s://a.invalid", "pop3s://b.invalid" },
      "one server" },
    { "for --no-verify without a pin", { "--no-verify", "localhost" },
      "without a --pin" },
    { "for --allow-cleartext", { "--allow-cleartext", "localhost" },
      "unknown option" },
    { "for a pin that is none", { "--pin", "sha256//abc", "localhost" },
      "44 characters" },
    { "for a proxy that is none", { "--proxy", "ftp://x", "localhost" },
      "a proxy is" },
    { "for a proxy's password", { "--proxy", "socks5://a:Hunter2@x",
      "localhost" }, "--proxy-password-command" },
    { "for a mechanism it does not have", { "--auth", "GSSAPI", "localhost" },
      "cannot log in by GSSAPI" },
    { "for a token where a password is", { "--token-command", "x",
      "--password-command", "y", "localhost" }, "" },
  } do
    it("fails " .. row[1] .. ": 64", function()
      local words = { "probe" }
      for _, word in ipairs(row[2]) do words[#words + 1] = word end
      local result = program.run(words)
      assert.same({ 64, "" }, { result.status, result.out }, result.err)
      assert.truthy(result.err:find(row[3], 1, true), result.err)
      assert.is_nil(result.err:find("Hunter2", 1, true))
    end)
  end
end)
