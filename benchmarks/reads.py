"""Milliseconds and queries of the two pages and a CSV, through Django's client, on 100,000 accounts. [ACCOUNTS]

The 5,000 accounts with the highest scores have 30 snapshots each and the rest one, since only a page that shows an
account reads its past: 245,000 snapshots instead of 3,000,000. One account in five has two contacts; there are 2,000
further domains, 500 merged accounts, 5,000 lead requests, and 60 days of facts for the account of the account page.
The floor of a page is a bare cursor that reads the same accounts and their snapshots of 30 days. Each figure is the
median of three after one that warms up. The queries of a request count its session and its user.
"""

import os
import random
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "abm_project.settings")

import django

django.setup()

from _measuring import RUNS, machine, medians
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from abm_project.access import give_role
from accounts.models import CompanyDomain, Contact, ProspectCompany
from ingestion.models import ActivityDay, LeadRequest
from registry import revisions
from registry.columns import new_id
from registry.loader import load_registry
from registry.models import ScoreConfig
from scoring.models import DailyAccountIntent

ACCOUNTS, WITH_PAST, DAYS, BATCH = 100_000, 5_000, 30, 2_000
MERGED, FURTHER, LEADS, OWNERS = 500, 2_000, 5_000, 10
THROUGH = date(2026, 11, 21)
SINCE = THROUGH - timedelta(days=DAYS)
LANES = ("private_office", "event_space", "meeting_rooms", "coworking", "virtual_office", "")
LISTED = "snapshot_date IS NOT NULL AND merged_into_id IS NULL AND suppressed_as = ''"
PROMISED = 300  # ms


# --- 100,000 accounts -------------------------------------------------------------------------------------------------
def insert(rows: Iterable[Mapping[str, Any]], alike: Model) -> None:
    """Rows like `alike` but for the columns given, many in one statement."""
    fields = [field for field in alike._meta.concrete_fields if field.column]
    same = {field.column: field.get_db_prep_save(field.pre_save(alike, add=True), connection) for field in fields}
    columns = ", ".join(f"`{column}`" for column in same)
    statement = f"INSERT INTO {alike._meta.db_table} ({columns}) VALUES ({', '.join(['%s'] * len(same))})"
    found = [tuple((same | {"id": str(new_id())} | row)[column] for column in same) for row in rows]
    with connection.cursor() as cursor:
        for start in range(0, len(found), BATCH):
            cursor.executemany(statement, found[start : start + BATCH])


def make_accounts(count: int, owners: list[int]) -> list[dict[str, Any]]:
    """As rows, the highest score first; written in another order, since companies come by when they were first seen."""
    pick = random.Random(7)
    rows = []
    for number in range(count):
        score = min(100, int(pick.expovariate(1 / 18)))
        ratio = round(pick.lognormvariate(0, 0.7), 3)
        rows.append(
            {
                "id": str(new_id()),
                "domain": f"{pick.choice(('north', 'south', 'blue', 'acme'))}{number}.example",
                "name": f"{pick.choice(('Northern', 'Southern', 'Blue', 'Acme'))} Works {number}",
                "owner_id": pick.choice(owners),
                "intent_score": score,
                "intent_stage": "Cold" if score <= 34 else "Warm" if score <= 69 else "Hot",
                "surge_ratio": ratio,
                "surge_level": "Normal" if ratio < 1.5 else "Surging" if ratio < 2.5 else "Exploding",
                "top_lane": pick.choice(LANES),
                "top_lane_30d": pick.choice(LANES),
                "score_30d_raw": score * 3 + pick.random(),
                "suppressed_as": "" if pick.random() < 0.97 else "customer",
            }
        )
    insert(rows, ProspectCompany(name="", snapshot_date=THROUGH, score_7d_raw=12.5, last_seen_at=at(THROUGH)))
    return sorted(rows, key=lambda row: (-row["intent_score"], -row["score_30d_raw"]))


def make_the_rest(accounts: list[dict[str, Any]]) -> None:
    shared = ("intent_score", "intent_stage", "surge_ratio", "surge_level", "top_lane", "top_lane_30d")
    revision = revisions.record(load_registry(), {})
    snapshot = DailyAccountIntent(
        prospect_company_id=accounts[0]["id"],
        date=THROUGH,
        score_config=ScoreConfig.objects.get(status="active"),
        registry_revision=revision,
        raw_score_7d=12.5,
        raw_score_prev_7d=8.0,
        raw_score_30d=40.0,
        unique_people_7d=3,
        lane_scores_7d_json=dict.fromkeys(LANES, 4.0),
        top_pages_7d_json={f"/pricing/{n}": 9 - n for n in range(5)},
        why_hot_json=["12× Pricing", "Surge 2.1× over last week", "3 people this week"],
    )
    insert(
        (
            {name: row[name] for name in shared}
            | {"prospect_company_id": row["id"], "date": (THROUGH - timedelta(days=age)).isoformat()}
            for rank, row in enumerate(accounts)
            for age in range(DAYS if rank < WITH_PAST else 1)
        ),
        snapshot,
    )
    ids = [row["id"] for row in accounts]
    insert(
        ({"prospect_company_id": id, "email": f"{who}@{n}.example"} for n, id in enumerate(ids[::5]) for who in "ab"),
        Contact(prospect_company_id=ids[0]),
    )
    insert(
        ({"prospect_company_id": id, "domain": f"further{n}.example"} for n, id in enumerate(ids[:FURTHER])),
        CompanyDomain(prospect_company_id=ids[0]),
    )
    insert(
        ({"merged_into_id": id, "domain": f"merged{n}.example"} for n, id in enumerate(ids[:MERGED])),
        ProspectCompany(name="Merged"),
    )
    insert(
        (
            {"prospect_company_id": row["id"], "account_key": row["domain"]}
            for row in accounts[: LEADS * 3 : 3]  # not only the first page's
        ),
        LeadRequest(submitted_at=at(THROUGH - timedelta(days=3)), work_email="a@b.example"),
    )
    cells = [["page_view", "pricing", lane, "", f"/pricing/{n}", n + 1] for lane in sorted(LANES) for n in range(4)]
    ActivityDay.objects.bulk_create(
        ActivityDay(
            account_key=accounts[0]["domain"],
            date=THROUGH - timedelta(days=age),
            cells_json=cells,
            people_json=["0123456789ab"],
            last_seen_at=at(THROUGH),
        )
        for age in range(60)
    )
    with connection.cursor() as cursor:
        for model in (ProspectCompany, DailyAccountIntent, Contact, CompanyDomain, LeadRequest):
            cursor.execute(f"ANALYZE TABLE {model._meta.db_table}")
            cursor.fetchall()


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


