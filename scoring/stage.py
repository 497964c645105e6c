"""Intent stages (spec 6.5). Pure."""

from registry.values import IntentStage


def intent_stage(score: int, cold_max: int, warm_max: int) -> IntentStage:
    """Cold is 0..cold_max, Warm is cold_max+1..warm_max, Hot is above."""
    if score <= cold_max:
        return IntentStage.COLD
    return IntentStage.WARM if score <= warm_max else IntentStage.HOT
