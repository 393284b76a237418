#!/bin/sh
# Gives Airflow's user `admin` the password of AIRFLOW_ADMIN_PASSWORD, then runs the command.
# Without the file Airflow would generate a password and print it to the log.
set -eu
: "${AIRFLOW_HOME:?}" "${AIRFLOW_ADMIN_PASSWORD:?}"

umask 077
python -c 'import json, os; print(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))' \
    >"$AIRFLOW_HOME/simple_auth_manager_passwords.json.generated"
unset AIRFLOW_ADMIN_PASSWORD
exec "$@"
