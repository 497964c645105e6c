"""Facts → scores. Read this file first.

`recompute` scores every account for one UTC day, in batches: each batch locks its accounts, then reads their facts and
leads, then writes their snapshots, so that a lead that arrives meanwhile is never overwritten. It is a generator that
yields after each batch, so that whoever runs it can report progress and stop between two batches.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import Max, Min, QuerySet

from accounts.models import ProspectCompany
from accounts.resolution import Resolver, load_resolver, resolution_settings
from ingestion.models import ActivityPull, LeadRequest
from registry.loader import Registry, load_registry
from registry.revisions import record as record_revision
from registry.transactions import transact
from registry.values import ScoreParameters
from scoring import evidence, snapshots
from scoring.engine import MONTH, AccountScore, Classifier, score_account
from scoring.models import DailyAccountIntent, JobRun
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
    """Where the record begins; None while there are no facts at all."""
    begin: date | None = ActivityPull.objects.filter(state=ActivityPull.State.PULLED).aggregate(first=Min("date"))[
        "first"
    ]
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
        newest = ActivityPull.objects.filter(state=ActivityPull.State.PULLED).aggregate(last=Max("date"))["last"]
        named = ", ".join(map(str, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise CannotScore(
            f"{as_of} cannot be scored: no facts for {named}. Import or pull these days first"
            f" (for a quiet day: import_activity with --from and --to); facts are in up to {newest}."
        )


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

    1. every account key of the window gets an account; 2. accounts in the order of their domains, batch by batch.
    CannotScore for a future date or a window with a missing day; NoActiveConfig without a config.
    """
    check_window(as_of, now.date())
    registry = load_registry()
    revision = record_revision(registry, resolution_settings())
    resolver = load_resolver(registry.domain_rules, as_of)
    progress = Progress(as_of, registry_problems=registry.alarm)
    newest = not is_past(as_of)
    plan = Plan(
        stamp=Stamp(as_of, revision, registry.parameters.id, run, now, is_provisional=as_of >= now.date()),
        resolver=resolver,
        registry=registry,
        classifier=Classifier(registry.rule_set(), registry.weights),
        moved=open_accounts(as_of, now, resolver, progress, domains, guard),
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
    progress.total = chosen.count()
    progress.unmatched, progress.unweighed = plan.classifier.unmatched, plan.classifier.unweighed
    yield progress
    for batch in batches(chosen):
        scored, written = transact(partial(score_batch, plan, batch))
        progress.done += len(batch)
        progress.scored += scored
        progress.written += written
        yield progress


def remove_merged(plan: Plan) -> Written:
    """A merged account's facts count for another one: its own snapshot of a date that is rewritten goes."""
    plan.guard()
    merged = ProspectCompany.objects.filter(merged_into__isnull=False).values("pk")
    return snapshots.remove(plan.stamp.date, merged, write=plan.write)


def score_batch(plan: Plan, batch: Sequence[Any]) -> tuple[int, Written]:
    """In one transaction: lock the accounts, read what is known of them, score, write. How many, and what changed."""
    plan.guard()
    as_of, written = plan.stamp.date, Written()
    companies = lock(batch)
    suppressed = {company.id for company in companies if plan.resolver.rules.suppressed_as(company.domain)}
    if plan.newest and plan.write:
        mark_suppressed(companies, plan.resolver)
    if plan.rewrite and suppressed:
        written += snapshots.remove(as_of, suppressed, write=plan.write)
    scorable = [company for company in companies if company.id not in suppressed]
    scores = score(scorable, plan)
    written += snapshots.record(scores, plan.stamp, rewrite=plan.rewrite, write=plan.write)
    return len(scores), written


def open_accounts(
    as_of: date,
    now: datetime,
    resolver: Resolver,
    progress: Progress,
    domains: Sequence[str] | None,
    guard: Callable[[], None],
) -> dict[str, list[str]]:
    """Give every key of the window its account, creating those that are new.

    Returns the keys that count for an account under another name, {account: keys}; with `domains`, an entry for each
    of their accounts. Most keys are their account's own domain, so the result stays small.
    """
    moved: dict[str, list[str]] = {}
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
        transact(partial(create_missing, homes, now))
    return moved


def home_of(domain: str, resolver: Resolver) -> str:
    """The account of a domain that somebody asked for by name; CannotScore when it can be none."""
    home, reason = resolver.resolve(domain)
    if home is None:
        raise CannotScore(f"{domain} is no account: it is a {reason} domain.")
    return home


def create_missing(homes: Set[str], now: datetime) -> None:
    """Accounts for domains that have none; called by the organisation its latest lead wrote, else by the domain."""
    known = set(ProspectCompany.objects.filter(domain__in=homes).values_list("domain", flat=True))
    missing = sorted(homes - known)
    leads = LeadRequest.objects.filter(account_key__in=missing).exclude(organization_name="").order_by("submitted_at")
    written = dict(leads.values_list("account_key", "organization_name"))
    ProspectCompany.objects.open({domain: written.get(domain, "") for domain in missing}, now)


def batches(companies: QuerySet[ProspectCompany]) -> Iterator[list[Any]]:
    """Primary keys in the order of their domains, by keyset: a result of a million rows is never held at once."""
    rows = companies.order_by("domain").values_list("pk", "domain")
    after = ""
    while page := list(rows.filter(domain__gt=after)[: settings.SCORING_BATCH_ACCOUNTS]):
        yield [pk for pk, _ in page]
        after = page[-1][1]


def lock(batch: Sequence[Any]) -> list[Account]:
    """The batch's accounts, locked in one order; one that was merged a moment ago is left out."""
    rows = ProspectCompany.objects.select_for_update().filter(pk__in=batch, merged_into__isnull=True)
    columns = rows.order_by("domain").values_list(*(column.name for column in fields(Account)))
    return [Account(*row) for row in columns]


def mark_suppressed(companies: Sequence[Account], resolver: Resolver) -> None:
    """The flag by which lists leave suppressed accounts out; it says the present, whatever date is scored."""
    for company in companies:
        kind = resolver.rules.suppressed_as(company.domain)
        if kind != company.suppressed_as:
            ProspectCompany.objects.filter(pk=company.id).update(suppressed_as=kind)


def score(companies: Sequence[Account], plan: Plan) -> list[tuple[Account, AccountScore]]:
    """Scores of the accounts that have facts or leads in reach, a score above 0 to cool, or a snapshot to redo."""
    as_of, parameters = plan.stamp.date, plan.registry.parameters
    keys_of = {
        company.domain: own_keys(company.domain, plan.resolver) + plan.moved.get(company.domain, [])
        for company in companies
    }
    found = evidence.read(keys_of, as_of - timedelta(days=evidence.REACH), as_of)
    snapshots_there = DailyAccountIntent.objects.filter(date=as_of, prospect_company__in=[c.id for c in companies])
    redo = set(snapshots_there.values_list("prospect_company_id", flat=True))
    earlier = first_seen_earlier(found, keys_of, parameters, as_of)
    scores = []
    for company in companies:
        seen = found.get(company.domain, evidence.Evidence())
        if seen or company.id in redo or is_warm(company, as_of):
            first = earlier.get(company.domain)
            result = score_account(seen.days, seen.leads, plan.classifier, parameters, as_of, first_seen=first)
            scores.append((company, result))
    return scores


def own_keys(domain: str, resolver: Resolver) -> list[str]:
    return [domain] if evidence.counts_for(domain, domain, resolver) else []


def is_warm(company: Account, as_of: date) -> bool:
    """Its last score, of a day before, was above 0: a silent account is scored until it has cooled."""
    return company.score_30d_raw > 0 and company.snapshot_date is not None and company.snapshot_date < as_of


def first_seen_earlier(
    found: Mapping[str, evidence.Evidence], keys_of: Mapping[str, list[str]], parameters: ScoreParameters, as_of: date
) -> dict[str, date]:
    """For accounts that the window alone would call new: when they were seen before it, if they were."""
    fresh = as_of - timedelta(days=parameters.new_account_days)
    candidates = {domain: keys_of[domain] for domain, seen in found.items() if seen.earliest() > fresh}
    return evidence.first_seen(candidates, before=as_of - timedelta(days=evidence.REACH)) if candidates else {}
