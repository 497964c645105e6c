"""Whose is this domain, or this e-mail address? For programs that have one and want the account."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db.models import F

from abm_project.dashboards.families import merges_now
from abm_project.dashboards.one_moment import one_moment
from accounts.domains import email_domain, normalize_domain_from_url
from accounts.models import Contact, ProspectCompany
from accounts.resolution import load_resolver
from registry.loader import RegistryUnusable, get_domain_rules
from registry.values import DomainRuleValue


@dataclass(frozen=True, slots=True)
class FoundAccount:
    id: UUID
    domain: str
    name: str
    intent_score: int
    intent_stage: str
    surge_level: str
    top_lane: str
    suppressed_as: str
    snapshot_date: date | None


@dataclass(frozen=True, slots=True)
class Lookup:
    """`domain` is the canonical one of what was asked for, '' where it has none.

    `found_by`: `contact` (somebody we know by this address), `domain` (the account's own) or `alias` (a further domain,
    a merged account's, or one grouped under it). Without an account it is '' and `reason` says why: `no_domain`,
    `personal` (a mailbox provider's), `platform` (a site anybody has a page on) or `unknown`.
    """

    domain: str
    account: FoundAccount | None = None
    found_by: str = ""
    reason: str = ""


def lookup(*, domain: str = "", email: str = "", today: date) -> Lookup:
    """The account of a domain or of an e-mail address; domain rules are those in force `today`."""
    with one_moment():
        meant = (email_domain(email) if email else normalize_domain_from_url(domain)) or ""
        known = _of_contact(email) if email else None
        if known is not None:
            return Lookup(meant, _account(id=known), "contact")
        if not meant:
            return Lookup("", reason="no_domain")
        resolution = load_resolver(_domain_rules(), today).resolve(meant)
        if resolution.domain is None:
            return Lookup(meant, reason=resolution.reason)
        account = _account(domain=resolution.domain)
        if account is None:
            return Lookup(meant, reason="unknown")
        return Lookup(meant, account, "domain" if account.domain == meant else "alias")


def _of_contact(email: str) -> UUID | None:
    """Of several accounts that know the address, the one that saw it last."""
    contacts = Contact.objects.filter(email=email.strip().lower())
    newest = contacts.order_by(F("last_seen_at").desc(nulls_last=True), "id")
    company = newest.values_list("prospect_company", flat=True).first()
    return company and merges_now().root(company)


def _account(**which: object) -> FoundAccount | None:
    names = ("id", "domain", "name", "intent_score", "intent_stage", "surge_level", "top_lane")
    row = ProspectCompany.objects.filter(**which).values(*names, "suppressed_as", "snapshot_date").first()
    return FoundAccount(**row) if row else None


def _domain_rules() -> tuple[DomainRuleValue, ...]:
    try:
        return get_domain_rules()
    except RegistryUnusable:  # the alarm has sounded
        return ()
