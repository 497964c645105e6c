"""Erase a person from everything Orbit keeps, and leave what only counts (the erasure a privacy law asks for)."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet

from accounts.erasure import email_hash
from accounts.models import Contact, ContactIdentity, ErasedPerson, IntentSignal, ProspectCompany
from ai_summaries.models import AccountAISummary, BriefAttempt, ReplacedSummary
from ingestion.leads import SUMMARY_LENGTH, summary
from ingestion.models import LeadRequest
from registry.transactions import transact

GONE = "erased"
# What a lead keeps: that it came, when, for what, for which account, and what it was worth.
BLANK: dict[str, Any] = {
    **dict.fromkeys(("work_email", "first_name", "last_name", "title", "phone", "message", "budget"), ""),
    **dict.fromkeys(("timeline", "location", "page_url", "referrer", "body_sha256"), ""),
    "tracking_json": {},
    "utm_json": {},
    "payload_json": {},
    "dedupe_key": None,
    "contact": None,
}


@dataclass
class Receipt:
    """What was erased, or would be."""

    contacts: int = 0
    identities: int = 0
    lead_requests: int = 0
    signals: int = 0
    ai_summaries: int = 0
    log_entries: int = 0


def erase_person(email: str, *, erased_by: str, write: bool = True) -> Receipt:
    """Everything at once, or nothing. A second time finds nothing more, and leaves the first receipt as it is."""
    return transact(partial(_erase, email.strip().lower(), erased_by, write))


def _erase(email: str, erased_by: str, write: bool) -> Receipt:
    contacts = Contact.objects.filter(email=email)
    leads = LeadRequest.objects.filter(Q(work_email=email) | Q(contact__in=list(contacts)))
    ids, companies = list(leads.values_list("pk", flat=True)), _companies(contacts, leads)
    told = [str(pk) for pk in ids]
    signals = IntentSignal.objects.filter(Q(contact__in=list(contacts)) | Q(detail_json__lead_request__in=told))
    briefs = AccountAISummary.objects.filter(prospect_company__in=companies)
    replaced = ReplacedSummary.objects.filter(summary__prospect_company__in=companies)
    logged = _logged(contacts, ids)
    receipt = Receipt(
        contacts=contacts.count(),
        identities=ContactIdentity.objects.filter(contact__in=list(contacts)).count(),
        lead_requests=len(ids),
        signals=signals.count(),
        ai_summaries=briefs.count() + replaced.count(),
        log_entries=logged.count(),
    )
    if write and any(asdict(receipt).values()):
        LeadRequest.objects.filter(pk__in=ids).update(**BLANK)
        _reword(list(signals))
        # First the attempts: one that is writing now then finds itself gone, and stores nothing of what it read before.
        BriefAttempt.objects.filter(prospect_company__in=companies).delete()
        briefs.delete()
        logged.update(object_repr=GONE, change_message="")
        contacts.delete()
        ErasedPerson.objects.get_or_create(
            email_hash=email_hash(email), defaults={"counts_json": asdict(receipt), "erased_by": erased_by}
        )
    return receipt


def _companies(contacts: QuerySet[Contact], leads: QuerySet[LeadRequest]) -> set[Any]:
    """The accounts whose briefs may name the person, and those they are merged into, however often."""
    newest = set(contacts.values_list("prospect_company", flat=True)) | set(
        leads.values_list("prospect_company", flat=True)
    )
    found: set[Any] = set()
    while newest := newest - found - {None}:
        found |= newest
        newest = set(ProspectCompany.objects.filter(pk__in=newest).values_list("merged_into", flat=True))
    return found


def _logged(contacts: QuerySet[Contact], leads: list[Any]) -> QuerySet[LogEntry]:
    """Entries of the admin's log whose text names the person."""
    people = list(contacts.values_list("pk", flat=True))
    ids = list(ContactIdentity.objects.filter(contact__in=people).values_list("pk", flat=True))
    of = ContentType.objects.get_for_models(Contact, ContactIdentity, LeadRequest)
    rows = {Contact: people, ContactIdentity: ids, LeadRequest: leads}
    named = Q(pk__in=[])
    for model, keys in rows.items():
        named |= Q(content_type=of[model], object_id__in=[str(key) for key in keys])
    return LogEntry.objects.filter(named)


def _reword(signals: list[IntentSignal]) -> None:
    told = [signal.detail_json.get("lead_request") for signal in signals]
    leads = {str(lead.pk): lead for lead in LeadRequest.objects.filter(pk__in=[pk for pk in told if pk])}
    for signal, pk in zip(signals, told, strict=True):
        lead = leads.get(str(pk))
        signal.summary = summary(lead)[:SUMMARY_LENGTH] if lead else GONE
        signal.detail_json = {"lead_request": pk} if lead else {}
        signal.contact = None
    IntentSignal.objects.bulk_update(signals, ["summary", "detail_json", "contact"])
