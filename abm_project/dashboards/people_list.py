"""People inside accounts (spec 8.1): the known ones by name, the others as a count per account.

A title is what a lead form said; nobody's role is guessed. Categories are those a person looked at in seven days; where
that is not known, those of the account, marked as inferred.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.expressions import Combinable, OrderBy
from django.db.models.functions import Concat, Lower, Trim

from abm_project.dashboards.account_list import CSV_BATCH, Facet
from abm_project.dashboards.families import Families, Merges, families, merges_into, merges_now, shown_for
from abm_project.dashboards.one_moment import one_moment
from abm_project.dashboards.trends import newest_date
from accounts.models import Contact, ContactIdentity, ProspectCompany
from scoring.engine import MONTH, WEEK
from scoring.models import DailyAccountIntent

DAYS = {"7d": WEEK, "30d": MONTH}
TOP = 2  # categories that are shown
PEOPLE_ORDERINGS: dict[str, Combinable] = {
    "last_seen_at": F("last_seen_at"),
    "name": Lower(Trim(Concat("first_name", Value(" "), "last_name"))),
    "email": F("email"),
    "domain": F("prospect_company__domain"),
    "intent_score": F("prospect_company__intent_score"),
}
PEOPLE_DEFAULT_ORDERING = "-last_seen_at"


@dataclass(frozen=True, slots=True)
class PeopleFilter:
    """Which people, in which order: one of PEOPLE_ORDERINGS, a minus before it to turn it, or several with commas.

    `range`: those seen within so many days of the newest scores; '' is everybody. It also says which top lane `lane`
    means, as on Hot accounts. `category`: among a person's top two, or, where those are not known, of the account.
    """

    range: str = ""
    account_id: UUID | None = None
    lane: str = ""
    category: str = ""
    search: str = ""
    owner_id: int | None = None
    ordering: str = PEOPLE_DEFAULT_ORDERING

    @property
    def lane_column(self) -> str:
        return "top_lane_30d" if self.range == "30d" else "top_lane"


@dataclass(frozen=True, slots=True)
class Identity:
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class PersonAccount:
    """The account of a person. `anonymous_people_7d`: of its people of seven days, those we do not know by name."""

    id: UUID
    domain: str
    name: str
    intent_score: int
    intent_stage: str
    surge_level: str
    top_lane: str
    unique_people_7d: int
    anonymous_people_7d: int


@dataclass(frozen=True, slots=True)
class Person:
    id: UUID
    name: str
    email: str
    title: str
    last_seen_at: datetime | None
    categories: tuple[str, ...]
    inferred: bool  # the categories are the account's
    identities: tuple[Identity, ...]
    account: PersonAccount


@dataclass(frozen=True, slots=True)
class People:
    """One page. `account` is the one that was asked for, which may have nobody but anonymous people."""

    rows: tuple[Person, ...]
    count: int
    page: int
    pages: int
    limit: int
    lanes: tuple[Facet, ...]
    account: PersonAccount | None


def people(chosen: PeopleFilter, page: int = 1, limit: int = 50) -> People:
    """One page of the known people of listed accounts; a page past the end is the last one."""
    with one_moment():
        return _people(chosen, page, limit)


def _people(chosen: PeopleFilter, page: int, limit: int) -> People:
    where = _Where.of(chosen)
    matching = _matching(chosen, where)
    lanes = _lanes(_matching(replace(chosen, lane=""), where) if chosen.lane else matching, chosen, where)
    count = sum(facet.count for facet in lanes if chosen.lane in ("", facet.value))
    pages = max(1, -(-count // limit))
    page = min(page, pages)
    start = (page - 1) * limit
    shown = _ordered(matching, chosen)[start : start + limit]
    if where.account:
        family = families({where.account.id: where.account.domain}, where.merges)
        accounts = accounts_of_people([where.account], family)
        rows = persons_of(list(shown), accounts, family, categories_of(accounts))
    else:  # sorting ids and then reading a page of rows is half the work of sorting rows
        rows = persons(_in_turn(list(shown.values_list("id", flat=True))), where.merges)
    return People(
        rows=rows,
        count=count,
        page=page,
        pages=pages,
        limit=limit,
        lanes=lanes,
        account=accounts[where.account.id] if where.account else None,
    )


def every_person(chosen: PeopleFilter) -> Iterator[Person]:
    """All people of the filter, for an export: the order is fixed first, then rows are read a batch at a time."""
    ids = list(_ordered(_matching(chosen, _Where.of(chosen)), chosen).values_list("id", flat=True))
    for start in range(0, len(ids), CSV_BATCH):
        with one_moment():
            rows = persons(_in_turn(ids[start : start + CSV_BATCH]), merges_now())
        yield from rows


def _in_turn(ids: Sequence[UUID]) -> list[Contact]:
    found = Contact.objects.in_bulk(ids)
    return [found[id] for id in ids if id in found]


# --- Which people -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Where:
    """What a filter's names stand for: the account that is asked for, if there is such a one, the merges that matter,
    its own or all there are, and when the days of the range begin."""

    account: ProspectCompany | None
    merges: Merges
    seen_since: datetime | None

    @classmethod
    def of(cls, chosen: PeopleFilter) -> "_Where":
        account = shown_for(chosen.account_id) if chosen.account_id else None
        through = newest_date() if chosen.range else None
        first = through and through - timedelta(days=DAYS[chosen.range] - 1)
        return cls(
            account,
            merges_into([account.id]) if account else merges_now(),
            datetime.combine(first, time(), tzinfo=UTC) if first else None,
        )


def _matching(chosen: PeopleFilter, where: _Where) -> QuerySet[Contact]:
    contacts = Contact.objects.filter(_at(chosen, where))
    if chosen.category:
        contacts = contacts.filter(_looked_at(chosen, where.merges))
    if where.seen_since:
        contacts = contacts.filter(last_seen_at__gte=where.seen_since)
    if chosen.search:
        contacts = contacts.filter(_found_by(chosen.search))
    return contacts


def _at(chosen: PeopleFilter, where: _Where) -> Q:
    """Contacts of the listed accounts of a filter; those of accounts merged into one of them too."""
    if where.account:
        family = [where.account.id, *where.merges.heads] if _is_listed(where.account, chosen) else []
        return Q(prospect_company__in=family)
    here = _accounts(chosen, where.merges, "prospect_company__")
    return here | _merged_into(ProspectCompany.objects.filter(_accounts(chosen, where.merges)), where.merges)


def _is_listed(account: ProspectCompany, chosen: PeopleFilter) -> bool:
    """What `_accounts` asks, of one that was read already."""
    here = chosen.owner_id in (None, account.owner_id) and chosen.lane in ("", getattr(account, chosen.lane_column))
    scored = account.snapshot_date is not None and account.merged_into_id is None  # it is, in a ring of merges
    return here and scored and not account.suppressed_as


def _accounts(chosen: PeopleFilter, merges: Merges, prefix: str = "") -> Q:
    """`CompanyQuerySet.listed` and the filter, by a join: MariaDB would make a table of all ids of a subquery first."""
    wanted: dict[str, Any] = {"merged_into__isnull": True, "snapshot_date__isnull": False, "suppressed_as": ""}
    if chosen.account_id is not None:
        wanted["id"] = merges.root(chosen.account_id)
    if chosen.owner_id is not None:
        wanted["owner"] = chosen.owner_id
    if chosen.lane:
        wanted[chosen.lane_column] = chosen.lane
    return Q(**{prefix + column: value for column, value in wanted.items()})


def _merged_into(accounts: QuerySet[ProspectCompany], merges: Merges) -> Q:
    """Contacts of accounts merged into one of these."""
    if not merges.heads:
        return Q(pk__in=[])
    with_merged = ProspectCompany.objects.filter(merged_into__isnull=False).values("merged_into")
    here = set(accounts.filter(id__in=with_merged).values_list("id", flat=True))
    return Q(prospect_company__in=[id for id, root in merges.heads.items() if root in here])


def _looked_at(chosen: PeopleFilter, merges: Merges) -> Q:
    snapshots = DailyAccountIntent.objects.filter(top_categories_7d_json__has_key=chosen.category)
    newest = snapshots.filter(prospect_company=OuterRef("id"), date=OuterRef("snapshot_date"))
    theirs = ProspectCompany.objects.filter(_accounts(chosen, merges)).filter(Exists(newest))
    date_shown = OuterRef("prospect_company__snapshot_date")
    here = Q(Exists(snapshots.filter(prospect_company=OuterRef("prospect_company"), date=date_shown)))
    here &= Q(prospect_company__merged_into__isnull=True)
    own = [Q(**{f"top_categories_7d_json__{place}": chosen.category}) for place in range(TOP)]
    return own[0] | own[1] | (Q(top_categories_7d_json__0__isnull=True) & (here | _merged_into(theirs, merges)))


def _found_by(search: str) -> Q:
    """Name, e-mail, title, or the account's name or domain. A domain column is ASCII, and MySQL compares it with no
    more; e-mails are in lower case."""
    found = Q(email__contains=search.lower()) | Q(title__icontains=search) | Q(prospect_company__name__icontains=search)
    if search.isascii():
        found |= Q(prospect_company__domain__contains=search.lower())
    first, _, last = search.partition(" ")
    found |= Q(first_name__icontains=search) | Q(last_name__icontains=search)
    return found | Q(first_name__iendswith=first, last_name__istartswith=last.strip()) if last else found


def _ordered(contacts: QuerySet[Contact], chosen: PeopleFilter) -> QuerySet[Contact]:
    order = []
    for part in chosen.ordering.split(","):
        column = part.removeprefix("-")
        if column not in PEOPLE_ORDERINGS:
            raise ValueError(f"{part!r} is no ordering")
        # Downwards nulls are last anyway, and the order can follow the index.
        descending = part.startswith("-")
        nulls_last = True if column == "last_seen_at" and not descending else None
        order.append(OrderBy(PEOPLE_ORDERINGS[column], descending=descending, nulls_last=nulls_last))
    return contacts.order_by(*order, "email", "id")


def _lanes(contacts: QuerySet[Contact], chosen: PeopleFilter, where: _Where) -> tuple[Facet, ...]:
    """How many of the people a click on each lane would show; people of merged accounts under their account's."""
    if where.account:
        number = contacts.count()
        return (Facet(getattr(where.account, chosen.lane_column), number),) if number else ()
    merges = where.merges
    counts: Counter[str] = Counter()
    column = f"prospect_company__{chosen.lane_column}"
    own = contacts.filter(prospect_company__merged_into__isnull=True).values_list(column)
    for lane, number in own.annotate(Count("id")).order_by():
        counts[lane] += number
    if merges.heads:
        merged = contacts.filter(prospect_company__merged_into__isnull=False).values_list("prospect_company")
        at_root = dict(merged.annotate(Count("id")).order_by())
        roots = {id: merges.root(id) for id in at_root}
        lanes = dict(ProspectCompany.objects.filter(id__in=set(roots.values())).values_list("id", chosen.lane_column))
        for id, number in at_root.items():
            counts[lanes[roots[id]]] += number
    return tuple(Facet(lane, number) for lane, number in sorted(counts.items(), key=lambda lane: (-lane[1], lane[0])))


