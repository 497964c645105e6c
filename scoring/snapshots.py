"""The one writer of `daily_account_intent` and of the summary columns of accounts.

It is called inside the transaction that holds the accounts' locks, and writes only rows whose values changed, so that
a second run leaves every row, id and timestamp as it was. Rows are written by a bare cursor, many in a statement:
building model instances takes longer than the database does (docs/decisions/0015).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Max
from django.db.models.constants import OnConflict
from orjson import dumps

from accounts.models import ProspectCompany
from registry.columns import new_id
from registry.models import RegistryRevision
from scoring.engine import AccountScore
from scoring.models import DailyAccountIntent, JobRun

SNAPSHOTS, COMPANIES = DailyAccountIntent._meta.db_table, ProspectCompany._meta.db_table
SCORED = tuple(column.name for column in fields(AccountScore))
JSON = frozenset(name for name in SCORED if name.endswith("_json"))
# A snapshot is rewritten when one of these differs from what is stored.
COMPARED = (*SCORED, "score_config_id", "registry_revision_id", "is_provisional")
REWRITTEN = (*COMPARED, "job_run_id", "updated_at")
WRITTEN = (*REWRITTEN, "id", "prospect_company_id", "date", "created_at")
# Summary column of the account ← column of the snapshot.
SUMMARY = {
    "snapshot_date": "date",
    "intent_score": "intent_score",
    "intent_stage": "intent_stage",
    "surge_level": "surge_level",
    "surge_ratio": "surge_ratio",
    "top_lane": "top_lane",
    "top_lane_30d": "top_lane_30d",
    "score_7d_raw": "raw_score_7d",
    "score_30d_raw": "raw_score_30d",
    "unique_people_7d": "unique_people_7d",
    "is_new": "is_new",
}
OPENED = (
    *("id", "domain", "name", "name_source", "suppressed_as"),
    *(*SUMMARY, "last_seen_at"),
    *("score_updated_at", "created_at", "updated_at"),
)
UNSCORED = (*(ProspectCompany._meta.get_field(name).get_default() for name in SUMMARY), None)
DOMAIN, LEAD = ProspectCompany.NameSource.DOMAIN.value, ProspectCompany.NameSource.LEAD.value
# The summary's values (but the date) among those of a snapshot.
summary_of = itemgetter(*(SCORED.index(name) for name in (*SUMMARY.values(), "last_seen_at") if name != "date"))


@dataclass(frozen=True)
class Stamp:
    """What every snapshot of a run carries besides its values."""

    date: date
    revision: RegistryRevision
    score_config_id: str
    run: JobRun | None
    now: datetime
    is_provisional: bool = False


@dataclass
class Written:
    """What a batch did, or would do."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    kept: int = 0  # past snapshots left alone
    removed: int = 0

    def __add__(self, other: "Written") -> "Written":
        return Written(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Account:
    """What a batch needs of an account: a locked one, or one that is opened with the batch."""

    id: UUID
    domain: str
    snapshot_date: date | None = None
    score_30d_raw: float = 0.0
    suppressed_as: str = ""
    is_open: bool = False


def record(
    scores: Sequence[tuple[Account, AccountScore]],
    stamp: Stamp,
    *,
    rewrite: bool,
    write: bool = True,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Written:
    """Store a batch of scores of locked accounts. A stored snapshot is replaced only if `rewrite`, or provisional.

    Accounts that are not there yet are inserted with the summary of their first snapshot: written once, not empty
    first. `names`: organisations by domain, where a lead wrote one.
    """
    ids = [column(account.id) for account, _ in scores]
    known = stored(stamp.date, [id for id, (account, _) in zip(ids, scores, strict=True) if account.is_open])
    stamped = (column(UUID(stamp.score_config_id)), column(stamp.revision.pk), stamp.is_provisional)
    run, now = column(stamp.run.pk) if stamp.run else None, column(stamp.now)
    done, rows, moved, opened = Written(), [], [], []
    for id, (account, score) in zip(ids, scores, strict=True):
        compared = (*values(score), *stamped)
        old_id, old, old_is_provisional = known.get(id, (None, None, True))
        if not rewrite and not old_is_provisional:
            done.kept += 1
            continue
        if old == compared:
            done.unchanged += 1
        else:
            done.created += old is None
            done.changed += old is not None
            rows.append((*compared, run, now, old_id or column(new_id()), id, stamp.date, now))
        if not account.is_open:
            opened.append((id, *called(account, names), stamp.date, *summary_of(compared), now, now, now))
        elif old != compared or account.snapshot_date != stamp.date:
            moved.append(id)
    if write:
        insert(opened)
        upsert(rows)
        summarise(moved, stamp.date, now)
    return done


def open_unscored(accounts: Sequence[Account], names: Mapping[str, str], now: datetime) -> None:
    """Insert accounts that have no score, because they are suppressed."""
    at = column(now)
    insert([(column(account.id), *called(account, names), *UNSCORED, None, at, at) for account in accounts])


def called(account: Account, names: Mapping[str, str]) -> tuple[str, str, str, str]:
    name = names.get(account.domain, "")
    return account.domain, name or account.domain, LEAD if name else DOMAIN, account.suppressed_as


def insert(rows: Sequence[tuple[Any, ...]]) -> None:
    """New accounts. IntegrityError when somebody opened one of them just now."""
    if rows:
        marks = ", ".join(["%s"] * len(OPENED))
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {COMPANIES} ({', '.join(OPENED)}) VALUES ({marks})", rows)


_scored = attrgetter(*SCORED)


def values(score: AccountScore) -> tuple[Any, ...]:
    """The score's values as the database takes and gives them."""
    return tuple(
        [
            dumps(value).decode() if name in JSON else value if type(value) is not datetime else column(value)
            for name, value in zip(SCORED, _scored(score), strict=True)
        ]
    )


def column(value: Any) -> Any:
    """A key or a moment as a bare cursor takes it; what the backends' own adapters would make of it."""
    if isinstance(value, UUID):
        return str(value) if connection.features.has_native_uuid_field else value.hex
    return connection.ops.adapt_datetimefield_value(value)


def stored(day: date, ids: Collection[Any]) -> dict[Any, tuple[Any, tuple[Any, ...], bool]]:
    """The snapshots of these accounts on a day: account → (id, what is compared, provisional?)."""
    if not ids:
        return {}
    marks = ", ".join(["%s"] * len(ids))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT prospect_company_id, id, {', '.join(COMPARED)} FROM {SNAPSHOTS}"
            f" WHERE date = %s AND prospect_company_id IN ({marks})",
            [day, *ids],
        )
        return {account: (id, tuple(as_stored(value) for value in row), bool(row[-1])) for account, id, *row in cursor}


def as_stored(value: Any) -> Any:
    return column(value.replace(tzinfo=UTC)) if isinstance(value, datetime) else value


def upsert(rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert snapshots, or replace what may change of those that exist. Rows come in the order of their accounts."""
    if not rows:
        return
    conflict = connection.ops.on_conflict_suffix_sql(
        WRITTEN, OnConflict.UPDATE, REWRITTEN, ("prospect_company_id", "date")
    )
    marks = ", ".join(["%s"] * len(WRITTEN))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {SNAPSHOTS} ({', '.join(WRITTEN)}) VALUES ({marks}) {conflict}", rows)


def summarise(ids: Sequence[Any], day: date, now: Any) -> None:
    """Copy the snapshots' summary onto their accounts: in the database, in one statement, and only forward in time.

    A silent account's last visit is older than the window; what is known of it stays.
    """
    if not ids:
        return
    of = "" if connection.vendor == "sqlite" else "c."  # SQLite wants the bare name, a joined UPDATE the full one
    copied = [f"{of}{mine} = s.{its}" for mine, its in SUMMARY.items()]
    seen = "COALESCE(s.last_seen_at, c.last_seen_at)"
    setting = ", ".join([*copied, f"{of}last_seen_at = {seen}", f"{of}score_updated_at = %s", f"{of}updated_at = %s"])
    joined = "s.prospect_company_id = c.id AND s.date = %s"
    which = f"c.id IN ({', '.join(['%s'] * len(ids))}) AND (c.snapshot_date IS NULL OR c.snapshot_date <= s.date)"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            sql = f"UPDATE {COMPANIES} AS c SET {setting} FROM {SNAPSHOTS} AS s WHERE {joined} AND {which}"
            cursor.execute(sql, [now, now, day, *ids])
        else:
            sql = f"UPDATE {COMPANIES} AS c JOIN {SNAPSHOTS} AS s ON {joined} SET {setting} WHERE {which}"
            cursor.execute(sql, [day, now, now, *ids])


def remove(day: date, companies: Any, *, write: bool = True) -> Written:
    """Take out the snapshots of accounts that are no longer scored (merged or suppressed) from a rewritten date."""
    rows = DailyAccountIntent.objects.filter(date=day, prospect_company__in=companies)
    return Written(removed=rows.delete()[0] if write else rows.count())


def fall_back(companies: Sequence[UUID]) -> None:
    """Accounts whose newest snapshot was taken out show the one before it, or no score where there is none."""
    for company in companies:
        snapshots = DailyAccountIntent.objects.filter(prospect_company=company)
        latest = snapshots.order_by("-date").values_list(*SUMMARY.values()).first() or UNSCORED[:-1]
        seen = snapshots.aggregate(last=Max("last_seen_at"))["last"]
        shown = dict(zip(SUMMARY, latest, strict=True))
        ProspectCompany.objects.filter(pk=company).update(**shown, last_seen_at=seen)
