#!/bin/sh
# A query through PgBouncer to PostgreSQL and back, as PgBouncer's own login.
set -eu
PGPASSWORD=$PGBOUNCER_PASSWORD exec psql --no-psqlrc --quiet --tuples-only --no-align \
    "host=127.0.0.1 port=${1:-6432} dbname=rowguard user=pgbouncer connect_timeout=3" \
    --command='SELECT 1' >/dev/null
