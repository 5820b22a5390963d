-- pop3.listing: what LIST and UIDL said, as one compact object.

local claims = require "spec.support.claims"
local pop3 = require "pop3"

local listing = pop3.listing

--- Rows as lists of number, size, uid; absent ones as false.
local function rows(l)
  local all = {}
  for number, size, uid in l:each() do
    all[#all + 1] = { number, size or false, uid or false }
  end
  return all
end

local function some()
  return listing({ "1 120", "2 200", "4 50" }, { "1 a", "2 b", "4 d" })
end

describe("A listing", function()
  it("has rows in LIST's order, with UIDs", function()
    local l = some()
    assert.equal(3, #l)
    assert.same({ number = 4, size = 50, uid = "d" }, l[3])
    assert.same({ { 1, 120, "a" }, { 2, 200, "b" }, { 4, 50, "d" } }, rows(l))
    assert.same({ 1, 2, 4 }, l:numbers())
    assert.equal(370, l:octets())
    assert.is_true(l.uids)
    assert.equal(0, l.malformed)
  end)

  it("gives whole numbers the type that Lua has for them", function()
    local l = some()
    assert.equal("4", tostring(l[3].number))
    assert.equal("370", tostring(l:octets()))
    assert.equal("3", tostring(#l))
    assert.equal("2", tostring(l:find("b")))
  end)

  it("is made of what list() and uidl() return, in pop3.safe, too", function()
    assert.same({ { 1, 2, "x" } },
                rows(pop3.safe.listing({ "1 2" }, { "1 x" })))
  end)

  it("without UIDL has no UIDs", function()
    local l = listing { "1 120" }
    assert.same({ { 1, 120, false } }, rows(l))
    assert.same({ number = 1, size = 120 }, l[1])
    assert.is_false(l.uids)
    assert.is_nil(l:find("a"))
  end)

  it("without LIST has no sizes", function()
    local l = listing(nil, { "3 c", "5 e" })
    assert.same({ { 3, false, "c" }, { 5, false, "e" } }, rows(l))
    assert.equal(0, l:octets())
  end)

  it("may be empty, and knows that UIDL was answered", function()
    for _, l in ipairs { listing(), listing({}, {}), listing(nil, nil) } do
      assert.equal(0, #l)
      assert.is_nil(l[1])
      assert.same({}, rows(l))
      assert.same({}, l:numbers())
      assert.equal(0, l:octets())
      assert.is_nil(l:find("a"))
      assert.equal(0, #l:without({ a = true }))
    end
    assert.is_true(listing({}, {}).uids)
    assert.is_false(listing({}).uids)
  end)

  it("outlives the tables and the variable that it came from", function()
    local each = some():each()
    collectgarbage()
    collectgarbage()
    assert.equal(1, (each()))
  end)

  it("has iterators that do not disturb each other", function()
    local l = some()
    local one, other = l:each(), l:each()
    one()
    one()
    assert.equal(1, (other()))
    assert.equal(4, (one()))
    assert.is_nil(one())
    assert.is_nil(one())
  end)
end)

describe("T12 A number", function()
  local good = { ["1"] = 1, ["00012"] = 12, ["4294967296"] = 4294967296,
                 ["0"] = 0, ["9007199254740992"] = 9007199254740992 }
  for text, number in pairs(good) do
    it(text .. " is one, as number and as size", function()
      local l = listing { "7 1", text .. " 5", "8 " .. text }
      assert.same({ { 7, 1, false }, { number, 5, false },
                    { 8, number, false } }, rows(l))
      assert.equal(6 + number, l:octets())
    end)
  end

  local bad = { "-1", "+1", "1e9", "0x10", "1.5", "abc", "9007199254740993",
                "18446744073709551616", ("9"):rep(400) }
  for _, text in ipairs(bad) do
    it(text:sub(1, 24) .. " is none: no row; or an unknown size", function()
      local l = listing({ "7 1", text .. " 5", "8 " .. text, "9 2" },
                        { "7 a", text .. " x", "8 b", "9 c" })
      assert.same({ { 7, 1, "a" }, { 8, false, "b" }, { 9, 2, "c" } }, rows(l))
      assert.equal(2, l.malformed)
      assert.equal(3, l:octets())
    end)
  end

  it("that is missing leaves the others", function()
    local l = listing({ "", " ", "1", "2 20" }, { "", "\t", "2 b", "1 a" })
    assert.same({ { 1, false, "a" }, { 2, 20, "b" } }, rows(l))
    assert.equal(4, l.malformed)
  end)

  it("is followed by a size, and whatever the server likes", function()
    local l = listing { "1 120 extra", "  2   200 ", "3\t30\t7", "4 40octets" }
    assert.same({ { 1, 120, false }, { 2, 200, false }, { 3, 30, false },
                  { 4, false, false } }, rows(l))
  end)

  it("never overflows the sum", function()
    local lines = {}
    for i = 1, 5000 do lines[i] = i .. " 9007199254740992" end
    assert.equal(2 ^ 64, listing(lines):octets())
    for i = 1025, 5000 do lines[i] = nil end
    assert.equal(2 ^ 63, listing(lines):octets())
  end)
end)

describe("T13 Lists in an odd order", function()
  it("keep LIST's: descending, sparse, repeated", function()
    local l = listing({ "9 1", "3 2", "3 3", "100 4", "1 5" },
                      { "1 a", "3 b", "3 c", "9 d", "100 e" })
    assert.same({ { 9, 1, "d" }, { 3, 2, "b" }, { 3, 3, "c" },
                  { 100, 4, "e" }, { 1, 5, "a" } }, rows(l))
    assert.same({ 9, 3, 3, 100, 1 }, l:numbers())
    assert.equal(4, l:find("e"))
  end)

  it("leave a row without its UID, and a UID without its row", function()
    local l = listing({ "1 1", "2 2", "3 3" }, { "1 a", "7 g", "3 c", "5 e" })
    assert.same({ { 1, 1, "a" }, { 2, 2, false }, { 3, 3, "c" },
                  { 7, false, "g" }, { 5, false, "e" } }, rows(l))
    assert.equal(4, l:find("g"))
  end)

  it("of which UIDL's is longer end in rows without a size", function()
    local l = listing({ "1 1" }, { "1 a", "2 b" })
    assert.same({ { 1, 1, "a" }, { 2, false, "b" } }, rows(l))
  end)
end)

describe("R09 A UID", function()
  for _, size in ipairs { 1, 70, 71, 254, 255, 256, 8191, 8193, 70000 } do
    it(("of %d octets is whole"):format(size), function()
      local uid = ("u"):rep(size)
      local l = listing({ "1 1", "2 2" }, { "1 " .. uid, "2 b" })
      assert.equal(uid, l[1].uid)
      assert.equal("b", l[2].uid)
      assert.equal(1, l:find(uid))
    end)
  end

  it("keeps blanks inside, and any octet", function()
    local l = listing(nil, { "1 a b  c", "2   d e \t", "3 \0\255" })
    assert.same({ { 1, false, "a b  c" }, { 2, false, "d e" },
                  { 3, false, "\0\255" } }, rows(l))
    assert.equal(3, l:find("\0\255"))
  end)

  it("R10 that is empty is none", function()
    local l = listing({ "5 1", "6 2", "7 3" }, { "5 ", "6", "7 c" })
    assert.same({ { 5, 1, false }, { 6, 2, false }, { 7, 3, "c" } }, rows(l))
    assert.is_nil(l:find(""))
    assert.equal(3, #l:without { "" })
  end)

  it("that repeats is found where it is first", function()
    local l = listing(nil, { "1 a", "2 b", "3 a", "4 a" })
    assert.equal(1, l:find("a"))
    assert.same({ { 2, false, "b" } }, rows(l:without { "a" }))
  end)
end)

describe("without", function()
  it("takes keys, arrays, both, and another listing", function()
    local l = some()
    local left = { { 2, 200, "b" } }
    assert.same(left, rows(l:without { a = true, d = 1, x = true }))
    assert.same(left, rows(l:without { "d", "a", "x" }))
    assert.same(left, rows(l:without { "d", a = true }))
    assert.same(left, rows(l:without(listing(nil, { "9 a", "8 d", "7 x" }))))
    assert.same(rows(l), rows(l:without {}))
    assert.same({}, rows(l:without(l)))
  end)

  it("does not take a key whose value is false", function()
    assert.equal(3, #some():without { a = false })
  end)

  it("keeps rows that have no UID", function()
    local l = listing({ "1 1", "2 2", "3 3" }, { "2 b", "3 c" })
    assert.same({ { 1, 1, false }, { 3, 3, "c" } }, rows(l:without { "b" }))
    assert.equal(2, #listing({ "1 1", "2 2" }):without { "b" })
  end)

  it("gives a listing like any other", function()
    local l = some():without { "a" }
    assert.equal("pop3.listing (2 messages)", tostring(l))
    assert.equal(250, l:octets())
    assert.is_true(l.uids)
    assert.equal(2, l:find("d"))
    assert.is_nil(l:find("a"))
    assert.same({ { 4, 50, "d" } }, rows(l:without { "b" }))
  end)

  it("agrees with the obvious way about many", function()
    local list, uidl, known, left = {}, {}, {}, {}
    for i = 1, 20000 do
      list[i] = ("%d %d"):format(i, i % 977)
      uidl[i] = ("%d u%d"):format(i, i % 15000)
      if i % 15000 % 3 == 0 then
        known["u" .. i % 15000] = true
      else
        left[#left + 1] = i
      end
    end
    assert.same(left, listing(list, uidl):without(known):numbers())
  end)
end)

describe("T50 T51 A listing in wrong hands", function()
  it("shows what it is, and hides its metatable", function()
    assert.equal("pop3.listing (3 messages)", tostring(some()))
    assert.equal("pop3.listing (1 message)", tostring(listing { "1 1" }))
    assert.equal("pop3.listing", getmetatable(some()))
    assert.is_false((pcall(setmetatable, some(), {})))
  end)

  it("has nothing under keys that it does not have", function()
    local l = some()
    for _, key in ipairs { 0, -1, 4, 1.5, 2 ^ 53, 1 / 0, -1 / 0, 0 / 0, "1",
                           "x", "", "__gc", true, {}, print } do
      assert.is_nil(l[key])
    end
    assert.equal(120, l[1.0].size)
    claims.misuse(function() l[1] = {} end)
    claims.misuse(function() l.uids = false end)
  end)

  local meta = debug.getmetatable(some())
  local functions = { __index = meta.__index, __len = meta.__len,
                      __tostring = meta.__tostring }
  for _, name in ipairs { "each", "find", "octets", "without", "numbers" } do
    functions[name] = some()[name]
  end
  local strangers = { 1, "x", true, {}, print, io.stdout,
                      coroutine.create(function() end), pop3.context { verify = false },
                      pop3.error_proto, newproxy and newproxy(true) }

  for name, f in pairs(functions) do
    it("T51 checks the receiver of " .. name, function()
      for _, stranger in pairs(strangers) do
        local text = claims.misuse(f, stranger, "a")
        assert.match("bad self to '.*' %(pop3 listing expected, got "
                     .. type(stranger), text)
      end
      claims.misuse(f)
      claims.misuse(f, nil)
    end)
  end

  it("checks what find and without are given", function()
    local l = some()
    for _, bad in pairs { 1, true, {}, print, l } do
      assert.match("bad argument #1 to 'find' %(string expected, got ",
                   claims.misuse(l.find, l, bad))
    end
    claims.misuse(l.find, l)
    for _, bad in pairs { 1, true, "a", print, io.stdout } do
      assert.match(
        "bad argument #1 to 'without' %(table or listing expected, got ",
        claims.misuse(l.without, l, bad))
    end
    claims.misuse(l.without, l)
    for _, bad in ipairs { { 1 }, { {} }, { [{}] = true }, { true } } do
      assert.match("bad argument #1 to 'without' %(UIDs expected in it, got ",
                   claims.misuse(l.without, l, bad))
    end
  end)

  it("names the line of who called", function()
    local l = some()
    for _, f in ipairs {
      function() l:find(1) end, function() l:without(1) end,
      function() l.each() end, function() listing(1) end,
    } do
      assert.match("listing_spec.lua:%d+: bad ", claims.misuse(f))
    end
  end)

  it("checks what listing() is given", function()
    for _, bad in ipairs { 1, "1 120", true, print, io.stdout } do
      assert.match("bad argument #1 to 'listing' %(table of lines expected",
                   claims.misuse(listing, bad))
      assert.match("bad argument #2 to 'listing' %(table of lines expected",
                   claims.misuse(listing, {}, bad))
    end
    assert.match("bad argument #1 to 'listing' %(string expected in it, got",
                 claims.misuse(listing, { "1 1", 2 }))
    assert.match("bad argument #2 to 'listing' %(string expected in it, got",
                 claims.misuse(listing, nil, { {} }))
  end)

  it("T50 survives its finaliser being called by hand", function()
    local l = some()
    l:find("a")
    local each = l:each()
    each()
    meta.__gc(l)
    meta.__gc(l)
    for _, stranger in pairs(strangers) do meta.__gc(stranger) end
    meta.__gc()
    assert.is_nil(each())
    assert.equal(0, #l)
    assert.is_nil(l[1])
    assert.is_nil(l:find("a"))
    assert.equal(0, #l:without { "a" })
    assert.same({}, rows(l))
  end)
end)

describe("Listings that nobody holds any more", function()
  it("T55 do not pile up: the collector hears of their octets", function()
    if os.getenv("POP3_SANITIZED") or os.getenv("POP3_VALGRIND") then return end
    local lines = {}
    for i = 1, 20000 do lines[i] = i .. " " .. ("%040d"):format(i) end
    local l = listing(nil, lines)
    collectgarbage()
    local before = claims.resident()
    -- A collector waits for as much as is alive, 5.5's for more; other specs'
    -- remains are, too.
    local bound = 40 + 2 * collectgarbage("count") / 1024
    for _ = 1, 200 do l:without {} end -- 180 MiB in all
    local grown = (claims.resident() - before) / 2 ^ 20
    assert(grown < bound, ("%.1f MiB more are resident"):format(grown))
  end)
end)
