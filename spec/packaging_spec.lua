-- packaging_spec.lua - what a user installs works from where it was put: the
-- rock (LuaRocks' builtin build, offline) and CMake's install, each in an
-- empty tree, used by a process that knows nothing of the sources.

local server = require "spec.support.server"

local files = require "spec.support.files"
local mailbox = require "spec.support.mailbox"
local quote = files.quote

local function run(...)
  local command = string.format(...)
  local pipe = assert(io.popen("{ " .. command .. "; } 2>&1; echo $?"))
  local output = pipe:read("*a")
  pipe:close()
  local text, status = output:match("^(.-)(%d+)\n$")
  return tonumber(status), text
end

local function succeed(...)
  local status, text = run(...)
  assert(status == 0, ("status %s of %s\n%s")
    :format(status, string.format(...), text))
  return text
end

-- A session in a fresh interpreter with the paths given and no others.
local script = [[
local pop3 = require "pop3"
local port = tonumber(arg[1])
local conn = pop3.POP3("127.0.0.1", port)
conn:user("me")
conn:pass_("secret")
local _, lines, octets = conn:retr(1)
print(pop3._VERSION, #lines, octets, conn:quit())
print(require("pop3.safe").POP3("127.0.0.1", tonumber(arg[2])) == nil)
]]

local function use_from(lua_path, lua_cpath, folder)
  local s = server.start { { { mailbox = {
    messages = { "Subject: one\r\n\r\n..dot\r\n" },
  } } } }
  local name = folder .. "/session.lua"
  local file = assert(io.open(name, "w"))
  file:write(script)
  file:close()
  local text = succeed("cd %s && env -i PATH=\"$PATH\" LUA_PATH=%s "
    .. "LUA_CPATH=%s lua5.4 session.lua %d %d", quote(folder), quote(lua_path),
    quote(lua_cpath), s.port,
    server.closed_port())
  s:stop()
  assert.matches("^%S.-\t3\t%d+\t%+OK.*\ntrue\n$", text)
end

-- The only name that a module shows to the process that loads it: other
-- modules may carry another version of this library.
local function exported(path)
  local text = succeed("nm -D --defined-only %s", quote(path))
  local names = {}
  for name in text:gmatch("%s[TDBRVW]%s(%S+)") do names[#names + 1] = name end
  return table.concat(names, " ")
end

describe("an installation", function()
  local folder

  setup(function()
    folder = succeed("mktemp -d"):match("%S+")
    -- LuaRocks compiles beside the sources: let it do that in a copy.
    succeed("mkdir %s/tree && cp -R CMakeLists.txt LICENSE bin cmake csrc lua "
      .. "rockspec examples %s/tree", quote(folder), quote(folder))
  end)

  teardown(function() run("rm -rf %s", quote(folder)) end)
  after_each(server.stop_all)

  describe("by LuaRocks", function()
    setup(function()
      succeed("cd %s/tree && HOME=%s luarocks --lua-version=5.4 "
        .. "--tree=%s/rocks make rockspec/poplib-scm-1.rockspec",
        quote(folder), quote(folder), quote(folder))
    end)

    it("has a rockspec that luarocks lint accepts", function()
      succeed("HOME=%s luarocks lint rockspec/poplib-scm-1.rockspec",
        quote(folder))
    end)

    it("serves a session from an empty tree", function()
      local share = folder .. "/rocks/share/lua/5.4"
      use_from(share .. "/?.lua", folder .. "/rocks/lib/lua/5.4/?.so", folder)
    end)

    it("shows no names but the module's", function()
      assert.equal("luaopen_pop3_core",
        exported(folder .. "/rocks/lib/lua/5.4/pop3/core.so"))
    end)

    -- With Lua 5.1, because Debian's luaposix is not for 5.4.
    it("brings a command that runs", function()
      succeed("cd %s/tree && HOME=%s luarocks --lua-version=5.1 "
        .. "--tree=%s/rocks51 make rockspec/poplib-scm-1.rockspec",
        quote(folder), quote(folder), quote(folder))
      local text = succeed("cd / && env -i PATH=\"$PATH\" %s/rocks51/bin/pop3 "
        .. "--help", quote(folder))
      assert.matches("fetch", text)
    end)

    it("says what the command lacks", function()
      local status, text = run("cd / && env -i PATH=\"$PATH\" %s/rocks/bin/pop3 "
        .. "--help", quote(folder))
      if status ~= 0 then
        assert.equal(69, status)
        assert.matches("luaposix", text)
      end
    end)
  end)

  describe("by CMake", function()
    setup(function()
      succeed("cd %s/tree && cmake -B %s/made -DPOP3_LUA=5.4 "
        .. "-DPOP3_WERROR=ON -DCMAKE_INSTALL_PREFIX=%s/prefix && "
        .. "cmake --build %s/made -j2 && cmake --install %s/made",
        quote(folder), quote(folder), quote(folder), quote(folder),
        quote(folder))
    end)

    it("serves a session from an empty prefix", function()
      use_from(folder .. "/prefix/share/lua/5.4/?.lua",
        folder .. "/prefix/lib/lua/5.4/?.so", folder)
    end)

    it("shows no names but the module's", function()
      assert.equal("luaopen_pop3_core",
        exported(folder .. "/prefix/lib/lua/5.4/pop3/core.so"))
    end)

    it("brings a command that runs", function()
      succeed("cd %s/tree && cmake -B %s/made-51 -DPOP3_LUA=5.1 "
        .. "-DCMAKE_INSTALL_PREFIX=%s/prefix-51 && cmake --build %s/made-51 -j2 "
        .. "&& cmake --install %s/made-51", quote(folder), quote(folder),
        quote(folder), quote(folder), quote(folder))
      local text = succeed("cd / && env -i PATH=\"$PATH\" POP3_LUA=lua5.1 "
        .. "LUA_PATH='%s/prefix-51/share/lua/5.1/?.lua;;' "
        .. "LUA_CPATH='%s/prefix-51/lib/lua/5.1/?.so;;' %s/prefix-51/bin/pop3 --help",
        folder, folder, quote(folder))
      assert.matches("fetch", text)
    end)

    it("gives C programs the engine by pkg-config, without OpenSSL", function()
      local flags = succeed("PKG_CONFIG_PATH=%s/prefix/lib/pkgconfig "
        .. "pkg-config --cflags --libs pop3", quote(folder)):match("[^\n]+")
      succeed("cc -std=c99 -Wall -Wextra -Werror -o %s/c_session "
        .. "examples/c_session.c %s", quote(folder), flags)
      assert.not_matches("ssl", succeed("ldd %s/c_session", quote(folder)))
    end)

    it("gives programs the client and the module by pkg-config", function()
      succeed("export PKG_CONFIG_PATH=%s/prefix/lib/pkgconfig && "
        .. "cc -std=gnu99 -Wall -Wextra -Werror -o %s/threads "
        .. "spec/embedding/threads.c "
        .. "$(pkg-config --cflags --libs pop3-lua lua5.4)",
        quote(folder), quote(folder))
      local box = mailbox.start {
        "--sample", "6", "--user", "joe", "--password", "secret",
      }
      local text = succeed("EMBEDDING_PASSWORD=secret %s/threads 1 1 1 "
        .. "spec/embedding/session.lua %d %d %s", quote(folder), box.plain,
        box.tls, quote(box.ca))
      mailbox.stop_all()
      assert.equal("1 states, 1 sessions in C\n", text)
    end)

    it("is a folder of a larger project, as docs/embedding.md says", function()
      local docs = files.read("docs/embedding.md")
      succeed("mkdir %s/host && ln -s ../tree %s/host/poplib", quote(folder),
        quote(folder))
      files.write(folder .. "/host/host.c", (docs:match("```c\n(.-)```")
        :gsub('"pop3.h"', '"pop3_lua.h"')))
      files.write(folder .. "/host/CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.18)\nproject(host C)\n"
        .. "find_package(Lua 5.4 EXACT REQUIRED)\n"
        .. "include_directories(${LUA_INCLUDE_DIR})\n"
        .. docs:match("```cmake\n(.-)```"))
      succeed("cmake -S %s/host -B %s/host/made && "
        .. "cmake --build %s/host/made -j2",
        quote(folder), quote(folder), quote(folder))
      local text = succeed("cd / && %s/host/made/host", quote(folder))
      assert.matches("^poplib %d", text)
    end)

    it("builds the engine with nothing but a C compiler", function()
      succeed("cd %s/tree && cmake -B %s/engine -DPOP3_LUA=none "
        .. "-DPOP3_TLS=OFF -DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON "
        .. "-DCMAKE_DISABLE_FIND_PACKAGE_Lua=ON && cmake --build %s/engine",
        quote(folder), quote(folder), quote(folder))
    end)
  end)

  it("builds for the other Luas, too", function()
    for lua, package in pairs { ["5.1"] = "lua5.1", jit = "luajit" } do
      if run("pkg-config --exists %s", package) == 0 then
        succeed("cd %s/tree && cmake -B %s/made-%s -DPOP3_LUA=%s "
          .. "-DPOP3_WERROR=ON -DCMAKE_BUILD_TYPE=Debug && "
          .. "cmake --build %s/made-%s -j2", quote(folder), quote(folder), lua,
          lua, quote(folder), lua)
      end
    end
  end)
end)
