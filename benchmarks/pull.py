"""The pull from PostHog against its floor: the same bytes fetched and decoded, the same rows upserted by a bare cursor.

`./dev bench pull [ACCOUNTS]`, default 2,000 accounts a day over 30 days, five events each, from the stand-in into
MariaDB. The floor asks the same questions in the same order, one after the other, and commits once a day like the pull.
"""

import os
import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "abm_project.settings")

import django

django.setup()

import orjson
import requests
from _measuring import RUNS, machine, medians, peak_megabytes, upsert_sql
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from ingestion.models import ActivityDay
from ingestion.posthog import connect
from ingestion.pull import pull
from tests.posthog_standin import PostHog

DAYS, CELLS = 30, 5
NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
PAGES = ("/pricing", "/security", "/docs/a", "/blog/b", "/integrations", "/services/events", "/", "/x")
COLUMNS = ("account_key", "date", "cells_json", "people_json", "last_seen_at", "paths_cut")


def send(posthog: PostHog, accounts: int) -> None:
    pick = random.Random(7)
    for age in range(DAYS):
        midnight = NOW.replace(hour=0) - timedelta(days=age + 1)
        posthog.capture(
            [
                {
                    "event": "page_view",
                    "distinct_id": f"u{pick.randrange(10 * accounts)}",
                    "timestamp": (midnight + timedelta(seconds=pick.randrange(86_400))).isoformat(),
                    "properties": {
                        "$pathname": f"{pick.choice(PAGES)}/{pick.randrange(50)}",
                        "$groups": {"company": f"c{number:06}.example"},
                    },
                }
                for number in range(accounts)
                for _ in range(CELLS)
            ]
        )


def job() -> None:
    days = sorted((NOW - timedelta(days=age + 1)).date() for age in range(DAYS))
    for _ in pull(connect(), days, NOW):
        pass


def floor(asked: list[tuple[str, bytes | None]], rows: dict[Any, list[tuple[Any, ...]]]) -> None:
    """Every question once more, and the rows of a day after the questions of each day."""
    session = requests.Session()
    headers = {"Authorization": f"Bearer {settings.POSTHOG_API_KEY}", "Content-Type": "application/json"}
    days = sorted(rows)
    upsert = upsert_sql("activity_days", COLUMNS)
    each = -(-len(asked) // len(days))
    for number, day in enumerate(days):
        for url, body in asked[number * each : (number + 1) * each]:
            answer = session.request("POST" if body else "GET", url, data=body, headers=headers)
            orjson.loads(answer.content)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(upsert, rows[day])


def main(accounts: int) -> None:
    call_command("migrate", verbosity=0)
    call_command("seed_registry", stdout=open(os.devnull, "w"))  # noqa: SIM115
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        print(machine(cursor.fetchone()[0]))
    with PostHog(per_minute=None, per_hour=None) as posthog:
        settings.POSTHOG_HOST, settings.POSTHOG_API_KEY = posthog.url, posthog.api_key
        settings.POSTHOG_PROJECT_ID = str(posthog.project_id)
        send(posthog, accounts)
        posthog.forget_requests()
        job()
        sent = posthog.requests
        asked = [(posthog.url + it.path, orjson.dumps(it.body) if it.method == "POST" else None) for it in sent]
        taken = medians(fresh(job), job, fresh(partial(floor, asked, stored_rows())), runs=RUNS)
    rows, size = ActivityDay.objects.count(), sum(it.answer_bytes for it in sent)
    print(f"{rows:,} account days of {CELLS} events, {len(sent)} requests, {size / 1e6:.1f} MB of answers")
    for name, took in zip(("first pull", "second pull"), taken, strict=False):
        print(f"{name}: {took:.2f} s, {rows / took:,.0f} account days/s; job ÷ floor {took / taken[-1]:.2f}")
    print(f"floor: {taken[-1]:.2f} s; peak memory of the job and this bench {peak_megabytes():.0f} MB")


def stored_rows() -> dict[Any, list[tuple[Any, ...]]]:
    rows: dict[Any, list[tuple[Any, ...]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM activity_days ORDER BY account_key, date")
        for row in cursor:
            rows.setdefault(row[1], []).append(row)
    return rows


def fresh(work: Callable[[], None]) -> Callable[[], None]:
    """The work on empty tables; emptying them is a part of each alike."""

    def once() -> None:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE TABLE activity_days")
            cursor.execute("TRUNCATE TABLE activity_pulls")
        work()

    return once


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
