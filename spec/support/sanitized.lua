-- sanitized.lua - loaded before busted when it runs under AddressSanitizer:
-- the environment's options were read when this process began; those that its
-- children will read must not look for leaks, which would be Python's,
-- OpenSSL's or Dovecot's own.
local stdlib = require "posix.stdlib"

stdlib.setenv("ASAN_OPTIONS", "detect_leaks=0")
