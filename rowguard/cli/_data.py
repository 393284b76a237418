"""import, simulate."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._next import print_next
from rowguard.cli._output import (
    Json,
    bar,
    err,
    out,
    print_json,
    print_table,
    steps,
    time_option,
)
from rowguard.cli._target import database_url

if TYPE_CHECKING:
    from rowguard.operations.importer import HistoryFile, LoadResult
    from rowguard.progress import Progress
    from simulator import Simulation, SimulationConfig


def import_file(
    file: Annotated[
        Path | None,
        typer.Argument(help="Parquet or CSV, also gzip; - is standard input.", show_default=False),
    ] = None,
    query: Annotated[
        str | None, typer.Option(help="Load the rows of this SELECT on the same database instead of a file.")
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="Map a file column, as OURS=THEIRS. Repeatable.")
    ] = None,
    mapping_file: Annotated[
        Path | None,
        typer.Option("--mapping", help="Mapping file (YAML), such as rowguard inspect proposes."),
    ] = None,
    ignore_unknown_columns: Annotated[bool, typer.Option(help="Skip unknown columns.")] = False,
    labels: Annotated[
        bool, typer.Option("--labels", help="The file holds labels of stored transactions.")
    ] = False,
    join: Annotated[
        str | None,
        typer.Option(help="With --labels: the column of transactions that names their transaction."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="The file holds rows of this reference table of features.yml, such as users."),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Of CSV, one character or `tab`; by default it is found.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Load history atomically from Parquet or CSV.

    Columns: occurred_at, user_id, amount; optional transaction_id, is_fraud, and those that features.yml declares.
    A bad row is reported by its line, and nothing is loaded. Loaded rows are not scored. Files of `rowguard archive`
    load unchanged: transactions first, then labels with --labels. Rows of a reference table load with
    --reference TABLE.

    Example: rowguard import history.csv --map occurred_at=TX_DATETIME --map user_id=CUSTOMER_ID
    Example: rowguard import acquirer.csv.gz --mapping acquirer.yml
    Example: rowguard import --query 'SELECT paid_at AS occurred_at, customer AS user_id, amount FROM payments'
    """
    from rowguard.declaration import declared
    from rowguard.operations.importer import (
        HistoryFileError,
        label_file,
        labels_by,
        read_history,
        reference_file,
        transaction_file,
    )

    if labels and reference:
        raise typer.BadParameter("a file holds either --labels or a --reference")
    if join and not labels:
        raise typer.BadParameter("--join needs --labels")
    if (file is None) == (query is None):
        raise typer.BadParameter("name either a FILE or a --query")
    if mapping_file is not None and (mapping or ignore_unknown_columns):
        raise typer.BadParameter("a --mapping replaces --map and --ignore-unknown-columns")
    delimiter = "\t" if delimiter == "tab" else delimiter
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise typer.BadParameter(f"{delimiter!r} is not one character", param_hint="--delimiter")
    started = time.monotonic()
    try:
        schema = transaction_file(declared())
        if labels or reference:
            schema = label_file(declared()) if labels else reference_file(declared(), str(reference))
        if join:
            schema = labels_by(schema, join)
        with _rows_of_query(database_url(), query) if file is None else local_file(file) as path:
            opened = read_history(
                path,
                schema,
                column_mapping=_parse_mapping(mapping),
                mapping_file=mapping_file,
                ignore_unknown=ignore_unknown_columns,
                delimiter="," if file is None else delimiter,
            )
            url = database_url()
            result = _load_file(url, opened, as_json, join)
    except HistoryFileError as error:
        if error.problems and not as_json:
            rows = [
                {
                    "rows": p.rows,
                    "column": p.column,
                    "reason": p.reason,
                    f"first {error.unit}s": ", ".join(f"{line:,}" for line in p.lines),
                    "example": p.value,
                }
                for p in error.problems
            ]
            print_table(rows, console=err)
        raise
    seconds = time.monotonic() - started
    if as_json:
        counts = {**vars(result), "left_out": opened.rows_left_out}
        print_json({**counts, "ignored_columns": opened.ignored_columns, "seconds": seconds})
        return
    if opened.rows_left_out:
        out.print(f"left out {opened.rows_left_out:,} rows, as the mapping says")
    if reference:
        out.print(f"stored {result.references:,} new or changed rows of {reference} in {seconds:.1f} s")
    else:
        out.print(
            f"loaded {result.transactions:,} transactions and {result.labels:,} labels "
            f"({result.frauds:,} frauds) in {seconds:.1f} s"
        )
    print_next(url)


