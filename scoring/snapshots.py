"""The one writer of `daily_account_intent` and of the summary columns of accounts.

It is called inside the transaction that holds the accounts' locks, and writes only rows whose values changed, so that
a second run leaves every row, id and timestamp as it was.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model

from accounts.models import ProspectCompany
from registry.models import RegistryRevision
from scoring.engine import AccountScore
from scoring.models import DailyAccountIntent, JobRun

SCORED = tuple(column.name for column in fields(AccountScore))
COMPARED = (*SCORED, "score_config_id", "registry_revision_id", "is_provisional")
WRITTEN = (*SCORED, "score_config", "registry_revision", "is_provisional", "job_run", "updated_at")
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


def record(
    scores: Sequence[tuple[ProspectCompany, AccountScore]], stamp: Stamp, *, rewrite: bool, write: bool = True
) -> Written:
    """Store a batch of scores of locked accounts. A stored snapshot is replaced only if `rewrite`, or provisional."""
    stored = {
        row.prospect_company_id: row
        for row in DailyAccountIntent.objects.filter(
            date=stamp.date, prospect_company__in=[company.pk for company, _ in scores]
        )
    }
    done, rows, published = Written(), [], []
    for company, score in scores:
        row = DailyAccountIntent(prospect_company=company, date=stamp.date, **values(score, stamp))
        old = stored.get(company.pk)
        if old is not None and not rewrite and not old.is_provisional:
            done.kept += 1
            continue
        published.append((company, score))
        if old is None:
            done.created += 1
            rows.append(row)
        elif same(old, row):
            done.unchanged += 1
        else:
            done.changed += 1
            row.pk = old.pk
            rows.append(row)
    if write:
        upsert(DailyAccountIntent, rows, ("prospect_company", "date"), WRITTEN)
        summarise(published, stamp)
    return done


def values(score: AccountScore, stamp: Stamp) -> dict[str, Any]:
    return {name: getattr(score, name) for name in SCORED} | {
        "score_config_id": UUID(stamp.score_config_id),
        "registry_revision": stamp.revision,
        "job_run": stamp.run,
        "is_provisional": stamp.is_provisional,
    }


def same(old: DailyAccountIntent, new: DailyAccountIntent) -> bool:
    return all(getattr(old, name) == getattr(new, name) for name in COMPARED)


def summarise(scores: Iterable[tuple[ProspectCompany, AccountScore]], stamp: Stamp) -> None:
    """The summary columns, which only ever move forward in time."""
    rows = []
    for company, score in scores:
        if company.snapshot_date is not None and company.snapshot_date > stamp.date:
            continue
        summary = {mine: stamp.date if its == "date" else getattr(score, its) for mine, its in SUMMARY.items()}
        # A silent account's last visit is older than the window: what is known of it stays.
        summary["last_seen_at"] = max(filter(None, [score.last_seen_at, company.last_seen_at]), default=None)
        if any(getattr(company, name) != value for name, value in summary.items()):
            for name, value in summary.items():
                setattr(company, name, value)
            company.score_updated_at = stamp.now
            rows.append(company)
    upsert(ProspectCompany, rows, ("id",), (*SUMMARY, "last_seen_at", "score_updated_at", "updated_at"))


def remove(day: date, companies: Sequence[Any], *, write: bool = True) -> Written:
    """Take out the snapshots of accounts that are no longer scored (merged or suppressed) from a rewritten date."""
    rows = DailyAccountIntent.objects.filter(date=day, prospect_company__in=companies)
    return Written(removed=rows.delete()[0] if write else rows.count())


def upsert(model: type[Model], rows: Sequence[Any], unique: Sequence[str], columns: Iterable[str]) -> None:
    """Insert or replace in one statement a batch; rows must come sorted by key, or two runs can deadlock."""
    if not rows:
        return
    # MariaDB finds the conflict by itself and refuses to be told; SQLite must be told.
    target = {"unique_fields": list(unique)} if connection.features.supports_update_conflicts_with_target else {}
    model._default_manager.bulk_create(
        rows, update_conflicts=True, update_fields=list(columns), batch_size=500, **target
    )
