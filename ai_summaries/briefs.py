"""The facts of a brief: what a model is told of an account, and all that it is told (docs/brief.md).

Stored facts in, plain JSON out: the same account and snapshot give the same text, byte for byte. No e-mail address and
no id of another system goes in. What strangers wrote (a lead's words, a title, a path) is cut and stripped here, and
travels as the values of this JSON alone.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from accounts.models import CompanyDomain, Contact, ProspectCompany
from ingestion.models import LeadRequest
from scoring.engine import MONTH, WEEK
from scoring.ledger import AccountLedger, account_ledger
from scoring.models import DailyAccountIntent

TEXT_LENGTH = 500  # of what a stranger wrote
LEADS, PEOPLE, CONTRIBUTIONS, LANES, DOMAINS = 5, 10, 8, 10, 10
FREE_TEXT = ("title", "budget", "timeline", "location", "message")
ADDRESS = re.compile(r"[^\s@<>()\[\],;:\"]+@[^\s@<>()\[\],;:\"]+")
Facts = dict[str, Any]


def build_brief(company: ProspectCompany, snapshot: DailyAccountIntent) -> Facts:
    """Everything of the account that a brief may speak of, as of the snapshot's date. A fixed number of queries."""
    family = family_of(company)
    through = datetime.combine(snapshot.date + timedelta(days=1), time(), tzinfo=UTC)
    leads = leads_of(family).filter(submitted_at__lt=through).exclude(status=LeadRequest.Status.SPAM)
    month = leads.filter(submitted_at__gte=through - timedelta(days=MONTH)).count()
    contacts = Contact.objects.filter(prospect_company__in=family)
    ledger = account_ledger(company, snapshot.date)
    history = _history(company, snapshot.date)
    newest = list(leads.order_by("-submitted_at", "-id")[:LEADS])
    known = contacts.count()
    return {
        "account": _account(company, family),
        "score": _score(snapshot, history),
        "reasons": [clean(reason) for reason in snapshot.why_hot_json],
        "lanes": _lanes(snapshot),
        "top_pages_7d": [
            {"path": clean(path), "views": views} for path, views in _largest(snapshot.top_pages_7d_json.items())
        ],
        "top_categories_7d": [
            {"category": clean(name), "count": found["count"]}
            for name, found in snapshot.top_categories_7d_json.items()
        ],
        "last_30_days": {**_month(history), "lead_requests": month},
        "what_counted_most_30d": _contributions(ledger),
        "known_people_total": known,
        "known_people": [
            _person(contact)
            for contact in contacts.order_by(F("last_seen_at").desc(nulls_last=True), "email", "id")[:PEOPLE]
        ],
        "recent_lead_requests": [_lead(lead) for lead in newest],
        "unknown": _unknown(snapshot, known, newest, history, ledger),
    }


def clean(text: str) -> str:
    """What a stranger wrote, on one line: no control, bidi, zero-width or unassigned characters, no e-mail address,
    500 characters at most."""
    shown = " ".join("".join(" " if c.isspace() else c for c in text if _visible(c)).split())
    return ADDRESS.sub("(address)", shown)[:TEXT_LENGTH]


def _visible(character: str) -> bool:
    """Categories C (control, format, surrogate, private, unassigned) draw nothing or turn what follows around; so do
    a few that Unicode calls letters or marks."""
    if character.isspace():
        return True
    return (
        unicodedata.category(character)[0] != "C"
        and character not in "\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5"
        and not "\ufe00" <= character <= "\ufe0f"
        and not "\U000e0100" <= character <= "\U000e01ef"
    )


# --- Whose ------------------------------------------------------------------------------------------------------------
def family_of(company: ProspectCompany) -> set[UUID]:
    """The account and those merged into it, however deep."""
    found, newest = {company.pk}, {company.pk}
    while newest:
        merged = ProspectCompany.objects.filter(merged_into__in=newest).exclude(pk__in=found)
        newest = set(merged.values_list("pk", flat=True))
        found |= newest
    return found


def leads_of(family: set[UUID]) -> QuerySet[LeadRequest]:
    """Those tied to the family, and loose ones that carry one of its domains."""
    own = ProspectCompany.objects.filter(pk__in=family).values("domain")
    further = CompanyDomain.objects.filter(prospect_company__in=family).values("domain")
    loose = Q(prospect_company__isnull=True) & (Q(account_key__in=own) | Q(account_key__in=further))
    return LeadRequest.objects.filter(Q(prospect_company__in=family) | loose)


# --- The parts --------------------------------------------------------------------------------------------------------
def _account(company: ProspectCompany, family: set[UUID]) -> Facts:
    further = set(CompanyDomain.objects.filter(prospect_company__in=family).values_list("domain", flat=True))
    further |= set(ProspectCompany.objects.filter(pk__in=family - {company.pk}).values_list("domain", flat=True))
    return {"name": clean(company.name), "domain": company.domain, "further_domains": sorted(further)[:DOMAINS]}


