"""Facts → scores. Read this file first.

`recompute` scores every account for one UTC day, in batches: each batch locks its accounts, then reads their facts and
leads, then writes their snapshots, so that a lead that arrives meanwhile is never overwritten. It is a generator that
yields after each batch, so that whoever runs it can report progress and stop between two batches.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from functools import partial
from itertools import groupby, islice
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.db.models import Max, Min, OuterRef, QuerySet, Subquery

from accounts.models import ProspectCompany
from accounts.resolution import Resolver, load_resolver, resolution_settings
from ingestion.models import ActivityPull, LeadRequest
from registry.columns import new_id
from registry.loader import Registry, load_registry
from registry.revisions import record as record_revision
from registry.transactions import transact
from scoring import evidence, snapshots
from scoring.engine import MONTH, AccountScore, Classifier, score_account
from scoring.models import DailyAccountIntent, JobRun
from scoring.retention import purged_days
from scoring.snapshots import Account, Stamp, Written


class CannotScore(Exception):
    """The date cannot be scored; the text says why and what to do. Nothing was written."""


@dataclass
class Progress:
    """How far a recompute of one date is, and what it did so far."""

    date: date
    done: int = 0
    total: int = 0
    scored: int = 0
    written: Written = field(default_factory=Written)
    unresolved: Counter[str] = field(default_factory=Counter)  # account keys, by reason
    unmatched: Counter[str] = field(default_factory=Counter)  # page views no rule knew, by path
    unweighed: Counter[str] = field(default_factory=Counter)  # events no weight knew, by name
    registry_problems: tuple[str, ...] = ()  # rows for which the last good registry was used instead


def last_full_day(now: datetime) -> date:
    """The date a night scores: the last UTC day that is over (design 2)."""
    return now.date() - timedelta(days=1)


def missing_days(as_of: date, today: date) -> list[date]:
    """The days of the 30-day window that should be in and are not. Days before the first pull are before the record."""
    begin = first_pulled_day()
    if begin is None:
        return []
    first, last = max(begin, as_of - timedelta(days=MONTH - 1)), min(as_of, today - timedelta(days=1))
    window = {first + timedelta(days=n) for n in range((last - first).days + 1)}
    pulled = ActivityPull.objects.filter(state=ActivityPull.State.PULLED, date__gte=first, date__lte=last)
    return sorted(window - set(pulled.values_list("date", flat=True)))


def first_pulled_day() -> date | None:
    """Where the record begins, also where its beginning was purged since; None while there are no facts at all."""
    recorded = [ActivityPull.State.PULLED, ActivityPull.State.PURGED]
    begin: date | None = ActivityPull.objects.filter(state__in=recorded).aggregate(first=Min("date"))["first"]
    return begin


def first_lead_day() -> date | None:
    first: datetime | None = LeadRequest.objects.aggregate(first=Min("submitted_at"))["first"]
    return first and first.date()


def check_window(as_of: date, today: date) -> None:
    """Scores are never made from a window with a missing day (design 2): CannotScore names it."""
    if as_of > today:
        raise CannotScore(f"{as_of} lies in the future.")
    begin = first_pulled_day() or first_lead_day()
    if begin is None:
        raise CannotScore("There is nothing to score yet. Import activity first: manage.py import_activity FILE.")
    if as_of < begin:
        raise CannotScore(f"{as_of} lies before the first day with facts, {begin}.")
    missing = missing_days(as_of, today)
    if missing:
        held = ActivityPull.objects.filter(state=ActivityPull.State.HELD, date__in=missing).order_by("date").first()
        if held:
            raise CannotScore(f"{as_of} cannot be scored: {held.date} is held. {held.message}")
        if purged_days(missing[0], missing[-1]):
            raise CannotScore(
                f"{as_of} cannot be scored: facts of its 30 days are older than FACT_RETENTION_DAYS"
                f" ({settings.FACT_RETENTION_DAYS}) and are gone. Its snapshots stay as they are."
            )
        newest = ActivityPull.objects.filter(state=ActivityPull.State.PULLED).aggregate(last=Max("date"))["last"]
        named = ", ".join(map(str, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise CannotScore(
            f"{as_of} cannot be scored: no facts for {named}. Import or pull these days first"
            f" (for a quiet day: import_activity with --from and --to); facts are in up to {newest}."
        )


def scored_date(now: datetime) -> date:
    """The newest date that a night published; before the first one the last full day."""
    published = DailyAccountIntent.objects.filter(is_provisional=False).order_by("-date")
    return published.values_list("date", flat=True).first() or last_full_day(now)


def is_past(as_of: date) -> bool:
    """A later date is published already: then existing snapshots of this one are history, kept unless restated."""
    published = DailyAccountIntent.objects.filter(is_provisional=False, date__gt=as_of)
    return published.exists()


@dataclass(frozen=True)
class Plan:
    """What every batch of one date is scored with. `rewrite`: stored snapshots may change; `newest`: no later date is
    published, so the accounts' present flags follow; `write`: False only counts. `guard` is called first in every
    transaction, so that a run that lost its lease writes nothing more."""

    stamp: Stamp
    resolver: Resolver
    registry: Registry
    classifier: Classifier
    moved: Mapping[str, list[str]]
    newest: bool
    rewrite: bool
    write: bool
    guard: Callable[[], None]


def recompute(
    as_of: date,
    now: datetime,
    *,
    run: JobRun | None = None,
    domains: Sequence[str] | None = None,
    restate: bool = False,
    write: bool = True,
    guard: Callable[[], None] = lambda: None,
) -> Iterator[Progress]:
    """Score all accounts (or those of `domains`) for `as_of`. With write=False, only count what would change.

    1. every account key of the window is looked up; 2. accounts in the order of their domains, batch by batch: those
    that there are and those that are opened now.
    CannotScore for a future date or a window with a missing day; NoActiveConfig without a config.
    """
    check_window(as_of, now.date())
    registry = load_registry()
    revision = record_revision(registry, resolution_settings())
    resolver = load_resolver(registry.domain_rules, as_of)
    progress = Progress(as_of, registry_problems=registry.alarm)
    newest = not is_past(as_of)
    moved, unopened = look_up_keys(as_of, resolver, progress, domains, guard)
    plan = Plan(
        stamp=Stamp(as_of, revision, registry.parameters.id, run, now, is_provisional=as_of >= now.date()),
        resolver=resolver,
        registry=registry,
        classifier=Classifier(registry.rule_set(), registry.weights),
        moved=moved,
        newest=newest,
        rewrite=restate or newest,
        write=write,
        guard=guard,
    )
    chosen = ProspectCompany.objects.filter(merged_into__isnull=True)
    if domains is not None:
        chosen = chosen.filter(domain__in=plan.moved)
    elif plan.rewrite:
        progress.written += transact(partial(remove_merged, plan))
    progress.total = chosen.count() + len(unopened)
    progress.unmatched, progress.unweighed = plan.classifier.unmatched, plan.classifier.unweighed
    yield progress
    for batch in batches(chosen, unopened):
        # A lead may open an account between the look at the table and the insert: then the batch begins again.
        scored, written = transact(partial(score_batch, plan, batch), again=IntegrityError)
        progress.done += len(batch)
        progress.scored += scored
        progress.written += written
        yield progress


def remove_merged(plan: Plan) -> Written:
    """A merged account's facts count for another one: its own snapshot of a date that is rewritten goes."""
    plan.guard()
    merged = ProspectCompany.objects.filter(merged_into__isnull=False).values("pk")
    return snapshots.remove(plan.stamp.date, merged, write=plan.write)


