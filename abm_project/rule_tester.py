"""One event or URL against the rules in force: which rule wins, which would after it, what it is worth, and what the
winner did in the last days. Reads only, no HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from django.conf import settings
from django.db import connection
from orjson import loads

from accounts.resolution import load_resolver
from ingestion.cells import cta, own_hosts, page_path, stored_name
from ingestion.events import Cell
from registry.registry import Registry
from registry.rules import RuleSet
from registry.values import Rule
from scoring import evidence
from scoring.engine import WEEK, Classifier

READ = 100_000  # account-days that are looked through: a page must not read all of a large installation
PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Asked:
    """An event as a site would send it; `page` is an address or a path."""

    page: str
    event_name: str = "page_view"
    content_type: str = ""
    lane: str = ""
    cta_id: str = ""

    def cell(self) -> Cell:
        """As it would be stored."""
        event = settings.ACTIVITY_EVENT_ALIASES.get(self.event_name, self.event_name)
        path = page_path({"$current_url": self.page}, own_hosts(settings.SITE_HOSTS))
        return Cell(event, stored_name(self.content_type), stored_name(self.lane), cta(self.cta_id), path, 1)


@dataclass(frozen=True, slots=True)
class Touched:
    """What the winning rule classified from `first` to `last`. Not `complete`: only READ account-days were read."""

    first: date
    last: date
    events: int
    accounts: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Tested:
    """`was_asked`: whether rules are asked at all, which an event that says content type and lane does not do."""

    cell: Cell
    was_asked: bool
    winner: Rule | None
    next: Rule | None
    content_type: str
    lane: str
    category: str
    weight: int
    weight_source: str
    touched: Touched | None

    @property
    def why(self) -> str:
        if not self.was_asked:
            return "The event says its content type and lane itself, so no rule is asked."
        if self.winner is None:
            return "No enabled rule matches this event name and path."
        rule = self.winner
        how = {
            "path_prefix": "the path begins with",
            "equals": "the path is exactly",
            "contains": "the path contains",
            "path_regex": "the path matches",
        }[rule.match_type]
        return f"Rule {rule.priority}: {how} {rule.match_value}, and it is the first that matches."

    @property
    def weight_because(self) -> str:
        if self.weight_source == "rule override":
            return "the rule's own weight"
        if self.weight_source == "no weight":
            return "no weight knows this event"
        return f"the weight of {self.weight_source.replace(' + ', ' · ')}"


def try_event(asked: Asked, registry: Registry, last: date) -> Tested:
    """`last`: the newest day with facts; what the winner touched is counted over the seven days up to it."""
    cell, rules = asked.cell(), registry.rule_set()
    found = Classifier(rules, registry.weights).weigh(cell)
    was_asked = not (cell.content_type and cell.lane)
    matching = rules.matching(cell.event, cell.path) if was_asked else []
    winner = matching[0] if matching else None
    return Tested(
        cell=cell,
        was_asked=was_asked,
        winner=winner,
        next=matching[1] if len(matching) > 1 else None,
        content_type=found.content_type,
        lane=found.lane,
        category=found.category,
        weight=found.weight,
        weight_source=found.weight_source,
        touched=touched(winner, rules, registry, last) if winner else None,
    )


def touched(rule: Rule, rules: RuleSet, registry: Registry, last: date) -> Touched:
    """The events of the last week that this rule classifies, and the accounts they count for."""
    first, resolver = last - timedelta(days=WEEK - 1), load_resolver(registry.domain_rules, last)
    classifier, events, homes, read = Classifier(rules, registry.weights), 0, set[str](), 0
    for key, cells in _days(first, last):
        read += 1
        counted = sum(cell.count for cell in cells if classifier.weigh(cell).rule == rule)
        home = evidence.is_evidence(resolver.resolve(key), resolver) if counted else None
        if home is not None:
            events += counted
            homes.add(home)
    return Touched(first, last, events, len(homes), read < READ)


def _days(first: date, last: date) -> Iterator[tuple[str, list[Cell]]]:
    """Keys with the cells of one day, newest day first, at most READ of them."""
    day, left = last, READ
    while day >= first and left > 0:
        after = ""
        while left > 0:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT account_key, cells_json FROM activity_days WHERE date = %s AND account_key > %s"
                    " ORDER BY account_key LIMIT %s",
                    [day, after, min(PAGE, left)],
                )
                rows = cursor.fetchall()
            if not rows:
                break
            for key, cells in rows:
                yield key, list(map(Cell._make, loads(cells)))
            after, left = rows[-1][0], left - len(rows)
        day -= timedelta(days=1)
