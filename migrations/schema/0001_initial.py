"""The first schema, assembled from the files of `sql_scoring/sql` in their build order.

Until the first tagged release this is the only schema revision: change the files. From then on it is frozen, and
later revisions go forward only.
"""

from __future__ import annotations

from alembic import context

from migrations.script_text import reject_downgrade, run_sql_text
from rowguard.declaration import features_file
from rowguard.settings import settings
from sql_scoring.features.listing import load_declaration
from sql_scoring.schema_files import BUILD_ORDER, read_schema_file

revision = "0001"
down_revision = None
branch_labels = ("schema",)
depends_on = None


def upgrade() -> None:
    given = context.config.attributes.get("declaration")
    declaration = given or load_declaration(features_file(settings()))
    for name in BUILD_ORDER:
        run_sql_text(read_schema_file(name, declaration))


downgrade = reject_downgrade
