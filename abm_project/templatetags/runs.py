"""How the Runs page writes large numbers and durations."""

from django import template

register = template.Library()


@register.filter
def whole(number: int | None) -> str:
    """`12,480`."""
    return "" if number is None else f"{number:,}"


@register.filter
def took(seconds: float | None) -> str:
    """`0.4 s`, `48 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02} min" if hours else f"{minutes} min {rest:02} s"
