"""What another registry would do to the scores of a date: the recompute without its writing, done with both.

Facts are read once and by the same code; the engine is the same. So what a preview names is what a recompute finds
after the change, to the last score, unless facts or accounts change in between.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from accounts.models import ProspectCompany
from accounts.resolution import Resolver, load_resolver, resolution_settings
from registry.loader import load_registry
from registry.registry import Registry
from registry.revisions import content, digest_of
from registry.values import ScoreParameters
from scoring import evidence
from scoring.engine import MONTH, Classifier, score_account
from scoring.explain import by_category, contributions
from scoring.moves import NAMED, Impact, Reason, Standing, Tally
from scoring.rollup import (
    Progress,
    accounts_in,
    batches,
    check_window,
    gather,
    look_up_keys,
    own_keys,
)
from scoring.snapshots import Account


@dataclass(frozen=True, slots=True)
class Scorer:
    """The engine with one registry."""

    classifier: Classifier
    parameters: ScoreParameters

    @classmethod
    def of(cls, registry: Registry) -> "Scorer":
        return cls(Classifier(registry.rule_set(), registry.weights), registry.parameters)

    def standing(self, seen: evidence.Evidence, as_of: date) -> Standing:
        return Standing.of(score_account(seen.days, seen.leads, self.classifier, self.parameters, as_of))


@dataclass(slots=True)
class Previewing:
    """How far a preview is; with what it found when it is done. The digests name the registry in force and the proposed
    one."""

    before: str
    after: str
    done: int = 0
    total: int = 0
    impact: Impact | None = None


def digest(registry: Registry) -> str:
    """The name that the registry's revision has, or would have if scores were made with it."""
    return digest_of(content(registry, resolution_settings()))


def preview(
    proposed: Registry,
    as_of: date,
    now: datetime,
    *,
    named: int = NAMED,
    guard: Callable[[], None] = lambda: None,
) -> Iterator[Previewing]:
    """Score every account for `as_of` with the registry in force and with the proposed one. Writes nothing.

    Who an account is follows the domain rules in force in both: those show what they do on their own pages.
    CannotScore and NoActiveConfig as a recompute.
    """
    check_window(as_of, now.date())
    present = load_registry()
    resolver = load_resolver(present.domain_rules, as_of)
    moved, unopened = look_up_keys(as_of, resolver, Progress(as_of), None, guard)
    before, after = Scorer.of(present), Scorer.of(proposed)
    chosen = ProspectCompany.objects.filter(merged_into__isnull=True)
    tally = Tally(as_of, named)
    progress = Previewing(digest(present), digest(proposed), total=chosen.count() + len(unopened))
    yield progress
    for batch in batches(chosen, unopened):
        guard()
        # Whether an account is new is not compared, so nobody asks when it was first seen.
        for company, seen, _ in gather(_unsuppressed(batch, resolver), as_of, resolver, moved, new_account_days=0):
            tally.add(company.domain, before.standing(seen, as_of), after.standing(seen, as_of))
        progress.done += len(batch)
        yield progress
    names = dict(ProspectCompany.objects.filter(domain__in=tally.shown()).values_list("domain", "name"))
    movers = [move.domain for move in tally.movers.first()]
    progress.impact = tally.impact(names, _reasons(movers, as_of, resolver, moved, (before, after)))
    yield progress


def _unsuppressed(batch: Sequence[str], resolver: Resolver) -> list[Account]:
    """The batch's accounts as a recompute would lock them, without those that get no score."""
    found = accounts_in(ProspectCompany.objects.filter(domain__in=batch).order_by("domain"))
    companies = [found.get(domain, Account(None, domain)) for domain in batch]  # type: ignore[arg-type]
    return [
        company for company in companies if company is not None and not resolver.rules.suppressed_as(company.domain)
    ]


def _reasons(
    domains: Sequence[str],
    as_of: date,
    resolver: Resolver,
    moved: Mapping[str, list[str]],
    scorers: tuple[Scorer, Scorer],
) -> dict[str, tuple[tuple[Reason, ...], tuple[Reason, ...]]]:
    """What the accounts' raw scores are made of with each of the two."""
    keys_of = {domain: own_keys(domain, resolver) + moved.get(domain, []) for domain in domains}
    found = evidence.read(keys_of, as_of - timedelta(days=MONTH - 1), as_of)
    return {domain: tuple(_lines(seen, scorer, as_of) for scorer in scorers) for domain, seen in found.items()}  # type: ignore[misc]


def _lines(seen: evidence.Evidence, scorer: Scorer, as_of: date) -> tuple[Reason, ...]:
    counted = contributions(seen.days, seen.leads, scorer.classifier, scorer.parameters.lambda_decay, as_of)
    return tuple(Reason(line.category, line.event, line.count, line.points) for line in by_category(counted))
