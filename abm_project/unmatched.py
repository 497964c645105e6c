"""Pages that no event rule knew in the newest run, by traffic: each is worth a look, and perhaps a rule. Reads only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from registry.loader import RegistryUnusable, get_active_score_config, get_event_rules
from scoring.engine import PAGE_VIEW
from scoring.models import NIGHT, RECOMPUTE, JobRun


@dataclass(frozen=True, slots=True)
class Page:
    """`rule`: the pattern that knows it by now, '' while none does."""

    path: str
    views: int
    rule: str


@dataclass(frozen=True, slots=True)
class Unmatched:
    run: UUID
    finished_at: datetime
    pages: tuple[Page, ...]


def unmatched() -> Unmatched | None:
    """Of the newest bulk run that scored; None before the first one. Two queries and the rules, which are cached."""
    done = JobRun.objects.filter(kind__in=[NIGHT, RECOMPUTE], is_bulk=True, state=JobRun.State.DONE)
    newest = done.order_by("-started_at", "-id").first()
    if newest is None or newest.finished_at is None:
        return None
    stored = newest.result_json.get("unmatched_pages") if isinstance(newest.result_json, dict) else None
    try:
        rules = get_event_rules(get_active_score_config().id)
    except RegistryUnusable:
        rules = None
    pages = []
    for path, views in (stored if isinstance(stored, dict) else {}).items():
        if isinstance(views, int) and path:
            rule = rules.first(PAGE_VIEW, path) if rules else None
            pages.append(Page(path, views, rule.match_value if rule else ""))
    return Unmatched(newest.pk, newest.finished_at, tuple(sorted(pages, key=lambda page: (-page.views, page.path))))
