"""The defaults of a new installation (spec step 4): the only file with these numbers.

Each row has a key and is created once, ever: a row that an admin edited, renamed or deleted is left as it is, because
its key is still in the table or in its history.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from registry.models import EventRule, PromptTemplate, ScoreConfig, ScoreWeight, SeededRecord

CONFIG = "default_v1"  # its numbers are the columns' defaults, which are the spec's

# Spec 6.1: (event, content type, cta id) → points.
WEIGHTS = {
    ("page_view", "pricing", ""): 25,
    ("page_view", "request_reservation", ""): 30,
    ("page_view", "integrations", ""): 18,
    ("page_view", "security", ""): 18,
    ("page_view", "case_study", ""): 12,
    ("page_view", "service_page", ""): 10,
    ("page_view", "directory_page", ""): 8,
    ("page_view", "docs", ""): 6,
    ("page_view", "blog", ""): 3,
    ("page_view", "comparison", ""): 15,
    ("page_view", "other", ""): 1,
    ("cta_click", "", "request_reservation"): 25,
    ("cta_click", "", "contact_sales"): 20,
    ("form_started", "", ""): 20,
    ("form_submitted", "", ""): 60,
}

# What a lead request says of itself → points of its lead score, at most 100 together (docs/scoring.md).
LEAD_WEIGHTS = {
    ("company_known", "", ""): 20,
    ("request_type", "reservation", ""): 25,
    ("request_type", "procurement", ""): 25,
    ("request_type", "contact_sales", ""): 15,
    ("title", "", ""): 5,
    ("phone", "", ""): 10,
    ("budget", "", ""): 15,
    ("timeline", "", ""): 10,
    ("quantity", "", ""): 5,
    ("location", "", ""): 5,
    ("message", "", ""): 5,
}

# Anchored prefixes from priority 1000 on, so that an admin's own rule (default 100) always comes first.
# (name, event, match type, pattern, content type, lane)
RULES = [
    ("service-lane", "*", "path_regex", r"^/services?/([^/]+)", "service_page", r"\1"),
    ("services", "page_view", "path_regex", r"^/services?/?$", "service_page", ""),
    ("pricing", "page_view", "path_prefix", "/pricing", "pricing", ""),
    ("security", "page_view", "path_prefix", "/security", "security", ""),
    ("integrations", "page_view", "path_prefix", "/integrations", "integrations", ""),
    ("reservation-lane", "*", "path_regex", r"^/request-reservation/([^/]+)", "request_reservation", r"\1"),
    ("reservation", "page_view", "path_prefix", "/request-reservation", "request_reservation", ""),
    ("case-studies", "page_view", "path_regex", r"^/(case-stud(y|ies)|customers)(/|$)", "case_study", ""),
    ("comparison", "page_view", "path_regex", r"^/(compare|comparison|vs)(/|$)", "comparison", ""),
    ("directory", "page_view", "path_prefix", "/directory", "directory_page", ""),
    ("docs", "page_view", "path_prefix", "/docs", "docs", ""),
    ("blog", "page_view", "path_prefix", "/blog", "blog", ""),
]

# Spec appendix A.
SYSTEM_PROMPT = (
    "You are an elite B2B ABM strategist. Generate concise, actionable account summaries for sales and marketing."
    " Be specific about why the account is hot, what they likely care about, and what to do next. Do not invent facts."
    " If something is uncertain, label it as a hypothesis."
)
USER_PROMPT = """\
Create an “Account Brief” for the account in the JSON below.
Output exactly in this structure:

Why they’re hot (3 bullets) — cite observed behaviors only
Likely buying stage — one sentence
Primary service interest — one sentence referencing lane scores
Recommended next action (Sales) — 3 bullets
Recommended next action (Marketing) — 3 bullets
Personalization angle — 2 bullets with suggested messaging themes
Risks / unknowns — 2 bullets

Keep it under {{MAX_WORDS}} words.
JSON: {{JSON_HERE}}"""


@dataclass(frozen=True)
class Seed:
    model: type[SeededRecord]
    key: str
    fields: dict[str, Any]


def seeds(config: ScoreConfig | None) -> Iterator[Seed]:
    """Every default row but the config; weights only where the seeded config still exists."""
    if config is not None:
        yield from weights(config, ScoreWeight.Kind.EVENT, WEIGHTS)
        yield from weights(config, ScoreWeight.Kind.LEAD, LEAD_WEIGHTS)
    for position, (name, event, match_type, match_value, content_type, lane) in enumerate(RULES):
        yield Seed(
            EventRule,
            name,
            {
                "priority": 1000 + 10 * position,
                "event_name": event,
                "match_type": match_type,
                "match_value": match_value,
                "content_type": content_type,
                "lane": lane,
            },
        )
    yield Seed(
        PromptTemplate,
        "default",
        {"system_prompt": SYSTEM_PROMPT, "user_prompt_template": USER_PROMPT, "version": "v1"},
    )


def weights(config: ScoreConfig, kind: str, points: dict[tuple[str, str, str], int]) -> Iterator[Seed]:
    prefix = [] if kind == ScoreWeight.Kind.EVENT else [kind]
    for (event, content_type, cta_id), weight in points.items():
        named = {"event_name": event, "content_type": content_type, "cta_id": cta_id}
        key = "-".join(filter(None, [*prefix, event, content_type, cta_id]))
        yield Seed(ScoreWeight, key, {"score_config": config, "kind": kind, **named, "weight": weight})


def ever_existed(model: type[SeededRecord], key: str) -> bool:
    history: Any = model
    return model.objects.filter(seed_key=key).exists() or history.history.filter(seed_key=key).exists()


def seed() -> list[str]:
    """Create what is missing; returns a line for each row created, none on a second run."""
    created = []
    with transaction.atomic():
        if not ever_existed(ScoreConfig, CONFIG) and not ScoreConfig.objects.filter(name=CONFIG).exists():
            # Another config may be active already: then ours waits as a draft.
            active = ScoreConfig.objects.filter(status=ScoreConfig.Status.ACTIVE).exists()
            status = ScoreConfig.Status.DRAFT if active else ScoreConfig.Status.ACTIVE
            config = ScoreConfig.objects.create(name=CONFIG, status=status, seed_key=CONFIG)
            created.append(f"score config: {config}")
        for row in seeds(ScoreConfig.objects.filter(seed_key=CONFIG).first()):
            if not ever_existed(row.model, row.key) and not already_there(row):
                made = row.model.objects.create(seed_key=row.key, **row.fields)
                created.append(f"{row.model._meta.verbose_name}: {made}")
    return created


def already_there(row: Seed) -> bool:
    """An admin made the same weight or template by hand: theirs stays."""
    if row.model is ScoreWeight:
        same = {name: row.fields[name] for name in ("score_config", "kind", "event_name", "content_type", "cta_id")}
        return ScoreWeight.objects.filter(**same).exists()
    if row.model is PromptTemplate:
        return PromptTemplate.objects.filter(lane="*", persona="*", intent_stage="*", enabled=True).exists()
    return False
