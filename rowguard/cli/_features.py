"""features: what features.yml declares, in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._next import print_next
from rowguard.cli._output import Json, out, print_json, print_table, steps
from rowguard.cli._target import database_url

if TYPE_CHECKING:
    from sql_scoring.features.plan import Plan


def features(
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Rebuild from scratch.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what each feature reads, how, and its price.")
    ] = False,
    drop_columns: Annotated[
        bool,
        typer.Option("--drop-columns", help="Drop columns that are declared no longer, with their data."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the database to features.yml: columns, indexes, live function, training set, tests.

    ROWGUARD_FEATURES names the file. The deployed model keeps its features until the next one is deployed.

    Example: rowguard features --explain
    """
    from rowguard.database import connect
    from rowguard.declaration import declared_reasons
    from rowguard.settings import settings
    from sql_scoring.explain.reasons import load_catalogs
    from sql_scoring.features.build import build_features
    from sql_scoring.features.columns import find_changes
    from sql_scoring.features.listing import check_expressions
    from sql_scoring.features.project import load_plan

    file, plan = load_plan(settings())
    load_catalogs(
        [feature.name for feature in plan.declaration.features], declared=declared_reasons(settings())
    )
    if explain:
        _explain(plan, as_json)
        return
    url = database_url()
    with connect(url) as connection:
        check_expressions(plan.declaration, file, connection)
        changes = find_changes(connection, plan, drops_columns=drop_columns)
    if dry_run:
        if as_json:
            print_json({"changes": [change.text for change in changes.steps], "kept": changes.kept})
            return
        for change in changes.steps:
            out.print(f"would {change.text}", highlight=False)
        if not changes.steps:
            out.print("columns and indexes are as declared; features would be built")
        _print_kept(changes.kept)
        return
    with steps(quiet=as_json) as step:
        step("dbt build")
        built = build_features(
            url, settings(), full_refresh=full_refresh, drops_columns=drop_columns, progress=step
        )
    if as_json:
        document: dict[str, Any] = {
            "passed": built.passed,
            "skipped": built.skipped,
            "seconds": built.seconds,
        }
        document |= {"changes": [change.text for change in changes.steps], "kept": changes.kept}
        print_json({**document, "warnings": built.warnings})
        return
    out.print(f"{built.passed} dbt nodes passed in {built.seconds:.1f} s")
    _print_kept(changes.kept)
    print_next(url)


def _print_kept(kept: tuple[str, ...]) -> None:
    if kept:
        out.print(
            f"declared no longer, and kept with their data: {', '.join(kept)} (drop them with --drop-columns)"
        )


def _explain(plan: Plan, as_json: bool) -> None:
    from sql_scoring.features.columns import entity_indexes
    from sql_scoring.features.plan import KINDS
    from sql_scoring.features.prices import price_text

    rows = [
        {
            "feature": planned.name,
            "reads": planned.read_text,
            "how": planned.kind,
            "thousand instructions": price_text(plan, planned),
        }
        for planned in plan.features
    ]
    indexes = entity_indexes(plan)
    if as_json:
        print_json({"features": rows, "kinds": KINDS, "indexes": indexes})
        return
    print_table(rows)
    for kind in dict.fromkeys(planned.kind for planned in plan.features):
        out.print(f"{kind}: reads {KINDS[kind]}", highlight=False)
    for name, definition in indexes.items():
        out.print(f"index {name} on transactions {definition}", highlight=False)
