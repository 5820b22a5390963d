--- threats.md, STARTTLS: what a server or somebody between can answer to
-- STLS, and that nothing but CAPA, STLS and QUIT ever leaves in clear.
local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

local unpack = require("spec.support.lua").unpack

local CAPA_STLS = "+OK\r\nTOP\r\nSTLS\r\n.\r\n"
local SECRET = "secret-in-clear"

local good, cafile

setup(function()
  cafile = certificates.cafile
  good = certificates.server "ip"
end)

after_each(server.stop_all)

local function connect(s, options)
  options.timeout = options.timeout or 5
  options.cafile = options.cafile or cafile
  return pop3.POP3("127.0.0.1", s.port, options)
end

--- What left in clear must be this, and perhaps a ClientHello after STLS.
local function is_harmless(clear)
  local rest = clear:gsub("^CAPA\r\n", ""):gsub("^QUIT\r\n$", "")
  local hello = rest:match("^STLS\r\n(.*)$")
  return rest == "" or hello == "" or hello == "QUIT\r\n"
         or (hello ~= nil and hello:sub(1, 2) == "\22\3")
end

-- ---------------------------------------------------------------- R01

local refused_greetings = {
  "-ERR [SYS/TEMP] later\r\n", "-ERR [SYS/PERM] never\r\n", "-ERR\r\n",
  "* BYE\r\n", "\r\n", "OK ready\r\n", "220 ready\r\n", "",
}

local capa_replies = {
  "-ERR\r\n", "-ERR unknown command\r\n", "+OK\r\n.\r\n",
  "+OK\r\nTOP\r\nUIDL\r\n.\r\n", "+OK\r\nSTLSX\r\n.\r\n",
  "+OK\r\nX STLS\r\n.\r\n", "+OK\r\nXSTLS\r\n.\r\n", "+OK\r\nSASL STLS\r\n.\r\n",
  "+OK STLS\r\n.\r\n", "+OK\r\nSTLS\r\n", "\r\n", "",
}

local stls_replies = {
  "-ERR no\r\n", "-ERR [SYS/TEMP] later\r\n", "-OK\r\n", "\r\n", "OK\r\n",
  "* OK\r\n", "", "+OK begin\r\n", "+OK begin\r\n-ERR no\r\n",
  "+OK begin\r\n+OK logged in\r\n", " +OK begin\r\n", "+OK be",
}

