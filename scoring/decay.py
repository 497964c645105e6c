"""Exponential decay (spec 6.2). Pure."""

import math


def decay(age_days: int, lambda_decay: float) -> float:
    """exp(−λ · age): what is left of a point after that many whole days. λ per day; 0.10 halves every 6.93 days."""
    return math.exp(-lambda_decay * age_days)


def half_life(lambda_decay: float) -> float | None:
    """Days after which half is left; None when nothing decays."""
    return math.log(2) / lambda_decay if lambda_decay else None
