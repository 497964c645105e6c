"""How we stand to an account: whose it is, who was in touch, and what a viewer put aside (`ownership` writes it)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from abm_project.access import may_own
from abm_project.dashboards.families import families
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
    """Nine queries. The history is the family's: what was said of an account stands there when it was merged."""
    with one_moment():
        found = ProspectCompany.objects.filter(pk=company_id).values_list("domain", "owner__username").first()
        if found is None:
            return None
        domain, owner = found
        family = families({company_id: domain}).by_id
        history = AccountAction.objects.filter(prospect_company__in=family)
        return Handling(
            owner=owner or "",
            snoozed_until=snoozes_of(viewer_id, today).get(company_id),
            contacted=last_contacts(family).get(company_id),
            history=tuple(map(_action, history.order_by("-done_at", "-id")[:HISTORY_SHOWN])),
            history_count=history.count(),
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
    """One query, for accounts given as member → account: when somebody was last in touch with each."""
    found: dict[UUID, Contacted] = {}
    theirs = AccountAction.objects.filter(prospect_company=OuterRef("pk"), kind=AccountAction.Kind.CONTACTED)
    newest = Subquery(theirs.order_by("-done_at", "-id").values("pk")[:1])
    members = ProspectCompany.objects.filter(pk__in=list(family)).values_list(newest)
    rows = AccountAction.objects.filter(pk__in=members).order_by("done_at", "id")
    for member, at, by, note in rows.values_list("prospect_company", "done_at", "done_by_name", "note"):
        found[family[member]] = Contacted(at, by, note)
    return found


def _action(row: AccountAction) -> Action:
    return Action(row.kind, row.done_at, row.done_by_name, row.owner_before, row.owner_after, row.until, row.note)
