"""Create the default score config, weights, event rules and prompt template where they never existed."""

from typing import Any

from django.core.management.base import BaseCommand

from registry.seeds import seed


class Command(BaseCommand):
    help = "Create the registry's defaults. Safe to repeat: it never overwrites or brings back what an admin changed."

    def handle(self, *args: Any, **options: Any) -> None:
        created = seed()
        for line in created:
            self.stdout.write(f"created {line}")
        self.stdout.write(
            f"{len(created)} created." if created else "Nothing to create: the defaults were seeded before."
        )
