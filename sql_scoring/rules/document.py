"""Reads and writes rules.yml: every problem is one line with its place in the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rowguard.errors import RuleError
from rowguard.yaml_places import find_position, read_yaml
from sql_scoring.features.expressions import UNBOUNDED, ExpressionError, find_names

MAX_RULES = 2_000
# Stored on every row that they decide: 20 characters keep version, reasons and codes within 64 bytes.
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")]
RuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Action = Literal["approve", "review", "decline"]
Mode = Literal["shadow", "live"]
Probability = Annotated[float, Field(ge=0, le=1)]
# Reasons that rowguard gives where no rule does.
OWN_REASONS = frozenset({"model_score", "unscored", "rule_failed", "control_group", "outcome_failed"})
_SEVERITY = {"decline": 0, "review": 1, "approve": 2}
_PATTERNS = {
    "reason_code": "lowercase letters, digits and _, starting with a letter, at most 20",
    "name": "lowercase letters, digits and _, starting with a letter, at most 63",
}
Place = tuple[str | int, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """A condition over a transaction, its features, its score and lists, and the outcome that it asks for."""

    name: RuleName
    when: Annotated[str, Field(min_length=1, max_length=4_000)]
    action: Action
    reason_code: Code
    reason: Line
    priority: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """The lowest decides; of equal ones the strictest action, then the name."""
    mode: Mode = "shadow"
    owner: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""

    @property
    def order(self) -> tuple[int, int, str]:
        """What rules are sorted by."""
        return (self.priority, _SEVERITY[self.action], self.name)


class Thresholds(_Strict):
    """From which fraud probability on the model asks for a review, and for a decline."""

    review: Probability | None = None
    decline: Probability | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Thresholds:
        if self.review is not None and self.decline is not None and self.review > self.decline:
            raise ValueError("review is above decline")
        return self


class RuleSet(_Strict):
    """The whole of rules.yml."""

    failure_outcome: Action = "review"
    """The outcome of a rule that raises, and of a row without a score that no list and no rule decides."""
    thresholds: Thresholds | None = None
    """Without them an alert of the model is declined."""
    based_on: Annotated[int, Field(ge=0)] | None = None
    """The version that it was edited from; `publish` checks that it is still in force."""
    rules: Annotated[list[Rule], Field(max_length=MAX_RULES)] = []

    def ordered(self) -> list[Rule]:
        """Return the rules in the order in which they decide: positions count from 1."""
        return sorted(self.rules, key=lambda rule: rule.order)

    def names(self) -> dict[str, list[str]]:
        """Return the lists (`list`) and the other names (`value`) that conditions read, sorted."""
        parts = {name.parts for rule in self.rules for name in find_names(rule.when, excluded=UNBOUNDED)}
        lists = sorted({part[1] for part in parts if len(part) == 2 and part[0] == "list"})
        return {"list": lists, "value": sorted({part[0] for part in parts if len(part) == 1})}

    def as_document(self) -> dict[str, Any]:
        """Return what the registry holds of rules.yml: the same for the same rules."""
        document = self.model_dump(mode="json", exclude_none=True, exclude={"based_on"})
        document["rules"] = [rule.model_dump(mode="json") for rule in self.rules]
        return document


def load_rules(path: Path) -> RuleSet:
    """Read and check rules.yml.

    Args:
        path: The file.

    Returns:
        The rule set. Which columns and features there are is checked with a database.

    Raises:
        RuleError: The file cannot be read, or an entry is wrong; names file, line, column, entry and reason.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise RuleError(f"{path}: cannot be read: {reason}") from None
    return parse_rules(text, str(path))


def parse_rules(text: str, source: str) -> RuleSet:
    """As `load_rules`, of a text.

    Args:
        text: YAML.
        source: Its name, for messages.
    """
    root, document = read_yaml(text, source, RuleError, "mapping with failure_outcome, thresholds and rules")
    try:
        return validate_rules(document)
    except RuleProblem as problem:
        line, column = find_position(root, problem.place)
        raise RuleError(f"{source}, line {line}, column {column}, {problem}") from None


class RuleProblem(RuleError):
    """An entry of a rule set is wrong.

    Args:
        place: Keys and positions that lead to it.
        entry: The rule's name, or the section.
        message: What is wrong.
    """

    def __init__(self, place: Place, entry: str, message: str) -> None:
        super().__init__(f"{entry}: {message}" if entry else message)
        self.place, self.entry, self.message = place, entry, message


def validate_rules(document: Any) -> RuleSet:
    """Check a rule set as data: what the API gets, and what a file holds.

    Args:
        document: A mapping as in rules.yml.

    Returns:
        The rule set.

    Raises:
        RuleProblem: The first wrong entry.
    """
    try:
        rule_set = RuleSet.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(first["loc"])
        raise RuleProblem(place, _entry(document, place), _message(first)) from None
    for place, message in _find_problems(rule_set):
        raise RuleProblem(place, _entry(document, place), message)
    return rule_set


def dump_rules(rule_set: RuleSet, *, based_on: int | None = None) -> str:
    """Return the text of rules.yml, which `load_rules` reads to the same rule set.

    Args:
        rule_set: The rules.
        based_on: The version that an editor of the file starts from.
    """
    document = ({} if based_on is None else {"based_on": based_on}) | rule_set.as_document()
    head = "# Written by rowguard rules export. Edit, check, backtest, publish: docs/how-to/write-rules.md\n"
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def json_schema_text() -> str:
    """Return the JSON schema of rules.yml, by which editors complete and check it."""
    schema = RuleSet.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "rules.yml of rowguard"
    return json.dumps(schema, indent=2) + "\n"


def _find_problems(rule_set: RuleSet) -> Iterator[tuple[Place, str]]:
    seen: set[str] = set()
    for index, rule in enumerate(rule_set.rules):
        if rule.name in seen:
            yield ("rules", index, "name"), f"there are two rules `{rule.name}`"
        seen.add(rule.name)
        if rule.reason_code in OWN_REASONS:
            yield ("rules", index, "reason_code"), f"`{rule.reason_code}` is a reason of rowguard's"
        try:
            for name in find_names(rule.when, excluded=UNBOUNDED):
                if len(name.parts) > 2 or (len(name.parts) == 2 and name.parts[0] != "list"):
                    yield (
                        ("rules", index, "when"),
                        f"`when`: names `{'.'.join(name.parts)}`, which is not declared",
                    )
        except ExpressionError as error:
            yield ("rules", index, "when"), f"`when`: {error}"


def _entry(document: Any, place: Iterable[str | int]) -> str:
    keys = list(place)
    if len(keys) >= 2 and keys[0] == "rules" and isinstance(keys[1], int):
        rule = document["rules"][keys[1]]
        name = rule.get("name", keys[1] + 1) if isinstance(rule, dict) else keys[1] + 1
        return f"rule `{str(name)[:63]}`"
    return ".".join(map(str, keys[:2]))


def _message(error: Any) -> str:
    field = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "string_pattern_mismatch":
        text = _PATTERNS.get(field, "must not contain control characters")
    elif error["type"] == "extra_forbidden":
        text = "is not known here"
    else:
        text = error["msg"]
    return f"`{field}`: {text[0].lower()}{text[1:]}"
