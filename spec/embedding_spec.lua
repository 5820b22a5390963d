-- The library inside a program: one pop3.c and pop3.h, the Lua files compiled
-- in, and what a state's allocator is used for.

local certificates = require "spec.support.certificates"
local files = require "spec.support.files"
local mailbox = require "spec.support.mailbox"
local server = require "spec.support.server"
local shell = require "spec.support.shell"

local ENGINE = "-O2 -DPOP3_NO_LUA -DPOP3_NO_TLS"
local CLIENT = "-O2 -DPOP3_NO_LUA"
local SYSTEM = "-lssl -lcrypto -lpthread -ldl"
local LUAS = { "lua5.4", "lua5.1", "luajit" }

local folder

--- What a compiler needs to know for one of LUAS.
local function lua_flags(lua)
  return "-O1 $(pkg-config --cflags " .. lua .. ")"
end
local function lua_libs(lua) return "$(pkg-config --libs " .. lua .. ")" end

local function compile(compiler, flags)
  return shell.succeed(compiler .. " -std=c99 -Wall -Wextra -Wpedantic -Werror "
    .. flags .. " -I%s", folder)
end

--- pop3.c as an object, once for each set of flags.
local objects = {}
local function object(flags)
  if not objects[flags] then
    local path = ("%s/%d.o"):format(folder, #objects + 1)
    compile("gcc", ("%s -c -o %s %s/pop3.c"):format(flags, path, folder))
    objects[flags], objects[#objects + 1] = path, path
  end
  return objects[flags]
end

local function program(name, sources, flags, libraries)
  local path = folder .. "/" .. name
  compile("gcc", ("%s -o %s %s %s"):format(flags, path, sources, libraries))
  return path
end

local function lines(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

setup(function()
  folder = files.make_folder()
  shell.succeed("scripts/amalgamate %s", folder)
end)

teardown(function() files.remove_folder(folder) end)

describe("The amalgamation", function()
  it("is the same for the same tree", function()
    shell.succeed("scripts/amalgamate %s/again && cmp %s/pop3.c %s/again/pop3.c "
      .. "&& cmp %s/pop3.h %s/again/pop3.h", folder, folder, folder, folder,
      folder)
  end)

  it("does not say where it was made", function()
    local here = shell.succeed("pwd"):match("[^\n]+")
    for _, name in ipairs { "pop3.c", "pop3.h" } do
      local text = files.read(folder .. "/" .. name)
      assert.falsy(text:find(here, 1, true))
      assert.matches("MIT License", text)
    end
  end)

  local variants = { { "the engine", ENGINE }, { "the client", CLIENT } }
  for _, lua in ipairs { "lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit" } do
    variants[#variants + 1] = { "the module for " .. lua, lua_flags(lua), lua }
  end
  for _, variant in ipairs(variants) do
    it("has no warning with gcc and clang: " .. variant[1], function()
      local lua = variant[3]
      if lua and not select(3, shell.run("pkg-config --exists " .. lua)) then
        return pending("there are no headers of " .. lua)
      end
      local check = ("-fsyntax-only %s %s/pop3.c"):format(variant[2], folder)
      compile("clang-19", check)
      if lua == "lua5.2" or lua == "lua5.3" then return compile("gcc", check) end
      object(variant[2]) -- by gcc, and for the specs below
    end)
  end

  it("says that the module needs TLS", function()
    local _, errors, good = shell.run(("gcc -fsyntax-only -DPOP3_NO_TLS %s "
      .. "%s/pop3.c"):format(lua_flags "lua5.4", folder))
    assert.is_false(good)
    assert.matches("error: #error .-POP3_NO_LUA", errors)
  end)

  it("has a header for C++, too", function()
    compile("clang-19 -Wno-deprecated -Wno-c99-extensions -x c++",
      "-fsyntax-only -std=c++11 " .. folder .. "/pop3.h")
  end)
end)

describe("Names that other parts of a program see", function()
  local function names(command, path)
    local list = {}
    for _, line in ipairs(lines(shell.succeed(command .. " %s", path))) do
      list[#list + 1] = line:match("%S+$")
    end
    return list
  end

  for _, flags in ipairs { ENGINE, CLIENT, lua_flags "lua5.4" } do
    it("begin with pop3_: " .. flags, function()
      local found = names("nm -g --defined-only", object(flags))
      assert(#found > 20)
      for _, name in ipairs(found) do
        assert.matches("^pop3_", (name:gsub("^luaopen_pop3_core$", "pop3_")))
      end
    end)
  end

  -- Also what is private: tracebacks and profiles show it.
  it("tell by their beginning which file they are from", function()
    local stems = { pop3_ = true, lines_of_ = true }
    for path in shell.succeed("ls csrc/*.c csrc/embed/*.c"):gmatch("%S+") do
      stems[path:match("([^/]+)%.c$") .. "_"] = true
    end
    for _, line in ipairs(lines(shell.succeed("nm --defined-only %s",
      object(lua_flags "lua5.4")))) do
      local kind, name = line:match("%s([tdbr]) (%S+)")
      local known = kind == nil or name:find("^[.$_]")
        or name:find("^compat_") or name:find("%.%d+$") -- a static of a function
      for stem in pairs(stems) do
        known = known or name:sub(1, #stem) == stem
      end
      assert(known, name)
    end
  end)

  local function exported(flags)
    local path = folder .. "/shared.so"
    compile("gcc", ("-shared -fPIC %s -O0 -o %s %s/pop3.c %s"):format(flags,
      path, folder, SYSTEM))
    return names("nm -D --defined-only", path)
  end

  it("are the module's only, in a shared library", function()
    assert.same({ "luaopen_pop3_core" }, exported(lua_flags "lua5.4"))
  end)

  it("are those of pop3.h, if it is to export them", function()
    local header = files.read(folder .. "/pop3.h"):gsub("/%*.-%*/", "")
    local found = exported("-DPOP3_EXPORT " .. lua_flags "lua5.4")
    assert(#found > 100)
    for _, name in ipairs(found) do
      assert(header:find("%f[%w_]" .. name .. "%f[^%w_]"), name)
    end
    local seen = table.concat(found, " ")
    local functions = header:gsub("%f[%w]typedef [^;{]*;", "")
    for name in functions:gmatch("(pop3_[%w_]+)%(") do
      assert(seen:find(name, 1, true), name .. " is not exported")
    end
  end)

  it("of the C library that allocate are few, and known", function()
    local allocating = {}
    for word in ([[malloc calloc realloc reallocarray free strdup strndup
      asprintf vasprintf getline getdelim fopen fdopen open_memstream opendir
      realpath posix_memalign aligned_alloc getaddrinfo freeaddrinfo mmap]])
      :gmatch("%S+") do
      allocating[word] = true
    end
    local used = {}
    for _, name in ipairs(names("nm -u", object(lua_flags "lua5.4"))) do
      if allocating[name] then used[#used + 1] = name end
    end
    table.sort(used)
    -- malloc's are jobs and the default allocator (see below); opendir's goes
    -- with closedir, before the call returns.
    assert.same({ "free", "freeaddrinfo", "getaddrinfo", "malloc", "opendir",
      "realloc" }, used)
  end)
end)

describe("examples/c_session.c", function()
  after_each(server.stop_all)

  it("needs nothing but a compiler and the engine's pop3.c", function()
    local path = program("c_session",
      "examples/c_session.c " .. folder .. "/pop3.c", ENGINE, "")
    assert.not_matches("ssl", (shell.succeed("ldd %s", path)))
    local s = server.start { { { mailbox = { messages = { "a\r\n..b\r\n" } } } } }
    local output = shell.succeed("echo secret | %s 127.0.0.1 %s tim", path,
      s.port)
    assert.matches("RETR: %+OK[^\n]*\na\n%.%.b\nQUIT: %+OK", output)
  end)
end)

-- ------------------------------------------------------------ TLS and Lua

local MAILS = {
  "Subject: hello\r\n\r\nDots:\r\n.\r\n..\r\n",
  "Subject: again\r\n\r\nAnd \27[31mred\r\n",
  "\r\nnothing to see\r\n",
}

--- The scripted mailbox behind implicit TLS, or with STLS.
local function serve(door, changes)
  local tls = certificates.server "ip"
  local box = { messages = MAILS, user = "tim", password = "tanstaaf" }
  for key, value in pairs(changes or {}) do box[key] = value end
  local steps = { { mailbox = box } }
  if door == "implicit" then table.insert(steps, 1, { tls = tls }) end
  if door == "starttls" then box.stls = tls end
  return server.start { steps }
end

--- Run a program with the password in its input.
local function talk(path, s, words, password)
  local output, errors, good = shell.run(("echo %s | %s 127.0.0.1 %d %s")
    :format(password or "tanstaaf", path, s.port, words))
  return output, errors, good, s:report().connections[1].commands
end

describe("examples/c_client.c", function()
  local path

  setup(function()
    path = program("c_client", "examples/c_client.c " .. object(CLIENT), CLIENT,
      SYSTEM)
  end)

  after_each(server.stop_all)

  for _, door in ipairs { "implicit", "starttls" } do
    it("retrieves a message by TLS: " .. door, function()
      local output, errors, good, seen = talk(path, serve(door),
        door .. " tim " .. certificates.cafile)
      assert.equal("", errors)
      assert.equal(files.read("examples/c_client.expected"),
        (output:gsub("\r\n", "\n")))
      assert.is_true(good)
      local commands = table.concat(seen, "\n")
      assert.matches("USER tim\nPASS tanstaaf\nSTAT\nRETR 1\nQUIT$", commands)
    end)
  end

  it("says what the server refused", function()
    local _, errors, good = talk(path, serve "implicit",
      "implicit tim " .. certificates.cafile, "wrong")
    assert.is_false(good)
    assert.matches("^c_client: %-ERR", errors)
  end)

  it("trusts nobody by itself", function()
    local _, errors, good, seen = talk(path, serve "implicit", "implicit tim")
    assert.is_false(good)
    assert.matches("^c_client: .*cafile", errors)
    assert.same({}, seen)
  end)

  it("does not log in where STLS is missing", function()
    local _, errors, good, seen = talk(path, serve "none",
      "starttls tim " .. certificates.cafile)
    assert.is_false(good)
    assert.matches("^c_client: .*STLS", errors)
    assert.falsy(table.concat(seen, "\n"):find("USER", 1, true))
  end)

  it("never takes a cut message for a whole one", function()
    local s = serve("implicit", { answers = { { "RETR 1",
      { { send = "+OK\r\nSubject: he" }, { close = "abrupt" } } } } })
    local output, errors, good = talk(path, s,
      "implicit tim " .. certificates.cafile)
    assert.is_false(good)
    assert.not_matches("octets", output)
    assert.matches("^c_client: ", errors)
  end)
end)

for _, lua in ipairs(LUAS) do
  describe("With " .. lua, function()
    local embed, counting

    setup(function()
      embed = program("embed-" .. lua,
        "examples/embed.c " .. object(lua_flags(lua)), lua_flags(lua),
        lua_libs(lua) .. " " .. SYSTEM)
      counting = program("counting-" .. lua, "-D_GNU_SOURCE "
        .. "spec/embedding/counting.c "
        .. object(lua_flags(lua) .. " -O0 -include spec/embedding/spy.h"),
        lua_flags(lua), lua_libs(lua) .. " " .. SYSTEM)
    end)

    after_each(server.stop_all)

    it("examples/embed.c lists a mailbox, without any file beside it", function()
      local output, errors, good, seen = talk(
        "env -i LUA_PATH= LUA_CPATH= " .. embed, serve "implicit",
        "tim " .. certificates.cafile)
      assert.equal("", errors)
      assert.equal(files.read("examples/embed.expected"), output)
      assert.is_true(good)
      assert.equal("QUIT", seen[#seen])
    end)

    it("examples/embed.c explains what fails", function()
      local _, errors, good = talk(embed, serve "implicit",
        "tim " .. certificates.cafile, "wrong")
      assert.is_false(good)
      assert.matches("^embed: %-ERR", errors)
    end)

    it("a script is refused what it may not have", function()
      local s = serve("implicit", { messages = { { "x", 20000000 } } })
      local _, errors, good = talk(embed, s, "tim " .. certificates.cafile)
      assert.is_false(good)
      assert.matches("^embed: .*not enough memory", errors)
      assert.not_matches("not all memory", errors)
    end)

    --- What counting.c says about a script.
    local function count(script, ...)
      local output = shell.succeed("cd / && EMBEDDING_PASSWORD=secret %s"
        .. (" %s"):rep(select("#", ...) + 1), counting, script, ...)
      local said = {}
      for word, rest in output:gmatch("(%l+)([^\n]*)\n") do
        said[word] = rest:match("^%s*(.*)$")
      end
      return said, output
    end

    it("all that is ours comes from the state's allocator", function()
      local box = mailbox.start {
        "--sample", "6", "--user", "joe", "--password", "secret",
      }
      local here = shell.succeed("pwd"):match("[^\n]+")
      local place = files.make_folder()
      local said, output = count(here .. "/spec/embedding/everything.lua",
        box.plain, box.tls, box.ca, place, server.closed_port())
      mailbox.stop_all()
      files.remove_folder(place)
      assert(tonumber(said.most) > 200000, output)
      assert.equal("0 0", said.left)
      assert.equal("0", said.mistaken)
      assert.equal("pop3_job_new", said.direct)
      assert.equal("0", said.kept)
    end)

    local function count_text(text, ...)
      local script = files.temporary(text)
      local said, output = count(script, ...)
      os.remove(script)
      return said, output
    end

    it("tracebacks name the embedded files", function()
      local _, output = count_text [[
        local ok, err = xpcall(function()
          require("pop3").messages = nil
          require("pop3.url").parse({})
        end, debug.traceback)
        assert(not ok)
        print(err)
      ]]
      assert.matches("pop3/url%.lua:%d+:", output)
    end)

    it("every module is there, and its own file", function()
      local names = {}
      for path in shell.succeed("cd lua && find . -name '*.lua'")
        :gmatch("%./([^\n]*)%.lua\n") do
        if not path:find("^pop3/cli") then
          names[#names + 1] = ("%q"):format((path:gsub("/", ".")))
        end
      end
      assert(#names >= 8)
      local said, output = count_text(("local names = {%s}\n")
        :format(table.concat(names, ",")) .. [[
        package.path, package.cpath = "", ""
        for _, name in ipairs(names) do
          assert(package.loaded[name] == nil or name == "pop3.core", name)
          assert(package.preload[name], name .. " is not there")
        end
        assert(package.preload["pop3.cli"] == nil)
        assert(require "pop3.safe" == require("pop3").safe)
        assert(debug.getinfo(require("pop3").POP3, "S").source == "@pop3.lua")
      ]])
      assert.equal("0 0", said.left, output)
    end)

    it("the package library has to be open", function()
      local path = folder .. "/bare.c"
      files.write(path, [[
        #include <stdio.h>
        #include <lauxlib.h>
        #include <lua.h>
        #include "pop3.h"
        int main(void) {
          lua_State *L = luaL_newstate();
          lua_pushcfunction(L, pop3_preload);
          int failed = lua_pcall(L, 0, 0, 0);
          puts(failed ? lua_tostring(L, -1) : "no error");
          lua_close(L);
          return 0;
        }
      ]])
      assert.equal("pop3_preload: open the package library first\n",
        (shell.succeed("%s", program("bare-" .. lua,
          path .. " " .. object(lua_flags(lua)), lua_flags(lua),
          lua_libs(lua) .. " " .. SYSTEM))))
    end)
  end)
end

describe("docs/embedding.md", function()
  local docs, place = files.read("docs/embedding.md")

  setup(function()
    place = files.make_folder()
    for _, name in ipairs { "scripts", "examples" } do
      shell.succeed("ln -s \"$PWD\"/%s %s", name, place)
    end
  end)

  teardown(function() files.remove_folder(place) end)

  it("builds what it says, and its program runs", function()
    local count = 0
    for block in docs:gmatch("```sh\n(.-)```") do
      count = count + 1
      shell.succeed("cd %s && { " .. block:gsub("%%", "%%%%") .. "}", place)
    end
    assert.equal(4, count)
    files.write(place .. "/host.c", docs:match("```c\n(.-)```"))
    shell.succeed("cd %s && cc -Wall -Wextra -Werror -Ipop3 "
      .. "$(pkg-config --cflags lua5.4) -o host host.c %s "
      .. "$(pkg-config --libs lua5.4) " .. SYSTEM, place,
      object(lua_flags "lua5.4"))
    assert.matches("^poplib %d", (shell.succeed("%s/host", place)))
  end)
end)
