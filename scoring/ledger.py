"""The ledger of a stored snapshot: its evidence and its registry revision, read and handed to `scoring.explain`.

A score is explained by the rules and weights it was made with, not by today's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from uuid import UUID

from accounts.models import ProspectCompany
from accounts.resolution import load_resolver
from registry.models import RegistryRevision
from registry.registry import Registry
from registry.revisions import registry_of
from registry.rules import RuleSet
from registry.values import ScoreParameters
from scoring import evidence
from scoring.decay import half_life
from scoring.engine import MONTH, Classifier
from scoring.explain import Bridge, CategoryLine, Contribution, bridge, by_category, contributions, total
from scoring.models import DailyAccountIntent
from scoring.retention import purged_days


@dataclass(frozen=True)
class AccountLedger:
    """Why the score of one snapshot is what it is.

    `total` is the sum of the contributions. `drift` is stored − total: not 0 only where facts, or whose they are,
    changed after the snapshot was made and it was not restated. `bridge` is None for the account's first snapshot.
    `paths_cut`: paths shortened because a day had too many (design 2). `purged`: days of its window, or of the one
    before, whose facts were too old to keep: what is left does not add up to the score, and there is no bridge.
    """

    company: ProspectCompany
    snapshot: DailyAccountIntent
    parameters: ScoreParameters
    categories: tuple[CategoryLine, ...]
    contributions: tuple[Contribution, ...]
    total: float
    drift: float
    bridge: Bridge | None
    paths_cut: int
    purged: int

    @property
    def half_life_days(self) -> float | None:
        return half_life(self.parameters.lambda_decay)

    @property
    def lambda_decay(self) -> float:
        return self.parameters.lambda_decay

    @property
    def normalize_k(self) -> int:
        return self.parameters.normalize_k


def account_ledger(company: ProspectCompany, as_of: date | None = None) -> AccountLedger | None:
    """The ledger of the account's snapshot of `as_of` (default: its newest); None when there is none."""
    rows = DailyAccountIntent.objects.filter(prospect_company=company)
    snapshot = (rows.filter(date=as_of) if as_of else rows.order_by("-date")).first()
    return snapshot and ledger_of(company, snapshot)


def ledger_of(company: ProspectCompany, snapshot: DailyAccountIntent) -> AccountLedger:
    """The ledger of one snapshot of the account."""
    before = DailyAccountIntent.objects.filter(prospect_company=company, date__lt=snapshot.date).order_by("-date")
    previous = before.only("date", "raw_score_30d", "registry_revision").first()
    since = previous.date if previous else snapshot.date
    purged = purged_days(since - timedelta(days=MONTH - 1), snapshot.date)
    classifier, parameters = made_with(snapshot)
    seen = evidence_of(company, snapshot, since)
    lines = contributions(seen.days, seen.leads, classifier, parameters.lambda_decay, snapshot.date)
    summed = total(lines)
    return AccountLedger(
        company=company,
        snapshot=snapshot,
        parameters=parameters,
        categories=tuple(by_category(lines)),
        contributions=tuple(lines),
        total=summed,
        drift=snapshot.raw_score_30d - summed,
        bridge=bridge(
            previous.date,
            previous.raw_score_30d,
            seen.days,
            seen.leads,
            made_with(previous),
            (classifier, parameters),
            snapshot.date,
        )
        if previous and not purged
        else None,
        paths_cut=sum(day.paths_cut for day in seen.days if (snapshot.date - day.date).days < MONTH),
        purged=purged,
    )


def made_with(snapshot: DailyAccountIntent) -> tuple[Classifier, ScoreParameters]:
    """The rules, weights and numbers the snapshot was made with."""
    registry, rules = _kept(snapshot.registry_revision_id)
    return Classifier(rules, registry.weights), registry.parameters


@lru_cache(maxsize=4)
def _kept(revision_id: UUID) -> tuple[Registry, RuleSet]:
    """What a revision holds never changes, and to read and compile it takes longer than the rest of a ledger."""
    registry = registry_of(RegistryRevision.objects.get(pk=revision_id))
    return registry, registry.rule_set()


def evidence_of(company: ProspectCompany, snapshot: DailyAccountIntent, since: date) -> evidence.Evidence:
    """The account's facts and leads from 29 days before `since` up to the snapshot's date, whoever they are now."""
    resolver = load_resolver(_kept(snapshot.registry_revision_id)[0].domain_rules, snapshot.date)
    first = since - timedelta(days=MONTH - 1)
    keys = evidence.keys_of(company.domain, resolver, first, snapshot.date)
    found: Mapping[str, evidence.Evidence] = evidence.read({company.domain: keys}, first, snapshot.date)
    return found.get(company.domain, evidence.Evidence())
