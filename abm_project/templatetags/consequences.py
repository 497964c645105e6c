"""How pages name what becomes of an account."""

from django import template

from registry.values import SUPPRESSING

register = template.Library()


@register.filter
def state(reason: str) -> str:
    """`suppressed (competitor)`, `personal`; nothing for an account that is scored."""
    return f"suppressed ({reason})" if reason in SUPPRESSING else reason
