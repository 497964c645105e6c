"""Milliseconds of every dashboard, API and page, against its own SQL, on 100,000 accounts × 30 days. [ACCOUNTS] [RUNS]

One connection, RUNS requests of each address (200), through Django's client: routing, session, filters, reads,
serializers, templates. After each request the very SELECTs that it sent, those for session and user included, are sent
again by a bare cursor that fetches every row: the floor. Both figures are medians (p50) of RUNS in turn. Promised: a
list of the API within 2 × SQL + 15 ms, a page within 2 × SQL + 60 ms, on its first page and with each filter. Substring
searches and page 500 (a tenth of RUNS) and the CSV of everything are stated, not promised.

One account in five has two contacts; there are 2,000 further domains, 500 merged accounts, 5,000 lead requests, and 60
days of facts for the account of the account page. The database's buffer pool is set to hold all of it, as a server of
that size would. Accounts that are there already are used again.
"""

import os
import random
import re
import statistics
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "abm_project.settings")

import django

django.setup()

from _measuring import machine, seconds
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

import abm_project.wsgi  # noqa: F401 - the web's own way with garbage, which a process of tests does not have
from abm_project.access import give_role
from abm_project.models import Snooze
from accounts.models import CompanyDomain, Contact, ContactIdentity, ProspectCompany
from ingestion.models import ActivityDay, LeadRequest
from registry import revisions
from registry.columns import new_id
from registry.loader import load_registry
from registry.models import ScoreConfig
from scoring.models import DailyAccountIntent

ACCOUNTS, DAYS, RUNS, BATCH = 100_000, 30, 200, 2_000
MERGED, FURTHER, LEADS, OWNERS, SNOOZED = 500, 2_000, 5_000, 10, 20
BUFFER_POOL = 6 << 30
THROUGH = date(2026, 11, 21)
LANES = ("private_office", "event_space", "meeting_rooms", "coworking", "virtual_office", "training_rooms", "other")
CATEGORIES = ("pricing", "security", "integrations", "service_page", "case_study", "docs", "blog", "comparison")
BESIDES = {"api": 15.0, "page": 60.0}  # ms that may come to twice the SQL
TABLES = (ProspectCompany, DailyAccountIntent, Contact, ContactIdentity, CompanyDomain, LeadRequest, Snooze)


# --- 100,000 accounts -------------------------------------------------------------------------------------------------
def insert(rows: Iterable[Mapping[str, Any]], alike: Model) -> None:
    """Rows like `alike` but for the columns given, many in one statement."""
    fields = [field for field in alike._meta.concrete_fields if field.column]
    same = {field.column: field.get_db_prep_save(field.pre_save(alike, add=True), connection) for field in fields}
    columns = ", ".join(f"`{column}`" for column in same)
    statement = f"INSERT INTO {alike._meta.db_table} ({columns}) VALUES ({', '.join(['%s'] * len(same))})"
    batch: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        for row in rows:
            batch.append(tuple((same | {"id": str(new_id())} | row)[column] for column in same))
            if len(batch) == BATCH:
                cursor.executemany(statement, batch)
                batch.clear()
        if batch:
            cursor.executemany(statement, batch)


def make_accounts(count: int, owners: list[int]) -> list[dict[str, Any]]:
    """As rows, the highest score first; written in another order, since companies come by when they were first seen."""
    pick = random.Random(7)
    rows = []
    for number in range(count):
        score = min(100, int(pick.expovariate(1 / 18)))
        ratio = round(pick.lognormvariate(-0.3, 0.6), 3)
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
                "score_7d_raw": score * pick.random(),
                "score_30d_raw": score * 3 + pick.random(),
                "unique_people_7d": pick.randrange(12),
                "last_seen_at": at(THROUGH - timedelta(days=pick.randrange(40))) - timedelta(seconds=number),
                "suppressed_as": "" if pick.random() < 0.97 else "customer",
            }
        )
    insert(rows, ProspectCompany(name="", snapshot_date=THROUGH))
    return sorted(rows, key=lambda row: (-row["intent_score"], -row["score_30d_raw"]))


