"""How we stand to an account: whose it is, who was in touch, and what a viewer put aside (`ownership` writes it)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db.models import Max, QuerySet

from abm_project.access import may_own
from abm_project.dashboards.families import Families, family_of
from abm_project.dashboards.one_moment import one_moment
from abm_project.models import AccountAction, Snooze
from accounts.models import ProspectCompany

HISTORY_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Contacted:
    at: datetime
    by: str
    note: str


@dataclass(frozen=True, slots=True)
class Action:
    """A line of the history. `kind` is owned, contacted, snoozed or woken."""

    kind: str
    at: datetime
    by: str
    owner_before: str
    owner_after: str
    until: date | None
    note: str


@dataclass(frozen=True, slots=True)
class Handling:
    """Of one account, for one viewer. `owners` are the users to whom it can be given; `history` newest first."""

    owner: str
    snoozed_until: date | None
    contacted: Contacted | None
    history: tuple[Action, ...]
    history_count: int
    owners: tuple[str, ...]


def handling(company_id: UUID, viewer_id: int, today: date) -> Handling | None:
    """None where there is no such account."""
    with one_moment():
        company = ProspectCompany.objects.select_related("owner").filter(pk=company_id).first()
        return company and handling_of(company, family_of(company), viewer_id, today)


def handling_of(company: ProspectCompany, family: Families, viewer_id: int, today: date) -> Handling:
    """Six queries at most. The history is the family's: what was said of an account stands there when it was
    merged."""
    history = AccountAction.objects.filter(prospect_company__in=family.by_id)
    shown = tuple(map(_action, history.order_by("-done_at", "-id")[:HISTORY_SHOWN]))
    return Handling(
        owner=company.owner.get_username() if company.owner else "",
        snoozed_until=snoozes_of(viewer_id, today).get(company.id),
        contacted=last_contacts(family.by_id).get(company.id) if shown else None,
        history=shown,
        history_count=len(shown) if len(shown) < HISTORY_SHOWN else history.count(),
        owners=tuple(may_own().values_list("username", flat=True)),
    )


def snoozed_by(viewer_id: int, today: date) -> QuerySet[Snooze, UUID]:
    """The accounts that a viewer's lists leave out, for a subquery."""
    return Snooze.objects.filter(user=viewer_id, until__gt=today).values_list("prospect_company", flat=True)


def snoozes_of(viewer_id: int, today: date) -> dict[UUID, date]:
    """One query: all that the viewer put aside, and until when. Few, because each was put aside by hand."""
    rows = Snooze.objects.filter(user=viewer_id, until__gt=today)
    return dict(rows.values_list("prospect_company", "until"))


def last_contacts(family: Mapping[UUID, UUID]) -> dict[UUID, Contacted]:
    """When somebody was last in touch with each of these accounts, given as member → account. One query, and one more
    where somebody was."""
    found: dict[UUID, Contacted] = {}
    rows = AccountAction.objects.filter(prospect_company__in=list(family), kind=AccountAction.Kind.CONTACTED)
    newest = {at for _, at in rows.values_list("prospect_company").annotate(Max("done_at")).order_by()}
    if not newest:
        return found
    rows = rows.filter(done_at__in=newest).order_by("done_at", "id")
    for member, at, by, note in rows.values_list("prospect_company", "done_at", "done_by_name", "note"):
        found[family[member]] = Contacted(at, by, note)
    return found


def _action(row: AccountAction) -> Action:
    return Action(row.kind, row.done_at, row.done_by_name, row.owner_before, row.owner_after, row.until, row.note)