--- Connections of a server that plays `octets` at each place where it is its
-- turn, whatever the client says.
local function conversation(...)
  local steps, octets = {}, {...}
  for n, piece in ipairs(octets) do
    if n > 1 then steps[#steps + 1] = {expect = true} end
    if piece ~= "" then steps[#steps + 1] = {send = piece} end
  end
  return steps
end

local function stripped_conversations()
  local all = {}
  for _, greeting in ipairs(refused_greetings) do
    all[#all + 1] = conversation(greeting)
  end
  for _, capa in ipairs(capa_replies) do
    all[#all + 1] = conversation("+OK ready\r\n", capa)
  end
  for _, reply in ipairs(stls_replies) do
    all[#all + 1] = conversation("+OK ready\r\n", CAPA_STLS, reply)
  end
  return all
end

--- The good conversation, ended after each of its octets.
local function cut_conversations()
  local whole = {"+OK ready\r\n", CAPA_STLS, "+OK begin\r\n"}
  local all = {}
  for turn, octets in ipairs(whole) do
    for size = 0, #octets - 1 do
      local said = {}
      for n = 1, turn - 1 do said[n] = whole[n] end
      said[turn] = octets:sub(1, size)
      all[#all + 1] = conversation(unpack(said))
    end
  end
  return all
end

local function nothing_leaves(conversations, use)
  local s = server.start{connections = conversations}
  for _ = 1, #conversations do claims.failure(use, s) end
  local report = s:report()
  assert.are.equal(#conversations, report.accepted)
  for n, connection in ipairs(report.connections) do
    assert.is_truthy(is_harmless(connection.clear),
                     ("conversation %d: %q left"):format(n, connection.clear))
    assert.are.equal("", connection.secure)
  end
end

local function require_tls(s)
  connect(s, {tls = "starttls"}):login("user", SECRET)
end

--- What a caller does who secures the connection by hand.
local function stls_then_login(s)
  local conn = connect(s, {})
  local ok, err = pcall(conn.stls, conn, {cafile = cafile})
  if not ok then
    conn:close()
    error(err, 0)
  end
  conn:login("user", SECRET)
end

describe("Required TLS", function()
  it("R01 T01 is never skipped, whatever the server answers", function()
    nothing_leaves(stripped_conversations(), require_tls)
  end)

  it("R01 is never skipped, wherever the stream ends", function()
    nothing_leaves(cut_conversations(), require_tls)
  end)

  it("R01 stls() fails, whatever the server answers", function()
    nothing_leaves(stripped_conversations(), stls_then_login)
  end)

  it("does not say that CAPA is missing where it was never answered",
    function()
      local s = server.start { { { send = "+OK ready\r\nSTLS\r\n.\r\n" },
        { eof = true } }, { "S: +OK ready", "C: CAPA", { close = true } } }
      local err = claims.fails("proto", "unsolicited", require_tls, s)
      assert.equal("the server sent a reply that nobody asked for",
        tostring(err))
      err = claims.fails("closed", "eof", require_tls, s)
      assert.equal("-ERR EOF", tostring(err))
    end)

  it("R01 says how the server refused it", function()
    local s = server.start{
      conversation("+OK ready\r\n", "+OK\r\nTOP\r\n.\r\n"),
      conversation("+OK ready\r\n", "-ERR what\r\n"),
      conversation("+OK ready\r\n", CAPA_STLS, "-ERR [SYS/TEMP] full\r\n"),
      conversation("-ERR [SYS/PERM] gone\r\n"),
    }
    local err = claims.fails("proto", "unsupported", require_tls, s)
    assert.are.equal("-ERR STLS not supported by server", tostring(err))
    err = claims.fails("proto", "unsupported", require_tls, s)
    assert.are.equal("-ERR CAPA not supported by server", tostring(err))
    err = claims.fails("proto", "refused", require_tls, s)
    assert.are.same({"SYS/TEMP", "-ERR [SYS/TEMP] full"},
                    {err.code, err.response})
    err = claims.fails("proto", "refused", require_tls, s)
    assert.are.equal("SYS/PERM", err.code)
  end)
end)

-- ------------------------------------------------------ R02, B_1, B_2

local injections = {
  {"a complete reply (B_1)", "+OK logged in\r\n"},
  {"a refusal", "-ERR no\r\n"},
  {"garbage (B_2)", "\1\2garbage"},
  {"one octet", "\n"},
  {"a blank line", "\r\n"},
  {"a list", "+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n"},
  {"a bare LF reply", "+OK injected\n"},
  {"what looks like a TLS record", "\22\3\3\0\4\99\0\0\0"},
}

describe("Octets after the reply to STLS", function()
  for _, row in ipairs(injections) do
    local what, octets = row[1], row[2]

    it("R02 T02 are fatal in the same segment: " .. what, function()
      local s = server.start{
        {"S: +OK ready", "C: CAPA", {send = CAPA_STLS}, "C: STLS",
         {send = "+OK begin\r\n" .. octets}, {eof = true}},
      }
      claims.fails("tls", "injection", require_tls, s)
      assert.is_true(is_harmless(s:report().connections[1].clear))
    end)

    it("R02 are fatal in the next segment: " .. what, function()
      local s = server.start{
        {"S: +OK ready", "C: CAPA", {send = CAPA_STLS}, "C: STLS",
         {send = "+OK begin\r\n" .. octets, split = {11}}, {eof = true}},
      }
      local err = claims.failure(require_tls, s)
      -- A record type where one is due is the handshake's to judge.
      local name = octets:byte() == 22 and "handshake" or "injection"
      assert.are.same({"tls", name}, {err.kind, err.name})
      assert.is_true(is_harmless(s:report().connections[1].clear))
    end)

    it("R02 poison a connection secured by hand: " .. what, function()
      local s = server.start{
        {"S: +OK ready", "C: CAPA", {send = CAPA_STLS}, "C: STLS",
         {send = "+OK begin\r\n" .. octets}, {eof = true}},
      }
      local conn = connect(s, {})
      claims.fails("tls", "injection", conn.stls, conn, {cafile = cafile})
      claims.fails("tls", "injection", conn.pass_, conn, SECRET)
      conn:close()
      assert.is_true(is_harmless(s:report().connections[1].clear))
    end)
  end

  it("R02 in front of STLS's own reply are fatal, too", function()
    local s = server.start{
      {"S: +OK ready", "C: CAPA", {send = CAPA_STLS .. "+OK early\r\n"},
       {eof = true}},
    }
    claims.fails("proto", "unsolicited", require_tls, s)
    assert.are.equal("CAPA\r\n", s:report().connections[1].clear)
  end)

  it("R02 after a refusal answer nothing", function()
    local s = server.start{
      {"S: +OK ready", "C: CAPA", {send = CAPA_STLS}, "C: STLS",
       {send = "-ERR no\r\n+OK logged in\r\n"}, {eof = true}},
    }
    local conn = connect(s, {})
    claims.failure(conn.stls, conn, {cafile = cafile})
    claims.fails("tls", "injection", conn.user, conn, "user")
    conn:close()
    assert.are.equal("CAPA\r\nSTLS\r\n", s:report().connections[1].clear)
  end)

  it("a refusal leaves the connection as it was", function()
    local s = server.start{
      {"S: +OK ready <1.2@example.org>", "C: CAPA", {send = CAPA_STLS},
       "C: STLS", "S: -ERR no", "C: NOOP", "S: +OK"},
    }
    local conn = connect(s, {})
    claims.fails("proto", "refused", conn.stls, conn, {cafile = cafile})
    assert.are.equal("+OK", conn:noop())
    conn:close()
    assert.are.equal(0, s:report().failed)
  end)

  it("R02 with the greeting answer nothing", function()
    local s = server.start{
      {{send = "+OK ready\r\n+OK\r\nSTLS\r\n.\r\n+OK begin\r\n"},
       {eof = true}},
    }
    claims.fails("proto", "unsolicited", require_tls, s)
    s:report()
  end)

  it("R02 inside TLS are unsolicited when nobody asked", function()
    local s = server.start{
      {"S: +OK ready", "C: CAPA", {send = CAPA_STLS}, "C: STLS",
       "S: +OK begin", {starttls = good}, "C: NOOP",
       {send = "+OK\r\n+OK unasked\r\n"}, {eof = true}},
    }
    local conn = connect(s, {tls = "starttls"})
    conn:noop()
    claims.fails("proto", "unsolicited", conn.user, conn, "name")
    conn:close()
    assert.are.equal("NOOP\r\n", s:report().connections[1].secure)
  end)
end)

-- ---------------------------------------------------------------- R03

describe("What was learnt in clear", function()
  local function secured(clear_capa, secure_capa)
    return server.start{
      {"S: +OK ready <123.456@example.org>",
       "C: CAPA", {send = clear_capa},
       "C: STLS", "S: +OK begin", {starttls = good},
       {auto = {{"CAPA", secure_capa}, {"NOOP", "+OK\r\n"}}}},
    }
  end

  it("R03 O_4 is forgotten under TLS: capabilities", function()
    local s = secured("+OK\r\nSASL PLAIN\r\nXOLD\r\nSTLS\r\n.\r\n",
                      "+OK\r\nSASL SCRAM-SHA-256\r\n.\r\n")
    local conn = connect(s, {tls = "starttls"})
    assert.are.same({SASL = {"SCRAM-SHA-256"},
                     sasl = {["SCRAM-SHA-256"] = true}}, conn:capabilities())
    conn:quit()
    local clear = s:report().connections[1].clear
    assert.are.equal("CAPA\r\nSTLS\r\n", clear)
  end)

  it("R03 is forgotten by stls(), too", function()
    local s = secured("+OK\r\nXOLD\r\nSTLS\r\n.\r\n", "+OK\r\nXNEW\r\n.\r\n")
    local conn = connect(s, {})
    conn:stls{cafile = cafile}
    assert.are.same({XNEW = {}}, conn:capabilities())
    conn:quit()
    s:report()
  end)

  it("R03 is forgotten when CAPA is asked again, by hand or not", function()
    for _, ask in ipairs{
      function(conn) conn:capa() end,
      function(conn) conn:command("capa", true) end,
    } do
      local s = server.start{
        {"S: +OK ready", "C: CAPA", {send = "+OK\r\nXOLD\r\n.\r\n"},
         {auto = {{"USER a|PASS b", "+OK\r\n"},
                  {"CAPA", "+OK\r\nXNEW\r\n.\r\n"}}}},
      }
      local conn = connect(s, {})
      assert.are.same({XOLD = {}}, conn:capabilities())
      conn:login("a", "b")
      ask(conn)
      assert.are.same({XNEW = {}}, conn:capabilities())
      conn:quit()
      s:report()
    end
  end)

  it("R03 O_4 is forgotten under TLS: APOP's timestamp", function()
    local s = secured(CAPA_STLS, "+OK\r\n.\r\n")
    local conn = connect(s, {tls = "starttls"})
    local err = claims.fails("proto", "unsupported", conn.apop, conn, "user",
                             SECRET)
    assert.are.equal("-ERR APOP not supported by server", tostring(err))
    conn:quit()
    assert.are.equal("QUIT\r\n", s:report().connections[1].secure)
  end)
end)

-- ------------------------------------------------------------- R04, T03

describe("A handshake", function()
  local function after_stls(...)
    return server.start{
      {"S: +OK ready", "C: CAPA", {send = CAPA_STLS}, "C: STLS",
       "S: +OK begin", ...},
    }
  end

  it("R04 that is not answered ends at the deadline", function()
    local s = after_stls{stall = true}
    claims.within(3, function()
      claims.fails("timeout", "connect", connect, s,
                   {tls = "starttls", connect_timeout = 0.3})
    end)
    s:report()
  end)

  it("R04 by stls() ends at the deadline", function()
    local s = after_stls{stall = true}
    local conn = connect(s, {connect_timeout = 0.3})
    claims.within(3, function()
      claims.fails("timeout", "connect", conn.stls, conn, {cafile = cafile})
    end)
    conn:close()
    s:report()
  end)

  it("R04 is not kept alive by an octet now and then", function()
    -- The head of a record of 16,384 octets that never ends.
    local drip = {{read = 20}, {send = "\22\3\3\64\0\2"}}
    for _ = 1, 20 do
      drip[#drip + 1] = {delay = 0.1}
      drip[#drip + 1] = {send = "\0"}
    end
    local s = after_stls(unpack(drip))
    claims.within(1.5, function()
      claims.fails("timeout", "connect", connect, s,
                   {tls = "starttls", connect_timeout = 0.5, timeout = 5})
    end)
    s:stop()
  end)

  it("T03 answered in clear is no handshake", function()
    local s = after_stls({read = 20}, "S: -ERR [SYS/TEMP] cannot now")
    claims.fails("tls", "injection", connect, s, {tls = "starttls"})
    s:report()
  end)

  it("T03 answered in clear on the implicit port says what is wrong",
     function()
    local s = server.start{{"S: +OK ready in clear"}}
    local err = claims.fails("tls", "handshake", pop3.POP3_SSL, "127.0.0.1",
                             s.port, {cafile = cafile})
    assert.is_truthy(tostring(err):find("does not speak TLS", 1, true))
    s:report()
  end)

  it("R14 T_1 to T_4: a bad certificate by STLS ends it before a secret",
     function()
    local bad = {
      {"self-signed", "certificate"},  -- T_1
      {"unknown-root", "certificate"}, -- T_2
      {"mismatch", "hostname"},        -- T_3
      {"expired", "certificate"},      -- T_4
    }
    for _, row in ipairs(bad) do
      local s = after_stls{starttls = certificates.server(row[1])}
      claims.fails("tls", row[2], function()
        connect(s, {tls = "starttls", servername = certificates.name})
          :login("user", SECRET)
      end)
      assert.are.equal("", s:report().connections[1].secure)
    end
  end)
end)

-- ----------------------------------------- opportunistic, O_1 to O_3

describe("Opportunistic TLS", function()
  local function clear_server(capa, reply)
    return server.start{
      {"S: +OK ready",
       {auto = {{"CAPA", capa}, {"STLS", reply}, {"USER .*", "+OK\r\n"},
                {"PASS .*", "+OK\r\n"}, {"NOOP", "+OK\r\n"}}}},
    }
  end

  local rows = {
    {"O_1 STLS neither offered nor known", "+OK\r\nTOP\r\n.\r\n",
     "-ERR unknown\r\n"},
    {"O_2 offered and refused", CAPA_STLS, "-ERR no\r\n"},
    {"O_3 CAPA unknown", "-ERR unknown\r\n", "-ERR unknown\r\n"},
  }
  for _, row in ipairs(rows) do
    it("goes on in clear, and says that it does: " .. row[1], function()
      local s = clear_server(row[2], row[3])
      local conn = connect(s, {tls = "opportunistic"})
      assert.is_falsy(conn:info().secure)
      assert.are.equal("+OK", conn:noop())
      conn:quit()
      s:report()
    end)

    it("never goes on when TLS is required: " .. row[1], function()
      local s = clear_server(row[2], row[3])
      claims.failure(connect, s, {tls = "starttls"})
      assert.is_true(is_harmless(s:report().connections[1].clear))
    end)
  end

  it("uses TLS where it is offered", function()
    local s = server.start{
      {"S: +OK ready", "C: CAPA", {send = CAPA_STLS}, "C: STLS",
       "S: +OK begin", {starttls = good}, {auto = {{"NOOP", "+OK\r\n"}}}},
    }
    local conn = connect(s, {tls = "opportunistic"})
    assert.is_truthy(conn:info().secure)
    conn:noop()
    conn:quit()
    assert.are.equal("NOOP\r\nQUIT\r\n", s:report().connections[1].secure)
  end)

  it("does not go on in clear after a handshake that failed", function()
    local s = server.start{
      {"S: +OK ready", "C: CAPA", {send = CAPA_STLS}, "C: STLS",
       "S: +OK begin",
       {starttls = certificates.server "self-signed"}},
    }
    claims.fails("tls", "certificate", connect, s,
                 {tls = "opportunistic", servername = certificates.name})
    s:report()
  end)
end)

-- ------------------------------------------- the research's other cases

describe("Strange servers", function()
  it("T15 greetings with terminal escapes are escaped in errors", function()
    local s = server.start{{{send = "-ERR \27]0;owned\7\27[31m no\r\n"}}}
    local err = claims.failure(connect, s, {tls = "none"})
    assert.are.equal("-ERR \27]0;owned\7\27[31m no", err.response)
    assert.is_nil(tostring(err):find("%c"))
    s:report()
  end)

  it("a greeting of + without OK is accepted, as by poplib", function()
    local s = server.start{{"S: + ready", "C: QUIT", "S: +OK"}}
    local conn = connect(s, {tls = "none"})
    assert.are.equal("+ ready", conn:getwelcome())
    conn:quit()
    s:report()
  end)

  it("a list inside the greeting answers nothing", function()
    local s = server.start{
      {{send = "+OK ready\r\nSTLS\r\n.\r\n"}, {eof = true}},
    }
    claims.fails("proto", "unsolicited", function()
      connect(s, {tls = "none"}):capa()
    end)
    s:report()
  end)

  it("CAPA refused: no bare AUTH asks for mechanisms instead", function()
    local s = server.start{
      {"S: +OK ready",
       {auto = {{"CAPA", "-ERR what\r\n"},
                {"AUTH", "+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n"},
                {"USER .*", "+OK\r\n"}, {"PASS .*", "+OK\r\n"}}}},
    }
    local conn = connect(s, {tls = "none"})
    conn:login("user", SECRET)
    conn:quit()
    for _, command in ipairs(s:report().connections[1].commands) do
      assert.is_nil(command:find("^AUTH"), command)
    end
  end)

  it("QUIT refused: closed all the same, the refusal is told", function()
    local s = server.start{{"S: +OK", "C: QUIT", "S: -ERR no"}}
    local conn = connect(s, {tls = "none"})
    claims.fails("proto", "refused", conn.quit, conn)
    claims.fails("state", "closed", conn.noop, conn)
    s:report()
  end)

  it("a SASL list of 60 names is kept whole", function()
    local names = {}
    for n = 1, 60 do names[n] = ("MECHANISM-%02d"):format(n) end
    local s = server.start{
      {"S: +OK", "C: CAPA",
       {send = "+OK\r\nSASL " .. table.concat(names, " ") .. "\r\n.\r\n"}},
    }
    local conn = connect(s, {tls = "none"})
    assert.are.same(names, conn:capa().SASL)
    conn:close()
    s:report()
  end)
end)
