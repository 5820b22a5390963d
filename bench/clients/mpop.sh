#!/bin/sh
# mpop, which pipelines; see bench/README.md. Mail goes to an mbox file,
# /dev/null when nobody looks at it.
verb=$1
shift
for word in "$@"; do export "$word"; done

case $verb in
  start) exec mpop --version >/dev/null ;;
  fetch) [ "$deliver" = callback ] || [ "${messages:-1}" != 1 ] || exit 77 ;;
  *) exit 77 ;;
esac
[ "$deliver" != lines ] && [ -z "$quit" ] || exit 77

umask 077
: >"$scratch/uids"
cat >"$scratch/mpoprc" <<END
account bench
host 127.0.0.1
port $port
user u
password p
auth user
keep on
only_new off
uidls_file $scratch/uids
received_header off
delivery mbox ${out:-/dev/null}
END
if [ -n "$ca" ]; then
  echo "tls on
tls_starttls off
tls_trust_file $ca" >>"$scratch/mpoprc"
fi
exec mpop --file="$scratch/mpoprc" --quiet bench >/dev/null
