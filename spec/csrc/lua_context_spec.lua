-- pop3.context: what it looks like, what it refuses, and when files are read.
--
-- No server is needed: a context is made before the connection, so port 1 of
-- this host refuses (kind io) exactly where the context was there.

local certificates = require "spec.support.certificates"
local pop3 = require "pop3"

local read = require("spec.support.files").read
local write = require("spec.support.files").write

--- The error of connecting to nobody with `options`.
local function failure(options)
  local ok, err = pcall(pop3.POP3_SSL, "127.0.0.1", 1, options)
  assert.is_false(ok)
  return err
end

local function refuses(options)
  local ok, err = pcall(pop3.context, options)
  assert.is_false(ok)
  return err
end

describe("pop3.context", function()
  local cafile

  before_each(function()
    cafile = os.tmpname()
    write(cafile, read(certificates.cafile))
  end)

  after_each(function() os.remove(cafile) end)

  it("is a userdata that shows nothing and hides its metatable", function()
    local context = pop3.context { cafile = cafile, servername = "secret" }
    assert.equal("userdata", type(context))
    assert.equal("pop3.context", tostring(context))
    assert.equal("pop3.context", getmetatable(context))
  end)

  it("survives its finaliser being called by hand", function()
    local context = pop3.context { cafile = cafile }
    local finalise = debug.getmetatable(context).__gc
    finalise(context)
    finalise(context)
    finalise(io.stdout)
    finalise()
    assert.match("bad argument", (tostring(failure { context = context })))
    assert.equal("io", failure({ cafile = cafile }).kind)
  end)

  it("T23: an option's typo names the option that was meant", function()
    assert.match("unknown option 'verfy' to 'context' %(did you mean 'verify'",
                 (refuses { verfy = false }))
  end)

  it("refuses values of a wrong type and names the option", function()
    assert.match("'verify'.*boolean expected", (refuses { verify = "no" }))
    assert.match("'cafile'.*string expected", (refuses { cafile = 1 }))
    assert.match("'cafile'.*NUL", (refuses { cafile = "a\0b" }))
    assert.match("'security_level'", (refuses { security_level = 1.5 }))
    assert.match("string expected, got number", (refuses { "x" }))
    assert.match("bad argument #1 to 'context'", (refuses(3)))
  end)

  it("fails with an error object that says what to do", function()
    local err = refuses { cafile = "/does/not/exist" }
    assert.equal("tls", err.kind)
    assert.equal("config", err.name)
    assert.match("/does/not/exist.*PEM", tostring(err))
    local value, message, object = require("pop3.safe").context {
      min_version = "1.4",
    }
    assert.is_nil(value)
    assert.match("min_version", message)
    assert.equal("config", object.name)
  end)

  it("reads the files of one set of options once", function()
    assert.equal("io", failure({ cafile = cafile }).kind)
    os.remove(cafile)
    assert.equal("io", failure({ cafile = cafile }).kind)
    assert.equal("config", failure({ cafile = cafile, alpn = false }).name)
  end)

  it("made ahead of time serves option tables, too", function()
    pop3.context { cafile = cafile }
    os.remove(cafile)
    assert.equal("io", failure({ cafile = cafile }).kind)
  end)

  it("called again reads the files anew", function()
    pop3.context { cafile = cafile }
    write(cafile, "nothing")
    assert.equal("config", refuses({ cafile = cafile }).name)
  end)

  it("remembers few sets of options, not all there ever were", function()
    assert.equal("io", failure({ cafile = cafile }).kind)
    for i = 1, 16 do
      pop3.context { verify = false, servername = "host" .. i .. ".test" }
    end
    os.remove(cafile)
    assert.equal("config", failure({ cafile = cafile }).name)
  end)

  it("keeps no passphrase: such options are read anew each time", function()
    local options = { cafile = cafile, keypass = "open sesame" }
    assert.equal("io", failure(options).kind)
    os.remove(cafile)
    assert.equal("config", failure(options).name)
  end)
end)
