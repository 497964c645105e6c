"""Hot accounts: which, in which order, and what a row says.

Lists read the summary columns of the accounts and join what a row shows in a fixed number of queries, whatever the
number of rows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from django.db.models import Count, F, Q, Window
from django.db.models.expressions import OrderBy
from django.db.models.functions import Lower, RowNumber

from abm_project.dashboards.families import Families, families, leads_of, merges_now
from abm_project.dashboards.handling import last_contacts, snoozes_of
from abm_project.dashboards.one_moment import one_moment
from abm_project.dashboards.trends import change, days_to, scores_of, trend
from accounts.domains import normalize_domain_from_url
from accounts.models import CompanyDomain, CompanyQuerySet, Contact, ProspectCompany
from registry.values import IntentStage, SurgeLevel
from scoring.models import DailyAccountIntent

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
    "domain",
)
DEFAULT_ORDERING = "-intent_score"
CSV_BATCH = 500


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts, in which order: one of ORDERINGS, a minus before it to turn it, or several with commas between.

    `range` chooses the window shown and sorted by, and which top lane counts; it hides nobody. What `viewer_id` snoozed
    is left out on `today` unless `keep_snoozed`; with `snoozed`, it is all there is.
    """

    range: str = "7d"
    stage: str = ""
    lane: str = ""
    surge: str = ""
    search: str = ""
    owner_id: int | None = None
    suppressed: bool = False
    viewer_id: int | None = None
    today: date | None = None
    snoozed: bool = False
    keep_snoozed: bool = False
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
    last_lead_id: UUID | None
    contacted_at: datetime | None
    contacted_by: str
    snoozed_until: date | None
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
    snoozed: int  # by the viewer, whatever the filter
    nothing_scored: bool


def hot_accounts(chosen: AccountFilter, page: int = 1, limit: int = 50) -> HotAccounts:
    """One page of the list; a page past the end is the last one."""
    with one_moment():
        return _hot_accounts(chosen, page, limit)