def make_snapshots(accounts: list[dict[str, Any]]) -> None:
    """The newest day's from here, the days before by the server from those: a little up or down."""
    shared = ("intent_score", "intent_stage", "surge_ratio", "surge_level", "top_lane", "top_lane_30d")
    snapshot = DailyAccountIntent(
        prospect_company_id=accounts[0]["id"],
        date=THROUGH,
        score_config=ScoreConfig.objects.get(status="active"),
        registry_revision=revisions.record(load_registry(), {}),
        raw_score_7d=12.5,
        raw_score_prev_7d=8.0,
        raw_score_30d=40.0,
        unique_people_7d=3,
        lane_scores_7d_json=dict.fromkeys(LANES[:3], 4.25),
        lane_scores_30d_json=dict.fromkeys(LANES, 9.5),
        top_categories_7d_json={name: {"count": 8 - n, "score": 20.5 - n} for n, name in enumerate(CATEGORIES)},
        top_pages_7d_json={f"/services/private_office/{n}": 9 - n for n in range(8)},
        key_events_7d_json={"page_view:pricing": 3, "page_view:security": 1},
        why_hot_json=["3× Pricing", "1× Security", "1× Integrations"],
    )
    insert(
        (
            {name: row[name] for name in shared}
            | {"prospect_company_id": row["id"], "date": f"{THROUGH}", "id": snapshot_id(THROUGH, number)}
            for number, row in enumerate(accounts)
        ),
        snapshot,
    )
    told = "LEAST(100, GREATEST(3, intent_score) + CRC32(CONCAT(id, %s)) %% 7 - 3)"
    changed = {
        "id": "CONCAT(%s, RIGHT(id, 12))",
        "date": "%s",
        "intent_score": told,
        "intent_stage": f"CASE WHEN {told} > 69 THEN 'Hot' WHEN {told} > 34 THEN 'Warm' ELSE 'Cold' END",
        "surge_level": "ELT(1 + (CRC32(CONCAT(id, %s)) %% 40 > 36) + (CRC32(CONCAT(id, %s)) %% 40 = 39),"
        " surge_level, 'Surging', 'Exploding')",
    }
    columns = [field.column for field in DailyAccountIntent._meta.concrete_fields]
    select = ", ".join(changed.get(column, f"`{column}`") for column in columns)
    names = ", ".join(f"`{column}`" for column in columns)
    with connection.cursor() as cursor:
        for age in range(DAYS - 1, 0, -1):
            day = THROUGH - timedelta(days=age)
            values: dict[str, list[Any]] = {"id": [snapshot_id(day, 0)[:-12]], "date": [day], "intent_score": [age]}
            values |= {"intent_stage": [age, age], "surge_level": [age, age]}
            given = [value for column in columns for value in values.get(column, [])]
            cursor.execute(
                f"INSERT INTO daily_account_intent ({names}) SELECT {select} FROM daily_account_intent"
                " WHERE date = %s ORDER BY id",
                [*given, THROUGH],
            )


def snapshot_id(day: date, number: int) -> str:
    """As a UUIDv7 has it: those of a night stand together, after those of the night before."""
    milliseconds = f"{int(at(day).timestamp() * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{number:012x}"


def make_people(accounts: list[dict[str, Any]]) -> None:
    pick = random.Random(8)
    ids = [row["id"] for row in accounts]
    first = ("Ada", "Bea", "Cy", "Dov", "Eli", "Fay", "Gus", "Ida")
    contacts = [
        {
            "id": str(new_id()),
            "prospect_company_id": id,
            "email": f"{who}@{number}.example",
            "first_name": pick.choice(first),
            "last_name": f"Person{number}",
            "title": pick.choice(("Head of Workplace", "Office Manager", "")),
            "last_seen_at": at(THROUGH - timedelta(days=pick.randrange(60))) if pick.random() < 0.7 else None,
            "top_categories_7d_json": pick.choice(('["pricing", "docs"]', '["blog"]', "[]")),
        }
        for number, id in enumerate(ids[::5])
        for who in "ab"
    ]
    insert(contacts, Contact(prospect_company_id=ids[0]))
    insert(
        ({"contact_id": row["id"], "identity_value": row["id"]} for row in contacts[::2]),
        ContactIdentity(identity_type="posthog_distinct_id", contact_id=contacts[0]["id"]),
    )


def make_the_rest(accounts: list[dict[str, Any]], viewer: User) -> None:
    ids = [row["id"] for row in accounts]
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
            {
                "prospect_company_id": row["id"],
                "account_key": row["domain"],
                "submitted_at": at(THROUGH - timedelta(days=number % 60)),
                "status": ("new", "working", "qualified")[number % 3],
                "lead_score": number % 101,
            }
            for number, row in enumerate(accounts[: LEADS * 3 : 3])  # not only the first page's
        ),
        LeadRequest(work_email="a@b.example"),
    )
    insert(({"prospect_company_id": id} for id in ids[5 : 5 + SNOOZED]), Snooze(user=viewer, until=date(2099, 1, 1)))
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


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def make_all(count: int) -> None:
    call_command("seed_registry", stdout=StringIO())
    users = [User.objects.create_user(f"sales{n}") for n in range(OWNERS)]
    give_role(users[0], "internal_admin")
    accounts = make_accounts(count, [user.pk for user in users])
    make_snapshots(accounts)
    make_people(accounts)
    make_the_rest(accounts, users[0])
    with connection.cursor() as cursor:
        for model in TABLES:
            cursor.execute(f"ANALYZE TABLE {model._meta.db_table}")
            cursor.fetchall()


