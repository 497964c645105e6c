"""From raw points to a score of 0 to 100 (spec 6.4). Pure."""

import math


def intent_score(raw_30d: float, normalize_k: int) -> int:
    """round(100 · (1 − exp(−raw / k))), halves away from zero (Python's own round goes to the even neighbour)."""
    return math.floor(100 * (1 - math.exp(-raw_30d / normalize_k)) + 0.5)
