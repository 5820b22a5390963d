#!/bin/sh
# The curl tool; see bench/README.md.
verb=$1
shift
for word in "$@"; do export "$word"; done

case $verb in
  start) exec curl --version >/dev/null ;;
  fetch) [ "$deliver" = callback ] || [ "${messages:-1}" != 1 ] || exit 77 ;;
  *) exit 77 ;;
esac
[ "$deliver" != lines ] && [ -z "$quit" ] || exit 77
url=pop3${ca:+s}://127.0.0.1:$port/
if [ "${messages:-1}" = 1 ]; then url=${url}1; else url="$url[1-$messages]"; fi
exec curl --silent --show-error --user u:p \
  ${ca:+--cacert "$ca"} "$url" >"${out:-/dev/null}"