# --- What is measured -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Read:
    address: str
    promised: bool = True

    @property
    def kind(self) -> str:
        return "api" if self.address.startswith("/api/") else "page"


LIST = ("", "stage=Hot", "surge=Exploding", "lane=private_office", "range=30d&lane=private_office", "owner=me")
LIST += ("suppressed=1", "snoozed=1", "ordering=name", "ordering=-last_seen_at", "ordering=-surge_ratio")
PEOPLE = ("", "range=7d", "lane=private_office", "category=pricing", "owner=me", "ordering=name")
STATED = ("search=acme7", "search=nobody-has-this", "page=500")


def reads() -> list[Read]:
    account = ProspectCompany.objects.listed().order_by("-intent_score", "-score_30d_raw", "domain").first()
    assert account is not None
    api, one = "/api/abm", f"/api/abm/accounts/{account.pk}"
    lists = [(f"{api}/accounts", LIST), ("/", LIST), (f"{api}/people", PEOPLE), ("/people", PEOPLE)]
    found = [Read(asked(path, query)) for path, queries in lists for query in queries]
    found += [Read(f"{api}/people?account_id={account.pk}"), Read(f"/people?account={account.domain}")]
    for path in (f"{api}/lanes", "/lanes"):
        found += [Read(path), Read(f"{path}?range=30d"), Read(f"{path}?lane=private_office")]
    for path in (f"{api}/movers", "/movers"):
        found += [Read(path), Read(f"{path}?owner=me")]
    found += [Read(one), Read(f"{one}/explain"), Read(f"/accounts/{account.domain}")]
    found += [Read(f"{api}/lead-requests"), Read(f"{api}/lead-requests?status=new")]
    for path in (f"{api}/accounts", "/"):
        found += [Read(asked(path, query), promised=False) for query in STATED]
    found += [Read(f"{api}/people?{query}", promised=False) for query in ("search=person77", "page=500")]
    return found


def asked(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def selects(client: Client, address: str) -> list[str]:
    """The very SELECTs of a request, as they were sent."""
    with CaptureQueriesContext(connection) as captured:
        get(client, address)
    return [query["sql"] for query in captured.captured_queries if query["sql"].startswith("SELECT")]


def get(client: Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    response.getvalue()


def send(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)  # without parameters: a % in it is a %
            cursor.fetchall()


def measure(client: Client, read: Read, runs: int) -> bool:
    """Whether it is as promised."""
    statements = selects(client, read.address)
    get(client, read.address)
    taken = [
        (seconds(lambda: get(client, read.address)), seconds(lambda: send(statements)))
        for _ in range(runs if read.promised else max(1, runs // 10))
    ]
    whole, sql = (1_000 * statistics.median(own) for own in zip(*taken, strict=True))
    bound = 2 * sql + BESIDES[read.kind]
    kept = whole <= bound
    said = "stated" if not read.promised else "ok" if kept else "LATE"
    shown = re.sub(r"[0-9a-f-]{36}", "<id>", read.address)
    print(f"{shown:52} {whole:7,.1f} ms {sql:7,.1f} ms {bound:7,.1f} ms {len(statements):4}  {said}", flush=True)
    return kept or not read.promised


def measure_csv(client: Client, address: str) -> None:
    """Rows a second, and the most memory it took beyond what was held before."""
    rows, held = 0, peak_since_reset()
    took = seconds(lambda: None)

    def stream() -> None:
        nonlocal rows
        for chunk in client.get(address):
            rows += chunk.count(b"\n")

    took = seconds(stream)
    beyond = peak_since_reset() - held
    print(f"{address:52} {rows:9,} rows {took:6,.1f} s {rows / took:8,.0f} rows/s, at most {beyond:,.0f} MB more")


def peak_since_reset() -> float:
    """The most memory of this process since the last call, in MB."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main(count: int, runs: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        print(machine(cursor.fetchone()[0]))
        cursor.execute(f"SET GLOBAL innodb_buffer_pool_size = {BUFFER_POOL}")
    call_command("migrate", verbosity=0)
    if not ProspectCompany.objects.exists():
        print(f"making them took {seconds(lambda: make_all(count)):,.0f} s")
    print(f"accounts: {ProspectCompany.objects.count():,}, snapshots: {DailyAccountIntent.objects.count():,}")
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(username="sales0"))
    print(f"{'':52} {'request':>10} {'SQL':>10} {'bound':>10} {'SELECTs':>7}   medians of {runs}")
    late = [read.address for read in reads() if not measure(client, read, runs)]
    for address in ("/accounts.csv?stage=Hot", "/accounts.csv", "/api/abm/people.csv"):
        measure_csv(client, address)
    print(f"later than promised: {', '.join(late) or 'none'}")


if __name__ == "__main__":
    given = [int(arg.replace("_", "").replace(",", "")) for arg in sys.argv[1:]]
    main(*(given + [ACCOUNTS, RUNS][len(given) :]))
