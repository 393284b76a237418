"""rules: check, backtest, publish and roll back rule sets; exceptions and thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._next import print_next
from rowguard.cli._output import Json, err, out, print_facts, print_json, print_table, steps, time_option
from rowguard.cli._target import database_url

if TYPE_CHECKING:
    from sql_scoring.deployment.rule_sets import Publication

app = typer.Typer(no_args_is_help=True, help="Rule sets: check, backtest, publish, roll back, list, export.")
File = Annotated[Path, typer.Argument(help="A rules.yml.", show_default=False)]


@app.command()
def check(file: File, as_json: Json = False) -> None:
    """Check a rules.yml against the columns, features and lists of the database; nothing is changed.

    Example: rowguard rules check rules.yml
    """
    from rowguard.settings import settings
    from sql_scoring.deployment.rule_sets import check_rule_set
    from sql_scoring.rules.document import load_rules

    rule_set = load_rules(file)
    check_rule_set(database_url(), settings(), rule_set)
    modes = [rule.mode for rule in rule_set.rules]
    counts = {"rules": len(modes), "live": modes.count("live"), "shadow": modes.count("shadow")}
    if as_json:
        print_json(counts)
    else:
        out.print(
            f"{file}: {counts['rules']} rules are right, {counts['live']} live, {counts['shadow']} in shadow"
        )


@app.command()
def backtest(
    file: File,
    start: Annotated[Any, time_option("--from", help="First day; by default all history.")] = None,
    end: Annotated[Any, time_option("--to", help="First day after it.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Show what each rule of a rules.yml would have matched in stored history; nothing is published.

    Example: rowguard rules backtest rules.yml --from 2026-10-01
    """
    from rowguard.operations.rules import backtest as run
    from rowguard.settings import settings
    from sql_scoring.rules.document import load_rules

    rule_set = load_rules(file)
    url = database_url()
    with steps(quiet=as_json) as step:
        step("evaluating the rules")
        result = run(url, settings(), rule_set, start=start, end=end, only=rule)
    if as_json:
        print_json(result.as_document())
        return
    rows = [("all", result.total), *((each.name, each) for each in result.rules)]
    title = f"{result.transactions:,} transactions, {result.frauds:,} known frauds"
    print_table(
        [
            {
                "rule": name,
                "matched": each.matched,
                "frauds": each.frauds,
                "good": each.good,
                "fraud money": round(each.fraud_amount, 2),
                "good money": round(each.good_amount, 2),
                "also the model": each.alerts,
                "also live rules": each.live_rules,
                "added": each.added,
                "added frauds": each.added_frauds,
                "error": each.error or "",
            }
            for name, each in rows
        ],
        title,
    )


@app.command()
def thresholds(
    review_rate: Annotated[
        float | None,
        typer.Option(help="Largest fraction of rows that is reviewed.", min=0, max=1, show_default=False),
    ] = None,
    decline_rate: Annotated[
        float | None,
        typer.Option(help="Largest fraction of rows that is declined.", min=0, max=1, show_default=False),
    ] = None,
    cost: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            help="Cost of a good row that is declined, of a review, of a missed fraud.", show_default=False
        ),
    ] = None,
    start: Annotated[Any, time_option("--from", help="First day of the scored rows.")] = None,
    end: Annotated[Any, time_option("--to", help="First day after it.")] = None,
    as_json: Json = False,
) -> None:
    """Choose the review and the decline threshold by budgets or by cost, for rules.yml; nothing is published.

    Example: rowguard rules thresholds --review-rate 0.01 --decline-rate 0.001
    """
    from dataclasses import asdict

    from rowguard.operations.rules import thresholds as run
    from sql_scoring.rules.thresholds import Costs

    if (cost is None) == (review_rate is None and decline_rate is None):
        raise typer.BadParameter("give either --cost, or --review-rate and --decline-rate")
    if cost is not None and min(cost) < 0:
        raise typer.BadParameter("costs are not negative", param_hint="--cost")
    choice = run(
        database_url(),
        review_rate=review_rate,
        decline_rate=decline_rate,
        costs=cost and Costs(*cost),
        start=start,
        end=end,
    )
    if as_json:
        print_json({**asdict(choice), "thresholds": choice.thresholds.model_dump()})
        return
    values = choice.thresholds.model_dump(exclude_none=True)
    approved = choice.rows - choice.declined - choice.reviewed
    print_facts(
        f"thresholds: {{{', '.join(f'{name}: {value:.6g}' for name, value in values.items())}}}",
        {
            "chosen on": f"{choice.rows:,} rows that {choice.model_version} scored",
            "declined": f"{choice.declined:,}, {choice.declined_frauds:,} of them frauds",
            "reviewed": f"{choice.reviewed:,}, {choice.reviewed_frauds:,} of them frauds",
            "approved": f"{approved:,}, {choice.missed_frauds:,} of them frauds",
        },
    )


