"""Rules and lists in the console: from the draft to the rollback, a second person's approval, keys of a decision."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.db.console.conftest import Browser, Console, insert, running_console
from tests.db.console.test_pages import HOSTILE, case_of, text_of
from tests.fix_database import Workspace

RULES = """
failure_outcome: review
rules:
  - {name: big, when: "amount > 1000", action: decline, reason_code: big, reason: A big amount., mode: live}
  - {name: seen, when: "list.seen", action: review, reason_code: seen, reason: Seen before., mode: live}
"""


@pytest.fixture(scope="module")
def author(console: Console) -> Browser:
    browser = console.log_in("rule_author", name="author")
    browser.post("/console/lists", name="seen", column="user_id", kind="other")
    return browser


def seen(browser: Browser, draft: str) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', browser.get(draft).text)
    assert found is not None
    return found[1]


def new_draft(browser: Browser, text: str = RULES) -> str:
    draft = str(browser.post("/console/rules/drafts").headers["location"])
    saved = browser.post(draft, text=text, note="for a test", seen=seen(browser, draft))
    assert saved.status_code == 303, text_of(saved.text)
    return draft


def test_a_draft_is_saved_only_when_it_is_right(author: Browser) -> None:
    draft = new_draft(author)
    assert "list.seen" in author.get(draft).text
    wrong = author.post(draft, text=RULES.replace("amount", "amuont"), seen=seen(author, draft))
    assert wrong.status_code == 422
    assert "rule `big`" in text_of(wrong.text) and "amuont" in wrong.text  # the text is not lost
    assert "amuont" not in author.get(draft).text
    checked = author.post("/console/rules/check", text=RULES)
    assert "2 rules are right" in text_of(checked.text)
    for text in (
        "rules: [",
        "rules: 5",
        "x" * 900_001,
        *HOSTILE,
        RULES.replace("amount > 1000", "pg_sleep(9) > 0"),
    ):
        answer = author.post("/console/rules/check", text=text)
        assert (
            answer.status_code in (200, 422) and "<script>" not in answer.text and "right" not in answer.text
        )


def test_two_editors_do_not_overwrite_each_other(console: Console, author: Browser) -> None:
    draft = new_draft(author)
    other = console.log_in("rule_author", name="other")
    shown_to_both = seen(author, draft)
    assert author.post(draft, text=RULES, seen=shown_to_both).status_code == 303
    late = other.post(draft, text=RULES, seen=shown_to_both)
    assert late.status_code == 409 and "another user saved or published this draft meanwhile" in late.text


def test_no_one_approves_an_own_draft_and_an_edit_withdraws_approval(
    console: Console, author: Browser
) -> None:
    draft = new_draft(author)
    both = console.log_in("rule_author", "approver", name="author")
    assert both.post(f"{draft}/approve", seen=seen(author, draft)).status_code == 403
    approver = console.log_in("approver", name="boss")
    stale = approver.post(f"{draft}/approve", seen="x")
    assert stale.status_code == 409
    assert approver.post(f"{draft}/approve", seen=seen(approver, draft)).status_code == 303
    assert "approved by boss" in text_of(author.get(draft).text)
    author.post(draft, text=RULES.replace("1000", "2000"), seen=seen(author, draft))
    assert "approved by boss" not in text_of(author.get(draft).text)


def test_a_decision_puts_keys_on_a_list(console: Console, author: Browser) -> None:
    author.post("/console/lists", name="stolen", column="user_id", kind="block")
    with (
        console.database.connect() as connection
    ):  # with lists an alert is declined; the control group is reviewed
        connection.execute("INSERT INTO scoring.control_rates (rate) VALUES (1)")
    case = case_of(console, 73_001)
    with console.database.connect() as connection:
        connection.execute("INSERT INTO scoring.control_rates (rate) VALUES (0)")
    analyst = console.log_in("analyst")
    assert "stolen: user_id" in analyst.get(f"/console/reviews/{case}").text
    wrong = analyst.post("/console/reviews/decide", case_id=str(case), decision="fraud", list_name="nix")
    assert wrong.status_code == 404 and "there is no list nix" in wrong.text
    analyst.post(
        "/console/reviews/decide", case_id=str(case), decision="fraud", list_name="stolen", expires_days="30"
    )
    shown = text_of(author.get("/console/lists/stolen", params={"key": "73001"}).text)
    assert "73001" in shown and f"case {case}" in shown and "ann" in shown
    with console.database.connect() as connection:
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (73001, 5) RETURNING outcome, outcome_reasons"
        ).fetchone()
    assert row == ("decline", ["stolen"])


def test_keys_come_and_go(author: Browser) -> None:
    assert (
        author.post("/console/lists/seen/add", keys="5\n 6 \n\n", reason=HOSTILE[0], days="3").status_code
        == 303
    )
    page = author.get("/console/lists/seen").text
    assert "<script>alert" not in page and "&lt;script&gt;" in page
    author.post("/console/lists/seen/remove", keys="6")
    assert "author" in text_of(author.get("/console/lists/seen?key=6").text)
    for form, detail in (
        ({"keys": ""}, "no key is given"),
        ({"keys": "abc"}, "is no value of column user_id"),
        ({"keys": "\n".join(map(str, range(1_001)))}, "more than 1,000 keys"),
    ):
        answer = author.post("/console/lists/seen/add", **form)
        assert answer.status_code == 422 and detail in text_of(answer.text)
    assert author.post("/console/lists", name="seen", column="user_id", kind="other").status_code == 422
    assert author.post("/console/lists", name="Bad name", column="user_id", kind="other").status_code == 422
    assert author.get("/console/lists/nix").status_code == 404


def test_without_the_owners_address_the_console_publishes_nothing(console: Console, author: Browser) -> None:
    draft = new_draft(author)
    approver = console.log_in("approver")
    for path in (
        f"{draft}/publish",
        "/console/rules/rollback",
        "/console/models/promote",
        "/console/models/rollback",
    ):
        answer = approver.post(path, version="0")
        assert answer.status_code == 409 and "set ROWGUARD_PUBLISH_DATABASE_URL" in text_of(answer.text)


@pytest.fixture(scope="module")
def publishing(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    """A console that may publish, with a second person's approval."""
    folder = tmp_path_factory.mktemp("publishing")
    values = {"rules_need_approval": True}
    with running_console(server_url, scored_template, folder, publishes=True, **values) as running:
        yield running


