"""Pages of the console: the path of a case, texts of strangers, wrong input, server time."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest

from tests.db.console.conftest import Browser, Console, insert

HOSTILE = (
    "<script>alert(1)</script>",
    "'; DROP TABLE transactions; --",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
)


def text_of(page: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def case_of(console: Console, user: int) -> int:
    """A new case of a user."""
    insert(console.database, user)
    console.log_in("analyst").get("/console/reviews")
    with console.database.connect() as connection:
        row = connection.execute(
            "SELECT case_id FROM scoring.review_cases WHERE user_id = %s ORDER BY case_id DESC LIMIT 1",
            [user],
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture(scope="module")
def analyst(console: Console) -> Browser:
    return console.log_in("analyst")


def test_a_case_from_the_insert_to_the_label(console: Console, analyst: Browser) -> None:
    case = case_of(console, 70_001)
    page = f"/console/reviews/{case}"
    claimed = analyst.post("/console/reviews/claim", case_id=str(case))
    assert claimed.status_code == 303 and claimed.headers["location"] == page
    assert "claimed" in analyst.get(page).text
    bob = console.log_in("analyst", name="bob")
    for path, form in (("claim", {}), ("decide", {"decision": "fraud"})):
        taken = bob.post(f"/console/reviews/{path}", case_id=str(case), **form)
        assert taken.status_code == 409 and f"case {case} is claimed by ann" in taken.text
    decided = analyst.post(
        "/console/reviews/decide",
        case_id=str(case),
        decision="fraud",
        note="it was a thief",
        transactions="1",
    )
    assert decided.status_code == 303
    assert f"case {case}: decided fraud" in analyst.get("/console/reviews").text
    shown = text_of(analyst.get(page).text)
    assert "fraud by ann" in shown and "it was a thief" in shown and "fraud review" in shown
    with console.database.connect() as connection:
        labels = connection.execute(
            "SELECT is_fraud, source FROM fraud_labels WHERE user_id = 70001"
        ).fetchall()
    assert labels == [(True, "review")]
    assert analyst.post(f"{page}/reopen", note="another look").status_code == 303
    assert "review.reopen" in analyst.get(page).text
    trail = text_of(console.log_in("approver").get("/console/audit", params={"subject": f"case {case}"}).text)
    for action in ("review.open", "review.claim", "review.decide", "review.reopen"):
        assert action in trail


def test_an_administrator_takes_a_case_away(console: Console, analyst: Browser) -> None:
    case = case_of(console, 70_002)
    analyst.post("/console/reviews/claim", case_id=str(case))
    bob = console.log_in("analyst", name="bob")
    assert bob.post(f"/console/reviews/{case}/release").status_code == 409
    assert bob.post(f"/console/reviews/{case}/take-away").status_code == 403
    assert (
        console.log_in("administrator", name="root").post(f"/console/reviews/{case}/take-away").status_code
        == 303
    )
    assert bob.post("/console/reviews/claim", case_id=str(case)).status_code == 303
    assert bob.post(f"/console/reviews/{case}/release").status_code == 303


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_strangers_are_shown_as_text(console: Console, text: str) -> None:
    case = case_of(console, 71_000 + HOSTILE.index(text))
    browser = console.log_in("administrator", name=text)
    browser.post("/console/reviews/claim", case_id=str(case))
    browser.post("/console/reviews/decide", case_id=str(case), decision="unsure", note=text)
    pages = [f"/console/reviews/{case}", "/console/reviews?view=decided", "/console/audit", "/console/"]
    for path in pages:
        page = browser.get(path).text
        assert "<img" not in page and "<script>" not in page
    assert text in unescape(browser.get(pages[0]).text)
    searched = browser.get("/console/audit", params={"actor": text, "subject": text}).text
    assert "<img" not in searched and "<script>" not in searched
    (transaction,) = insert(console.database, 71_000 + HOSTILE.index(text), location=text)
    shown = browser.get(f"/console/transactions/{71_000 + HOSTILE.index(text)}/{transaction}").text
    assert text in unescape(shown) and "<img" not in shown and "<script>" not in shown


def test_a_transaction_is_explained_and_replays(console: Console, analyst: Browser) -> None:
    first, second = insert(console.database, 70_005, 70_006)
    page = analyst.get(f"/console/transactions/70005/{first}")
    shown = text_of(page.text)
    assert page.status_code == 200
    for words in ("Why", "Added", "Its features against the user's usual", "The user's recent transactions"):
        assert words in shown
    assert "merchant_id 7 70006" in shown and str(second) in shown  # the same merchant elsewhere
    replayed = analyst.get(f"/console/transactions/70005/{first}/replay").text
    assert "Equal to the bit" in replayed


@pytest.mark.parametrize(
    ("method", "path", "form", "status", "detail"),
    [
        ("GET", "reviews/abc", {}, 404, "case_id is no number"),
        ("GET", "reviews/99999999999999999999", {}, 404, "case_id is no number"),
        ("GET", "reviews/999999", {}, 404, "there is no case 999999"),
        ("GET", "reviews?view=x", {}, 404, "there is no such view"),
        ("GET", "reviews?page=-1", {}, 404, "page is no number"),
        ("GET", "transactions/1/999999999", {}, 404, "user 1 has no transaction 999999999"),
        ("GET", "transactions/x/1", {}, 422, "invalid input syntax for type bigint"),
        ("GET", "models?compare=x", {}, 404, "there is no such model"),
        ("GET", "nothing", {}, 404, "there is no such page"),
        ("POST", "reviews/decide", {"decision": "fraud"}, 422, "no case is selected"),
        ("POST", "reviews/decide", {"case_id": "1", "decision": "guilty"}, 422, "decision is not fraud"),
        ("POST", "reviews/decide", {"case_id": ["1", "x"], "decision": "fraud"}, 404, "case_id is no number"),
        (
            "POST",
            "reviews/decide",
            {"case_id": "1", "decision": "fraud", "transactions": "7"},
            409,
            "look at them",
        ),
        (
            "POST",
            "reviews/decide",
            {"case_id": "1", "decision": "fraud", "note": "x" * 2_001},
            422,
            "more than 2,000",
        ),
        (
            "POST",
            "reviews/decide",
            {"case_id": "1", "decision": "fraud", "note": "a\x1b[2J"},
            422,
            "control characters",
        ),
        ("POST", "reviews/claim", {"case_id": "999999"}, 404, "there is no case 999999"),
        ("POST", "reviews/1/reopen", {}, 409, "case 1 is not decided"),
        ("POST", "reviews/1/release", {}, 409, "case 1 is not claimed"),
    ],
)
def test_wrong_input_is_one_clear_line(
    analyst: Browser, method: str, path: str, form: dict[str, str], status: int, detail: str
) -> None:
    analyst.get("/console/reviews")
    response = (
        analyst.get(f"/console/{path}") if method == "GET" else analyst.post(f"/console/{path}", **form)
    )
    assert response.status_code == status, response.text
    assert detail in text_of(response.text)


def test_the_queue_of_100_000_cases_is_quick(console: Console, analyst: Browser) -> None:
    with console.database.connect() as connection:
        connection.execute(
            "INSERT INTO scoring.review_cases (user_id, due_at, transaction_count, amount_total, max_fraud_probability)"
            " SELECT 1000000 + g, now() + g * interval '1 second', 1, 10, 0.5 FROM generate_series(1, 100000) AS g"
        )
        connection.execute("ANALYZE scoring.review_cases")
    paths = ("/console/", "/console/reviews", "/console/reviews?page=1500", "/console/reviews?view=mine")
    analyst.get("/console/reviews")
    for path in paths:
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            assert analyst.get(path).status_code == 200
            seconds.append(time.perf_counter() - started)
        assert min(seconds) < 0.3, path
    with console.database.connect() as connection:
        connection.execute("DELETE FROM scoring.review_cases WHERE user_id > 1000000")