# --- What is said of them ---------------------------------------------------------------------------------------------
def persons(contacts: Sequence[Contact], merges: Merges) -> tuple[Person, ...]:
    """Five queries for any number of contacts."""
    roots = {contact.prospect_company_id: merges.root(contact.prospect_company_id) for contact in contacts}
    companies = list(ProspectCompany.objects.filter(id__in=set(roots.values())))
    family = families({company.id: company.domain for company in companies}, merges)
    accounts = accounts_of_people(companies, family)
    return persons_of(contacts, accounts, family, categories_of(accounts))


def persons_of(
    contacts: Sequence[Contact],
    accounts: Mapping[UUID, PersonAccount],
    family: Families,
    inferred: Mapping[UUID, tuple[str, ...]],
) -> tuple[Person, ...]:
    """Contacts of these accounts, in one query. `inferred`: the accounts' own categories, where they have any."""
    identities = _identities_of(contacts)
    roots = [(contact, family.by_id[contact.prospect_company_id]) for contact in contacts]
    return tuple(
        _person(contact, accounts[root], inferred.get(root, ()), identities[contact.id]) for contact, root in roots
    )


def _person(
    contact: Contact, account: PersonAccount, of_account: tuple[str, ...], identities: Iterable[Identity]
) -> Person:
    own = tuple(str(category) for category in contact.top_categories_7d_json[:TOP])
    return Person(
        id=contact.id,
        name=f"{contact.first_name} {contact.last_name}".strip(),
        email=contact.email,
        title=contact.title,
        last_seen_at=contact.last_seen_at,
        categories=own or of_account,
        inferred=not own and bool(of_account),
        identities=tuple(identities),
        account=account,
    )


