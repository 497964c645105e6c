"""The registry as frozen values: what crosses from the tables into rules, scoring and prompts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType


class IntentStage(StrEnum):
    COLD = "Cold"
    WARM = "Warm"
    HOT = "Hot"


class SurgeLevel(StrEnum):
    NORMAL = "Normal"
    SURGING = "Surging"
    EXPLODING = "Exploding"


class MatchType(StrEnum):
    PATH_REGEX = "path_regex"
    PATH_PREFIX = "path_prefix"
    CONTAINS = "contains"
    EQUALS = "equals"


class Persona(StrEnum):
    SALES = "sales"
    MARKETING = "marketing"
    EXEC = "exec"


class DomainRuleKind(StrEnum):
    """What a domain is. The first three decide whether it can be an account; the rest suppress the account it is."""

    PERSONAL = "personal"
    NOT_PERSONAL = "not_personal"
    PLATFORM = "platform"
    OWN = "own"
    COMPETITOR = "competitor"
    CUSTOMER = "customer"
    PARTNER = "partner"
    AGENCY = "agency"
    ISP = "isp"
    BOT = "bot"


MAILBOXES = frozenset({DomainRuleKind.PERSONAL, DomainRuleKind.NOT_PERSONAL})
SUPPRESSING = frozenset(DomainRuleKind) - MAILBOXES - {DomainRuleKind.PLATFORM}
WEIGHT_MAX = 1000
PLACEHOLDER = "{{JSON_HERE}}"  # in a prompt template: where the account's facts go
ANY = "*"  # of a prompt template's lane, persona and stage


@dataclass(frozen=True, slots=True)
class ScoreParameters:
    """The numbers of one score config (spec 5, registry table 2). λ is per day: 0.10 is a half-life of 6.93 days."""

    id: str
    name: str
    lambda_decay: float = 0.10
    normalize_k: int = 80
    cold_max: int = 34
    warm_max: int = 69
    surge_surging_min: float = 1.5
    surge_exploding_min: float = 2.5
    surge_smoothing: float = 5.0
    surge_min_raw_7d: float = 0.0
    surge_rebase_prev: bool = False
    new_account_days: int = 14


@dataclass(frozen=True, slots=True)
class Rule:
    """One event rule: (event, path) in, lane and content type (and perhaps a weight) out."""

    id: str
    priority: int
    event_name: str
    match_type: str
    match_value: str
    content_type: str = ""
    lane: str = ""
    weight_override: int | None = None


@dataclass(frozen=True, slots=True)
class Weight:
    """One row of the weight table; '' where it does not say."""

    event_name: str
    content_type: str
    cta_id: str
    weight: int


@dataclass(frozen=True, slots=True)
class Weights:
    """Points by (event, content type, cta id), '' where a row does not say; the most specific row wins (design 3)."""

    points: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", MappingProxyType(dict(self.points)))  # cached and shared by threads


@dataclass(frozen=True, slots=True)
class DomainRuleValue:
    """One domain rule; `pattern` is a canonical domain or `*.` and one (the domain itself and all below it)."""

    pattern: str
    kind: str
    reason: str = ""
    expires_on: date | None = None

    def in_force(self, as_of: date) -> bool:
        return self.expires_on is None or as_of <= self.expires_on


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt template."""

    id: str
    lane: str
    persona: str
    intent_stage: str
    version: str
    system_prompt: str
    user_prompt_template: str
    max_words: int