def _hot_accounts(chosen: AccountFilter, page: int, limit: int) -> HotAccounts:
    aside = _put_aside(chosen)
    found = _found_by(chosen.search) & _within(chosen, aside)
    matching = _ordered(_matching(chosen, found), chosen)
    counts = _Counts.of(chosen, found)
    count = counts.total
    pages = max(1, -(-count // limit))
    page = min(page, pages)
    start = (page - 1) * limit
    shown = _shown(matching, start, limit, count)
    return HotAccounts(
        rows=tuple(_rows(shown, chosen, aside, first_rank=start + 1)),
        count=count,
        page=page,
        pages=pages,
        limit=limit,
        stages=_in_order(counts.stages, reversed(IntentStage)),
        surges=_in_order(counts.surges, reversed(SurgeLevel)),
        lanes=_by_count(counts.lanes, chosen.lane),
        snoozed=len(aside),
        nothing_scored=not count and not ProspectCompany.objects.scored().exists(),
    )


def every_hot_account(chosen: AccountFilter) -> Iterator[HotAccount]:
    """All rows of the filter, for an export: the order is fixed first, then rows are read a batch at a time.

    Not by keyset: scores move while a slow client reads, and an account that moved past the place we are at would be
    lost or come twice.
    """
    aside = _put_aside(chosen)
    found = _found_by(chosen.search) & _within(chosen, aside)
    ids = list(_ordered(_matching(chosen, found), chosen).values_list("id", flat=True))
    for start in range(0, len(ids), CSV_BATCH):
        with one_moment():
            rows = list(_rows(_in_turn(ids[start : start + CSV_BATCH]), chosen, aside, first_rank=start + 1))
        yield from rows


def _shown(matching: CompanyQuerySet, start: int, limit: int, count: int) -> list[ProspectCompany]:
    """A page of so many accounts. Sorting ids and then reading the rows is half the work of sorting rows."""
    if count <= limit:
        return list(matching.select_related("owner")) if count else []
    return _in_turn(list(matching.values_list("id", flat=True)[start : start + limit]))


def _in_turn(ids: Sequence[UUID]) -> list[ProspectCompany]:
    """The accounts in this order."""
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
    """The accounts of a filter's search, owner, suppression and snoozes, whatever their stage, surge and lane."""
    companies = ProspectCompany.objects.filter(found)
    companies = companies.suppressed() if chosen.suppressed else companies.listed()
    return companies if chosen.owner_id is None else companies.filter(owner_id=chosen.owner_id)


def _put_aside(chosen: AccountFilter) -> dict[UUID, date]:
    """What the viewer snoozed, by account; for nobody in particular nothing. Read first: a list of few ids, or none,
    costs less than a subquery that every account is held against."""
    if chosen.viewer_id is None:
        return {}
    if chosen.today is None:
        raise ValueError("What is snoozed depends on when one looks.")
    return snoozes_of(chosen.viewer_id, chosen.today)


def _within(chosen: AccountFilter, aside: Mapping[UUID, date]) -> Q:
    """Only what is snoozed, or all but that. Who searches wants to find: a snoozed account too."""
    if chosen.snoozed:
        return Q(id__in=aside)
    return ~Q(id__in=aside) if aside and not chosen.search and not chosen.keep_snoozed else Q()


def _found_by(search: str) -> Q:
    """Name, domain, further or merged domain, or a contact's e-mail; a pasted URL finds its domain.

    Domains and e-mails are stored in lower case; a domain column is ASCII, and MySQL refuses to compare it with more.
    """
    if not search:
        return Q()
    contacts = Contact.objects.filter(email__contains=search.lower())
    merges = merges_now()
    roots = {
        merges.root(company)
        for company in contacts.filter(prospect_company__in=merges.heads).values_list("prospect_company", flat=True)
    }
    found = Q(name__icontains=search) | Q(id__in=contacts.values("prospect_company"))
    for domain in _domains_meant(search):
        found |= Q(domain__contains=domain)
        further = CompanyDomain.objects.filter(domain__contains=domain)
        found |= Q(id__in=further.values("prospect_company"))
        owners = further.filter(prospect_company__in=merges.heads).values_list("prospect_company", flat=True)
        roots |= {merges.root(company) for company in owners}
        roots |= {merges.root(company) for company, name in merges.domains.items() if domain in name}
    return found | Q(id__in=roots)


def _domains_meant(search: str) -> set[str]:
    typed = {search.lower()} if search.isascii() else set()
    pasted = normalize_domain_from_url(search)
    return typed | ({pasted} if pasted else set())


def _ordered(companies: CompanyQuerySet, chosen: AccountFilter) -> CompanyQuerySet:
    """By each column of the ordering in turn; ends in the unique domain, so that pages never overlap."""
    columns = {
        "name": Lower("name"),
        "intent_stage": F("intent_score"),  # stages are stretches of the score
        "top_lane": F(chosen.lane_column),
        "raw_score": F(chosen.raw_column),
    }
    order = []
    for part in chosen.ordering.split(","):
        column = part.removeprefix("-")
        if column not in ORDERINGS:
            raise ValueError(f"{part!r} is no ordering")
        # Asked of a score that is never null, it keeps the order from following the index: wanted only of a search,
        # where a walk along the index in hope of 50 hits looks up nearly every row. Downwards nulls are last anyway.
        descending = part.startswith("-")
        nulls_last = True if (column == "last_seen_at" and not descending) or chosen.search else None
        order.append(OrderBy(columns.get(column, F(column)), descending=descending, nulls_last=nulls_last))
    return companies.order_by(*order, "-intent_score", "-score_30d_raw", "domain")


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


def _rows(
    companies: Sequence[ProspectCompany], chosen: AccountFilter, aside: Mapping[UUID, date], first_rank: int
) -> Iterator[HotAccount]:
    """Seven queries more for any number of rows; one more where a search asks what it found them by."""
    ids = [company.id for company in companies]
    through = max((company.snapshot_date for company in companies if company.snapshot_date), default=None)
    reasons = dict(
        DailyAccountIntent.objects.filter(
            prospect_company__in=ids, date=F("prospect_company__snapshot_date")
        ).values_list("prospect_company", "why_hot_json")
    )
    scores = scores_of(ids, through)
    family = families({company.id: company.domain for company in companies})
    leads = _last_leads(family, through)
    contacts = last_contacts(family.by_id)
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
            change_1d=change(own, company.snapshot_date, 1),
            change_7d=change(own, company.snapshot_date, 7),
            surge_level=company.surge_level,
            surge_ratio=company.surge_ratio,
            is_new=company.is_new,
            top_lane=getattr(company, chosen.lane_column),
            raw_score=getattr(company, chosen.raw_column),
            score_7d_raw=company.score_7d_raw,
            score_30d_raw=company.score_30d_raw,
            unique_people_7d=company.unique_people_7d,
            why_hot=tuple(reasons.get(company.id, ())),
            trend=trend(own, through),
            last_seen_at=company.last_seen_at,
            last_lead_at=leads[company.id].submitted_at if company.id in leads else None,
            last_lead_id=leads[company.id].id if company.id in leads else None,
            contacted_at=contacts[company.id].at if company.id in contacts else None,
            contacted_by=contacts[company.id].by if company.id in contacts else "",
            snoozed_until=aside.get(company.id),
            suppressed_as=company.suppressed_as,
            snapshot_date=company.snapshot_date,
            matched=tuple(sorted(matched[company.id] - {company.domain})),
        )


@dataclass(frozen=True, slots=True)
class _LastLead:
    submitted_at: datetime
    id: UUID


def _last_leads(family: Families, through: date | None) -> dict[UUID, _LastLead]:
    """The newest lead request of each account within the days its sparkline shows, or later."""
    if through is None:
        return {}
    since = datetime.combine(days_to(through)[0], datetime.min.time(), tzinfo=UTC)
    newest_first = Window(
        RowNumber(),
        partition_by=["prospect_company", "account_key"],
        order_by=[F("submitted_at").desc(), F("id").desc()],
    )
    found: dict[UUID, _LastLead] = {}
    rows = leads_of(family).filter(submitted_at__gte=since).annotate(place=newest_first).filter(place=1)
    rows = rows.order_by("submitted_at", "id")
    for id, company, key, submitted_at in rows.values_list("id", "prospect_company", "account_key", "submitted_at"):
        found[family.by_id[company] if company else family.by_domain[key]] = _LastLead(submitted_at, id)
    return found


def _matched(family: Families, search: str) -> dict[UUID, set[str]]:
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
