"""One account: whom, why and since when (spec 8.2)."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NamedTuple, TypeVar
from uuid import UUID

from django.db.models import F, Model, QuerySet

from abm_project.dashboards.families import Families, families, leads_of, shown_for
from abm_project.dashboards.one_moment import one_moment
from abm_project.dashboards.people_list import Person, accounts_of_people, by_score, persons_of
from abm_project.dashboards.trends import change, days_to
from abm_project.dashboards.why import Why, why_of
from accounts.models import Contact, IntentSignal, ProspectCompany
from ai_summaries.models import AccountAISummary
from ingestion.models import LeadRequest
from scoring.models import DailyAccountIntent

Row = TypeVar("Row", bound=Model)
SHOWN = 50  # signals, lead requests and people of an account page


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
        return company and _detail(company, explain)


def account_detail(domain: str, *, explain: bool = True) -> AccountDetail | None:
    """Everything the account page shows. None for a domain that is no account of its own."""
    with one_moment():
        company = ProspectCompany.objects.select_related("owner").filter(domain=domain).first()
        return company and _detail(company, explain)


def _detail(company: ProspectCompany, explain: bool) -> AccountDetail:
    family = families({company.id: company.domain})
    row = company.snapshots.select_related("score_config").filter(date=company.snapshot_date).first()
    snapshot = _snapshot(row) if row else None
    timeline = _timeline(company, family)
    scores = {day.date: day.score for day in timeline if day.score is not None}
    contacts = Contact.objects.filter(prospect_company__in=family.by_id)
    newest_first = contacts.order_by(F("last_seen_at").desc(nulls_last=True), "email", "id")
    here = accounts_of_people([company], family)
    leads = leads_of(family)
    signals = IntentSignal.objects.filter(prospect_company__in=family.by_id).select_related("contact")
    people, people_count = _first(newest_first)
    newest_leads, leads_count = _first(leads.order_by("-submitted_at", "-id"))
    newest_signals, signals_count = _first(signals.order_by("-occurred_at", "-id"))
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
        people=persons_of(people, here, family),
        people_count=people_count,
        leads=tuple(map(_lead, newest_leads)),
        leads_count=leads_count,
        signals=tuple(map(_signal, newest_signals)),
        signals_count=signals_count,
        briefs=_briefs(company),
        why=why_of(company, row.date) if row and explain else None,
    )


def _first(rows: QuerySet[Row]) -> tuple[list[Row], int]:
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


def _timeline(company: ProspectCompany, family: Families) -> tuple[TimelineDay, ...]:
    """The 30 days up to the newest snapshot, days without one included."""
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
    leads: dict[date, int] = defaultdict(int)
    since = datetime.combine(days[0], datetime.min.time(), tzinfo=UTC)
    for submitted_at in leads_of(family).filter(submitted_at__gte=since).values_list("submitted_at", flat=True):
        leads[submitted_at.astimezone(UTC).date()] += 1
    return tuple(TimelineDay(day, *found.get(day, (None, "", "")), leads=leads.get(day, 0)) for day in days)


def _lanes(snapshot: DailyAccountIntent | None) -> tuple[Lane, ...]:
    if snapshot is None:
        return ()
    week, month = snapshot.lane_scores_7d_json, snapshot.lane_scores_30d_json
    lanes = [Lane(name, week.get(name, 0.0), month.get(name, 0.0)) for name in {*week, *month}]
    return tuple(sorted(lanes, key=lambda lane: (-lane.raw_7d, -lane.raw_30d, lane.name)))


def _lead(lead: LeadRequest) -> Lead:
    return Lead(
        id=lead.id,
        submitted_at=lead.submitted_at,
        name=f"{lead.first_name} {lead.last_name}".strip(),
        email=lead.work_email,
        title=lead.title,
        organization=lead.organization_name,
        lane=lead.lane,
        request_type=lead.request_type,
        status=lead.status,
        lead_score=lead.lead_score,
        message=lead.message,
    )


def _signal(signal: IntentSignal) -> Signal:
    who = signal.contact.email if signal.contact else ""
    return Signal(signal.id, signal.occurred_at, signal.kind, signal.summary, who)


def _briefs(company: ProspectCompany) -> tuple[Brief, ...]:
    """The newest of each persona, in the order of the personas' names."""
    rows = AccountAISummary.objects.filter(prospect_company=company).select_related("prompt_template")
    newest: dict[str, Brief] = {}
    for row in rows.defer("input_json").order_by("-cache_date", "-updated_at", "-id")[:SHOWN]:
        newest.setdefault(row.persona, _brief(row))
    return tuple(newest[persona] for persona in sorted(newest))


def _brief(row: AccountAISummary) -> Brief:
    return Brief(
        id=row.id,
        persona=row.persona,
        cache_date=row.cache_date,
        top_lane=row.top_lane,
        intent_score=row.intent_score,
        surge_level=row.surge_level,
        summary_md=row.summary_md,
        model=row.model,
        prompt_version=row.prompt_version or row.prompt_template.version,  # it may have been edited since
        written_at=row.written_at or row.updated_at,
    )