def score_batch(plan: Plan, batch: Sequence[str]) -> tuple[int, Written]:
    """In one transaction: lock the accounts, read what is known of them, score, write. How many, and what changed."""
    plan.guard()
    as_of, written = plan.stamp.date, Written()
    companies = lock(batch, plan)
    suppressed = {company.id for company in companies if plan.resolver.rules.suppressed_as(company.domain)}
    scores = score([company for company in companies if company.id not in suppressed], plan)
    opened = [company for company in companies if not company.is_open]
    names, scored = names_of(opened), {company.id for company, _ in scores}
    # Suppressed ones, and dates that a merge had given to an account that was not there yet.
    unscored = [company.id for company in companies if company.is_open and company.id not in scored]
    obsolete = snapshots.remove(as_of, unscored, write=plan.write and plan.rewrite)
    written += obsolete if plan.rewrite else Written(kept=obsolete.removed)
    if obsolete.removed and plan.write and plan.rewrite:
        shown = [company.id for company in companies if company.snapshot_date == as_of and not company.suppressed_as]
        snapshots.fall_back([id for id in shown if id not in scored])
    if plan.write:
        snapshots.open_unscored([company for company in opened if company.id not in scored], names, plan.stamp.now)
    written += snapshots.record(scores, plan.stamp, rewrite=plan.rewrite, write=plan.write, names=names)
    return len(scores), written


