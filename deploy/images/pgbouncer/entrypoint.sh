#!/bin/sh
# Writes PgBouncer's own password from PGBOUNCER_PASSWORD, then becomes PgBouncer.
# Tests name other files: entrypoint.sh [INI [USERS]].
set -eu
ini=${1:-/etc/rowguard/pgbouncer.ini}
users=${2:-/tmp/pgbouncer-users.txt}
: "${PGBOUNCER_PASSWORD:?}"

umask 077
escaped=$(printf '%s' "$PGBOUNCER_PASSWORD" | sed 's/"/""/g')
printf '"pgbouncer" "%s"\n' "$escaped" >"$users"
unset PGBOUNCER_PASSWORD
exec pgbouncer "$ini"
