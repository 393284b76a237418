"""reviews: list, show, claim, decide, release and reopen."""

from __future__ import annotations

import getpass
from typing import Annotated, Any, Literal

import typer

from rowguard.cli._output import Json, out, print_facts, print_json, print_table, time_option
from rowguard.cli._target import database_url

app = typer.Typer(no_args_is_help=True, help="The review queue: list, show, claim, decide, release, reopen.")
Case = Annotated[int, typer.Argument(help="The case.", show_default=False)]
By = Annotated[
    str | None, typer.Option("--by", help="The reviewer; by default your login.", show_default=False)
]
Note = Annotated[str | None, typer.Option(help="Why, at most 2,000 characters.", show_default=False)]


@app.command("list")
def list_(
    state: Annotated[
        Literal["waiting", "open", "claimed", "decided", "all"], typer.Option(help="Which cases.")
    ] = "waiting",
    claimed_by: Annotated[
        str | None, typer.Option(help="Only cases of this reviewer.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="Most rows.", min=1, max=10_000)] = 50,
    as_json: Json = False,
) -> None:
    """List review cases, the most urgent first.

    Example: rowguard reviews list --state claimed
    """
    from rowguard.operations.reviews import WAITING, list_cases
    from rowguard.settings import settings

    states = {"waiting": WAITING, "all": (*WAITING, "decided")}.get(state, (state,))
    rows = list_cases(database_url(), settings().review_due_hours, states, claimed_by=claimed_by, limit=limit)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows, "Review cases")
    else:
        out.print("no case waits" if state == "waiting" else f"no case: {state}")


@app.command()
def show(case: Case, as_json: Json = False) -> None:
    """Show a case, its transactions and its events.

    Example: rowguard reviews show 12
    """
    from rowguard.operations.reviews import get_case

    _print_case(get_case(database_url(), case), as_json)


@app.command()
def claim(
    case: Annotated[
        int | None, typer.Argument(help="The case; by default the most urgent open one.", show_default=False)
    ] = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Claim a case, so that no other reviewer gets it.

    Example: rowguard reviews claim
    """
    from rowguard.operations.reviews import claim_case
    from rowguard.settings import settings

    claimed = claim_case(database_url(), settings().review_due_hours, by or getpass.getuser(), case)
    if claimed is None and not as_json:
        out.print("no case is open")
    else:
        _print_case(claimed, as_json)


@app.command()
def decide(
    decision: Annotated[
        Literal["fraud", "legitimate", "unsure"],
        typer.Argument(help="unsure writes no label.", show_default=False),
    ],
    cases: Annotated[list[int], typer.Argument(help="The cases.", show_default=False)],
    note: Note = None,
    list_name: Annotated[
        str | None,
        typer.Option("--list", help="Put their values of this list's column on it.", show_default=False),
    ] = None,
    expires: Annotated[Any, time_option("--expires", help="When those entries expire.")] = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Decide cases, all or none, and write the labels of their transactions.

    Example: rowguard reviews decide fraud 12 13 --note "the user called"
    """
    from rowguard.operations.reviews import decide_cases

    decided = decide_cases(
        database_url(),
        by or getpass.getuser(),
        cases,
        decision,
        note=note,
        list_name=list_name,
        expires_at=expires,
    )
    if as_json:
        print_json({"cases": decided, "decision": decision})
    else:
        out.print(f"{len(decided)} decided {decision}")


@app.command()
def release(case: Case, by: By = None, as_json: Json = False) -> None:
    """Put a claimed case back into the queue.

    Example: rowguard reviews release 12
    """
    from rowguard.operations.reviews import release_case

    release_case(database_url(), by or getpass.getuser(), case)
    _report(as_json, case, "open")


@app.command()
def reopen(case: Case, note: Note = None, by: By = None, as_json: Json = False) -> None:
    """Open a decided case again; the next decision writes newer labels.

    Example: rowguard reviews reopen 12 --note "the user called back"
    """
    from rowguard.operations.reviews import reopen_case
    from rowguard.settings import settings

    reopen_case(database_url(), settings().review_due_hours, by or getpass.getuser(), case, note)
    _report(as_json, case, "open")


def _report(as_json: bool, case: int, state: str) -> None:
    if as_json:
        print_json({"case_id": case, "state": state})
    else:
        out.print(f"case {case} is {state}")


def _print_case(case: dict[str, Any] | None, as_json: bool) -> None:
    if as_json or case is None:
        print_json(case)
        return
    facts = {
        name: value for name, value in case.items() if name not in ("rows", "events") and value is not None
    }
    print_facts(f"case {case['case_id']}", facts)
    print_table(
        [
            row | {"amount": f"{row['amount']:,.2f}", "reason_codes": ", ".join(row["reason_codes"] or ())}
            for row in case["rows"]
        ],
        "Transactions",
    )
    print_table(
        [
            {
                "at": event["recorded_at"],
                "by": event["actor"],
                "event": event["action"].removeprefix("review."),
                "details": ", ".join(f"{name} {value}" for name, value in event["details"].items()),
            }
            for event in case["events"]
        ],
        "Events",
    )