def look_up_keys(
    as_of: date, resolver: Resolver, progress: Progress, domains: Sequence[str] | None, guard: Callable[[], None]
) -> tuple[dict[str, list[str]], list[str]]:
    """What the window's keys lead to: those that count for an account under another name, {account: keys}, and the
    domains that have no account yet, in order.

    With `domains` the first has an entry for each of their accounts. Most keys are their account's own domain, so it
    stays small.
    """
    moved: dict[str, list[str]] = {}
    unopened: set[str] = set()
    first = as_of - timedelta(days=evidence.REACH)
    if domains is None:
        pages = evidence.key_batches(first, as_of, settings.SCORING_BATCH_ACCOUNTS)
    else:
        chosen = {home_of(domain, resolver): list[str]() for domain in domains}
        moved |= chosen
        found = (evidence.keys_of(home, resolver, first, as_of) for home in chosen)
        pages = (evidence.seen(keys, first, as_of) for keys in found)  # a mistyped domain makes no account
    for keys in pages:
        guard()
        homes = set()
        for key in keys:
            resolution = resolver.resolve(key)
            if resolution.reason:
                progress.unresolved[resolution.reason] += 1
            home = evidence.is_evidence(resolution, resolver)
            if home is None:
                continue  # personal, platform, or this one domain of the account is suppressed
            homes.add(home)
            if key != home and key not in moved.setdefault(home, []):
                moved[home].append(key)
        unopened |= homes - set(ProspectCompany.objects.filter(domain__in=homes).values_list("domain", flat=True))
    return moved, sorted(unopened)


def home_of(domain: str, resolver: Resolver) -> str:
    """The account of a domain that somebody asked for by name; CannotScore when it can be none."""
    home, reason = resolver.resolve(domain)
    if home is None:
        raise CannotScore(f"{domain} is no account: it is a {reason} domain.")
    return home


def batches(companies: QuerySet[ProspectCompany], unopened: Sequence[str]) -> Iterator[list[str]]:
    """Domains in order, those of accounts by keyset: a result of a million rows is never held at once."""
    # Once each, though somebody may have opened one of them meanwhile.
    domains = (domain for domain, _ in groupby(heapq.merge(domains_of(companies), unopened)))
    while batch := list(islice(domains, settings.SCORING_BATCH_ACCOUNTS)):
        yield batch


def domains_of(companies: QuerySet[ProspectCompany]) -> Iterator[str]:
    rows = companies.order_by("domain").values_list("domain", flat=True)
    after = ""
    while page := list(rows.filter(domain__gt=after)[: settings.SCORING_BATCH_ACCOUNTS]):
        yield from page
        after = page[-1]


def lock(batch: Sequence[str], plan: Plan) -> list[Account]:
    """The batch's accounts, locked in the order of their domains; those that are not there yet come with a new id.

    One that was merged a moment ago is left out. Whether they are suppressed follows the rules: the flag by which lists
    leave them out says the present, whatever date is scored.
    """
    rows = ProspectCompany.objects.select_for_update().filter(domain__in=batch).order_by("domain")
    found = accounts_in(rows)
    companies = []
    for domain in batch:
        kind = plan.resolver.rules.suppressed_as(domain) if plan.newest else ""
        if domain not in found:
            companies.append(Account(new_id(), domain, suppressed_as=kind))
        elif (company := found[domain]) is not None:
            companies.append(company)
            if plan.newest and plan.write and kind != company.suppressed_as:
                ProspectCompany.objects.filter(pk=company.id).update(suppressed_as=kind)
    return companies


