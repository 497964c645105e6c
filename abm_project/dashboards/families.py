"""Whose domain, contact or lead is this? An account with the further domains and the merged accounts that are its own.

A merge is a pointer and moves nothing (design 4), so what belongs to an account is read through its family.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.domains import normalize_domain_from_url
from accounts.models import CompanyDomain, ProspectCompany
from ingestion.models import LeadRequest


@dataclass(frozen=True, slots=True)
class Merges:
    """Every merge there is, chains too: few, because each was made by hand."""

    heads: dict[UUID, UUID]  # of each merged account, the one that is shown for it
    domains: dict[UUID, str]

    def root(self, company: UUID) -> UUID:
        return self.heads.get(company, company)


def merges_now() -> Merges:
    rows = ProspectCompany.objects.filter(merged_into__isnull=False).values_list("id", "merged_into", "domain")
    parents, domains = {}, {}
    for id, parent, domain in rows:
        parents[id], domains[id] = parent, domain
    return Merges({id: _end_of(id, parents) for id in parents}, domains)


def merges_into(heads: Iterable[UUID]) -> Merges:
    """The merges of a few accounts alone: a query for each step of their chains, most of which have none."""
    found: dict[UUID, UUID] = {id: id for id in heads}
    domains: dict[UUID, str] = {}
    above = set(found)
    while above:
        below = ProspectCompany.objects.filter(merged_into__in=above).values_list("id", "merged_into", "domain")
        new = [row for row in below if row[0] not in found]  # a ring, which recompute names, ends where it began
        found |= {id: found[parent] for id, parent, _ in new}
        domains |= {id: domain for id, _, domain in new}
        above = {id for id, _, _ in new}
    return Merges({id: found[id] for id in domains}, domains)


def _end_of(company: UUID, parents: dict[UUID, UUID]) -> UUID:
    for _ in range(len(parents)):  # a ring, which recompute names, must not hold a page for ever
        if company not in parents:
            break
        company = parents[company]
    return company


def head_of(company: ProspectCompany) -> UUID:
    """The id of the account that is shown for this one: most are not merged, and ask nothing."""
    return merges_now().root(company.id) if company.merged_into_id else company.id


@dataclass(frozen=True, slots=True)
class Families:
    """Which account each of some accounts' domains, and each account merged into them, belongs to."""

    by_id: dict[UUID, UUID]
    by_domain: dict[str, UUID]


def families(own: dict[UUID, str], merges: Merges | None = None) -> Families:
    """Accounts given as id → domain. Two queries, and one more for each step of their chains of merges; one in all
    where the merges are known."""
    merges = merges or merges_into(own)
    by_id = {id: id for id in own} | {id: head for id, head in merges.heads.items() if head in own}
    by_domain = {(own.get(id) or merges.domains[id]): head for id, head in by_id.items()}
    for domain, company in CompanyDomain.objects.filter(prospect_company__in=by_id).values_list(
        "domain", "prospect_company"
    ):
        by_domain[domain] = by_id[company]
    return Families(by_id, by_domain)


def family_of(company: ProspectCompany) -> Families:
    """Of one account, the head of its family."""
    return families({company.id: company.domain})


def leads_of(family: Families) -> QuerySet[LeadRequest]:
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
    root = head_of(company)
    return leads_of(families({root: ProspectCompany.objects.values_list("domain", flat=True).get(id=root)}))


def show_heads(leads: Sequence[LeadRequest]) -> None:
    """Let each lead's account be the one that is shown: of a merged one, the head of its family. In memory alone; two
    queries, and none where no account is merged."""
    merged = {
        lead.prospect_company_id for lead in leads if lead.prospect_company and lead.prospect_company.merged_into_id
    }
    if merged:
        merges = merges_now()
        heads = ProspectCompany.objects.in_bulk({merges.root(id) for id in merged})
        for lead in leads:
            if lead.prospect_company_id in merged:
                lead.prospect_company = heads[merges.root(lead.prospect_company_id)]


def account_id(text: str) -> UUID | None:
    """The account that is shown under a domain."""
    company = shown_under(text)
    return company and company.id


def shown_under(text: str) -> ProspectCompany | None:
    """The account of a domain, with its owner; for an alias or a merged account, the account that is shown for it."""
    domain = normalize_domain_from_url(text)
    companies = ProspectCompany.objects.select_related("owner")
    company = companies.for_domain(domain).first() if domain else None
    return companies.get(id=head_of(company)) if company and company.merged_into_id else company


def shown_for(id: UUID) -> ProspectCompany | None:
    """The account of this id, with its owner; of a merged one, the account it was merged into."""
    companies = ProspectCompany.objects.select_related("owner")
    company = next(iter(companies.filter(id=id)), None)  # first() would have the one row sorted
    return companies.get(id=head_of(company)) if company and company.merged_into_id else company
