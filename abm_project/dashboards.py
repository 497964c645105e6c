"""What the pages and the API read across the apps. No HTTP here: filters and dates in, frozen values out.

Lists read the summary columns of the accounts and join what a row shows in a fixed number of queries, whatever the
number of rows. Everything follows the newest snapshot, not the clock, so a stale installation still shows its scores.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db.models import Count, F, Max, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.db.models.functions import Lower, Now

from accounts.domains import normalize_domain_from_url
from accounts.models import CompanyDomain, CompanyQuerySet, Contact, IntentSignal, ProspectCompany
from ingestion.models import LeadRequest
from registry.values import IntentStage, SurgeLevel
from scoring.explain import Bridge
from scoring.ledger import AccountLedger, account_ledger
from scoring.models import NIGHT, RECOMPUTE, DailyAccountIntent, JobRun

RANGES = {"7d": "7 days", "30d": "30 days"}
ORDERINGS = (
    "name",
    "intent_score",
    "intent_stage",
    "surge_ratio",
    "top_lane",
    "raw_score",
    "unique_people_7d",
    "last_seen_at",
)
DEFAULT_ORDERING = "-intent_score"
TREND_DAYS = 30
CSV_BATCH = 500
DRIFT_SHOWN = 0.05  # points; less would read as 0.0
LIVE_RUNS = 3  # one bulk run goes on at a time, one that was asked for waits, and so may the night
SHOWN = 50  # signals, lead requests and people of an account page


# --- Is what we show fresh? -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Freshness:
    """Through which day there are scores, when they were made, and whether that is as it should be."""

    state: str  # empty, fresh, stale, failed, held
    through: date | None = None
    computed_at: datetime | None = None
    message: str = ""
    going: str = ""  # a bulk run is queued or, rather, running
    run_id: UUID | None = None  # of the run that failed or is held, else of the one that goes on

    @property
    def computed_the_night_after(self) -> bool:
        return bool(self.through and self.computed_at and (self.computed_at.date() - self.through).days == 1)

    @property
    def running(self) -> bool:
        return self.going == "running"


def freshness(today: date) -> Freshness:
    """Two queries. `today` is the newest day whose night should be in.

    The newest bulk run that came to an end decides; what scores single accounts, a lead during the day or an admin,
    says nothing about the night. A run that died without a word has failed, though nobody has marked it yet. One that
    failed or was held and is tried again keeps its message until it succeeds, unless an admin accepted what held it.
    """
    newest = (
        DailyAccountIntent.objects.filter(is_provisional=False)
        .order_by("-date")
        .values_list("date", "updated_at", "job_run__finished_at")
        .first()
    )
    runs = (
        JobRun.objects.filter(kind__in=[NIGHT, RECOMPUTE], is_bulk=True)
        .annotate(silent=Q(state=JobRun.State.RUNNING, lease_until__lt=Now()))
        .order_by("-started_at", "-id")[: LIVE_RUNS + 1]
    )
    through, written_at, finished_at = newest or (None, None, None)
    found = Freshness("empty", through, finished_at or written_at)
    for run in runs:
        going = not run.silent and run.state in (JobRun.State.QUEUED, JobRun.State.RUNNING)
        if going and found.going != JobRun.State.RUNNING:
            found = replace(found, going=run.state, run_id=run.pk)
        if going and (not run.message or "accepted_by" in run.params_json):
            continue  # what came before it still holds
        if run.state == JobRun.State.HELD:
            return replace(found, state="held", message=run.message, run_id=run.pk)
        if run.state != JobRun.State.DONE:
            message = run.last_word if run.silent else run.message
            return replace(found, state="failed", message=message, run_id=run.pk)
        break
    if through is None:
        return found
    return replace(found, state="fresh" if through >= today - timedelta(days=1) else "stale")


# --- Hot accounts -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts, in which order. `range` chooses the window shown and sorted by, and which top lane counts."""

    range: str = "7d"
    stage: str = ""
    lane: str = ""
    surge: str = ""
    search: str = ""
    owner_id: int | None = None
    suppressed: bool = False
    ordering: str = DEFAULT_ORDERING

    @property
    def lane_column(self) -> str:
        return "top_lane" if self.range == "7d" else "top_lane_30d"

    @property
    def raw_column(self) -> str:
        return "score_7d_raw" if self.range == "7d" else "score_30d_raw"


