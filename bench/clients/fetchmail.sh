#!/bin/sh
# fetchmail; see bench/README.md. Mail goes to a BSMTP file, /dev/null when
# nobody looks at it: with --mda it would be a process a message.
verb=$1
shift
for word in "$@"; do export "$word"; done
export FETCHMAILHOME="$scratch" HOME="$scratch"

case $verb in
  start) exec fetchmail --version -f /dev/null >/dev/null 2>&1 ;;
  fetch) [ "$deliver" = callback ] || [ "${messages:-1}" != 1 ] || exit 77 ;;
  *) exit 77 ;;
esac
[ "$deliver" != lines ] && [ -z "$quit" ] || exit 77

umask 077
{
  echo 'set no bouncemail'
  echo 'set invisible'
  echo "poll 127.0.0.1 service $port protocol pop3 no dns auth password"
  echo "user u there with password p is $(id -un) here keep fetchall no rewrite"
  echo "bsmtp ${out:-/dev/null}"
  if [ -n "$ca" ]; then
    echo "ssl sslproto 'auto' no sslcertck" # it knows no addresses in names
  else
    echo "sslproto ''"
  fi
} >"$scratch/fetchmailrc"
exec fetchmail --silent -f "$scratch/fetchmailrc" >/dev/null
