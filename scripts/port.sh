# port.sh - what the portability lanes have in common: sources and libraries
# for other targets, kept below build/port, and C tests that run by an emulator.
# Sourced by bash, never run. docs/portability.md says what each lane is for.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

port=$build/port
engine_tests="spec/csrc/body_test.c spec/csrc/scan_test.c
  spec/csrc/session_test.c"
wine_binary=/usr/lib/wine/wine64

# need COMMAND...: or the lane cannot start.
need() {
  local command
  for command in "$@"; do
    command -v "$command" >/dev/null || cannot_start "there is no $command"
  done
}

# claim TEXT COMMAND...: ok when the command succeeds; its last words otherwise.
claim() {
  local text=$1 log=$port/claim.log
  shift
  mkdir -p "$port"
  if "$@" >"$log" 2>&1; then
    say "ok - $text"
    return 0
  fi
  say "not ok - $text"
  tail -n 30 "$log" | sed 's/^/# /'
  return 1
}

# once STAMP COMMAND...: what was done stays done. A command that is not the
# same as it was then is done again.
once() {
  local stamp=$port/$1.stamp
  shift
  mkdir -p "$(dirname "$stamp")"
  [ "$(cat "$stamp" 2>/dev/null)" = "$*" ] && return 0
  rm -f "$stamp"
  "$@" >"${stamp%.stamp}.log" 2>&1 || {
    tail -n 30 "${stamp%.stamp}.log" >&2
    return 1
  }
  printf '%s\n' "$*" >"$stamp"
}

# ---- apt, with lists of its own: sources, and other architectures ------------

apt_get() {
  local folder=$port/apt
  apt-get -q -o Dir::Etc::SourceList=/dev/null \
    -o Dir::Etc::SourceParts="$folder/sources" \
    -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" \
    -o APT::Architectures::="$(dpkg --print-architecture)" \
    -o APT::Architectures::=s390x -o APT::Sandbox::User=root "$@"
}

# The lists of this system, with sources added.
prepare_apt() {
  local folder=$port/apt
  mkdir -p "$folder/sources" "$folder/lists/partial" \
    "$folder/cache/archives/partial"
  cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
    sed 's/^Types:.*/Types: deb deb-src/' >"$folder/sources/all.sources"
  sed -n 's/^deb /deb-src /p' /etc/apt/sources.list 2>/dev/null |
    cat - /etc/apt/sources.list >"$folder/sources/all.list" 2>/dev/null
  apt_get update
}

# fetch_source PACKAGE: into $port/src/PACKAGE, as upstream released it.
fetch_source() {
  local folder=$port/src/$1
  rm -rf "$folder"
  mkdir -p "$folder"
  (cd "$port/src" && apt_get source --tar-only --download-only "$1") &&
    tar -xf "$(printf '%s\n' "$port/src/$1"_*.orig.tar.* | grep -v asc)" \
      -C "$folder" --strip-components=1
}

need_source() {
  once apt prepare_apt && once "src/$1" fetch_source "$1"
}

# ---- OpenSSL -------------------------------------------------------------------

openssl_options='no-shared no-engine no-tests no-legacy'

# build_openssl TARGET CONFIGURATION OPTION...: into $port/TARGET/openssl; CC
# and the like come from the environment. About two minutes.
build_openssl() {
  local target=$1 work=$port/$1/openssl-build
  shift
  rm -rf "$work"
  cp -r "$port/src/openssl" "$work"
  # shellcheck disable=SC2086
  (cd "$work" &&
    ./Configure "$@" $openssl_options --prefix="$port/$target/openssl" \
      --libdir=lib &&
    make -j"$(nproc)" build_libs && make install_dev) && rm -rf "$work"
}

need_openssl() {
  need_source openssl && once "$1/openssl" build_openssl "$@"
}

# ---- Lua -----------------------------------------------------------------------

# compile_lua TARGET SUFFIX LINK...: objects by CC, then the command that makes
# the library of them, in $port/TARGET/lua.
compile_lua() (
  folder=$port/$1/lua
  shift
  rm -rf "$folder"
  mkdir -p "$folder"
  cd "$folder" || exit 1
  for file in "$port"/src/lua5.4/src/*.c; do
    case $file in */lua.c | */luac.c) continue ;; esac
    # shellcheck disable=SC2086
    $CC -std=gnu99 -O2 ${lua_flags:-} -c "$file" || exit 1
  done
  "$@" ./*.o
)

# need_lua TARGET LINK...
need_lua() {
  need_source lua5.4 && once "$1/lua" compile_lua "$@"
}

# ---- our libraries ---------------------------------------------------------------

# build_tree TARGET CMAKE-OPTION...: into $port/TARGET/tree.
build_tree() {
  local target=$1
  shift
  cmake -S "$root" -B "$port/$target/tree" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_TOOLCHAIN_FILE="$root/cmake/toolchains/$target.cmake" \
    -DPOP3_WERROR=ON "$@" &&
    cmake --build "$port/$target/tree" --parallel "$(nproc)"
}

# ---- tests -------------------------------------------------------------------------

# named TARGET: its name before each claim.
named() { sed -E "s/^(not ok|ok) - /\1 - $1: /"; }

# run_c_tests TARGET LIBS TEST...: compiled with CC and POP3_CFLAGS.
run_c_tests() {
  local target=$1 libs=$2
  shift 2
  POP3_C_FOLDER=$port/$target/c-tests POP3_LIBS=$libs \
    POP3_LIBRARY=${POP3_LIBRARY:-$port/$target/tree} \
    "$root/scripts/lanes/c-tests" "$@" | named "$target"
  return "${PIPESTATUS[0]}"
}

# A wine of its own, which needs no display and asks nobody anything.
use_wine() {
  export WINEPREFIX=$port/wine WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml='
  export WINEARCH=win64 DISPLAY=
  once wine-prefix "$wine_binary" wineboot --init
}
