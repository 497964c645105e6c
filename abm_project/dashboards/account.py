"""One account: whom, why and since when (spec 8.2)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db.models import QuerySet

from abm_project.dashboards.families import Families, family_of, leads_of, shown_for
from abm_project.dashboards.one_moment import one_moment
from abm_project.dashboards.people_list import Person, accounts_of_people, by_score, persons_of, top_categories
from abm_project.dashboards.trends import change, days_to
from abm_project.dashboards.why import Why, why_of
from accounts.models import Contact, IntentSignal, ProspectCompany
from ai_summaries.models import AccountAISummary
from ingestion.models import LeadRequest
from scoring.models import DailyAccountIntent

Row = TypeVar("Row")
SHOWN = 50  # signals, lead requests and people of an account page
# In the order of the values they become. Without what is not shown: a lead's row holds all that was sent.
LEAD_COLUMNS = (
    "id",
    "submitted_at",
    "first_name",
    "last_name",
    "work_email",
    "title",
    "organization_name",
    "lane",
    "request_type",
    "status",
    "lead_score",
    "message",
)
SIGNAL_COLUMNS = ("id", "occurred_at", "kind", "summary", "contact__email")
BRIEF_COLUMNS = (
    "id",
    "persona",
    "cache_date",
    "top_lane",
    "intent_score",
    "surge_level",
    "summary_md",
    "model",
    "prompt_version",
    "prompt_template__version",
    "written_at",
    "updated_at",
)


@dataclass(frozen=True, slots=True)
class TimelineDay:
    date: date
    score: int | None
    stage: str
    surge: str
    leads: int


@dataclass(frozen=True, slots=True)
class Lane:
    name: str
    raw_7d: float
    raw_30d: float


@dataclass(frozen=True, slots=True)
class Category:
    """`count` events of seven days, worth `score` decayed points."""

    name: str
    count: int
    score: float


class Counted(NamedTuple):
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole of the latest one; `computed_at` is when it was last written, by the run `run_id`."""

    date: date
    is_provisional: bool
    computed_at: datetime
    run_id: UUID | None
    config_name: str
    raw_score_7d: float
    raw_score_prev_7d: float
    raw_score_30d: float
    intent_score: int
    intent_stage: str
    surge_ratio: float
    surge_level: str
    is_new: bool
    unique_people_7d: int
    top_lane: str
    top_lane_30d: str
    last_seen_at: datetime | None
    top_categories_7d: tuple[Category, ...]
    top_pages_7d: tuple[Counted, ...]
    key_events_7d: tuple[Counted, ...]
    why_hot: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lead:
    id: UUID
    submitted_at: datetime
    name: str
    email: str
    title: str
    organization: str
    lane: str
    request_type: str
    status: str
    lead_score: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Signal:
    id: UUID
    occurred_at: datetime
    kind: str
    summary: str
    who: str


@dataclass(frozen=True, slots=True)
class Brief:
    """What the model, or the rules, last said of the account for one persona, and of which score."""

    id: UUID
    persona: str
    cache_date: date
    top_lane: str
    intent_score: int
    surge_level: str
    summary_md: str
    model: str
    prompt_version: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class AccountDetail:
    id: UUID
    domain: str
    name: str
    aliases: tuple[str, ...]
    owner: str
    salesforce_url: str
    suppressed_as: str
    snapshot_date: date | None
    is_provisional: bool
    intent_score: int
    intent_stage: str
    surge_level: str
    surge_ratio: float
    is_new: bool
    top_lane: str
    top_lane_30d: str
    raw_7d: float
    raw_prev_7d: float
    raw_30d: float
    unique_people_7d: int
    anonymous_people_7d: int
    last_seen_at: datetime | None
    change_1d: int | None
    change_7d: int | None
    why_hot: tuple[str, ...]
    config_name: str
    cold_max: int
    warm_max: int
    snapshot: Snapshot | None
    timeline: tuple[TimelineDay, ...]
    lanes: tuple[Lane, ...]
    pages: tuple[Counted, ...]
    people: tuple[Person, ...]
    people_count: int
    leads: tuple[Lead, ...]
    leads_count: int
    signals: tuple[Signal, ...]
    signals_count: int
    briefs: tuple[Brief, ...]
    why: Why | None


