"""How pages write times and numbers. The clock is an argument here too: pages give `now`."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from abm_project import charts
from scoring.explain import Contribution

register = template.Library()


@register.filter
def ago(moment: datetime | None, now: datetime) -> str:
    """`5 min ago`, `3 h ago`, `yesterday`, `12 days ago`; days are UTC days, like the scores'."""
    if moment is None:
        return "never"
    minutes = int((now - moment).total_seconds() // 60)
    days = (now.astimezone(UTC).date() - moment.astimezone(UTC).date()).days
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 12 * 60 or days == 0:
        return f"{minutes // 60} h ago"
    return "yesterday" if days == 1 else f"{days} days ago"


@register.filter
def utc(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else ""


@register.filter
def day(value: date | None) -> str:
    """`Sat 21 Nov`."""
    return f"{value:%a} {value.day} {value:%b}" if value else ""


@register.filter
def points(value: float | None) -> str:
    """Raw points to one decimal, with a real minus; never `-0.0`."""
    if value is None:
        return ""
    text = f"{abs(value):,.1f}"
    return f"−{text}" if value < 0 and text != "0.0" else text


@register.filter
def signed(value: float | None) -> str:
    """`+3.2`, `−1.0`, `±0`; integers stay integers."""
    if value is None:
        return ""
    text = f"{abs(value):,}" if isinstance(value, int) else f"{abs(value):,.1f}"
    if float(text.replace(",", "")) == 0:
        return "±0"
    return f"{'+' if value > 0 else '−'}{text}"


@register.filter
def sparkline(scores: Sequence[int | None]) -> charts.Sparkline | None:
    return charts.sparkline(scores)


@register.filter
def plain(word: str) -> str:
    """`private_office` as people write it."""
    return word.replace("_", " ").replace("-", " ")


@register.filter
def identity(kind: str) -> str:
    """What another system's id of a person is called."""
    return {"posthog_distinct_id": "PostHog", "hashed_email": "hashed e-mail", "crm_id": "CRM", "email": "e-mail"}.get(
        kind, kind
    )


LINE = (
    '<tr><td><time datetime="{}">{}</time></td><td>{}{}</td><td>{}</td>'
    + '<td class="number">{}</td>' * 4
    + '<td class="muted">{}</td><td class="muted"><code>{}</code></td></tr>'
)


@register.filter
def ledger_lines(lines: Iterable[Contribution]) -> SafeString:
    """The rows of a ledger: day, what, lane, count, weight, decay, points, whose weight, by which rule. Not in the
    template, whose way to hundreds of cells took a third of the account's page."""
    return format_html_join("\n", LINE, map(_cells, lines))


def _cells(line: Contribution) -> tuple[object, ...]:
    event = format_html(' <span class="muted">{}</span>', plain(line.event)) if line.event != line.category else ""
    what = (line.date.isoformat(), day(line.date), plain(line.category), event, plain(line.lane))
    return (*what, line.count, line.weight, f"{line.decay:.3f}", points(line.points), line.weight_source, line.rule)
