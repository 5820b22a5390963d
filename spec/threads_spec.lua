-- Several Lua states in several threads, and TLS contexts that threads share,
-- under ThreadSanitizer, which also sees a race that happened to end well.

local mailbox = require "spec.support.mailbox"
local shell = require "spec.support.shell"
local files = require "spec.support.files"

local FLAGS = "-std=gnu99 -g -O1 -fsanitize=thread -Wall -Wextra -Werror -Icsrc"
local LIBRARY = "build/tsan"

describe("Threads", function()
  local folder, program, box

  setup(function()
    folder = files.make_folder()
    program = folder .. "/threads"
    shell.succeed("POP3_BUILD=$PWD/" .. LIBRARY .. " scripts/build lua5.4 -- "
      .. "-DPOP3_SANITIZE=thread -DCMAKE_C_FLAGS_RELEASE=-O1")
    shell.succeed("cc " .. FLAGS .. " $(pkg-config --cflags lua5.4) -o %s "
      .. "spec/embedding/threads.c -L" .. LIBRARY .. " -lpop3_lua "
      .. "-lpop3_client -lpop3 $(pkg-config --libs lua5.4) -lssl -lcrypto "
      .. "-lpthread -ldl $(cat " .. LIBRARY .. "/optional-libs)", program)
    box = mailbox.start {
      "--sample", "6", "--user", "joe", "--password", "secret",
    }
  end)

  teardown(function()
    mailbox.stop_all()
    files.remove_folder(folder)
  end)

  --- Exit code 66 is TSan's for "there was a race".
  local function run(in_lua, in_c, rounds)
    return shell.succeed("EMBEDDING_PASSWORD=secret TSAN_OPTIONS=exitcode=66 "
      .. "%s %s %s %s spec/embedding/session.lua %s %s %s", program, in_lua,
      in_c, rounds, box.plain, box.tls, box.ca)
  end

  it("may have Lua states of their own, closed while others run", function()
    assert.equal("64 states, 0 sessions in C\n", run(8, 0, 8))
  end)

  it("may share a TLS context and its sessions", function()
    assert.equal("0 states, 80 sessions in C\n", run(0, 8, 10))
  end)

  it("may do both at once", function()
    assert.equal("24 states, 24 sessions in C\n", run(4, 4, 6))
  end)
end)