@pytest.mark.slow
def test_a_rules_life_from_the_draft_to_the_rollback(
    publishing: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWGUARD_RULES_NEED_APPROVAL", "true")
    author = publishing.log_in("rule_author", name="author")
    boss = publishing.log_in("approver", name="boss")
    author.post("/console/lists", name="seen", column="user_id", kind="other")
    draft = new_draft(author)
    tested = text_of(author.post("/console/rules/backtest", text=RULES, days="400").text)
    assert "known frauds" in tested and "big" in tested
    broken = author.post("/console/rules/backtest", text=RULES.replace("amount", "amuont")).text
    assert "rule `big`" in text_of(broken)
    unapproved = text_of(boss.post(f"{draft}/publish").text)
    assert "needs the approval of another person than author" in unapproved
    boss.post(f"{draft}/approve", seen=seen(boss, draft))
    published = text_of(boss.post(f"{draft}/publish").text)
    assert "Done: version 1" in published, published
    assert "rule set 1 is in force" in text_of(author.get("/console/rules").text)
    with publishing.database.connect() as connection:
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (1, 5000) RETURNING outcome, outcome_reasons[1]"
        ).fetchone()
    assert row is not None and row[0] == "decline"
    assert "published as rule set 1" in text_of(author.get(draft).text)
    undone = text_of(boss.post("/console/rules/rollback", version="0").text)
    assert "Done: version 0" in undone
    again = text_of(boss.post("/console/rules/rollback", version="7").text)
    assert "there is no rule set 7" in again
    trail = text_of(boss.get("/console/audit").text)
    for event in (
        "rules.draft",
        "rules.edit",
        "rules.approve",
        "rules.publish",
        "rules.rollback",
        "lists.create",
    ):
        assert event in trail
    assert insert(publishing.database, 5)


@pytest.mark.slow
def test_a_rolled_back_model_is_recorded(publishing: Console) -> None:
    boss = publishing.log_in("approver", name="boss")
    assert "there is no challenger" in text_of(boss.post("/console/models/promote").text).lower()
    assert boss.post("/console/models/challenge", version="x").status_code == 404
    assert "is the first champion" in text_of(boss.post("/console/models/rollback").text)
    assert "models.rollback" in boss.get("/console/audit").text
