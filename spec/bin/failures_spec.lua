-- bin/pop3: each failure has its exit code of sysexits.h and one line on
-- stderr that says what to do.
local certificates = require "spec.support.certificates"
local mailbox = require "spec.support.mailbox"
local program = require "spec.bin.program"
local server = require "spec.support.server"

describe("bin/pop3 fails", function()
  local box

  lazy_setup(function() box = mailbox.start { "--sample", "6" } end)
  lazy_teardown(mailbox.stop_all)

  -- The words of a command line with the ports and files filled in.
  local function fill(words, with)
    local filled = {}
    for i, word in ipairs(words) do
      filled[i] = word:gsub("%$(%u+)", {
        TLS = with.tls, PLAIN = with.plain, CA = with.ca,
        SERVER = "pop3s://otto@127.0.0.1:" .. with.tls,
      })
    end
    return filled
  end

  local function fails(status, text, words, options)
    options = options or {}
    options.password = options.password or box.password
    local result = program.run(fill(words, options.box or box), options)
    assert.same({ status, "" }, { result.status, result.out }, result.err)
    assert.truthy(result.err:find("^pop3: [^\n]*\n$"), result.err)
    assert.truthy(result.err:find(text, 1, true), result.err)
    return result
  end

  -- name, exit code, a piece of the line, command line
  local rows = {
    { "without a command", 64, "see pop3 --help", {} },
    { "with a command it does not know", 64, "unknown command", { "frob" } },
    { "without a URL", 64, "see pop3 --help", { "ls" } },
    { "with an option it does not know", 64, "unknown option",
      { "ls", "--verfy", "$SERVER" } },
    { "for a message number that is none", 64, "not a message number",
      { "get", "x", "$SERVER" } },
    { "for seconds that are none", 64, "not a number of seconds",
      { "ls", "--timeout", "0", "$SERVER" } },
    { "for --keep with --delete", 64, "together",
      { "fetch", "--maildir", "/nowhere/x", "--keep", "--delete",
        "$SERVER" } },
    { "without a user", 64, "give --user", { "ls", "pop3s://localhost" } },
    { "for a scheme it does not know", 64, "a URL starts with",
      { "ls", "imap://otto@127.0.0.1" } },
    { "for a mechanism it does not have", 64, "use ;AUTH=*",
      { "ls", "pop://otto;AUTH=GSSAPI@127.0.0.1:$PLAIN" } },
    { "for a mechanism of --auth that it does not have", 64, "by GSSAPI",
      { "ls", "--auth", "gssapi", "$SERVER" } },
    { "for a mechanism that takes a token, without one", 64,
      "give --token-command", { "ls", "--auth", "XOAUTH2", "$SERVER" } },
    { "for a mechanism that takes a password, with a token", 64,
      "takes a password", { "ls", "--auth", "PLAIN", "--token-command", "x",
        "$SERVER" } },
    { "for a probe's mechanism that takes a token, without one", 64,
      "give --token-command", { "probe", "--auth", "XOAUTH2", "$SERVER" } },
    { "for a token that cannot be sent", 65, "the token cannot be sent",
      { "ls", "--token-command", "printf 'a\\nb'", "--cafile", "$CA",
        "$SERVER" } },
    { "for a mechanism that the server does not offer", 69, "offers",
      { "ls", "--auth", "SCRAM-SHA-256", "--cafile", "$CA", "$SERVER" } },
    { "for a token that there is none of", 77, "no token: ",
      { "ls", "--auth", "XOAUTH2", "--token-command", "false", "--cafile",
        "$CA", "$SERVER" } },
    { "for a proxy's password without a proxy", 64, "is for a --proxy",
      { "ls", "--proxy-password-command", "x", "$SERVER" } },
    { "for a proxy's port that is none", 64, "--proxy: the proxy's port",
      { "ls", "--proxy", "http://127.0.0.1:0", "$SERVER" } },
    { "for a path that is too long for a socket", 64, "--unix-socket: a path",
      { "ls", "--unix-socket", "/" .. ("x"):rep(107), "$SERVER" } },
    { "for a domain with a port", 64, "leave it out of the URL",
      { "ls", "--srv", "$SERVER" } },
    { "for a domain that is an address", 64, "a domain, not an address",
      { "ls", "--srv", "pop3s://otto@127.0.0.1" } },
    { "for a domain by way of a proxy", 64, "--srv: the domain would be",
      { "ls", "--srv", "--proxy", "http://h:1", "pop3s://otto@example.org" } },
    { "for a domain whose name is too long", 68, "too long for SRV",
      { "capa", "--srv", "pop3s://otto@" .. (("a"):rep(60) .. "."):rep(4)
        .. "invalid" } },
    { "for a user without a name", 64, "give --user",
      { "ls", "--user", "", "$SERVER" } },
    { "for a password's command that is none", 64, "--password-command",
      { "ls", "--password-command", "", "$SERVER" } },
    { "for a token's command that is none", 64, "--token-command",
      { "ls", "--token-command", "", "$SERVER" } },
    { "for a proxy's command that is none", 64, "--proxy-password-command",
      { "ls", "--proxy", "http://joe@h", "--proxy-password-command", "",
        "$SERVER" } },
    { "for a password's file that is a folder", 66, "Is a directory",
      { "ls", "--cafile", "$CA", "--password-file", "/tmp", "$SERVER" } },
    { "for a message that is not there", 66, "no such message",
      { "get", "99", "--cafile", "$CA", "$SERVER" } },
    { "for a host that does not exist", 68, "check its spelling",
      { "ls", "pop3s://otto@" .. ("a"):rep(64) .. ".invalid" } },
    { "for a port where nobody listens", 69, "check host and port",
      { "ls", "pop3s://otto@127.0.0.1:1" } },
    { "for an authority it does not know", 76, "use --cafile",
      { "ls", "$SERVER" } },
    { "for a certificate with another name", 76, "--servername",
      { "ls", "--cafile", "$CA", "--servername", "mail.example.net",
        "$SERVER" } },
    { "for TLS where there is none", 76, "STLS on port 110",
      { "ls", "--cafile", "$CA", "pop3s://otto@127.0.0.1:$PLAIN" } },
    { "for a wrong user", 77, "check user and password",
      { "ls", "--cafile", "$CA", "pop3s://eve@127.0.0.1:$TLS" } },
    { "for a digest that is refused", 77, "--auth USER by TLS",
      { "ls", "--auth", "APOP", "--cafile", "$CA",
        "pop3s://eve@127.0.0.1:$TLS" } },
    { "for a CA file that is none", 78, "check the TLS options",
      { "ls", "--cafile", "/dev/null", "$SERVER" } },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. ": " .. row[2], function()
      fails(row[2], row[3], row[4])
    end)
  end

  it("for a wrong password: 77, and does not show it", function()
    local result = fails(77, "[AUTH]",
      { "ls", "--cafile", "$CA", "$SERVER" }, { password = "Hunter2Hunter2" })
    assert.is_nil(result.err:find("Hunter2", 1, true))
  end)

  -- What the server is like, what is said, and what no option of ours is.
  for _, row in ipairs {
    { "self-signed", {}, "use --cafile", "use cafile" },
    { "exact", { min_version = "1.0", max_version = "1.1",
      ciphers = "ALL:@SECLEVEL=0" }, "for TLS 1.2 or newer", "min_version" },
    { "sha1", { ciphers = "ALL:@SECLEVEL=0" }, "for a stronger one",
      "security_level" },
    { "exact", { ca = certificates.cafile }, "has none to show", "certfile" },
  } do
    it("in its own words: " .. row[3], function()
      local s = server.start { connections = { {
        { tls = certificates.server(row[1], row[2]) }, { eof = true } } } }
      local result = program.run({ "ls", "--cafile", certificates.cafile,
        "--servername", certificates.name,
        "pop3s://otto@127.0.0.1:" .. s.port }, { password = "x" })
      assert.equal(76, result.status, result.err)
      assert.truthy(result.err:find(row[3], 1, true), result.err)
      assert.is_nil(result.err:find(row[4], 1, true), result.err)
      s:stop()
    end)
  end

  it("as a response code says, whatever is behind its second slash", function()
    local problem = require "pop3.cli.problem"
    for code, status in pairs { ["SYS/TEMP"] = 75, ["SYS/TEMP/DISK"] = 75,
      ["SYS/PERM/X/Y"] = 69, ["IN-USE"] = 75, ["IN-USE/X"] = 75,
      ["SYS/TEMPX"] = 76, XVENDOR = 76 } do
      assert.equal(status, (problem.of { kind = "proto", name = "refused",
        code = code }), code)
    end
  end)

  it("for a password in the URL: 64, and does not show it", function()
    for _, command in ipairs { { "ls" }, { "capa" }, { "get", "1" },
                               { "fetch", "--maildir", "/nowhere/x" }, {} } do
      command[#command + 1] = "pop3s://otto:Hunter2@127.0.0.1"
      local result = program.run(command)
      assert.equal(64, result.status)
      assert.is_nil((result.err .. result.out):find("Hunter2", 1, true))
    end
  end)

  it("for a password as an option: 64, and does not show it", function()
    for _, words in ipairs { { "--password", "Hunter2" },
                             { "--password=Hunter2" } } do
      local result = program.run { "ls", words[1], words[2] or "$SERVER" }
      assert.equal(64, result.status)
      assert.is_nil(result.err:find("Hunter2", 1, true))
      assert.truthy(result.err:find("use --password-file", 1, true))
    end
  end)

  it("for an expired certificate: 76", function()
    fails(76, "expired", { "ls", "--cafile", "$CA", "$SERVER" },
      { box = mailbox.start { "--expired" } })
  end)

  it("for a certificate without that name: 76", function()
    fails(76, "mail.example.net", { "ls", "--cafile", "$CA", "$SERVER" },
      { box = mailbox.start { "--names", "DNS:mail.example.net" } })
  end)

  for _, command in ipairs { "connect", "greeting", "PASS", "RETR" } do
    it("for a server that hangs at " .. command .. ": 75", function()
      fails(75, "the server is silent", { "get", "1", "--timeout", "0.3",
        "--cafile", "$CA", "pop3://otto@127.0.0.1:$PLAIN" },
        { box = mailbox.start { "--hang", command } })
    end)
  end

  it("for a message that is cut off: 75", function()
    fails(75, "the server ended the connection", { "get", "3",
      "--cafile", "$CA", "$SERVER" }, { box = mailbox.start { "--cut", "9" } })
  end)

  describe("without STLS", function()
    local bare
    lazy_setup(function() bare = mailbox.start { "--no-stls" } end)

    for _, scheme in ipairs { "pop", "pop3" } do
      it("for " .. scheme .. "://: 69, no password sent", function()
        fails(69, "use pop3s://", { "ls", "--cafile", "$CA",
          scheme .. "://otto@127.0.0.1:$PLAIN" }, { box = bare })
        assert.is_nil(bare:log():find("USER", 1, true))
        assert.is_nil(bare:log():find("PASS", 1, true))
      end)
    end

    it("for pop3:// even with --allow-cleartext", function()
      fails(69, "use pop3s://", { "ls", "--allow-cleartext",
        "pop3://otto@127.0.0.1:$PLAIN" }, { box = bare })
      assert.is_nil(bare:log():find("PASS", 1, true))
    end)

    it("not for pop:// with --allow-cleartext", function()
      local result = program.run(fill({ "get", "4", "--allow-cleartext",
        "pop://otto@127.0.0.1:$PLAIN" }, bare), { password = box.password })
      assert.same({ 0, "", "header: only\n" },
        { result.status, result.err, result.out })
    end)

    it("not for APOP with --allow-cleartext", function()
      local result = program.run(fill({ "ls", "--allow-cleartext",
        "pop://otto;AUTH=+APOP@127.0.0.1:$PLAIN" }, bare),
        { password = box.password })
      assert.same({ 0, "" }, { result.status, result.err })
      assert.truthy(bare:log():find("APOP", 1, true))
    end)
  end)

  it("when standard output is full: 74", function()
    local words = { "get", "5", "--cafile", "$CA", "$SERVER" }
    local result = program.run(fill(words, box),
      { password = box.password, stdout = "/dev/full" })
    assert.equal(74, result.status)
    assert.truthy(result.err:find("No space left", 1, true))
  end)

  it("when nobody reads standard output: 74, not a death", function()
    local words = { "get", "5", "--cafile", "$CA", "$SERVER" }
    -- A pipe whose reader is gone before the program starts.
    local result = program.run(fill(words, box), { password = box.password,
      before = "p=$(mktemp -u); mkfifo $p; exec 9<>$p 8>$p 9<&-; rm $p;"
        .. " exec >&8 8>&-;" })
    assert.equal(74, result.status)
    assert.truthy(result.err:find("Broken pipe", 1, true))
  end)

  it("without what a server may do to a terminal", function()
    local bad = server.start { {
      "S: -ERR \27]0;title\7\27[31mred\155m", "C: QUIT" } }
    local result = program.run({ "ls", "pop3://otto@127.0.0.1:" .. bad.port },
      { password = box.password })
    bad:stop()
    assert.equal(76, result.status)
    assert.truthy(result.err:find("\\x1b[31mred\\x9b", 1, true), result.err)
    assert.is_nil(result.err:find("[%z\1-\9\11-\31\127-\255]"))
  end)

  it("warns loudly where the certificate is not checked", function()
    local result = program.run(fill({ "ls", "--no-verify", "$SERVER" }, box),
      { password = box.password })
    assert.equal(0, result.status)
    assert.truthy(result.err:find("^pop3: WARNING: "), result.err)
  end)
end)
