"""My accounts: make one somebody's, put it aside, say that we were in touch. `dashboards.handling` reads what is left.

An account has one owner; a snooze is one user's alone. Each verb leaves a line in the account's history, in the same
transaction. HTTP-free: pages and the API call the same functions.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError
from django.db.models import Exists, OuterRef, QuerySet

from abm_project.access import may_own
from abm_project.models import AccountAction, Snooze
from accounts.csv_import import Given
from accounts.models import ProspectCompany
from registry.transactions import transact

SNOOZE_MAX = timedelta(days=366)
Kind = AccountAction.Kind


class OwnedMeanwhile(Exception):
    """Somebody else was quicker: the account is not whose the asker saw it to be."""

    def __init__(self, owner: str) -> None:
        super().__init__(f"Meanwhile this account became {owner}'s." if owner else "Meanwhile its owner let it go.")
        self.owner = owner


class NobodySuch(Exception):
    """An account cannot be given to a user who may not see it."""


def owners() -> QuerySet[User]:
    """Who owns an account, by name; also who could be given none any more."""
    return User.objects.filter(Exists(ProspectCompany.objects.filter(owner=OuterRef("pk")))).order_by("username")


# --- Verbs ------------------------------------------------------------------------------------------------------------
def give(company_id: UUID, to: str, by: User, now: datetime, seen: str | None = None) -> None:
    """Make it `to`'s, a user name, or nobody's where that is ''. Already so: nothing happens.

    `seen` is the owner that the asker saw; where somebody changed it since, OwnedMeanwhile says to whom.
    """
    transact(partial(_give, company_id, to, by, now, seen))


def _give(company_id: UUID, to: str, by: User, now: datetime, seen: str | None) -> None:
    company = ProspectCompany.objects.select_for_update().only("owner").get(pk=company_id)
    before = company.owner.get_username() if company.owner else ""
    if before == to:
        return
    if seen is not None and seen != before:
        raise OwnedMeanwhile(before)
    owner = may_own().filter(username=to).first() if to else None
    if to and owner is None:
        raise NobodySuch(f"There is no user {to} with a role.")
    ProspectCompany.objects.filter(pk=company_id).update(owner=owner, updated_at=now)
    _leave(company_id, Kind.OWNED, by, now, owner_before=before, owner_after=to)


def snooze(company_id: UUID, by: User, until: date, now: datetime) -> None:
    """Out of this user's lists before `until`, which is at least tomorrow and at most a year away."""

    def work() -> None:
        Snooze.objects.update_or_create(user=by, prospect_company_id=company_id, defaults={"until": until})
        _leave(company_id, Kind.SNOOZED, by, now, until=until)

    transact(work, again=IntegrityError)  # two presses at once are one


def wake(company_id: UUID, by: User, now: datetime) -> None:
    """Back into the lists at once. Not snoozed: nothing happens."""

    def work() -> None:
        deleted, _ = Snooze.objects.filter(user=by, prospect_company=company_id).delete()
        if deleted:
            _leave(company_id, Kind.WOKEN, by, now)

    transact(work)


def contacted(company_id: UUID, by: User, note: str, now: datetime) -> None:
    """Somebody was in touch with them; what came of it, where the note says so."""
    _leave(company_id, Kind.CONTACTED, by, now, note=note)


def remember(given: Sequence[Given], by: User | None, now: datetime) -> None:
    """A line for each account that an import gave to somebody. settings.WITH_NEW_OWNERS names this."""
    who = {"done_at": now, "done_by": by, "done_by_name": by.get_username() if by else "command line"}
    lines = [
        AccountAction(
            prospect_company_id=of.company_id, kind=Kind.OWNED, owner_before=of.before, owner_after=of.after, **who
        )
        for of in given
    ]
    AccountAction.objects.bulk_create(lines)


def _leave(company_id: UUID, kind: Kind, by: User, now: datetime, **more: object) -> None:
    AccountAction.objects.create(
        prospect_company_id=company_id, kind=kind, done_at=now, done_by=by, done_by_name=by.get_username(), **more
    )