def accounts_in(rows: QuerySet[ProspectCompany]) -> dict[str, Account | None]:
    """The accounts by domain; None for one that is merged into another."""
    columns = [column.name for column in fields(Account) if column.name != "is_open"]
    return {
        domain: None if merged else Account(*row, is_open=True)
        for merged, domain, *row in rows.values_list("merged_into", "domain", *columns)
    }


def names_of(companies: Sequence[Account]) -> dict[str, str]:
    """The organisation that the latest lead of each new account wrote, where one did."""
    if not companies:
        return {}
    domains = [company.domain for company in companies]
    leads = LeadRequest.objects.filter(account_key__in=domains).exclude(organization_name="").order_by("submitted_at")
    return dict(leads.values_list("account_key", "organization_name"))


def score(companies: Sequence[Account], plan: Plan) -> list[tuple[Account, AccountScore]]:
    """Scores of the accounts that have facts or leads in reach, a score above 0 to cool, or a snapshot to redo."""
    as_of, parameters = plan.stamp.date, plan.registry.parameters
    gathered = gather(companies, as_of, plan.resolver, plan.moved, parameters.new_account_days)
    return [
        (company, score_account(seen.days, seen.leads, plan.classifier, parameters, as_of, first_seen=first))
        for company, seen, first in gathered
    ]


def gather(
    companies: Sequence[Account],
    as_of: date,
    resolver: Resolver,
    moved: Mapping[str, list[str]],
    new_account_days: int,
) -> Iterator[tuple[Account, evidence.Evidence, date | None]]:
    """What a score is made of, of those accounts that get one: evidence, and when they were first seen where the
    window alone cannot tell whether they are newer than `new_account_days`."""
    keys_of = {
        company.domain: own_keys(company.domain, resolver) + moved.get(company.domain, []) for company in companies
    }
    found = evidence.read(keys_of, as_of - timedelta(days=evidence.REACH), as_of)
    silent = [company for company in companies if company.is_open and company.domain not in found]
    cooled = those_that_cooled(silent, as_of)
    earlier = first_seen_earlier(found, keys_of, new_account_days, as_of)
    for company in companies:
        seen = found.get(company.domain, evidence.Evidence())
        if seen or company.id in cooled or is_warm(company, as_of):
            yield company, seen, earlier.get(company.domain)


def own_keys(domain: str, resolver: Resolver) -> list[str]:
    return [domain] if evidence.counts_for(domain, domain, resolver) else []


def is_warm(company: Account, as_of: date) -> bool:
    """Its last score, of a day before, was above 0: a silent account is scored until it has cooled."""
    return company.score_30d_raw > 0 and company.snapshot_date is not None and company.snapshot_date < as_of


def those_that_cooled(silent: Sequence[Account], as_of: date) -> set[UUID]:
    """Silent accounts whose snapshot of this date is rightly there, since the one before it was above 0."""
    scored = [company.id for company in silent if company.snapshot_date and company.snapshot_date >= as_of]
    if not scored:
        return set()
    before = DailyAccountIntent.objects.filter(prospect_company=OuterRef("prospect_company"), date__lt=as_of)
    last = before.order_by("-date").values("raw_score_30d")[:1]
    there = DailyAccountIntent.objects.filter(date=as_of, prospect_company__in=scored)
    return set(there.alias(last=Subquery(last)).filter(last__gt=0).values_list("prospect_company_id", flat=True))


def first_seen_earlier(
    found: Mapping[str, evidence.Evidence], keys_of: Mapping[str, list[str]], new_account_days: int, as_of: date
) -> dict[str, date]:
    """For accounts that the window alone would call new: when they were seen before it, if they were."""
    fresh = as_of - timedelta(days=new_account_days)
    candidates = {domain: keys_of[domain] for domain, seen in found.items() if seen.earliest() > fresh}
    return evidence.first_seen(candidates, before=as_of - timedelta(days=evidence.REACH)) if candidates else {}
