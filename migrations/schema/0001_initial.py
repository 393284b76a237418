"""The first schema, assembled from the files of `sql_scoring/sql` in their build order.

Until the first tagged release this is the only schema revision: change the files. From then on it is frozen, and
later revisions go forward only.
"""

from __future__ import annotations

from migrations.script_text import run_sql_text
from sql_scoring.schema_files import BUILD_ORDER, read_schema_file

revision = "0001"
down_revision = None
branch_labels = ("schema",)
depends_on = None


def upgrade() -> None:
    for name in BUILD_ORDER:
        run_sql_text(read_schema_file(name))


def downgrade() -> None:
    """Drop everything but the group roles, which belong to the whole server."""
    run_sql_text(
        """
        DROP VIEW public.model_versions, public.unscored_transactions;
        DROP TABLE public.fraud_labels, public.transactions, public.users CASCADE;
        DROP FUNCTION public.score_features, public.score_transaction, public.warm_scoring;
        DROP SCHEMA scoring CASCADE;
        DROP TYPE public.fraud_score;
        DROP SCHEMA features CASCADE;
        """
    )
