"""The console in a real browser: every page light and dark, at a desk and on a phone, by mouse and by keys.

Set TEST_SCREENSHOTS to a folder to keep the pictures.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pydantic import SecretStr

from api.console.secret import mint_link_token
from rowguard.settings import Settings
from simulator import SimulationConfig
from simulator.marks import insert_marked
from tests.db.api.conftest import Api, _api_login, serving
from tests.db.console.conftest import SECRET
from tests.fix_database import Workspace, _database, _settings

pytestmark = pytest.mark.slow

PATIENCE_MS = 180_000
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
RULES = """failure_outcome: review
thresholds: {review: 0.5, decline: 0.95}
rules:
  - name: large_amount
    when: amount > 1500
    action: review
    reason_code: large_amount
    reason: The amount is above 1,500.
    mode: shadow
"""


@dataclass
class Site:
    """A served console with live transactions, and the secret of its links."""

    api: Api
    settings: Settings
    database: Workspace
    transaction: str

    def link(self, name: str, *roles: str) -> str:
        token = mint_link_token(self.settings, name, list(roles), 600)
        return f"{self.address}/console/login?token={quote(token)}"

    @property
    def address(self) -> str:
        return str(self.api.client.base_url).rstrip("/")


@pytest.fixture(scope="module")
def site(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with _database(server_url, scored_template.url) as url:
        workspace = Workspace(url, _settings(url, folder))
        world = SimulationConfig(users=300, merchants=120, days=45, seed=5)
        insert_marked(url, world, 0.2, 300, label_delay=timedelta(days=7), application_url=url)
        with workspace.connect() as connection:
            user, transaction = connection.execute(
                "SELECT user_id, transaction_id FROM transactions WHERE fraud_flag = 'FRAUD' AND NOT is_history"
                " ORDER BY fraud_probability DESC LIMIT 1"
            ).fetchall()[0]
        with (
            _api_login(workspace) as login_url,
            serving(
                login_url,
                folder,
                console_secret=SECRET,
                rowguard_publish_database_url=url,
                rules_need_approval="true",
            ) as api,
        ):
            settings = workspace.settings.model_copy(update={"console_secret": SecretStr(SECRET)})
            yield Site(api, settings, workspace, f"{user}/{transaction}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, site: Site, name: str, *roles: str, **options: object) -> Iterator[Page]:
    """A page of a user who is logged in; whatever the browser complains about fails the test."""
    context: BrowserContext = browser.new_context(**{"viewport": DESK, **options})  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    complaints: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on(
        "request",
        lambda request: (
            complaints.append(request.url)
            if urlsplit(request.url).netloc != urlsplit(site.address).netloc
            else None
        ),
    )
    page.goto(site.link(name, *roles))
    yield page
    # A page that shows a problem has its status; the browser reports that as an error of the resource.
    assert [text for text in complaints if "Failed to load resource" not in text] == []
    context.close()


def pages(site: Site) -> dict[str, str]:
    return {
        "overview": "/console/",
        "reviews": "/console/reviews",
        "case": "/console/reviews/1",
        "transaction": f"/console/transactions/{site.transaction}",
        "rules": "/console/rules",
        "draft": "/console/rules/drafts/1",
        "lists": "/console/lists",
        "list": "/console/lists/stolen_cards",
        "models": "/console/models",
        "monitoring": "/console/monitoring",
        "audit": "/console/audit",
        "problem": "/console/nothing",
    }


def keep(page: Page, name: str) -> None:
    """Keep a picture, where they are asked for."""
    picture = page.screenshot(full_page=True)
    assert len(picture) > 5_000
    if folder := os.environ.get("TEST_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(picture)


def check_accessible(page: Page) -> None:
    violations = Axe().run(page).response["violations"]
    serious = [
        (each["id"], [node["html"][:120] for node in each["nodes"]][:3])
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def edit(page: Page, text: str) -> None:
    page.get_by_label("rules.yml").fill(text)


def test_a_rules_life_with_two_persons(browser: Browser, site: Site) -> None:
    with visiting(browser, site, "author", "rule_author") as page:
        page.goto(f"{site.address}/console/lists")
        page.get_by_label("Name").fill("stolen_cards")
        page.get_by_role("button", name="Create").click()
        page.get_by_label("Keys, one a line").fill("987001\n987002")
        page.get_by_label("Why").fill("ticket 77")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("status")).to_contain_text("2 keys are on stolen_cards")
        page.goto(f"{site.address}/console/rules")
        page.get_by_role("button", name="Write the first rules").click()
        edit(page, RULES.replace("amount > 1500", "amuont > 1500"))
        expect(page.locator("#check")).to_contain_text("amuont")
        edit(page, RULES)
        expect(page.locator("#check")).to_contain_text("1 rule is right")
        page.get_by_label("Days of history").fill("400")
        page.get_by_role("button", name="Backtest").click()
        expect(page.locator("#backtest")).to_contain_text("known frauds")
        keep(page, "draft-backtest")
        page.get_by_label("Note").fill("large amounts, in shadow")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("draft 1 is saved")
        expect(page.locator("main")).to_contain_text("Another user than author approves it")
    with visiting(browser, site, "boss", "approver") as page:
        page.goto(f"{site.address}/console/rules/drafts/1")
        expect(page.get_by_role("button", name="Publish")).to_have_count(0)
        page.get_by_role("button", name="Approve").click()
        page.get_by_role("button", name="Publish").click()
        expect(page.locator("#done")).to_contain_text("Done: version 1")
        page.goto(f"{site.address}/console/rules")
        expect(page.locator("h1")).to_contain_text("rule set 1 is in force")
    with site.database.connect() as connection:
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (7, 1600) RETURNING outcome, rule_set_version"
        ).fetchone()
    assert row is not None and row[1] == 1


def test_a_case_by_keys_from_the_queue_to_the_label(browser: Browser, site: Site) -> None:
    with site.database.connect() as connection:
        connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (987001, 10)"
        )  # on a block list
    with visiting(browser, site, "ann", "analyst") as page:
        page.goto(f"{site.address}/console/reviews")
        page.keyboard.press("j")
        expect(page.locator("tr.current")).to_have_count(1)
        page.keyboard.press("j")
        page.keyboard.press("k")
        case = page.locator("tr.current").get_attribute("data-case")
        keep(page, "reviews-keys")
        page.keyboard.press("c")
        page.wait_for_url(re.compile(rf"/console/reviews/{case}$"))
        expect(page.locator("main")).to_contain_text("by ann")
        page.keyboard.press("f")
        assert page.get_by_label("Decision").input_value() == "fraud"
        page.get_by_label("Note").fill("the owner called; f j k are letters here")
        assert page.get_by_label("Note").input_value().endswith("letters here")
        page.get_by_label("Put on a list").select_option("stolen_cards")
        page.get_by_role("button", name="Decide").click()
        expect(page.get_by_role("status")).to_contain_text(f"case {case}: decided fraud")
        # Two more at the same time.
        page.keyboard.press("j")
        page.keyboard.press("x")
        page.keyboard.press("j")
        page.keyboard.press("x")
        page.keyboard.press("l")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("decided legitimate")
        page.goto(f"{site.address}/console/reviews?view=decided")
        expect(page.locator("tbody tr")).to_have_count(3)
        keep(page, "reviews-decided")
    with site.database.connect() as connection:
        labels = connection.execute(
            "SELECT l.is_fraud FROM fraud_labels AS l JOIN scoring.review_case_transactions AS r"
            " USING (user_id, transaction_id) WHERE r.case_id = %s AND l.source = 'review'",
            [case],
        ).fetchall()
    assert labels and all(is_fraud for (is_fraud,) in labels)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_in_both_schemes(browser: Browser, site: Site, scheme: str) -> None:
    with visiting(browser, site, "root", "administrator", color_scheme=scheme) as page:
        for name, path in pages(site).items():
            page.goto(f"{site.address}{path}")
            page.wait_for_load_state("networkidle")
            if name == "transaction":
                page.get_by_role("button", name="Score it again").click()
                expect(page.locator("#replayed")).to_contain_text("Equal to the bit")
            keep(page, f"{name}-{scheme}")
            check_accessible(page)
    with browser.new_context(color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{site.address}/console/login")
        keep(page, f"login-{scheme}")
        check_accessible(page)


def test_every_page_fits_a_phone(browser: Browser, site: Site) -> None:
    with visiting(browser, site, "root", "administrator", viewport=PHONE) as page:
        for name, path in pages(site).items():
            page.goto(f"{site.address}{path}")
            widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
            assert widths[0] <= widths[1], (name, widths)
            keep(page, f"{name}-phone")


def test_the_theme_is_the_users_choice(browser: Browser, site: Site) -> None:
    with visiting(browser, site, "root", "administrator", color_scheme="light") as page:
        page.get_by_role("button", name="Switch between light and dark").click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_rules_are_rolled_back(browser: Browser, site: Site) -> None:
    """Last: the pages above show the rule set in force."""
    with visiting(browser, site, "author", "rule_author") as page:
        page.goto(f"{site.address}/console/rules")
        page.get_by_role("button", name="Edit the rules in a draft").click()
        edit(page, RULES.replace("mode: shadow", "mode: live"))
        page.get_by_role("button", name="Save").click()
        draft = page.url
    with visiting(browser, site, "boss", "approver") as page:
        page.goto(draft)
        page.get_by_role("button", name="Approve").click()
        page.get_by_role("button", name="Publish").click()
        expect(page.locator("#done")).to_contain_text("Done: version 2")
        page.goto(f"{site.address}/console/rules")
        page.get_by_role("button", name="Put in force").click()
        expect(page.locator("#done")).to_contain_text("Done: version 1")
        keep(page, "rules-rolled-back")
        page.goto(f"{site.address}/console/audit")
        for event in ("rules.publish", "rules.rollback", "review.decide", "console.login", "lists.add"):
            expect(page.locator("main")).to_contain_text(event)
        keep(page, "audit-day")