def simulate(
    users: Annotated[int, typer.Option(help="Number of cardholders.")] = 2_000,
    merchants: Annotated[int, typer.Option(help="Number of merchants.")] = 1_000,
    days: Annotated[int, typer.Option(help="Days of history, up to now.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.")] = 1,
    live: Annotated[
        bool, typer.Option("--live", help="Insert single rows, as an application would.")
    ] = False,
    rate: Annotated[float | None, typer.Option(help="With --live: inserts per second.")] = None,
    count: Annotated[int, typer.Option(help="With --live: number of transactions.")] = 300,
    fraud_rate: Annotated[float, typer.Option(help="With --live: fraction of frauds.")] = 0.05,
    end: Annotated[Any, time_option(help="End of the history; by default now.")] = None,
    mix_into_real_data: Annotated[
        bool,
        typer.Option(
            "--mix-into-real-data",
            help="Also into an external database, or next to real transactions; without profiles.",
        ),
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete every simulated transaction instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Simulate realistic transactions with fraud scenarios: a history by COPY, or a live stream by INSERT.

    Each simulated row has a label of the source `simulator`, by which --remove finds it.

    Example: rowguard simulate --live --count 300 --rate 50
    """
    from rowguard.database import connect
    from rowguard.declaration import declared
    from rowguard.operations.simulated_rows import require_only_simulated_rows
    from rowguard.settings import settings
    from simulator import SimulationConfig, current_hour

    if remove:
        _remove_simulated(as_json)
        return

    config = SimulationConfig(
        users=users,
        merchants=merchants,
        days=days,
        seed=seed,
        end=end or current_hour(),
        user_id_type=declared().keys.user_id,
    )
    url = database_url()
    if not mix_into_real_data:
        with connect(url) as connection:
            require_only_simulated_rows(connection, is_external=settings().database_url is not None)
    if live:
        _simulate_live(url, config, rate, count, fraud_rate, as_json)
        return
    with steps(quiet=as_json) as step:
        world, result = load_simulated_history(url, config, step, profiles=not mix_into_real_data)
    document = {
        "users": len(world.users),
        "merchants": merchants,
        "transactions": result.transactions,
        "frauds": result.frauds,
    }
    if as_json:
        print_json(document)
    else:
        print_table([document])
        print_next(url)


def load_simulated_history(
    url: str, config: SimulationConfig, step: Progress, *, profiles: bool = True
) -> tuple[Simulation, LoadResult]:
    """Simulate a history and load it.

    Args:
        url: Address of the database.
        config: What to simulate.
        step: Called with each step.
        profiles: Load the users' homes too. They would replace those of real users.

    Returns:
        The simulation, and what was loaded.
    """
    import pyarrow.compute as pc

    from rowguard.declaration import declared
    from rowguard.operations.importer import load_history, load_reference
    from rowguard.settings import settings
    from simulator import simulate as run
    from simulator.marks import SOURCE

    step("simulating a history")
    world = run(config)
    step(f"loading {len(world.users):,} users and {len(world.transactions):,} transactions")
    if profiles and "users" in declared().references:
        # Only of users with transactions: by those the profiles are found when they are removed.
        active = pc.is_in(world.users["user_id"], pc.unique(world.transactions["user_id"]))
        load_reference(url, world.users.filter(active).to_batches(), "users")
    # Ids come from the database's sequence, so a second simulation does not collide with the first.
    brought = ("occurred_at", "user_id", "amount", "is_fraud", "labelled_at", *declared().columns)
    rows = world.transactions.select([name for name in world.transactions.column_names if name in brought])
    delay = timedelta(days=settings().label_delay_days)
    return world, load_history(url, rows.to_batches(65_536), label_delay=delay, source=SOURCE)


@contextmanager
def local_file(file: Path) -> Iterator[Path]:
    """Give the file, or a temporary one with standard input where it is `-`."""
    if str(file) != "-":
        yield file
        return
    with TemporaryDirectory(prefix="rowguard-") as folder:
        path = Path(folder) / "standard input"
        with path.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        yield path


@contextmanager
def _rows_of_query(url: str, query: str | None) -> Iterator[Path]:
    from rowguard.operations.importer import export_query

    with TemporaryDirectory(prefix="rowguard-") as folder:
        path = Path(folder) / "query"
        export_query(url, query or "", path)
        yield path


def _load_file(url: str, opened: HistoryFile, quiet: bool, join: str | None) -> LoadResult:
    from rowguard.operations.importer import load_history, load_labels, load_reference
    from rowguard.settings import settings

    percent = 0.0
    with bar("loading", 100, quiet=quiet) as advance:

        def on_rows() -> None:
            nonlocal percent
            advance(100 * opened.fraction_read - percent)
            percent = 100 * opened.fraction_read

        kind = opened.file_schema.name
        if kind not in ("transactions", "labels"):
            return load_reference(url, opened, kind, on_rows=on_rows)
        if kind == "labels":
            return load_labels(url, opened, source="import", join=join, on_rows=on_rows)
        return load_history(
            url,
            opened,
            label_delay=timedelta(days=settings().label_delay_days),
            source="import",
            on_rows=on_rows,
            on_storing=lambda: None if quiet else err.print("  storing"),
            schema=opened.file_schema,
        )


def _remove_simulated(as_json: bool) -> None:
    from rowguard.database import connect
    from rowguard.operations.simulated_rows import remove_simulated_rows
    from rowguard.settings import settings
    from sql_scoring.features.build import build_features

    url = database_url()
    with steps(quiet=as_json) as step:
        step("deleting simulated transactions")
        with connect(url, autocommit=True) as connection:
            transactions, users = remove_simulated_rows(connection)
        if transactions:
            step("rebuilding the features without them")
            build_features(url, settings(), full_refresh=True, progress=step)
    if as_json:
        print_json({"removed_transactions": transactions, "removed_users": users})
        return
    out.print(f"removed {transactions:,} simulated transactions and {users:,} users who had no others")
    print_next(url)


def _simulate_live(
    url: str, config: SimulationConfig, rate: float | None, count: int, fraud_rate: float, as_json: bool
) -> None:
    from rowguard.settings import settings
    from simulator.marks import insert_marked

    delay = timedelta(days=settings().label_delay_days)
    with bar("inserting", count, quiet=as_json) as advance:
        summary = insert_marked(
            url, config, fraud_rate, count, label_delay=delay, rate=rate, on_row=lambda: advance(1)
        )
    if as_json:
        print_json(summary.metrics())
    else:
        print_table([summary.metrics()])
        print_next(url)


def _parse_mapping(given: list[str] | None) -> dict[str, str]:
    result = {}
    for pair in given or []:
        canonical, equals, source = pair.partition("=")
        if not (canonical and equals and source):
            raise typer.BadParameter(f"{pair!r} is not of the form OURS=THEIRS", param_hint="--map")
        result[canonical.strip()] = source.strip()
    return result