def _history(company: ProspectCompany, through: date) -> dict[date, tuple[int, str, str]]:
    """Score, stage and surge of the 30 days up to this one, oldest first; days without a snapshot are left out."""
    rows = company.snapshots.filter(date__gt=through - timedelta(days=MONTH), date__lte=through).order_by("date")
    return {day: (score, stage, surge) for day, score, stage, surge in rows.values_list(*HISTORY)}


HISTORY = ("date", "intent_score", "intent_stage", "surge_level")


def _score(snapshot: DailyAccountIntent, history: dict[date, tuple[int, str, str]]) -> Facts:
    def change(days: int) -> int | None:
        before = history.get(snapshot.date - timedelta(days=days))
        return None if before is None else snapshot.intent_score - before[0]

    return {
        "as_of": snapshot.date.isoformat(),
        "day_is_over": not snapshot.is_provisional,
        "intent_score": snapshot.intent_score,
        "intent_stage": snapshot.intent_stage,
        "change_since_yesterday": change(1),
        "change_since_7_days_ago": change(WEEK),
        "surge_level": snapshot.surge_level,
        "surge_ratio": round(snapshot.surge_ratio, 2),
        "is_new_account": snapshot.is_new,
        "points_7d": round(snapshot.raw_score_7d, 1),
        "points_previous_7d": round(snapshot.raw_score_prev_7d, 1),
        "points_30d": round(snapshot.raw_score_30d, 1),
        "unique_people_7d": snapshot.unique_people_7d,
        "last_seen": _day(snapshot.last_seen_at),
        "top_lane_7d": clean(snapshot.top_lane),
        "top_lane_30d": clean(snapshot.top_lane_30d),
    }


def _lanes(snapshot: DailyAccountIntent) -> list[Facts]:
    week, month = snapshot.lane_scores_7d_json, snapshot.lane_scores_30d_json
    names = sorted({*week, *month}, key=lambda name: (-week.get(name, 0.0), -month.get(name, 0.0), name))
    return [
        {
            "lane": clean(name),
            "points_7d": round(week.get(name, 0.0), 1),
            "points_30d": round(month.get(name, 0.0), 1),
        }
        for name in names[:LANES]
    ]


def _month(history: dict[date, tuple[int, str, str]]) -> Facts:
    scores = [score for score, _, _ in history.values()]
    return {
        "days_with_a_score": len(scores),
        "lowest_score": min(scores, default=None),
        "highest_score": max(scores, default=None),
        "days_hot": sum(stage == "Hot" for _, stage, _ in history.values()),
        "days_surging_or_exploding": sum(surge != "Normal" for _, _, surge in history.values()),
    }


def _contributions(ledger: AccountLedger | None) -> list[Facts]:
    """The ledger by kind of event, largest first: its counts are of 30 days, its points have decayed."""
    lines = ledger.categories[:CONTRIBUTIONS] if ledger else ()
    return [
        {
            "what": clean(line.category),
            "event": clean(line.event),
            "count": line.count,
            "points": round(line.points, 1),
            "percent_of_score": round(100 * line.share, 1),
        }
        for line in lines
    ]


def _person(contact: Contact) -> Facts:
    """Title and activity; a name is nobody's business here."""
    categories = [clean(str(name)) for name in contact.top_categories_7d_json[:3]]
    return {
        "their_title": clean(contact.title),
        "last_seen": _day(contact.last_seen_at),
        "top_categories_7d": categories,
    }


def _lead(lead: LeadRequest) -> Facts:
    said = {name: clean(getattr(lead, name)) for name in FREE_TEXT}
    return {
        "received": _day(lead.submitted_at),
        "request_type": lead.request_type,
        "lane": clean(lead.lane),
        "status": lead.status,
        "lead_score": lead.lead_score,
        "quantity": lead.quantity,
        **{f"their_{name}": text for name, text in said.items() if text},
    }


def _unknown(
    snapshot: DailyAccountIntent,
    known: int,
    leads: list[LeadRequest],
    history: dict[date, tuple[int, str, str]],
    ledger: AccountLedger | None,
) -> list[str]:
    """What a reader might take for known. No figure stands here that stands nowhere else."""
    found = []
    if not known:
        found.append("Nobody at the account is known by name: all activity is anonymous.")
    elif snapshot.unique_people_7d > known:
        found.append("More people were active than are known.")
    if not leads:
        found.append("No lead request: budget, timeline and authority are unknown.")
    elif not any(lead.budget for lead in leads):
        found.append("No lead request names a budget.")
    if leads and not any(lead.timeline for lead in leads):
        found.append("No lead request names a timeline.")
    if len(history) < WEEK:
        found.append("The account has been scored for less than a week: no trend can be told.")
    if snapshot.is_provisional:
        found.append("The day is not over: its figures are provisional.")
    if ledger and abs(ledger.drift) > 0.05:
        found.append("Facts or rules changed after the score was computed; the next run brings them together.")
    found.append("Whether they talk to competitors is unknown: only visits to our own pages are seen.")
    return found


def _largest(pairs: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def _day(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).date().isoformat() if moment else None
