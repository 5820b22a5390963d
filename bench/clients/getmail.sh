#!/bin/sh
# getmail6; see bench/README.md. Mail goes to an mbox file, which is emptied
# before each run; it has no cheaper destination, and it refuses to write as
# root.
verb=$1
shift
for word in "$@"; do export "$word"; done

case $verb in
  start) exec getmail --version >/dev/null ;;
  fetch) [ "$deliver" = string ] || exit 77 ;;
  *) exit 77 ;;
esac
[ -z "$quit" ] || exit 77
[ "$messages" -le 500 ] || exit 77 # as root it starts a process a message

kind=SimplePOP3
[ -z "$ca" ] || kind=SimplePOP3SSL
umask 077
mkdir -p "$scratch/getmail"
rm -f "$scratch"/getmail/oldmail*
: >"${out:=$scratch/getmail/mbox}"
writer=$(id -un)
if [ "$writer" = root ]; then
  writer=nobody
  chmod 711 "$scratch" "$scratch/getmail"
  chown nobody "$out"
fi
cat >"$scratch/getmail/getmailrc" <<END
[retriever]
type = ${kind}Retriever
server = 127.0.0.1
port = $port
username = u
password = p
${ca:+ca_certs = $ca}
[destination]
type = Mboxrd
path = $out
locktype = flock
user = $writer
[options]
read_all = true
delete = false
delivered_to = false
received = false
END
exec getmail --quiet --getmaildir="$scratch/getmail" >/dev/null
