"""Content-addressed registry revisions: what a score was made with, kept for as long as the score (design 3)."""

import hashlib
import json
from dataclasses import asdict
from datetime import date
from typing import Any

from django.utils import timezone

from registry.models import RegistryRevision
from registry.registry import Registry
from registry.values import DomainRuleValue, Rule, ScoreParameters, Weights


def content(registry: Registry, resolution: dict[str, str]) -> dict[str, Any]:
    """The registry as plain JSON. `resolution` is what else decides whose a domain is: the scope setting and the
    version of the shipped lists."""
    return {
        "config": asdict(registry.parameters),
        "weights": sorted([*key, weight] for key, weight in registry.weights.points.items()),
        "rules": [asdict(rule) for rule in registry.rules],
        "domain_rules": [
            asdict(rule) | {"expires_on": rule.expires_on and rule.expires_on.isoformat()}
            for rule in registry.domain_rules
        ],
        "resolution": resolution,
    }


def digest_of(stored: dict[str, Any]) -> str:
    """The name of a content: the same for the same content, whoever computes it and whether it is kept or not."""
    return hashlib.sha256(json.dumps(stored, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def record(registry: Registry, resolution: dict[str, str]) -> RegistryRevision:
    """The stored revision with this content; made when the content is new.

    A registry that is in force leaves its mark: the newest of these is what a later run goes back to (`loader`). A
    draft, a past registry and one that stands in for a broken one leave none.
    """
    stored = content(registry, resolution)
    digest = digest_of(stored)
    revision, _ = RegistryRevision.objects.get_or_create(digest=digest, defaults={"content_json": stored})
    if registry.in_force and last_in_force_id() != revision.pk:
        RegistryRevision.objects.filter(pk=revision.pk).update(in_force_at=timezone.now())
    return revision


def last_in_force_id() -> Any:
    marked = RegistryRevision.objects.filter(in_force_at__isnull=False)
    return marked.order_by("-in_force_at", "-pk").values_list("pk", flat=True).first()


def last_in_force() -> RegistryRevision | None:
    """The revision that good tables last gave to a run; None when no run had one yet."""
    return RegistryRevision.objects.filter(pk=last_in_force_id()).first()


def registry_of(revision: RegistryRevision) -> Registry:
    """The registry as it was: scores of its time can be computed and explained again."""
    stored = revision.content_json
    return Registry(
        parameters=ScoreParameters(**stored["config"]),
        weights=Weights({(event, kind, cta): weight for event, kind, cta, weight in stored["weights"]}),
        rules=tuple(Rule(**rule) for rule in stored["rules"]),
        domain_rules=tuple(
            DomainRuleValue(**(rule | {"expires_on": rule["expires_on"] and date.fromisoformat(rule["expires_on"])}))
            for rule in stored["domain_rules"]
        ),
    )
