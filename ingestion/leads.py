"""A lead request comes in: stored once, whoever sends it how often, and tied to its account and contact (spec 9).

The row is committed when `ingest_lead_request` returns. Twins (the same idempotency key, or the same body within a day)
meet at a lock of the database, so that one of them stores and the others get its answer.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from accounts.domains import email_domain, normalize_domain_from_url, registrable_domain
from accounts.erasure import was_erased
from accounts.models import Contact, ContactIdentity, IntentSignal, ProspectCompany
from accounts.resolution import DomainRules
from ingestion.lead_score import SAID, lead_score
from ingestion.models import LeadRequest
from registry.loader import RegistryUnusable, get_domain_rules, get_lead_points
from registry.transactions import transact

REMEMBERED = timedelta(hours=24)  # how long a key or a body stands for the same lead
TWIN_SECONDS = 2  # a twin waits so long for the other; below the three seconds of a page's connection
SUMMARY_LENGTH = 255
TIED = ("id", "account_key", "prospect_company_id", "contact_id", "lead_score", "lead_score_parts_json")
log = logging.getLogger(__name__)


class InFlight(Exception):
    """A request with the same idempotency key is being stored this moment."""


class KeyReused(Exception):
    """The idempotency key stands for another body."""


@dataclass(frozen=True, slots=True)
class Ingested:
    lead: LeadRequest
    is_new: bool


def ingest_lead_request(
    fields: Mapping[str, Any],
    payload: Mapping[str, Any],
    raw: bytes,
    now: datetime,
    *,
    idempotency_key: str = "",
    is_spam: bool = False,
) -> Ingested:
    """Store a lead, once. `fields`: the canonical ones, valid; `payload`: all that was sent; `raw`: its bytes.

    InFlight and KeyReused as they say. The lead is stored even where its account or contact cannot be: the next night
    ties what is loose.
    """
    body = hashlib.sha256(raw).hexdigest()
    key = f"key:{hashlib.sha256(idempotency_key.encode()).hexdigest()}" if idempotency_key else f"body:{body}"
    with alone(key, seconds=0 if idempotency_key else TWIN_SECONDS):
        known = LeadRequest.remembered(key)
        if known is not None and known.submitted_at > now - REMEMBERED:
            if known.body_sha256 != body:
                raise KeyReused
            return Ingested(known, is_new=False)
        status = LeadRequest.Status.SPAM if is_spam else LeadRequest.Status.NEW
        made = {**fields, "payload_json": payload, "body_sha256": body, "dedupe_key": key, "submitted_at": now}
        return Ingested(_store({**made, "status": status}, known), is_new=True)


@contextmanager
def alone(key: str, *, seconds: int) -> Iterator[None]:
    """One request of a key at a time. InFlight when the other is not done in time.

    SQLite has one writer at a time anyway: there the second waits, reads and finds the first.
    """
    if connection.vendor == "sqlite":
        with transaction.atomic():
            yield
        return
    database = connection.settings_dict["NAME"]  # the server's locks are shared by all its databases
    name = hashlib.sha256(f"lead {database} {key}".encode()).hexdigest()  # 64 characters, the most there may be
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, %s)", [name, seconds])
        if cursor.fetchone() != (1,):
            raise InFlight
    held_by = connection.connection
    try:
        yield
    finally:
        if connection.connection is held_by:  # else the lock went with its connection: a new one has nothing to release
            _release(name)


def _release(name: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(%s)", [name])
    except OperationalError:  # what was committed stays, and is answered so
        log.warning("The database went away after a lead was stored, or refused.")


def _store(made: Mapping[str, Any], expired: LeadRequest | None) -> LeadRequest:
    """Tied; alone where that cannot be. Another lead may make the same account, contact or identity this moment: when
    it is tried again, they are there."""
    try:
        return transact(partial(_stored, made, expired, tie=_tie), again=IntegrityError)
    except (IntegrityError, DataError):
        log.exception("A lead is stored, but not tied to its account.")
        return transact(partial(_stored, made, expired))


def _stored(
    made: Mapping[str, Any], expired: LeadRequest | None, tie: Callable[[LeadRequest], None] | None = None
) -> LeadRequest:
    if expired is not None:  # its day is over: the same words are a new lead
        LeadRequest.objects.filter(pk=expired.pk).update(dedupe_key=None)
    lead = LeadRequest(**made)
    if lead.status != LeadRequest.Status.SPAM:
        lead.account_key = account_key(lead.organization_website, lead.work_email, lead.submitted_at.date())
        if tie:
            tie(lead)
    LeadRequest.insert(**made, **{name: getattr(lead, name) for name in TIED})
    return lead.as_stored()


def account_key(website: str, email: str, today: date) -> str | None:
    """The website's domain, else the e-mail's; None where neither names an organisation (spec 2)."""
    rules = DomainRules.in_force(_domain_rules(), today)
    for domain in (normalize_domain_from_url(website), email_domain(email)):
        if domain and not rules.unusable(domain):
            return (registrable_domain(domain) or domain) if settings.ACCOUNT_KEY_SCOPE == "registrable" else domain
    return None


def _domain_rules() -> Any:
    try:
        return get_domain_rules()
    except RegistryUnusable:  # the alarm has sounded; a lead is never lost for it
        return ()


def tie(lead: LeadRequest) -> None:
    """Find or make the account, contact, identity and signal of a stored lead, and reckon its score; the caller saves
    it. What cannot be made is left for the night."""
    try:
        with transaction.atomic():
            _tie(lead)
    except (IntegrityError, DataError):
        log.exception("Lead %s is not tied to its account.", lead.pk)


def _tie(lead: LeadRequest) -> None:
    company, is_new = open_company(lead) if lead.account_key else (None, False)
    is_known = company and lead.work_email and not was_erased(lead.work_email)  # an erased person's lead has no address
    contact = known_contact(company, lead, ask=not is_new) if is_known else None
    if company:
        IntentSignal.insert(
            prospect_company_id=company,
            contact_id=contact,
            kind="lead_request",
            summary=summary(lead)[:SUMMARY_LENGTH],
            detail_json={"lead_request": str(lead.pk)},
            occurred_at=lead.submitted_at,
        )
    lead.prospect_company_id, lead.contact_id = company, contact
    said = {name: getattr(lead, name) for name in ("request_type", *SAID)}
    lead.lead_score, lead.lead_score_parts_json = lead_score(
        said, company_known=company is not None, points=get_lead_points()
    )


def open_company(lead: LeadRequest) -> tuple[UUID, bool]:
    """The id of the account whose domain, or whose further domain, the lead names, and whether it is made now. One
    that was merged keeps its own people."""
    known = ProspectCompany.id_at(str(lead.account_key))
    if known is not None:
        return known, False
    name = lead.organization_name
    source = ProspectCompany.NameSource.LEAD if name else ProspectCompany.NameSource.DOMAIN
    return ProspectCompany.insert(domain=lead.account_key, name=name or lead.account_key, name_source=source), True


def known_contact(company: UUID, lead: LeadRequest, *, ask: bool) -> UUID:
    """The id of the one contact per account and address; what a form says anew replaces what was known, what it leaves
    out stays, and who fills in a form was seen. `ask`: there may be one."""
    said: dict[str, Any] = {name: getattr(lead, name) for name in ("first_name", "last_name", "title", "phone")}
    said = {name: value for name, value in said.items() if value} | {"last_seen_at": lead.submitted_at}
    known = Contact.objects.filter(prospect_company=company, email=lead.work_email).first() if ask else None
    if known is not None:
        _learn(known, said)
    contact: UUID = known.pk if known else Contact.insert(prospect_company_id=company, email=lead.work_email, **said)
    if distinct_id := lead.tracking_json.get("posthog_distinct_id"):
        kind = ContactIdentity.Type.POSTHOG_DISTINCT_ID
        # or_ignore: a browser that two people share stays the first one's
        ContactIdentity.insert(contact_id=contact, identity_type=kind, identity_value=distinct_id, or_ignore=True)
    return contact


def _learn(contact: Contact, said: Mapping[str, Any]) -> None:
    was_seen_later = contact.last_seen_at and contact.last_seen_at > said["last_seen_at"]
    left_out = {"last_seen_at"} if was_seen_later else set()
    changed = [name for name, value in said.items() if name not in left_out and getattr(contact, name) != value]
    if changed:
        for name in changed:
            setattr(contact, name, said[name])
        contact.save(update_fields=[*changed, "updated_at"])


def set_status(lead: LeadRequest, status: str) -> str | None:
    """Say how far a lead is. The domain whose score changes with it, if one does. In the caller's transaction.

    Spam is nobody's: what becomes spam leaves its account, with a person known by nothing else, and what is spam no
    more finds both again.
    """
    spam = LeadRequest.Status.SPAM
    was_spam, is_spam = lead.status == spam, status == spam
    key, contact = lead.account_key, lead.contact
    lead.status = status
    if is_spam and not was_spam:
        IntentSignal.objects.filter(
            prospect_company=lead.prospect_company, detail_json__lead_request=str(lead.pk)
        ).delete()
        lead.account_key = lead.prospect_company = lead.contact = lead.lead_score = None
        lead.lead_score_parts_json = []
    elif was_spam and not is_spam:
        key = lead.account_key = account_key(lead.organization_website, lead.work_email, lead.submitted_at.date())
        tie(lead)
    lead.save()
    if is_spam and contact:
        _forget_unless_known_otherwise(contact)
    return key if was_spam != is_spam else None


def _forget_unless_known_otherwise(contact: Contact) -> None:
    """Known otherwise: by another lead, by Salesforce, or by an admin, who entered it before any lead came."""
    in_salesforce = contact.salesforce_contact_id or contact.salesforce_lead_id
    made_by_lead = LeadRequest.objects.filter(work_email=contact.email, submitted_at__lte=contact.created_at)
    if not in_salesforce and not contact.lead_requests.exists() and made_by_lead.exists():
        contact.delete()


def summary(lead: LeadRequest) -> str:
    who = " ".join(filter(None, [lead.first_name, lead.last_name])) or lead.work_email or "somebody"
    asked = lead.get_request_type_display().replace("_", " ")
    return f"{asked.capitalize()} request by {who}" + (f" for {lead.lane}" if lead.lane else "")


def tie_loose_leads() -> int:
    """What was stored and not tied: a night's first work. How many there were."""
    loose = LeadRequest.objects.filter(account_key__isnull=False, prospect_company__isnull=True)
    found = loose.exclude(status=LeadRequest.Status.SPAM).order_by("submitted_at").values_list("pk", flat=True)
    return sum(transact(partial(_tie_loose, pk)) for pk in found[:1_000])


def _tie_loose(pk: Any) -> bool:
    lead = LeadRequest.objects.select_for_update().filter(pk=pk, account_key__isnull=False).first()
    if lead is None or lead.prospect_company_id:  # somebody was faster
        return False
    tie(lead)
    lead.save()
    return lead.prospect_company_id is not None