@app.command()
def publish(
    file: Annotated[Path | None, typer.Argument(help="A rules.yml, or --draft.", show_default=False)] = None,
    draft: Annotated[
        int | None, typer.Option(help="Publish a draft of the API by its number.", min=1)
    ] = None,
    note: Annotated[str, typer.Option(help="Why, for the registry.")] = "",
    by: Annotated[
        str | None, typer.Option(help="Who publishes, where the login does not say.", hidden=True)
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish a rule set by a migration: the next version, in force from its commit.

    Example: rowguard rules publish rules.yml --note "new device rules"
    """
    from rowguard.settings import settings
    from sql_scoring.deployment.rule_sets import publish_draft, publish_rule_set
    from sql_scoring.rules.document import load_rules

    if (file is None) == (draft is None):
        raise typer.BadParameter("give either a FILE or --draft")
    rule_set = load_rules(file) if file is not None else None
    url = database_url()
    with steps(quiet=as_json) as step:
        step("publishing the rule set")
        if rule_set is not None:
            done = publish_rule_set(url, settings(), rule_set, note=note, published_by=by)
        else:
            assert draft is not None
            done = publish_draft(
                url, settings(), draft, by=by or "rowguard", needs_approval=settings().rules_need_approval
            )
    _report(done, as_json)
    if not as_json:
        print_next(url, ("rowguard rules rollback", f"go back to rule set {done.previous}"))


@app.command()
def rollback(
    to: Annotated[int | None, typer.Option(help="Any published version; 0 is no rule set.", min=0)] = None,
    as_json: Json = False,
) -> None:
    """Put an earlier rule set in force again; repeated calls keep going back.

    Example: rowguard rules rollback --to 3
    """
    from rowguard.settings import settings
    from sql_scoring.deployment.rule_sets import roll_back_rule_set

    _report(roll_back_rule_set(database_url(), settings(), to), as_json)


@app.command("list")
def list_(
    version: Annotated[int | None, typer.Option(help="Show the rules of this version.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """List published rule sets, or the rules of one with what they matched in the last 30 days.

    Example: rowguard rules list --version 3
    """
    from rowguard.operations.rules import rules_with_matches, sets_with_times

    url = database_url()
    rows = sets_with_times(url) if version is None else rules_with_matches(url, version)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows)
    else:
        out.print("no rule set was published yet; write one: docs/how-to/write-rules.md")


@app.command()
def export(
    version: Annotated[int | None, typer.Argument(help="By default the one in force.", min=1)] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file instead.", show_default=False)
    ] = None,
) -> None:
    """Write a published rule set as a rules.yml, to edit and publish again.

    Example: rowguard rules export --output rules.yml
    """
    from rowguard.operations.rules import export_rules

    text = export_rules(database_url(), version)
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be written: {error.strerror}") from None
    err.print(f"wrote {output}", markup=False)


@app.command()
def exceptions(
    unused: Annotated[
        bool, typer.Option("--unused", help="Only active ones that suppressed nothing yet.")
    ] = False,
    stale: Annotated[bool, typer.Option("--stale", help="Only ended ones.")] = False,
    as_json: Json = False,
) -> None:
    """List exceptions: which rule is suppressed for which user until when, why, and how often it was.

    Example: rowguard rules exceptions --unused
    """
    from rowguard.operations.rules import list_exceptions

    rows = list_exceptions(database_url(), unused=unused, stale=stale)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows)
    else:
        out.print("no exception")


@app.command("add-exception")
def add_exception(
    rule: Annotated[str, typer.Argument(help="A rule of the set in force.", show_default=False)],
    user_id: Annotated[str, typer.Argument(help="The user.", show_default=False)],
    until: Annotated[Any, time_option("--until", help="When it ends, within a year.")],
    reason: Annotated[str, typer.Option(help="Why, at most 500 characters.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Suppress a rule for a user until a time.

    Example: rowguard rules add-exception large_amount 42 --until 2027-01-31 --reason "house purchase, ticket 77"
    """
    from rowguard.operations.rules import add_exception as run

    exception_id = run(database_url(), rule, user_id, until, reason)
    if as_json:
        print_json({"exception_id": exception_id})
    else:
        out.print(
            f"exception {exception_id}: no {rule} for user {user_id} until {until:%Y-%m-%d %H:%M}",
            markup=False,
        )


@app.command("end-exception")
def end_exception(
    exception_id: Annotated[int, typer.Argument(help="As listed.", min=1, show_default=False)],
    as_json: Json = False,
) -> None:
    """End an exception early.

    Example: rowguard rules end-exception 12
    """
    from rowguard.operations.rules import end_exception as run

    run(database_url(), exception_id)
    if as_json:
        print_json({"exception_id": exception_id})
    else:
        out.print(f"exception {exception_id} has ended")


def _report(done: Publication, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "version": done.version,
                "previous": done.previous,
                "revision": done.revision,
                "rules": done.rules,
            }
        )
        return
    before = f"rule set {done.previous}" if done.previous else "none"
    now = (
        f"rule set {done.version} with {done.rules} rules is in force"
        if done.version
        else "no rule set is in force"
    )
    print_facts(now, {"before": before, "revision": done.revision})
