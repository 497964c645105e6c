"""Surges: this week against the week before (spec 6.6). Pure."""

from registry.values import ScoreParameters, SurgeLevel


def surge_ratio(raw_7d: float, raw_prev_7d: float, smoothing: float) -> float:
    """(raw_7d + 5) / (raw_prev_7d + 5) with the spec's smoothing of 5."""
    return (raw_7d + smoothing) / (raw_prev_7d + smoothing)


def surge_level(ratio: float, raw_7d: float, parameters: ScoreParameters) -> SurgeLevel:
    """Surging from surging_min up to and including exploding_min, Exploding above; Normal below a minimum of points."""
    if raw_7d < parameters.surge_min_raw_7d or ratio < parameters.surge_surging_min:
        return SurgeLevel.NORMAL
    return SurgeLevel.SURGING if ratio <= parameters.surge_exploding_min else SurgeLevel.EXPLODING