def account_by_id(id: UUID, *, explain: bool = False) -> AccountDetail | None:
    """The account of this id; of a merged one, the account it was merged into. None where there is none."""
    with one_moment():
        company = shown_for(id)
        return company and detail_of(company, family_of(company), explain=explain)


def account_detail(domain: str) -> AccountDetail | None:
    """Everything of an account, explained. None for a domain that is no account of its own."""
    with one_moment():
        company = ProspectCompany.objects.select_related("owner").filter(domain=domain).first()
        return company and detail_of(company, family_of(company), explain=True)


def detail_of(company: ProspectCompany, family: Families, *, explain: bool) -> AccountDetail:
    """The same of an account that was read already. Read at one moment, or its parts may differ."""
    row = next(iter(company.snapshots.select_related("score_config").filter(date=company.snapshot_date)), None)
    snapshot = _snapshot(row) if row else None
    leads = leads_of(family)
    newest_leads, leads_count = _first(leads.order_by("-submitted_at", "-id").values_list(*LEAD_COLUMNS))
    timeline = _timeline(company, leads, newest_leads)
    scores = {day.date: day.score for day in timeline if day.score is not None}
    contacts = Contact.objects.filter(prospect_company__in=family.by_id)
    newest_first = contacts.order_by("-last_seen_at", "email", "id")  # who was never seen comes last, as nulls do
    signals = IntentSignal.objects.filter(prospect_company__in=family.by_id).order_by("-occurred_at", "-id")
    people, people_count = _first(newest_first)
    here = accounts_of_people([company], family, people if people_count < SHOWN else None)
    newest_signals, signals_count = _first(signals.values_list(*SIGNAL_COLUMNS))
    return AccountDetail(
        id=company.id,
        domain=company.domain,
        name=company.name,
        aliases=tuple(sorted(set(family.by_domain) - {company.domain})),
        owner=company.owner.get_username() if company.owner else "",
        salesforce_url=_web_address(company.salesforce_account_url),
        suppressed_as=company.suppressed_as,
        snapshot_date=company.snapshot_date,
        is_provisional=row.is_provisional if row else False,
        intent_score=company.intent_score,
        intent_stage=company.intent_stage,
        surge_level=company.surge_level,
        surge_ratio=company.surge_ratio,
        is_new=company.is_new,
        top_lane=company.top_lane,
        top_lane_30d=company.top_lane_30d,
        raw_7d=company.score_7d_raw,
        raw_prev_7d=row.raw_score_prev_7d if row else 0.0,
        raw_30d=company.score_30d_raw,
        unique_people_7d=company.unique_people_7d,
        anonymous_people_7d=here[company.id].anonymous_people_7d,
        last_seen_at=company.last_seen_at,
        change_1d=change(scores, company.snapshot_date, 1),
        change_7d=change(scores, company.snapshot_date, 7),
        why_hot=snapshot.why_hot if snapshot else (),
        config_name=snapshot.config_name if snapshot else "",
        cold_max=row.score_config.cold_max if row else 34,
        warm_max=row.score_config.warm_max if row else 69,
        snapshot=snapshot,
        timeline=timeline,
        lanes=_lanes(row),
        pages=snapshot.top_pages_7d if snapshot else (),
        people=persons_of(
            people, here, family, {company.id: top_categories(row.top_categories_7d_json)} if row else {}
        ),
        people_count=people_count,
        leads=tuple(_lead(*row) for row in newest_leads),
        leads_count=leads_count,
        signals=tuple(Signal(*row[:-1], row[-1] or "") for row in newest_signals),
        signals_count=signals_count,
        briefs=_briefs(company),
        why=why_of(company, row) if row and explain else None,
    )


