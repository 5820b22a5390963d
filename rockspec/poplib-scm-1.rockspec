rockspec_format = "3.0"
package = "poplib"
version = "scm-1"

-- `luarocks make` builds the tree that it is called in; a release names the
-- place that it was published at.
source = {
  url = "git+https://localhost/poplib.git",
}

description = {
  summary = "A POP3 and POP3S client with the methods of Python's poplib",
  detailed = [[
require "pop3" is a POP3 client for Lua 5.1 to 5.5 and LuaJIT: every method
of Python's poplib, TLS that verifies, STLS, deadlines and limits, errors with
a kind. The module has no dependency but OpenSSL 3. The command-line program
`pop3` that comes with it needs argparse and luaposix, too.]],
  license = "MIT",
  labels = { "pop3", "email", "mail", "tls", "network" },
}

dependencies = {
  "lua >= 5.1, < 5.6",
}

-- Two entries, because each names one library that must be found.
external_dependencies = {
  OPENSSL = { header = "openssl/ssl.h", library = "ssl" },
  CRYPTO = { header = "openssl/crypto.h", library = "crypto" },
}

build = {
  type = "builtin",
  modules = {
    ["pop3"] = "lua/pop3.lua",
    ["pop3.authenticate"] = "lua/pop3/authenticate.lua",
    ["pop3.call"] = "lua/pop3/call.lua",
    ["pop3.cli"] = "lua/pop3/cli.lua",
    ["pop3.cli.account"] = "lua/pop3/cli/account.lua",
    ["pop3.cli.arguments"] = "lua/pop3/cli/arguments.lua",
    ["pop3.cli.config"] = "lua/pop3/cli/config.lua",
    ["pop3.cli.disk"] = "lua/pop3/cli/disk.lua",
    ["pop3.cli.fetch"] = "lua/pop3/cli/fetch.lua",
    ["pop3.cli.interrupt"] = "lua/pop3/cli/interrupt.lua",
    ["pop3.cli.jobs"] = "lua/pop3/cli/jobs.lua",
    ["pop3.cli.maildir"] = "lua/pop3/cli/maildir.lua",
    ["pop3.cli.password"] = "lua/pop3/cli/password.lua",
    ["pop3.cli.problem"] = "lua/pop3/cli/problem.lua",
    ["pop3.cli.progress"] = "lua/pop3/cli/progress.lua",
    ["pop3.cli.server"] = "lua/pop3/cli/server.lua",
    ["pop3.cli.uids"] = "lua/pop3/cli/uids.lua",
    ["pop3.compat"] = "lua/pop3/compat.lua",
    ["pop3.host"] = "lua/pop3/host.lua",
    ["pop3.loop.copas"] = "lua/pop3/loop/copas.lua",
    ["pop3.loop.cqueues"] = "lua/pop3/loop/cqueues.lua",
    ["pop3.loop.library"] = "lua/pop3/loop/library.lua",
    ["pop3.loop.luasocket"] = "lua/pop3/loop/luasocket.lua",
    ["pop3.loop.luv"] = "lua/pop3/loop/luv.lua",
    ["pop3.loop.nginx"] = "lua/pop3/loop/nginx.lua",
    ["pop3.loop.poll"] = "lua/pop3/loop/poll.lua",
    ["pop3.messages"] = "lua/pop3/messages.lua",
    ["pop3.proxy"] = "lua/pop3/proxy.lua",
    ["pop3.reader"] = "lua/pop3/reader.lua",
    ["pop3.retrieve"] = "lua/pop3/retrieve.lua",
    ["pop3.safe"] = "lua/pop3/safe.lua",
    ["pop3.task"] = "lua/pop3/task.lua",
    ["pop3.url"] = "lua/pop3/url.lua",
    ["resty.pop3"] = "lua/resty/pop3.lua",
    ["pop3.core"] = {
      sources = {
        "csrc/address.c",
        "csrc/body.c",
        "csrc/buffers.c",
        "csrc/caps.c",
        "csrc/carrier.c",
        "csrc/client.c",
        "csrc/client_auth.c",
        "csrc/client_login.c",
        "csrc/column.c",
        "csrc/conn.c",
        "csrc/crypto.c",
        "csrc/eol.c",
        "csrc/escape.c",
        "csrc/failure.c",
        "csrc/file.c",
        "csrc/jobs.c",
        "csrc/listing.c",
        "csrc/listing_index.c",
        "csrc/listing_match.c",
        "csrc/login.c",
        "csrc/lua_cache.c",
        "csrc/lua_carrier.c",
        "csrc/lua_connection.c",
        "csrc/lua_context.c",
        "csrc/lua_core.c",
        "csrc/lua_delivery.c",
        "csrc/lua_error.c",
        "csrc/lua_event.c",
        "csrc/lua_listing.c",
        "csrc/lua_login.c",
        "csrc/lua_method.c",
        "csrc/lua_operation.c",
        "csrc/lua_options.c",
        "csrc/lua_poll.c",
        "csrc/lua_restrict.c",
        "csrc/lua_result.c",
        "csrc/lua_secret.c",
        "csrc/lua_session.c",
        "csrc/lua_share.c",
        "csrc/lua_trace.c",
        "csrc/lua_ways.c",
        "csrc/memory.c",
        "csrc/octets.c",
        "csrc/opening.c",
        "csrc/pbkdf2.c",
        "csrc/pile.c",
        "csrc/platform.c",
        "csrc/platform_windows.c",
        "csrc/policy.c",
        "csrc/proxy.c",
        "csrc/race.c",
        "csrc/reply.c",
        "csrc/resolve.c",
        "csrc/sasl.c",
        "csrc/sasl_oauth.c",
        "csrc/sasl_scram.c",
        "csrc/sasl_simple.c",
        "csrc/saslprep.c",
        "csrc/scan.c",
        "csrc/session.c",
        "csrc/siphash.c",
        "csrc/socket.c",
        "csrc/status.c",
        "csrc/stream.c",
        "csrc/tables.c",
        "csrc/tls.c",
        "csrc/tls_binding.c",
        "csrc/tls_channel.c",
        "csrc/tls_context.c",
        "csrc/tls_input.c",
        "csrc/tls_session.c",
        "csrc/tls_verify.c",
        "csrc/trace.c",
        "csrc/wiped.c",
      },
      incdirs = { "csrc", "$(OPENSSL_INCDIR)", "$(CRYPTO_INCDIR)" },
      libdirs = { "$(OPENSSL_LIBDIR)", "$(CRYPTO_LIBDIR)" },
      libraries = { "ssl", "crypto", "pthread" },
    },
  },
  install = {
    bin = { "bin/pop3" },
  },
}

test = {
  type = "command",
  command = "scripts/test",
}
