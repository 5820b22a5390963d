-- pop3.url: what RFC 2384 allows, our two schemes, and no password anywhere.
local url = require "pop3.url"

local function parsed(text)
  local parts, err = url.parse(text)
  assert(parts, err)
  return parts
end

describe("pop3.url", function()
  -- text, user, auth, host, port, tls
  local good = {
    { "pop://mail.example.org", nil, nil, "mail.example.org", 110, nil },
    { "pop://otto@mail.example.org", "otto", "*", "mail.example.org", 110 },
    { "pop://otto;AUTH=*@mail.example.org", "otto", "*",
      "mail.example.org", 110 },
    { "pop://otto;AUTH=+APOP@mail.example.org:8110", "otto", "+APOP",
      "mail.example.org", 8110 },
    { "pop://otto;auth=scram-sha-256@h", "otto", "SCRAM-SHA-256", "h", 110 },
    { "POP://otto@H", "otto", "*", "H", 110 },
    { "pop://otto%40example.org@h", "otto@example.org", "*", "h", 110 },
    { "pop://a%3Bb%3ac%25@h", "a;b:c%", "*", "h", 110 },
    { "pop://%C3%A4%20b@h", "\195\164 b", "*", "h", 110 },
    { "pop://a$-_.+!*'(),&=~z@h", "a$-_.+!*'(),&=~z", "*", "h", 110 },
    { "pop3://otto@h", "otto", "*", "h", 110, "starttls" },
    { "pop3://otto@h:1", "otto", "*", "h", 1, "starttls" },
    { "pop3s://otto@h", "otto", "*", "h", 995, "implicit" },
    { "pop3s://otto@192.0.2.7:65535", "otto", "*", "192.0.2.7", 65535,
      "implicit" },
    { "pop3s://otto@[2001:db8::7]", "otto", "*", "2001:db8::7", 995,
      "implicit" },
    { "pop3s://[::1]:9950", nil, nil, "::1", 9950, "implicit" },
    { "pop3s://otto@h/", "otto", "*", "h", 995, "implicit" },
    { "pop3s://otto@[::1]:9950/", "otto", "*", "::1", 9950, "implicit" },
  }
  for _, row in ipairs(good) do
    it("takes " .. row[1] .. " apart", function()
      local parts = parsed(row[1])
      assert.same({ row[2], row[3], row[4], row[5], row[6] },
        { parts.user, parts.auth, parts.host, parts.port, parts.tls })
    end)
  end

  -- text, a piece of the reason
  local bad = {
    { "", "starts with" }, { "mail.example.org", "starts with" },
    { "imap://h", "starts with" }, { "pop:h", "starts with" },
    { "pop2://h", "starts with" }, { " pop://h", "starts with" },
    { "pop://", "host is missing" }, { "pop://otto@", "host is missing" },
    { "pop://:110", "host is missing" }, { "pop://@h", "name is empty" },
    { "pop://;AUTH=*@h", "name is empty" },
    { "pop://otto;AUTH=@h", "mechanism behind ;AUTH= is empty" },
    { "pop://otto;TYPE=a@h", "only ;AUTH=" },
    { "pop://otto;AUTH=*;x@h", "%XX" }, { "pop://a b@h", "%XX" },
    { "pop://a/b@h", "%XX" }, { "pop://a@b@h", "%XX" },
    { "pop://\195\164@h", "%XX" }, { "pop://a%4@h", "without two" },
    { "pop://a%zz@h", "without two" }, { "pop://a%@h", "without two" },
    { "pop://a%0d%0aDELE 1@h", "%XX" }, { "pop://a%0D%0A@h", "control" },
    { "pop://a%00@h", "control" }, { "pop://a%7f@h", "control" },
    { "pop://h:", "port" }, { "pop://h:0", "port" }, { "pop://h:65536", "port" },
    { "pop://h:-1", "port" }, { "pop://h:1e2", "port" },
    { "pop://h:110:110", "port" }, { "pop://h:000110", "port" },
    { "pop://h//", "nothing may follow" }, { "pop://h/1", "nothing may follow" },
    { "pop://h/;x", "nothing may follow" }, { "pop:///", "host is missing" },
    { "pop://h?x", "nothing may follow" }, { "pop://h#x", "nothing may follow" },
    { "pop://h h", "neither a name" }, { "pop://h\r\n", "neither a name" },
    { "pop://::1", "in brackets" }, { "pop://[::1", "neither a name" },
    { "pop://a@2001:db8::7:995", "in brackets" },
    { "pop://[::1]x", "neither a name" },
    { "pop://b\195\188cher.example", "A-label" },
  }
  for _, row in ipairs(bad) do
    it(("refuses %q"):format(row[1]), function()
      local parts, err = url.parse(row[1])
      assert.is_nil(parts)
      assert.truthy(err:find(row[2], 1, true), err)
    end)
  end

  local leaky = {
    "pop://otto:Hunter2@h", "pop3s://otto:Hunter2@h:995", "pop://:Hunter2@h",
    "pop://otto:Hun@ter2@h", "pop://otto:Hunter2/x@h", "pop://otto:@h",
    "pop://otto;AUTH=*:Hunter2@h", "pop://otto:Hunter2;AUTH=*@h",
    "pop3s://o:%48unter2@h",
  }
  for _, text in ipairs(leaky) do
    it("refuses the password in " .. text .. " without a word of it", function()
      local parts, err = url.parse(text)
      assert.is_nil(parts)
      assert.truthy(err:find("password does not belong", 1, true))
      assert.is_nil(err:find("unter2", 1, true))
      assert.is_nil(err:find("otto", 1, true))
    end)
  end

  it("says when TLS starts", function()
    local starts = {}
    for i, text in ipairs { "pop://h", "pop3://h", "pop3s://h" } do
      local parts = parsed(text)
      starts[i] = { url.tls(parts, nil), url.tls(parts, true) }
    end
    assert.same({ { "starttls", "opportunistic" }, { "starttls", "starttls" },
      { "implicit", "implicit" } }, starts)
  end)

  it("shows no part of the URL in any message", function()
    for _, row in ipairs(bad) do
      local _, err = url.parse((row[1]:gsub("h", "Hunter2")))
      assert.is_nil(err and err:find("Hunter2", 1, true))
    end
  end)
end)