def _first(rows: QuerySet[Any, Row]) -> tuple[list[Row], int]:
    """Those that are shown, and how many there are: asked only where there are more."""
    shown = list(rows[:SHOWN])
    return shown, len(shown) if len(shown) < SHOWN else rows.count()


def _web_address(url: str | None) -> str:
    """What a link may lead to: a row that did not come through a form could say `javascript:`."""
    return url if url and url.lower().startswith(("https://", "http://")) else ""


def _snapshot(row: DailyAccountIntent) -> Snapshot:
    categories = row.top_categories_7d_json
    return Snapshot(
        date=row.date,
        is_provisional=row.is_provisional,
        computed_at=row.updated_at,
        run_id=row.job_run_id,
        config_name=row.score_config.name,
        raw_score_7d=row.raw_score_7d,
        raw_score_prev_7d=row.raw_score_prev_7d,
        raw_score_30d=row.raw_score_30d,
        intent_score=row.intent_score,
        intent_stage=row.intent_stage,
        surge_ratio=row.surge_ratio,
        surge_level=row.surge_level,
        is_new=row.is_new,
        unique_people_7d=row.unique_people_7d,
        top_lane=row.top_lane,
        top_lane_30d=row.top_lane_30d,
        last_seen_at=row.last_seen_at,
        top_categories_7d=tuple(
            Category(name, categories[name]["count"], categories[name]["score"]) for name in by_score(categories)
        ),
        top_pages_7d=_by_count(row.top_pages_7d_json),
        key_events_7d=_by_count(row.key_events_7d_json),
        why_hot=tuple(row.why_hot_json),
    )


def _by_count(counts: dict[str, int]) -> tuple[Counted, ...]:
    return tuple(Counted(*item) for item in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _timeline(
    company: ProspectCompany, leads: QuerySet[LeadRequest], newest: Sequence[tuple[Any, ...]]
) -> tuple[TimelineDay, ...]:
    """The 30 days up to the newest snapshot, days without one included. `newest`: those of the leads that are shown."""
    through = company.snapshot_date
    if through is None:
        return ()
    days = days_to(through)
    found = {
        day: (score, stage, surge)
        for day, score, stage, surge in company.snapshots.filter(date__gte=days[0], date__lte=through).values_list(
            "date", "intent_score", "intent_stage", "surge_level"
        )
    }
    since = datetime.combine(days[0], datetime.min.time(), tzinfo=UTC)
    times = [submitted_at for _, submitted_at, *_ in newest]
    if len(newest) == SHOWN:  # there may be more of these days
        times = list(leads.filter(submitted_at__gte=since).values_list("submitted_at", flat=True))
    begun = Counter(time.astimezone(UTC).date() for time in times)
    return tuple(TimelineDay(day, *found.get(day, (None, "", "")), leads=begun[day]) for day in days)


def _lanes(snapshot: DailyAccountIntent | None) -> tuple[Lane, ...]:
    if snapshot is None:
        return ()
    week, month = snapshot.lane_scores_7d_json, snapshot.lane_scores_30d_json
    lanes = [Lane(name, week.get(name, 0.0), month.get(name, 0.0)) for name in {*week, *month}]
    return tuple(sorted(lanes, key=lambda lane: (-lane.raw_7d, -lane.raw_30d, lane.name)))


def _lead(id: UUID, submitted_at: datetime, first_name: str, last_name: str, *others: Any) -> Lead:
    return Lead(id, submitted_at, f"{first_name} {last_name}".strip(), *others)


def _briefs(company: ProspectCompany) -> tuple[Brief, ...]:
    """The newest of each persona, in the order of the personas' names."""
    rows = AccountAISummary.objects.filter(prospect_company=company).order_by("-cache_date", "-updated_at", "-id")
    newest: dict[str, Brief] = {}
    for *whole, version, template_version, written_at, updated_at in rows.values_list(*BRIEF_COLUMNS)[:SHOWN]:
        brief = Brief(*whole, version or template_version, written_at or updated_at)  # the template may have changed
        newest.setdefault(brief.persona, brief)
    return tuple(newest[persona] for persona in sorted(newest))
