"""The recompute against its floor (the same rows read and upserted by a bare cursor) and against the naive job.

`./dev bench recompute [ACCOUNTS]`, default 100,000: on average 3 active days of 30 and 5 cells a day. The floor reads
the same fact rows and upserts the same final rows in the same chunks with the same commits. The naive job is the shape
most people would write: for each account one select and two upserts.
"""

import gc
import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "abm_project.settings")

import django

django.setup()

from _measuring import RUNS, in_child, machine, peak_megabytes, seconds, upsert_sql
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from orjson import dumps

from accounts.models import ProspectCompany
from ingestion.events import AccountDay, Cell
from ingestion.models import ActivityDay, ActivityPull
from registry.loader import load_registry
from scoring import snapshots
from scoring.engine import Classifier, score_account
from scoring.models import DailyAccountIntent
from scoring.runs import run_recompute

AS_OF, NOW = date(2026, 11, 21), datetime(2026, 11, 22, 2, tzinfo=UTC)
FIRST = AS_OF - timedelta(days=30)
PATHS = (
    "/pricing",
    "/security",
    "/docs/a",
    "/blog/b",
    "/integrations",
    "/case-studies/c",
    "/services/events",
    "/",
    "/x",
)
NAIVE = 5_000
MORE_ACCOUNTS = 10  # times: what the memory is compared over


def make_facts(accounts: int) -> None:
    """Facts of so many accounts in an otherwise empty database."""
    empty()
    pick, rows = random.Random(7), []
    insert = "INSERT INTO activity_days (account_key, date, cells_json, people_json, last_seen_at, paths_cut) VALUES"
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM activity_days")
        for number in range(accounts):
            for age in sorted(pick.sample(range(30), pick.choice((1, 2, 3, 3, 4, 5))), reverse=True):
                day = AS_OF - timedelta(days=age)
                cells = sorted(
                    ["page_view", "", "", "", f"{pick.choice(PATHS)}/{pick.randint(0, 50)}", pick.randint(1, 4)]
                    for _ in range(5)
                )
                person = f'["{pick.getrandbits(48):012x}"]'
                rows.append((f"c{number:07}.example", day, dumps(cells).decode(), person, f"{day} 12:00:00", 0))
            if len(rows) >= 5_000 or number == accounts - 1:
                cursor.executemany(f"{insert} (%s, %s, %s, %s, %s, %s)", rows)
                rows = []
    ActivityPull.objects.all().delete()
    ActivityPull.objects.bulk_create(
        ActivityPull(date=AS_OF - timedelta(days=age), state="pulled", source="bench") for age in range(60)
    )


def empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM daily_account_intent")
        cursor.execute("DELETE FROM prospect_companies")


def job() -> None:
    """What the command does: one run over all accounts, with its lease and progress."""
    run_recompute([AS_OF], NOW, asked_by="bench")


def chunks(rows: list[Any]) -> Iterator[list[Any]]:
    size = settings.SCORING_BATCH_ACCOUNTS
    yield from (rows[start : start + size] for start in range(0, len(rows), size))


def final_rows(table: str, columns: tuple[str, ...], by: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {by}")
        return list(cursor.fetchall())


def floor(companies: list[tuple[Any, ...]], scores: dict[Any, tuple[Any, ...]], columns: tuple[str, ...]) -> None:
    """Read the facts and upsert the accounts and their snapshots: what no job can do without."""
    upsert = upsert_sql("prospect_companies", columns), upsert_sql("daily_account_intent", snapshots.WRITTEN)
    key, domain = columns.index("id"), columns.index("domain")
    for chunk in chunks(companies):
        with transaction.atomic(), connection.cursor() as cursor:
            marks = ", ".join(["%s"] * len(chunk))
            cursor.execute(
                "SELECT account_key, date, cells_json, people_json, last_seen_at FROM activity_days"
                f" WHERE account_key IN ({marks}) AND date BETWEEN %s AND %s",
                [*(row[domain] for row in chunk), FIRST, AS_OF],
            )
            cursor.fetchall()
            cursor.executemany(upsert[0], chunk)
            cursor.executemany(upsert[1], [scores[row[key]] for row in chunk])


def naive(domains: list[str]) -> None:
    """One select and two upserts per account, through the ORM, as in the framework's tutorial."""
    registry = load_registry()
    config = registry.parameters.id
    revision = DailyAccountIntent.objects.values_list("registry_revision", flat=True).first()
    classifier = Classifier(registry.rule_set(), registry.weights)
    for domain in domains:
        rows = ActivityDay.objects.filter(account_key=domain, date__gte=FIRST, date__lte=AS_OF)
        days = [
            AccountDay(domain, r.date, tuple(Cell(*c) for c in r.cells_json), tuple(r.people_json), r.last_seen_at)
            for r in rows
        ]
        score = score_account(days, [], classifier, registry.parameters, AS_OF)
        company, _ = ProspectCompany.objects.update_or_create(
            domain=domain, defaults={"intent_score": score.intent_score, "score_30d_raw": score.raw_score_30d}
        )
        values = {name: getattr(score, name) for name in snapshots.SCORED}
        DailyAccountIntent.objects.update_or_create(
            prospect_company=company,
            date=AS_OF,
            defaults={**values, "score_config_id": config, "registry_revision_id": revision},
        )


def memory(accounts: int) -> float:
    make_facts(accounts)
    return float(in_child(__file__, "--job")["megabytes"])


def main(accounts: int) -> None:
    call_command("migrate", verbosity=0)
    call_command("seed_registry", stdout=open(os.devnull, "w"))  # noqa: SIM115
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        print(machine(cursor.fetchone()[0]))
    small = memory(accounts // MORE_ACCOUNTS)
    large = memory(accounts)
    columns = tuple(field.column for field in ProspectCompany._meta.concrete_fields)
    companies = final_rows("prospect_companies", columns, "domain")
    written = final_rows("daily_account_intent", snapshots.WRITTEN, "id")
    scores = {row[snapshots.WRITTEN.index("prospect_company_id")]: row for row in written}
    gc.freeze()  # as the command does; it makes the floor faster too
    least = partial(floor, companies, scores, columns)
    taken = []
    for _ in range(RUNS):  # in turns: a noisy minute then hits the job and its floor alike
        empty()
        of_floor = [seconds(least), seconds(least)]
        empty()
        taken.append([seconds(job), seconds(job), *of_floor])
    first, again, floor_first, floor_again = (median(column) for column in zip(*taken, strict=True))
    domains = [row[columns.index("domain")] for row in companies[:NAIVE]]
    empty_of = ProspectCompany.objects.filter(domain__in=domains)
    DailyAccountIntent.objects.filter(prospect_company__in=empty_of).delete()
    naive_seconds = seconds(lambda: naive(domains))
    for name, took, least in (("first run", first, floor_first), ("re-run", again, floor_again)):
        ratio = f"floor {least:.1f} s; job ÷ floor {took / least:.2f}"
        print(f"{name}: {took:.1f} s, {accounts / took:,.0f} accounts/s; {ratio}")
    per_naive, per_job = naive_seconds / len(domains), first / accounts
    speed = f"{len(domains) / naive_seconds:,.0f} accounts/s of {len(domains):,}"
    print(f"naive: {speed}; naive ÷ job {per_naive / per_job:.1f}")
    print(f"peak memory: {small:.0f} MB at {accounts // MORE_ACCOUNTS:,} accounts, {large:.0f} MB at {accounts:,}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--job"]:
        gc.freeze()
        job()
        print(dumps({"megabytes": peak_megabytes()}).decode())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
