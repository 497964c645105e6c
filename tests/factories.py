"""Rows for tests: plain functions with defaults, so that a test says only what it is about."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models.functions import Now

from abm_project.access import give_role
from abm_project.api_tokens import issue
from abm_project.models import ApiToken
from accounts.models import Contact, ContactIdentity, ProspectCompany
from ingestion.models import ActivityDay, ActivityPull, LeadRequest
from registry.models import DomainRule, EventRule, PromptTemplate, RegistryRevision, ScoreConfig, ScoreWeight
from scoring.models import DailyAccountIntent, JobRun
from scoring.rollup import recompute

DAY = date(2026, 11, 21)
PASSWORD = "correct horse battery staple"


def at(day: date, hour: int = 12) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=UTC)


def make_user(name: str = "sam", role: str | None = "sales", **fields: Any) -> User:
    user = User.objects.create_user(name, password=PASSWORD, **fields)
    if role:
        give_role(user, role)
    return user


def make_token(user: User, role: str = "sales", name: str = "a program", **fields: Any) -> str:
    """The text of an API token, as a program has it."""
    token, text = issue(name, user, role, datetime.now(UTC) + timedelta(days=1), made_by="ada")
    ApiToken.objects.filter(pk=token.pk).update(**fields)
    return text


def make_config(name: str = "test_v1", status: str = "active", **fields: Any) -> ScoreConfig:
    return ScoreConfig.objects.create(name=name, status=status, **fields)


def make_weight(config: ScoreConfig, event: str = "page_view", weight: int = 10, **fields: Any) -> ScoreWeight:
    return ScoreWeight.objects.create(score_config=config, event_name=event, weight=weight, **fields)


def make_rule(match_value: str = "/pricing", match_type: str = "path_prefix", **fields: Any) -> EventRule:
    return EventRule.objects.create(match_type=match_type, match_value=match_value, **fields)


def make_prompt(lane: str = "*", persona: str = "*", intent_stage: str = "*", **fields: Any) -> PromptTemplate:
    texts = {"system_prompt": "Be brief.", "user_prompt_template": "{{JSON_HERE}}"}
    return PromptTemplate.objects.create(lane=lane, persona=persona, intent_stage=intent_stage, **texts | fields)


def make_domain_rule(domain: str = "acme.example", kind: str = "competitor", **fields: Any) -> DomainRule:
    return DomainRule.objects.create(domain=domain, kind=kind, **fields)


def make_company(domain: str = "acme.example", **fields: Any) -> ProspectCompany:
    return ProspectCompany.objects.create(domain=domain, **{"name": domain, **fields})


def make_person(company: ProspectCompany, email: str, *ids: str, **fields: Any) -> Contact:
    """A contact that PostHog knows by these distinct ids."""
    contact = Contact.objects.create(prospect_company=company, email=email, **fields)
    kind = ContactIdentity.Type.POSTHOG_DISTINCT_ID
    ContactIdentity.objects.bulk_create(
        ContactIdentity(contact=contact, identity_type=kind, identity_value=value) for value in ids
    )
    return contact


def make_fact(key: str = "acme.example", day: date = DAY, *cells: tuple[Any, ...], people: Any = ()) -> ActivityDay:
    """A day of facts; with no cells, one view of /pricing."""
    return ActivityDay.objects.create(
        account_key=key,
        date=day,
        cells_json=sorted(map(list, cells or [("page_view", "", "", "", "/pricing", 1)])),
        people_json=sorted(people),
        last_seen_at=at(day),
    )


def make_pull(day: date = DAY, state: str = "pulled", **fields: Any) -> ActivityPull:
    return ActivityPull.objects.create(date=day, state=state, **{"source": "test", **fields})


def make_lead(key: str | None = "acme.example", day: date = DAY, **fields: Any) -> LeadRequest:
    return LeadRequest.objects.create(account_key=key, submitted_at=at(day), **fields)


def make_run(kind: str = "recompute", state: str = "done", day: date = DAY, **fields: Any) -> JobRun:
    """A bulk run; a running one has an hour left of its lease."""
    row: dict[str, Any] = {"is_bulk": True, "started_at": at(day), "finished_at": at(day)}
    if state == "running":
        row |= {"finished_at": None, "heartbeat_at": Now(), "lease_until": Now() + timedelta(hours=1)}
    return JobRun.objects.create(kind=kind, state=state, **row | fields)


def make_snapshot(company: ProspectCompany, day: date = DAY, **fields: Any) -> DailyAccountIntent:
    """A stored snapshot and, unless the company has a later one, its summary columns."""
    config = ScoreConfig.objects.first() or make_config()
    revision, _ = RegistryRevision.objects.get_or_create(digest="0" * 64, defaults={"content_json": {}})
    row: dict[str, Any] = {
        "score_config": config,
        "registry_revision": revision,
        "raw_score_7d": 10.0,
        "raw_score_prev_7d": 5.0,
        "raw_score_30d": 20.0,
        "intent_score": 22,
        "intent_stage": "Cold",
        "surge_ratio": 1.5,
        "surge_level": "Surging",
        "unique_people_7d": 2,
        "top_lane": "office",
        "top_lane_30d": "office",
        "last_seen_at": at(day),
        "why_hot_json": ["2× Pricing"],
    } | fields
    snapshot = DailyAccountIntent.objects.create(prospect_company=company, date=day, **row)
    if company.snapshot_date is None or company.snapshot_date <= day:
        company.snapshot_date = day
        company.score_7d_raw, company.score_30d_raw = row["raw_score_7d"], row["raw_score_30d"]
        company.score_updated_at = at(day)
        for name in ("intent_score", "intent_stage", "surge_ratio", "surge_level", "unique_people_7d"):
            setattr(company, name, row[name])
        for name in ("top_lane", "top_lane_30d", "last_seen_at"):
            setattr(company, name, row[name])
        company.save()
    return snapshot


def score(*days: date) -> None:
    """Score stored facts for real, so that the snapshots can be explained; needs an active config."""
    for day in days or (DAY,):
        list(recompute(day, at(day + timedelta(days=1), 2)))
