"""What is kept of briefs for a while only. `scoring.retention` calls it by its name in settings, every night."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from ai_summaries.models import AccountAISummary, BriefAttempt, BriefBudget, ReplacedSummary
from scoring.retention import Do, delete


def parts(now: datetime, do: Do) -> dict[str, Iterator[int]]:
    """The brief that an account shows of a persona, its newest, stays however old it is. Attempts are kept for longer
    than any of them runs, so that none is taken from under whoever makes it."""
    first_kept = now - timedelta(days=settings.BRIEF_RETENTION_DAYS)
    old: dict[str, QuerySet[Any]] = {
        "replaced_briefs": ReplacedSummary.objects.filter(created_at__lt=first_kept),
        "older_briefs": _followed().filter(created_at__lt=first_kept),
        "brief_attempts": BriefAttempt.objects.filter(created_at__lt=first_kept),
        "brief_budgets": BriefBudget.objects.filter(day__lt=first_kept.date()),
    }
    return {what: delete(rows, do) if settings.BRIEF_RETENTION_DAYS else iter(()) for what, rows in old.items()}


def _followed() -> QuerySet[AccountAISummary]:
    """Briefs that one of a later date has taken the place of."""
    same = AccountAISummary.objects.filter(
        prospect_company=OuterRef("prospect_company"),
        persona=OuterRef("persona"),
        cache_date__gt=OuterRef("cache_date"),
    )
    return AccountAISummary.objects.filter(Exists(same))
