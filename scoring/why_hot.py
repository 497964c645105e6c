"""The observed reasons of a score, in words (spec 6.8). Pure."""

from collections.abc import Mapping

# The spec's seven kinds in its order: (event, category) → label. The order breaks ties.
REASONS = {
    ("page_view", "pricing"): "Pricing",
    ("page_view", "security"): "Security",
    ("page_view", "integrations"): "Integrations",
    ("page_view", "request_reservation"): "Reservation Page",
    ("form_started", "form_started"): "Form Started",
    ("form_submitted", "form_submitted"): "Form Submitted",
    ("cta_click", "request_reservation"): "Reservation Click",
}
KEYS = {kind: kind[0] if kind[0] == kind[1] else f"{kind[0]}:{kind[1]}" for kind in REASONS}


def key_events(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Counts of the seven kinds in the last 7 days, those that happened, as the snapshot keeps them."""
    return {key: counts[kind] for kind, key in KEYS.items() if counts.get(kind)}


def why_hot(counts: Mapping[tuple[str, str], int], limit: int = 3) -> list[str]:
    """Up to three reasons such as `2× Pricing`: count descending, then the spec's order."""
    happened = [(counts[kind], label) for kind, label in REASONS.items() if counts.get(kind)]
    happened.sort(key=lambda reason: -reason[0])
    return [f"{count}× {label}" for count, label in happened[:limit]]
