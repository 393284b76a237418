"""explain, reasons: why a transaction got its score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rowguard.cli._output import Json, err, out, print_facts, print_json, print_table
from rowguard.cli._target import database_url, resolve_version


def explain(
    user_id: Annotated[str, typer.Argument(help="The transaction's user.", show_default=False)],
    transaction_id: Annotated[int, typer.Argument(help="The transaction.", show_default=False)],
    top: Annotated[
        int | None, typer.Option(help="List this many features; all by default.", min=1, show_default=False)
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Add the single changes that would have let an alert pass.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option(help="Write a waterfall picture here.", show_default=False)
    ] = None,
    language: Annotated[str, typer.Option(help="Language of the reasons.")] = "en",
    as_json: Json = False,
) -> None:
    """Explain a stored decision: its reasons, and what each feature contributed to the score.

    Example: rowguard explain 42 991 --top 5 --svg why.svg
    """
    from rowguard.operations.reasons import explain as run

    document = run(database_url(), user_id, transaction_id, language=language, has_changes=changes)
    if svg is not None:
        from sql_scoring.explain.waterfall import render_waterfall

        svg.write_text(render_waterfall(document), encoding="utf-8")
    document["contributions"] = document["contributions"][:top]
    if as_json:
        print_json(document)
        return
    _print(document)
    if svg is not None:
        err.print(f"waterfall: {svg}", markup=False, soft_wrap=True)


def reasons(
    on_alerts: Annotated[
        Literal["on", "off"] | None,
        typer.Option(
            help="Write reason codes in the INSERT of an alert, in the same commit.", show_default=False
        ),
    ] = None,
    days: Annotated[int, typer.Option(help="Fill in reason codes of alerts of the last days.", min=1)] = 1,
    build: Annotated[
        str | None,
        typer.Option(help="Build the explanation of this model version again.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fill in reason codes of alerts that have none, or set that their INSERT writes them.

    Example: rowguard reasons --on-alerts on
    """
    from rowguard.operations.reasons import build_explanation, explain_alerts

    url = database_url()
    if build is not None:
        version = resolve_version(url, build)
        states = build_explanation(url, version)
        if as_json:
            print_json({"version": version, "states": states})
        else:
            tables = "without tables" if states is None else f"{states:,} states"
            out.print(f"the explanation of {version} is built, {tables}")
        return
    report = explain_alerts(url, days, on_alerts=None if on_alerts is None else on_alerts == "on")
    if as_json:
        print_json(report)
        return
    print_facts(
        "reason codes",
        {
            "written by the INSERT": report.on_alerts,
            f"alerts of {report.days} days": report.alerts,
            "filled in now": report.explained,
            "without, as the model is not explained": report.without,
        },
    )


def _print(document: dict[str, Any]) -> None:
    print_facts(
        f"transaction {document['transaction_id']} of user {document['user_id']}",
        {
            "decision": f"{document['fraud_flag']}, fraud_probability {document['fraud_probability']:.6f}",
            "model": document["model_version"],
            "base value": f"{document['base_value']:.6f}, the {document['base']}",
            "adds up to": document["output"] + (" before calibration" if document["is_calibrated"] else ""),
            "words": document["catalog"],
        },
    )
    if document["reasons"]:
        print_table(
            [
                {"reason": row["reason"], "code": row["reason_code"], "added": row["contribution"]}
                for row in document["reasons"]
            ],
            "Reasons",
        )
    else:
        out.print("no theme raised the score by enough to be a reason")
    print_table(
        [
            {
                "feature": row["feature"],
                "value": row["value"],
                "added": row["contribution"],
                "": _bar(row, document),
            }
            for row in document["contributions"]
        ],
        "Contributions",
    )
    if "passing_changes" in document:
        if document["passing_changes"]:
            print_table(
                document["passing_changes"], "It would have passed with one of these, all else unchanged"
            )
        else:
            out.print("no single change of a value would have let it pass")


def _bar(row: dict[str, Any], document: dict[str, Any]) -> str:
    largest: float = max(abs(other["contribution"]) for other in document["contributions"]) or 1.0
    length: int = round(20 * abs(row["contribution"]) / largest)
    return ("+" if row["contribution"] >= 0 else "-") * length