# --- What is measured -------------------------------------------------------------------------------------------------
@dataclass
class Read:
    address: str
    floor: Callable[[], object]
    promised: bool = True


def rows_of(
    where: str = "",
    *params: object,
    order: str = "intent_score DESC, score_30d_raw DESC, domain",
    limit: int = 50,
    offset: int = 0,
) -> Callable[[], object]:
    """A bare cursor that reads a page's accounts and their snapshots of 30 days."""
    accounts = f"SELECT * FROM prospect_companies WHERE {LISTED} {where} ORDER BY {order} LIMIT {limit} OFFSET {offset}"

    def floor() -> None:
        with connection.cursor() as cursor:
            cursor.execute(accounts, params)
            ids = [row[0] for row in cursor.fetchall()]
            for start in range(0, len(ids), 500):
                snapshots_of(cursor, ids[start : start + 500])

    return floor


def snapshots_of(cursor: Any, ids: list[str]) -> None:
    cursor.execute(
        "SELECT prospect_company_id, date, intent_score, why_hot_json FROM daily_account_intent"
        " WHERE prospect_company_id IN %s AND date >= %s",
        [tuple(ids), SINCE],
    )
    cursor.fetchall()


def account_of(domain: str) -> Callable[[], object]:
    def floor() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM prospect_companies WHERE domain = %s", [domain])
            snapshots_of(cursor, [cursor.fetchone()[0]])
            cursor.execute("SELECT * FROM activity_days WHERE account_key = %s AND date >= %s", [domain, SINCE])
            cursor.fetchall()

    return floor


def reads(accounts: list[dict[str, Any]]) -> list[Read]:
    last = (len(accounts) * 96 // 100) // 50  # most are listed
    middle = min(1_000, last)
    lane = "private_office"
    like = "AND (name LIKE %s OR domain LIKE %s)"
    domain = next(row["domain"] for row in accounts if not row["suppressed_as"])
    return [
        Read("/", rows_of()),
        Read("/?stage=Hot", rows_of("AND intent_stage = 'Hot'")),
        Read("/?search=acme7", rows_of(like, "%acme7%", "%acme7%")),
        Read("/?search=nobody-has-this", rows_of(like, "%nobody-has-this%", "%nobody-has-this%")),
        Read(f"/?range=30d&lane={lane}", rows_of("AND top_lane_30d = %s", lane)),
        Read("/?ordering=name", rows_of(order="LOWER(name), intent_score DESC, score_30d_raw DESC, domain")),
        Read(f"/?page={middle}", rows_of(offset=50 * (middle - 1))),
        Read(f"/accounts/{domain}", account_of(domain)),
        Read("/accounts.csv?stage=Hot", rows_of("AND intent_stage = 'Hot'", limit=10**9), promised=False),
    ]


def main(count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        print(machine(cursor.fetchone()[0]))
    call_command("migrate", verbosity=0)
    call_command("seed_registry", stdout=StringIO())
    users = [User.objects.create_user(f"sales{n}") for n in range(OWNERS)]
    give_role(users[0], "sales")
    accounts = make_accounts(count, [user.pk for user in users])
    make_the_rest(accounts)
    print(f"accounts: {count:,}, snapshots: {DailyAccountIntent.objects.count():,}")
    client = Client(headers={"host": "localhost"})
    client.force_login(users[0])

    def get(address: str) -> None:
        response = client.get(address)
        assert response.status_code == 200, (address, response.status_code)
        response.getvalue()

    print(f"{'':32} {'page':>9} {'floor':>9} {'ratio':>6} {'queries':>8} {'slowest':>9}   medians of {RUNS}")
    late = []
    for read in reads(accounts):
        with CaptureQueriesContext(connection) as captured:
            get(read.address)
        asked = captured.captured_queries  # now, before the next request clears them
        read.floor()
        page, floor = (1_000 * took for took in medians(lambda read=read: get(read.address), read.floor))
        slowest = max(asked, key=lambda query: float(query["time"]))
        print(
            f"{read.address:32} {page:6,.0f} ms {floor:6,.0f} ms {page / floor:6.1f} {len(asked):8,}"
            f" {1_000 * float(slowest['time']):6,.0f} ms"
        )
        if read.promised and page > PROMISED:
            late.append(read.address)
    print(f"promised: {PROMISED} ms a page; later: {', '.join(late) or 'none'}")


if __name__ == "__main__":
    main(int(sys.argv[1].replace("_", "").replace(",", "")) if sys.argv[1:] else ACCOUNTS)
