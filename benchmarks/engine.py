"""Scores a second of the pure engine alone: 3 active days of 30 and 5 cells a day for each account.

No database, no reading and no writing: what is left of the job is `./dev bench recompute`. Nearly every path was seen
before, as on a site, so the rules are mostly asked of the classifier's memory.
"""

import random
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _measuring import RUNS, machine, medians

from ingestion.events import AccountDay, Cell
from registry.rules import RuleSet
from registry.values import Rule, ScoreParameters, Weights
from scoring.engine import Classifier, score_account

ACCOUNTS = 20_000
AS_OF = date(2026, 11, 21)
PARAMETERS = ScoreParameters(id="1", name="default_v1")
TYPES = ("pricing", "security", "docs", "blog", "integrations", "case-studies")
RULES = [Rule(str(n), n, "page_view", "path_prefix", f"/{name}", name) for n, name in enumerate(TYPES)]
WEIGHTS = Weights({("page_view", name, ""): 3 * n for n, name in enumerate(TYPES)} | {("form_started", "", ""): 20})


def account(pick: random.Random) -> list[AccountDay]:
    days = []
    for age in sorted(pick.sample(range(30), 3)):
        cells = tuple(
            Cell("page_view", "", pick.choice(("office", "events", "")), "", f"/{pick.choice(TYPES)}/{n}", n + 1)
            for n in range(5)
        )
        day = AS_OF - timedelta(days=age)
        days.append(
            AccountDay("acme.example", day, cells, (f"{age:012x}",), datetime(day.year, day.month, day.day, tzinfo=UTC))
        )
    return days


def score(accounts: list[list[AccountDay]]) -> None:
    classifier = Classifier(RuleSet(RULES), WEIGHTS)
    for days in accounts:
        score_account(days, (), classifier, PARAMETERS, AS_OF)


def main() -> None:
    pick = random.Random(7)
    accounts = [account(pick) for _ in range(ACCOUNTS)]
    (took,) = medians(lambda: score(accounts))
    print(machine())
    print(f"engine: {ACCOUNTS / took:,.0f} scores/s (median of {RUNS}; {ACCOUNTS:,} accounts)")


if __name__ == "__main__":
    main()
