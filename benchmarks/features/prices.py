"""The price of each feature: instructions that the live read costs more with it than without it, under callgrind.

The list is the one that ships with the entities of `benchmarks/inserts/entities.yml` and a feature of every other
aggregate. The live function is rendered for each list that leaves a feature out, with what is derived of it. All run
in one server in single-user mode, and callgrind writes a profile after each statement. Further rows cost more: each
range holds five. `python -m benchmarks.features.prices` prints a table in Markdown. `rowguard features --explain` has
its figures by aggregate.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import yaml

from benchmarks.inserts.instructions import VALUES, features_file, with_words
from benchmarks.inserts.run import prepared_server
from rowguard.database import fetch_one
from rowguard.local import find_postgres_binaries
from rowguard.settings import Settings
from sql_scoring.features.expressions import find_names
from sql_scoring.features.plan import Plan
from sql_scoring.features.project import load_plan
from sql_scoring.features.render_live import Relations, render_live

# PL/pgSQL makes five plans of a statement; what counts is the plan that it keeps.
WARM, COUNTED = 8, 5
USER = 42
MORE = """
- {name: card_amount_mean_1d, entity: card, aggregate: mean, of: amount, window: 1d, description: d}
- {name: card_amount_stddev_1d, entity: card, aggregate: stddev, of: amount, window: 1d, description: d}
- {name: card_amount_min_1d, entity: card, aggregate: min, of: amount, window: 1d, description: d}
- {name: card_amount_max_1d, entity: card, aggregate: max, of: amount, window: 1d, description: d}
- {name: card_large_count_1d, entity: card, aggregate: count, where: amount >= 10, window: 1d, description: d}
- {name: card_large_share_1d, entity: card, aggregate: share, where: amount >= 10, window: 1d, description: d}
- {name: device_minutes_since_last, entity: device, aggregate: minutes_since_last, window: 30d, description: d}
- {name: device_amount_previous, entity: device, aggregate: previous, of: amount, window: 30d, description: d}
- {name: user_amount_sum_1d, entity: user, aggregate: sum, of: amount, window: 1d, description: d}
- {name: user_txn_count_10m, entity: user, aggregate: count, window: 10m, at_most: 100, description: d}
- {name: merchant_mean_7d, entity: merchant, aggregate: mean, of: amount, window: 7d, delay: 1d, description: d}
"""


def main() -> None:
    """See the module."""
    document = yaml.safe_load(features_file("bigint", True, False))
    document["features"] += with_words(yaml.safe_load(MORE))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.yml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        os.environ["ROWGUARD_FEATURES"] = str(path)
        with prepared_server() as (server, url):
            plan = load_plan(Settings(_env_file=None))[1]
            lists = dict(_lists(plan))
            statements = _create_functions(url, plan, lists)
            server.stop()
            counted = _count(server.data, statements)
    costs = dict(zip(lists, counted, strict=True))
    print(f"The whole live read: {costs[()] / 1e3:.0f} thousand\n")
    print("| feature | kind | thousand instructions |\n| --- | --- | ---: |")
    for planned in plan.features:
        derived = _derived_of(plan, planned.name)
        price = costs[derived] - costs[tuple(sorted((*derived, planned.name)))]
        print(f"| {planned.name} | {planned.kind} | {price / 1e3:.1f} |")


def _derived_of(plan: Plan, name: str) -> tuple[str, ...]:
    """The features whose expressions name this one."""
    return tuple(
        sorted(
            planned.name
            for planned in plan.of_kind("derived")
            if any(found.parts[0] == name for found in find_names(planned.feature.expression or ""))
        )
    )


def _lists(plan: Plan) -> Iterator[tuple[tuple[str, ...], Plan]]:
    """The names that are left out, and the list without them."""
    left_out = [()] + [
        names
        for planned in plan.features
        for derived in [_derived_of(plan, planned.name)]
        for names in (derived, tuple(sorted((*derived, planned.name))))
    ]
    for names in dict.fromkeys(left_out):
        features = [feature for feature in plan.declaration.features if feature.name not in names]
        declaration = plan.declaration.model_copy(update={"features": features})
        yield names, Plan(declaration, plan.label_delay_days)


def _create_functions(url: str, plan: Plan, lists: dict[tuple[str, ...], Plan]) -> list[str]:
    declaration = plan.declaration
    columns = [name for name in declaration.columns if name in VALUES]
    values = "".join(f", {VALUES[name].format(number=USER)}" for name in columns)
    request = f"ROW({USER}, 12.5, pg_catalog.now(), 7, 'DE'{values})::scoring.scoring_request"
    names = "".join(f", {name}" for name in columns)
    statements = []
    with psycopg.connect(url, autocommit=True) as connection:
        hash8 = fetch_one(
            connection, "SELECT left(feature_hash, 8) FROM features.feature_definitions LIMIT 1"
        )[0]
        relations = Relations(
            transactions="public.transactions",
            references={table: f"public.{table}" for table in declaration.references},
            rollups={rollup.model: f"features.{rollup.model}_{hash8}" for rollup in plan.rollups},
            hash8=hash8,
        )
        for _ in range(5):
            connection.execute(
                f"INSERT INTO public.transactions (user_id, amount, merchant_id, location{names})"
                f" VALUES ({USER}, 12.5, 7, 'DE'{values})".encode()
            )
        for number, part in enumerate(lists.values()):
            name = f"features.price_{number}"
            connection.execute(
                f"CREATE FUNCTION {name}(p_request scoring.scoring_request) RETURNS scoring.decision"
                f" LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp"
                f" AS $rowguard$\n{render_live(part, relations)}$rowguard$".encode()
            )
            statements.append(f"SELECT {name}({request}) IS NULL")
        connection.execute("CHECKPOINT")
    return statements


def _count(data: Path, statements: list[str]) -> list[float]:
    """Instructions of each statement, the median of some executions."""
    times = WARM + COUNTED
    script = "".join(f"{statement};\n\n" * times for statement in statements)
    owner = data.stat()
    with tempfile.TemporaryDirectory(prefix="rowguard-callgrind-") as folder:
        os.chown(folder, owner.st_uid, owner.st_gid)
        done = subprocess.run(
            [
                "valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", "--toggle-collect=PortalRun",
                "--dump-after=PortalRun", str(find_postgres_binaries() / "postgres"), "--single", "-j",
                "-D", str(data), "-c", "autovacuum=off", "rowguard",
            ],
            input=script,
            capture_output=True,
            text=True,
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[],
            cwd=folder,
        )  # fmt: skip
        error = re.search(r"^.*(?:ERROR|FATAL|PANIC).*$", done.stdout + done.stderr, re.MULTILINE)
        if error or done.returncode:
            sys.exit(f"the server rejected a statement: {error.group() if error else done.stderr}")
        totals = [
            int(found[1])
            for number in range(1, len(statements) * times + 1)
            if (
                found := re.search(r"^totals: (\d+)", Path(folder, f"out.{number}").read_text(), re.MULTILINE)
            )
        ]
    assert len(totals) == len(statements) * times
    return [statistics.median(totals[start + WARM : start + times]) for start in range(0, len(totals), times)]


if __name__ == "__main__":
    main()
