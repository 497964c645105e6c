"""Lanes: a card for each, and the accounts of the one that was chosen."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from abm_project import dashboards
from abm_project.charts import count_line
from abm_project.filters import LaneListForm
from abm_project.pages import account_columns, bad_filters

SHOWN = 25


@require_safe
def lanes(request: HttpRequest) -> HttpResponse:
    form = LaneListForm(request.GET)
    if not form.is_valid():
        return bad_filters(request, form)
    chosen = form.chosen()
    found = dashboards.lane_cards(chosen.range)
    highest = max((number for card in found.cards for number in card.hot_trend if number is not None), default=0)
    context = {
        "chosen": chosen,
        "cards": [(card, count_line(card.hot_trend, highest)) for card in found.cards],
        "found": found,
        "ranges": dashboards.RANGES,
        "accounts": dashboards.hot_accounts(chosen, 1, SHOWN) if chosen.lane else None,
        "columns": account_columns(chosen),
        "now": timezone.now(),
    }
    return render(request, "lanes.html", context)