@dataclass(frozen=True, slots=True)
class HotAccount:
    rank: int
    id: UUID
    domain: str
    name: str
    owner: str
    intent_score: int
    intent_stage: str
    change_1d: int | None
    change_7d: int | None
    surge_level: str
    surge_ratio: float
    is_new: bool
    top_lane: str
    raw_score: float
    score_7d_raw: float
    score_30d_raw: float
    unique_people_7d: int
    why_hot: tuple[str, ...]
    trend: tuple[int | None, ...]
    last_seen_at: datetime | None
    last_lead_at: datetime | None
    suppressed_as: str
    snapshot_date: date | None
    matched: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facet:
    value: str
    count: int


@dataclass(frozen=True, slots=True)
class HotAccounts:
    rows: tuple[HotAccount, ...]
    count: int
    page: int
    pages: int
    limit: int
    stages: tuple[Facet, ...]
    surges: tuple[Facet, ...]
    lanes: tuple[Facet, ...]
    nothing_scored: bool


def hot_accounts(chosen: AccountFilter, page: int = 1, limit: int = 50) -> HotAccounts:
    """One page of the list; a page past the end is the last one."""
    found = _found_by(chosen.search)
    matching = _ordered(_matching(chosen, found), chosen)
    counts = _Counts.of(chosen, found)
    count = counts.total
    pages = max(1, -(-count // limit))
    page = min(page, pages)
    start = (page - 1) * limit
    ids = list(matching.values_list("id", flat=True)[start : start + limit]) if count else []
    return HotAccounts(
        rows=tuple(_rows(_in_turn(ids), chosen, first_rank=start + 1)),
        count=count,
        page=page,
        pages=pages,
        limit=limit,
        stages=_in_order(counts.stages, reversed(IntentStage)),
        surges=_in_order(counts.surges, reversed(SurgeLevel)),
        lanes=_by_count(counts.lanes, chosen.lane),
        nothing_scored=not count and not ProspectCompany.objects.scored().exists(),
    )


def every_hot_account(chosen: AccountFilter) -> Iterator[HotAccount]:
    """All rows of the filter, for an export: the order is fixed first, then rows are read a batch at a time."""
    ids = list(_ordered(_matching(chosen, _found_by(chosen.search)), chosen).values_list("id", flat=True))
    for start in range(0, len(ids), CSV_BATCH):
        yield from _rows(_in_turn(ids[start : start + CSV_BATCH]), chosen, first_rank=start + 1)


def _in_turn(ids: Sequence[UUID]) -> list[ProspectCompany]:
    """The accounts in this order. Sorting ids and then reading a page of rows is half the work of sorting rows."""
    found = ProspectCompany.objects.select_related("owner").in_bulk(ids)
    return [found[id] for id in ids if id in found]


def _matching(chosen: AccountFilter, found: Q) -> CompanyQuerySet:
    """The accounts of a filter."""
    companies = _before_chips(chosen, found)
    if chosen.stage:
        companies = companies.filter(intent_stage=chosen.stage)
    if chosen.surge:
        companies = companies.filter(surge_level=chosen.surge)
    if chosen.lane:
        companies = companies.filter(**{chosen.lane_column: chosen.lane})
    return companies


def _before_chips(chosen: AccountFilter, found: Q) -> CompanyQuerySet:
    """The accounts of a filter's search, owner and suppression, whatever their stage, surge and lane."""
    companies = ProspectCompany.objects.filter(found)
    companies = companies.suppressed() if chosen.suppressed else companies.listed()
    return companies if chosen.owner_id is None else companies.filter(owner_id=chosen.owner_id)


def _found_by(search: str) -> Q:
    """Name, domain, further or merged domain, or a contact's e-mail; a pasted URL finds its domain.

    Domains and e-mails are stored in lower case; a domain column is ASCII, and MySQL refuses to compare it with more.
    """
    if not search:
        return Q()
    contacts = Contact.objects.filter(email__contains=search.lower())
    merges = _merges()
    roots = {
        merges.root(company)
        for company in contacts.filter(prospect_company__in=merges.parents).values_list("prospect_company", flat=True)
    }
    found = Q(name__icontains=search) | Q(id__in=contacts.values("prospect_company"))
    for domain in _domains_meant(search):
        found |= Q(domain__contains=domain)
        further = CompanyDomain.objects.filter(domain__contains=domain)
        found |= Q(id__in=further.values("prospect_company"))
        owners = further.filter(prospect_company__in=merges.parents).values_list("prospect_company", flat=True)
        roots |= {merges.root(company) for company in owners}
        roots |= {merges.root(company) for company, name in merges.domains.items() if domain in name}
    return found | Q(id__in=roots)


def _domains_meant(search: str) -> set[str]:
    typed = {search.lower()} if search.isascii() else set()
    pasted = normalize_domain_from_url(search)
    return typed | ({pasted} if pasted else set())


def _ordered(companies: CompanyQuerySet, chosen: AccountFilter) -> CompanyQuerySet:
    """Ends in the unique domain, so that pages never overlap."""
    column = chosen.ordering.removeprefix("-")
    if column not in ORDERINGS:
        raise ValueError(f"{chosen.ordering!r} is no ordering")
    columns = {
        "name": Lower("name"),
        "intent_stage": F("intent_score"),  # stages are stretches of the score
        "top_lane": F(chosen.lane_column),
        "raw_score": F(chosen.raw_column),
    }
    expression = columns.get(column, F(column))
    # Asked of a score that is never null, it keeps the order from following the index: wanted only of a search, where a
    # walk along the index in hope of 50 hits looks up nearly every row.
    nulls_last = True if column == "last_seen_at" or chosen.search else None
    return companies.order_by(
        OrderBy(expression, descending=chosen.ordering.startswith("-"), nulls_last=nulls_last),
        "-intent_score",
        "-score_30d_raw",
        "domain",
    )


@dataclass(slots=True)
class _Counts:
    """How many accounts match, and what each chip's click would show: all from one pass over the accounts."""

    total: int
    stages: Counter[str]
    surges: Counter[str]
    lanes: Counter[str]

    @classmethod
    def of(cls, chosen: AccountFilter, found: Q) -> "_Counts":
        counts = cls(0, Counter(), Counter(), Counter())
        groups = _before_chips(chosen, found).values_list("intent_stage", "surge_level", chosen.lane_column)
        for stage, surge, lane, number in groups.annotate(Count("id")).order_by():
            in_stage = chosen.stage in ("", stage)
            in_surge = chosen.surge in ("", surge)
            in_lane = chosen.lane in ("", lane)
            counts.total += number * (in_stage and in_surge and in_lane)
            counts.stages[stage] += number * (in_surge and in_lane)
            counts.surges[surge] += number * (in_stage and in_lane)
            counts.lanes[lane] += number * (in_stage and in_surge)
        return counts


def _in_order(counts: dict[str, int], values: Iterable[str]) -> tuple[Facet, ...]:
    return tuple(Facet(str(value), counts.get(str(value), 0)) for value in values)


def _by_count(counts: dict[str, int], chosen: str) -> tuple[Facet, ...]:
    named = {lane: count for lane, count in counts.items() if lane and count} | (
        {} if counts.get(chosen) or not chosen else {chosen: 0}
    )
    return tuple(Facet(lane, count) for lane, count in sorted(named.items(), key=lambda lane: (-lane[1], lane[0])))


def _rows(companies: Sequence[ProspectCompany], chosen: AccountFilter, first_rank: int) -> Iterator[HotAccount]:
    """Five queries more for any number of rows; one more where a search asks what it found them by."""
    ids = [company.id for company in companies]
    through = max((company.snapshot_date for company in companies if company.snapshot_date), default=None)
    reasons = dict(
        DailyAccountIntent.objects.filter(
            prospect_company__in=ids, date=F("prospect_company__snapshot_date")
        ).values_list("prospect_company", "why_hot_json")
    )
    scores = _scores(ids, through)
    family = _families({company.id: company.domain for company in companies})
    leads = _last_leads(family, through)
    matched = _matched(family, chosen.search)
    for rank, company in enumerate(companies, first_rank):
        own = scores[company.id]
        yield HotAccount(
            rank=rank,
            id=company.id,
            domain=company.domain,
            name=company.name,
            owner=company.owner.get_username() if company.owner else "",
            intent_score=company.intent_score,
            intent_stage=company.intent_stage,
            change_1d=_change(own, company.snapshot_date, 1),
            change_7d=_change(own, company.snapshot_date, 7),
            surge_level=company.surge_level,
            surge_ratio=company.surge_ratio,
            is_new=company.is_new,
            top_lane=getattr(company, chosen.lane_column),
            raw_score=getattr(company, chosen.raw_column),
            score_7d_raw=company.score_7d_raw,
            score_30d_raw=company.score_30d_raw,
            unique_people_7d=company.unique_people_7d,
            why_hot=tuple(reasons.get(company.id, ())),
            trend=_trend(own, through),
            last_seen_at=company.last_seen_at,
            last_lead_at=leads.get(company.id),
            suppressed_as=company.suppressed_as,
            snapshot_date=company.snapshot_date,
            matched=tuple(sorted(matched[company.id] - {company.domain})),
        )


def _scores(ids: Sequence[UUID], through: date | None) -> dict[UUID, dict[date, int]]:
    found: dict[UUID, dict[date, int]] = defaultdict(dict)
    if through is not None:
        # One day more than is shown, for the change of the oldest account's row.
        rows = DailyAccountIntent.objects.filter(
            prospect_company__in=ids, date__gt=through - timedelta(days=TREND_DAYS + 1), date__lte=through
        ).values_list("prospect_company", "date", "intent_score")
        for company, day, score in rows:
            found[company][day] = score
    return found


def _trend(scores: dict[date, int], through: date | None) -> tuple[int | None, ...]:
    if through is None:
        return ()
    return tuple(scores.get(through - timedelta(days=age)) for age in range(TREND_DAYS - 1, -1, -1))


def _change(scores: dict[date, int], day: date | None, days: int) -> int | None:
    """How far the score of `day` is above that of `days` before; None where one of them is missing."""
    if day is None or day not in scores or day - timedelta(days=days) not in scores:
        return None
    return scores[day] - scores[day - timedelta(days=days)]


@dataclass(frozen=True, slots=True)
class _Merges:
    """Every merge there is, chains too: few, because each was made by hand."""

    parents: dict[UUID, UUID]
    domains: dict[UUID, str]

    def root(self, company: UUID) -> UUID:
        for _ in range(len(self.parents) + 1):
            if company not in self.parents:
                break
            company = self.parents[company]
        return company


def _merges() -> _Merges:
    rows = ProspectCompany.objects.filter(merged_into__isnull=False).values_list("id", "merged_into", "domain")
    found = list(rows)
    return _Merges({id: parent for id, parent, _ in found}, {id: domain for id, _, domain in found})


@dataclass(frozen=True, slots=True)
class _Families:
    """Which account each of some accounts' domains, and each account merged into them, belongs to."""

    by_id: dict[UUID, UUID]
    by_domain: dict[str, UUID]


def _families(own: dict[UUID, str]) -> _Families:
    """Two queries for accounts given as id → domain."""
    merges = _merges()
    by_id = {id: id for id in own} | {id: root for id in merges.parents if (root := merges.root(id)) in own}
    by_domain = {(own.get(id) or merges.domains[id]): root for id, root in by_id.items()}
    for domain, company in CompanyDomain.objects.filter(prospect_company__in=by_id).values_list(
        "domain", "prospect_company"
    ):
        by_domain[domain] = by_id[company]
    return _Families(by_id, by_domain)


def _leads_of(family: _Families) -> QuerySet[LeadRequest]:
    """The lead requests of a family: those linked to it, and unlinked ones that carry one of its domains."""
    return LeadRequest.objects.filter(
        Q(prospect_company__in=family.by_id) | Q(prospect_company__isnull=True, account_key__in=family.by_domain)
    )


def lead_requests_of(domain: str) -> QuerySet[LeadRequest]:
    """The lead requests of the account that a domain, further domain or merged account belongs to; those that carry
    the domain where it is no account's."""
    company = ProspectCompany.objects.for_domain(domain).first()
    if company is None:
        return LeadRequest.objects.filter(account_key=domain)
    root = _merges().root(company.id)
    return _leads_of(_families({root: ProspectCompany.objects.values_list("domain", flat=True).get(id=root)}))


def _last_leads(family: _Families, through: date | None) -> dict[UUID, datetime]:
    """The newest lead request of each account within the days its sparkline shows, or later."""
    if through is None:
        return {}
    since = datetime.combine(through - timedelta(days=TREND_DAYS - 1), datetime.min.time(), tzinfo=UTC)
    found: dict[UUID, datetime] = {}
    counted = _leads_of(family).filter(submitted_at__gte=since).values_list("prospect_company", "account_key")
    for company, key, newest in counted.annotate(newest=Max("submitted_at")).order_by():
        owner = family.by_id[company] if company else family.by_domain[key]
        found[owner] = max(newest, found.get(owner, newest))
    return found


def _matched(family: _Families, search: str) -> dict[UUID, set[str]]:
    """What a search found an account by, where the row itself would not show it."""
    found: dict[UUID, set[str]] = defaultdict(set)
    if search:
        meant = _domains_meant(search)
        for domain, owner in family.by_domain.items():
            if any(text in domain for text in meant):
                found[owner].add(domain)
        contacts = Contact.objects.filter(prospect_company__in=family.by_id, email__contains=search.lower())
        for email, company in contacts.values_list("email", "prospect_company"):
            found[family.by_id[company]].add(email)
    return found


# --- One account ------------------------------------------------------------------------------------------------------
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
class Person:
    name: str
    email: str
    title: str
    last_seen_at: datetime | None
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lead:
    submitted_at: datetime
    name: str
    email: str
    title: str
    organization: str
    lane: str
    status: str
    lead_score: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Signal:
    occurred_at: datetime
    kind: str
    summary: str
    who: str


@dataclass(frozen=True, slots=True)
class Reason:
    """All events of one kind: count × weight × decay = points. Weight and decay are means where the days differ."""

    category: str
    event: str
    count: int
    weight: float
    decay: float
    points: float
    share: float


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the way from the score before to this one."""

    label: str
    meaning: str
    points: float


@dataclass(frozen=True, slots=True)
class Why:
    """A score taken apart: the reasons sum to `ledger.total`, the steps lead from the snapshot before to `raw`."""

    ledger: AccountLedger
    reasons: tuple[Reason, ...]
    steps: tuple[Step, ...]
    drifted: bool


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
    raw_7d: float
    raw_prev_7d: float
    raw_30d: float
    unique_people_7d: int
    last_seen_at: datetime | None
    change_1d: int | None
    change_7d: int | None
    why_hot: tuple[str, ...]
    config_name: str
    cold_max: int
    warm_max: int
    timeline: tuple[TimelineDay, ...]
    lanes: tuple[Lane, ...]
    pages: tuple[tuple[str, int], ...]
    people: tuple[Person, ...]
    people_count: int
    leads: tuple[Lead, ...]
    signals: tuple[Signal, ...]
    why: Why | None


def canonical_domain(text: str) -> str | None:
    """The domain under which an account is shown: its own; for an alias or a merged account, the account's."""
    domain = normalize_domain_from_url(text)
    company = ProspectCompany.objects.for_domain(domain).first() if domain else None
    if company is None:
        return None
    root = _merges().root(company.id)
    return company.domain if root == company.id else ProspectCompany.objects.get(id=root).domain


def account_detail(domain: str) -> AccountDetail | None:
    """Everything the account page shows. None for a domain that is no account of its own."""
    company = ProspectCompany.objects.select_related("owner").filter(domain=domain).first()
    if company is None:
        return None
    family = _families({company.id: company.domain})
    snapshot = company.snapshots.select_related("score_config").filter(date=company.snapshot_date).first()
    timeline = _timeline(company, family)
    scores = {day.date: day.score for day in timeline if day.score is not None}
    contacts = Contact.objects.filter(prospect_company__in=family.by_id)
    signals = IntentSignal.objects.filter(prospect_company__in=family.by_id).select_related("contact")
    return AccountDetail(
        id=company.id,
        domain=company.domain,
        name=company.name,
        aliases=tuple(sorted(set(family.by_domain) - {company.domain})),
        owner=company.owner.get_username() if company.owner else "",
        salesforce_url=_web_address(company.salesforce_account_url),
        suppressed_as=company.suppressed_as,
        snapshot_date=company.snapshot_date,
        is_provisional=snapshot.is_provisional if snapshot else False,
        intent_score=company.intent_score,
        intent_stage=company.intent_stage,
        surge_level=company.surge_level,
        surge_ratio=company.surge_ratio,
        is_new=company.is_new,
        top_lane=company.top_lane,
        raw_7d=company.score_7d_raw,
        raw_prev_7d=snapshot.raw_score_prev_7d if snapshot else 0.0,
        raw_30d=company.score_30d_raw,
        unique_people_7d=company.unique_people_7d,
        last_seen_at=company.last_seen_at,
        change_1d=_change(scores, company.snapshot_date, 1),
        change_7d=_change(scores, company.snapshot_date, 7),
        why_hot=tuple(snapshot.why_hot_json) if snapshot else (),
        config_name=snapshot.score_config.name if snapshot else "",
        cold_max=snapshot.score_config.cold_max if snapshot else 34,
        warm_max=snapshot.score_config.warm_max if snapshot else 69,
        timeline=timeline,
        lanes=_lanes(snapshot),
        pages=tuple(sorted(snapshot.top_pages_7d_json.items(), key=lambda page: (-page[1], page[0])))
        if snapshot
        else (),
        people=tuple(map(_person, contacts.order_by(F("last_seen_at").desc(nulls_last=True), "email", "id")[:SHOWN])),
        people_count=contacts.count(),
        leads=tuple(map(_lead, _leads_of(family).order_by("-submitted_at", "-id")[:SHOWN])),
        signals=tuple(map(_signal, signals.order_by("-occurred_at", "-id")[:SHOWN])),
        why=_why(account_ledger(company, snapshot.date)) if snapshot else None,
    )


def _web_address(url: str | None) -> str:
    """What a link may lead to: a row that did not come through a form could say `javascript:`."""
    return url if url and url.lower().startswith(("https://", "http://")) else ""


def _why(ledger: AccountLedger) -> Why:
    worth: dict[tuple[str, str], int] = defaultdict(int)
    for line in ledger.contributions:
        worth[line.category, line.event] += line.count * line.weight
    reasons = []
    for line in ledger.categories:
        undecayed = worth[line.category, line.event]
        weight = undecayed / line.count if line.count else 0.0
        rate = line.points / undecayed if undecayed else 0.0
        reasons.append(Reason(line.category, line.event, line.count, weight, rate, line.points, line.share))
    return Why(ledger, tuple(reasons), _steps(ledger.bridge), abs(ledger.drift) > DRIFT_SHOWN)


def _steps(bridge: Bridge | None) -> tuple[Step, ...]:
    """New activity and decay are always there; the other parts only where they moved something."""
    if bridge is None:
        return ()
    always = (
        Step("New activity", "what happened since", bridge.new),
        Step("Decay", "older days count a little less", bridge.decayed),
    )
    sometimes = (
        Step("Aged out", "days that left the 30-day window", bridge.aged_out),
        Step("Rules or weights changed", "by an admin", bridge.rules_changed),
        Step("Facts restated", "late or corrected activity, aliases, merges", bridge.restated),
    )
    return always + tuple(step for step in sometimes if abs(step.points) > DRIFT_SHOWN)


def _timeline(company: ProspectCompany, family: _Families) -> tuple[TimelineDay, ...]:
    """The 30 days up to the newest snapshot, days without one included."""
    through = company.snapshot_date
    if through is None:
        return ()
    days = [through - timedelta(days=age) for age in range(TREND_DAYS - 1, -1, -1)]
    found = {
        day: (score, stage, surge)
        for day, score, stage, surge in company.snapshots.filter(date__gte=days[0], date__lte=through).values_list(
            "date", "intent_score", "intent_stage", "surge_level"
        )
    }
    leads: dict[date, int] = defaultdict(int)
    since = datetime.combine(days[0], datetime.min.time(), tzinfo=UTC)
    for submitted_at in _leads_of(family).filter(submitted_at__gte=since).values_list("submitted_at", flat=True):
        leads[submitted_at.astimezone(UTC).date()] += 1
    return tuple(TimelineDay(day, *found.get(day, (None, "", "")), leads=leads.get(day, 0)) for day in days)


def _lanes(snapshot: DailyAccountIntent | None) -> tuple[Lane, ...]:
    if snapshot is None:
        return ()
    week, month = snapshot.lane_scores_7d_json, snapshot.lane_scores_30d_json
    lanes = [Lane(name, week.get(name, 0.0), month.get(name, 0.0)) for name in {*week, *month}]
    return tuple(sorted(lanes, key=lambda lane: (-lane.raw_7d, -lane.raw_30d, lane.name)))


def _person(contact: Contact) -> Person:
    return Person(
        name=f"{contact.first_name} {contact.last_name}".strip(),
        email=contact.email,
        title=contact.title,
        last_seen_at=contact.last_seen_at,
        categories=tuple(str(category) for category in contact.top_categories_7d_json[:2]),
    )


def _lead(lead: LeadRequest) -> Lead:
    return Lead(
        submitted_at=lead.submitted_at,
        name=f"{lead.first_name} {lead.last_name}".strip(),
        email=lead.work_email,
        title=lead.title,
        organization=lead.organization_name,
        lane=lead.lane,
        status=lead.status,
        lead_score=lead.lead_score,
        message=lead.message,
    )


def _signal(signal: IntentSignal) -> Signal:
    return Signal(signal.occurred_at, signal.kind, signal.summary, signal.contact.email if signal.contact else "")
