"""Which events are kept."""

from contextlib import suppress

from django.conf import settings

from registry.loader import NoActiveConfig, load_registry


def tracked_events() -> set[str]:
    """The events of the setting and those the active config gives points. RegistryUnusable as the loader says."""
    tracked = set(settings.ACTIVITY_EVENTS)
    with suppress(NoActiveConfig):
        tracked |= {event for event, _, _ in load_registry().weights.points}
    return tracked
