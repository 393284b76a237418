"""The development stack: PostgreSQL, PgBouncer and the API as processes of one state directory."""

from rowguard.local.api_process import ApiProcess as ApiProcess
from rowguard.local.pgbouncer import PgBouncer as PgBouncer
from rowguard.local.postgres import PostgresServer as PostgresServer
from rowguard.local.programs import find_pgbouncer as find_pgbouncer
from rowguard.local.programs import find_postgres_binaries as find_postgres_binaries
from rowguard.local.stack import StackStatus as StackStatus
from rowguard.local.stack import add_pgbouncer_admin_url as add_pgbouncer_admin_url
from rowguard.local.stack import api_serves as api_serves
from rowguard.local.stack import check_api_port as check_api_port
from rowguard.local.stack import destroy as destroy
from rowguard.local.stack import down as down
from rowguard.local.stack import embedded_api as embedded_api
from rowguard.local.stack import embedded_pgbouncer as embedded_pgbouncer
from rowguard.local.stack import embedded_server as embedded_server
from rowguard.local.stack import ensure_login as ensure_login
from rowguard.local.stack import resolve_database_url as resolve_database_url
from rowguard.local.stack import resolve_pooled_url as resolve_pooled_url
from rowguard.local.stack import status as status
from rowguard.local.stack import up as up
from rowguard.local.temporary import temporary_server as temporary_server
