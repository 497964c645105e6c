"""Which weight an event has (spec 6.1, design 3). Pure."""

from registry.values import Weights

PAGE_VIEW = "page_view"
NO_WEIGHT = "no weight"


def weigh(weights: Weights, event: str, content_type: str, cta_id: str, override: int | None = None) -> tuple[int, str]:
    """The event's points and the row that gave them, most specific first; (0, "no weight") for an unknown event.

    override > event + content type + cta > event + cta > event + content type > event > the `other` row of page views.
    """
    if override is not None:
        return override, "rule override"
    for key in (
        (event, content_type, cta_id),
        (event, "", cta_id),
        (event, content_type, ""),
        (event, "", ""),
    ):
        if key in weights.points:
            return weights.points[key], " + ".join(filter(None, key))
    if event == PAGE_VIEW and (event, "other", "") in weights.points:
        return weights.points[(event, "other", "")], f"{event} + other"
    return 0, NO_WEIGHT
