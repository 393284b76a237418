#!/bin/sh
# Writes the one password PgBouncer needs, its own, from PGBOUNCER_PASSWORD; then becomes PgBouncer.
# Other files than the container's can be named for tests: entrypoint.sh [INI [USERS]].
set -eu
ini=${1:-/etc/rowguard/pgbouncer.ini}
users=${2:-/tmp/pgbouncer-users.txt}
: "${PGBOUNCER_PASSWORD:?}"

umask 077
escaped=$(printf '%s' "$PGBOUNCER_PASSWORD" | sed 's/"/""/g')
printf '"pgbouncer" "%s"\n' "$escaped" >"$users"
unset PGBOUNCER_PASSWORD
exec pgbouncer "$ini"