def accounts_of_people(
    companies: Sequence[ProspectCompany], family: Families, contacts: Sequence[Contact] | None = None
) -> dict[UUID, PersonAccount]:
    """One query for any number of accounts; none where all their contacts are at hand."""
    known = _known_in_7_days(companies, family, contacts)
    return {
        company.id: PersonAccount(
            id=company.id,
            domain=company.domain,
            name=company.name,
            intent_score=company.intent_score,
            intent_stage=company.intent_stage,
            surge_level=company.surge_level,
            top_lane=company.top_lane,
            unique_people_7d=company.unique_people_7d,
            anonymous_people_7d=max(0, company.unique_people_7d - known[company.id]),
        )
        for company in companies
    }


def _known_in_7_days(
    companies: Sequence[ProspectCompany], family: Families, contacts: Sequence[Contact] | None
) -> Counter[UUID]:
    """How many contacts of each account were seen in the seven days of its snapshot."""
    weeks = {company.id: _week_to(company.snapshot_date) for company in companies if company.snapshot_date}
    known: Counter[UUID] = Counter()
    if contacts is not None:
        for contact in contacts:
            root = family.by_id[contact.prospect_company_id]
            first, end = weeks.get(root, (None, None))
            known[root] += bool(first and end and contact.last_seen_at and first <= contact.last_seen_at < end)
        return known
    members: dict[tuple[datetime, datetime], list[UUID]] = defaultdict(list)
    for id, root in family.by_id.items():
        if root in weeks:
            members[weeks[root]].append(id)
    wanted = Q(pk__in=[])
    for (first, end), ids in members.items():
        wanted |= Q(prospect_company__in=ids, last_seen_at__gte=first, last_seen_at__lt=end)
    counted = Contact.objects.filter(wanted).values_list("prospect_company").annotate(Count("id")).order_by()
    for id, number in counted:
        known[family.by_id[id]] += number
    return known


def _week_to(day: date) -> tuple[datetime, datetime]:
    end = datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC)
    return end - timedelta(days=WEEK), end


def categories_of(accounts: Iterable[UUID]) -> Mapping[UUID, tuple[str, ...]]:
    """The top two of each account's snapshot, where it has one."""
    rows = DailyAccountIntent.objects.filter(
        prospect_company__in=list(accounts), date=F("prospect_company__snapshot_date")
    )
    found = rows.values_list("prospect_company", "top_categories_7d_json")
    return {id: top_categories(categories) for id, categories in found}


def top_categories(categories: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(by_score(categories)[:TOP])


def by_score(categories: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In the order the night wrote them; MySQL sorts the keys of an object its own way."""
    return sorted(categories, key=lambda name: (-categories[name]["score"], -categories[name]["count"], name))


def _identities_of(contacts: Sequence[Contact]) -> Mapping[UUID, list[Identity]]:
    found: dict[UUID, list[Identity]] = defaultdict(list)
    rows = ContactIdentity.objects.filter(contact__in=[contact.id for contact in contacts])
    for contact, kind, value in rows.order_by("identity_type", "identity_value").values_list(
        "contact", "identity_type", "identity_value"
    ):
        found[contact].append(Identity(kind, value))
    return found
