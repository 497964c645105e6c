"""What must hold before Orbit starts, and what production still needs."""

from typing import Any

from django.conf import settings
from django.core.checks import Error, Tags, Warning, register


@register(Tags.compatibility)
def windows_are_utc_days(app_configs: Any, **kwargs: Any) -> list[Error]:
    if settings.TIME_ZONE == "UTC" and settings.USE_TZ:
        return []
    return [Error("TIME_ZONE must be UTC: scores are of UTC days.", id="orbit.E001")]


@register(Tags.compatibility)
def model_is_named(app_configs: Any, **kwargs: Any) -> list[Error]:
    if settings.AI_MODEL or not settings.ANTHROPIC_API_KEY:
        return []
    return [
        Error(
            "ANTHROPIC_API_KEY is set, and AI_MODEL is not.",
            hint="Name the model that shall write the briefs, or unset the key: briefs are then made from rules.",
            id="orbit.E002",
        )
    ]


@register(Tags.security, deploy=True)
def secret_is_given(app_configs: Any, **kwargs: Any) -> list[Warning]:
    if not settings.SECRET_KEY_WAS_MADE_HERE:
        return []
    return [
        Warning(
            "SECRET_KEY is not set: this machine made its own, which a second machine would not share.",
            hint="Set SECRET_KEY to the same 50 or more random characters on every machine.",
            id="orbit.W001",
        )
    ]
