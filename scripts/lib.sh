# lib.sh - what the scripts have in common: where things are, which packages
# are needed, how they get installed. Sourced by bash, never run.

set -u
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1

# Debian's own Python: what comes first in PATH may be a wrapper that takes a
# tenth of a second to start, and the specs start it a thousand times.
[ -n "${PYTHON:-}" ] || PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
export PYTHON

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$root/build

# The Debian 12 packages, the only list of them. The luajit2 family, because
# luajit and libluajit-5.1-dev conflict with it.
packages_build="gcc libc6-dev make cmake pkg-config libssl-dev"
packages_demo="$packages_build luajit2 libluajit2-5.1-dev lua-posix lua-argparse
  python3 openssl ca-certificates"
packages_test="$packages_demo lua5.4 liblua5.4-dev lua5.1 liblua5.1-0-dev
  nginx libnginx-mod-http-lua libnginx-mod-mail lua-resty-core
  lua5.2 liblua5.2-dev lua5.3 liblua5.3-dev debootstrap dpkg-dev
  lua-cqueues lua-luv lua-copas lua-sec
  microsocks tinyproxy stunnel4
  lua-busted lua-dkjson lua-filesystem lua-socket lua-check luarocks git
  binutils patch libidn-dev libgsasl-dev libsasl2-dev libsasl2-modules sasl2-bin
  clang-format clang-19 libclang-rt-19-dev valgrind strace dovecot-pop3d
  libunbound-dev love xvfb xauth musl-tools qemu-user gcc-i686-linux-gnu
  libc6-dev-i386-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross"
# For scripts/portability; what it has of these, the lane port-engine uses.
packages_port="$packages_test
  gcc-mingw-w64-x86-64 mingw-w64-x86-64-dev wine64 debootstrap dpkg-dev file perl"
packages_bench="$packages_build luajit2 libluajit2-5.1-dev lua5.4 liblua5.4-dev
  python3 openssl valgrind strace libcurl4-openssl-dev curl mpop fetchmail
  getmail6 perl libio-socket-ssl-perl ruby"

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# as_root COMMAND...: through sudo where we are not root.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# missing_packages PKG...: those that dpkg does not know as installed.
missing_packages() {
  local package
  for package in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
      installed) ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

# need_packages PKG...: install what is missing. With $no_install set, prints
# the one command that would, and fails if something is missing.
need_packages() {
  local missing
  if ! command -v dpkg-query >/dev/null; then
    say "This is not Debian: please have the equivalents of $*"
    return 0
  fi
  # shellcheck disable=SC2086
  missing=$(missing_packages $*)
  missing=${missing% }
  [ -n "$missing" ] || return 0
  if [ -n "${no_install:-}" ]; then
    say "apt-get install --no-install-recommends $missing"
    return 1
  fi
  say "Installing $missing"
  # shellcheck disable=SC2086
  install_quietly $missing
}

# Services must not start because a test needs their program: policy-rc.d says
# so to the package scripts. Ours is there only while we install.
install_quietly() {
  local policy=/usr/sbin/policy-rc.d ours='' log status=0
  mkdir -p "$build"
  log=$build/apt.log
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    die "needs root or sudo to run: apt-get install --no-install-recommends $*"
  fi
  if [ ! -e $policy ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  apt_install "$@" >"$log" 2>&1 || {
    as_root apt-get update >>"$log" 2>&1
    apt_install "$@" >>"$log" 2>&1 || status=1
  }
  if [ -n "$ours" ]; then
    as_root rm -f $policy
    trap - EXIT
  fi
  [ $status = 0 ] && return 0
  tail -n 20 "$log" >&2
  die "apt-get install failed: $*"
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "$@"
}

# lua_version NAME: what CMake's POP3_LUA wants to hear.
lua_version() {
  case $1 in
    lua5.[1-5]) printf '%s' "${1#lua}" ;;
    luajit) printf jit ;;
    *) die "no such Lua: $1 (lua5.1 to lua5.5, luajit)" ;;
  esac
}

# use_build NAME: let that Lua find the module of this tree.
use_build() {
  export LUA_PATH="$root/lua/?.lua;$root/lua/?/init.lua;$root/spec/?.lua;$root/?.lua;;"
  export LUA_CPATH="$build/$1/?.so;;"
  unset LUA_INIT ${!LUA_PATH_*} ${!LUA_CPATH_*} ${!LUA_INIT_*}
}

# cannot_start REASON: a lane's tools are missing (skip, or failure in CI).
cannot_start() {
  say "cannot start: $*"
  exit 77
}

# Specs that need a lane of their own: (packaging) installs, (leaks) runs long.
own_lane='^spec/(packaging|leaks|embedding|threads|nginx/|hosts/)'

# all_specs LUA: where that one has no luaposix, the program is run by LuaJIT
# whoever asks, and spec/bin is its lane's.
all_specs() {
  local others=$own_lane
  "$1" -e 'require "posix.unistd"' 2>/dev/null || others+='|^spec/bin/'
  (cd "$root" && find spec -name '*_spec.lua' | grep -Ev "$others" | sort)
}

# run_busted LUA FILE|OPTION...: TAP on stdout, whatever specs print on stderr.
run_busted() {
  local lua=$1 results status=0
  shift
  results=$(mktemp)
  # shellcheck disable=SC2086
  ${run_under:-} "$lua" ${lua_setup:-} "$(command -v busted)" --lua="$lua" \
    --ignore-lua -o "$root/spec/support/results.lua" -Xoutput "$results" \
    "$@" >&2 || status=$?
  cat "$results"
  rm -f "$results"
  return $status
}
