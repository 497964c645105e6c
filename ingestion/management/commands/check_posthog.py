"""The doctor of the connection to PostHog."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ingestion.doctor import Doctor
from ingestion.posthog import PostHogError, connect
from registry.loader import RegistryUnusable

SIGNS = {True: "ok  ", False: "BAD ", None: "    "}


class Command(BaseCommand):
    help = (
        "Look whether activity can be pulled from PostHog: address, key, scopes, groups, which events arrive, and what"
        " they carry. Ends with the settings to change. Writes nothing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = Doctor(connect(), timezone.now()).examine()
        except (PostHogError, RegistryUnusable) as error:
            raise CommandError(str(error)) from error
        for finding in found.findings:
            self.stdout.write(f"{SIGNS[finding.good]} {finding.text}")
        if found.settings:
            self.stdout.write("\nChange these settings:")
            for name, value in found.settings.items():
                self.stdout.write(f"{name}={value}")
        if not found.healthy:
            raise CommandError("Not everything is as it should be.")
        self.stdout.write("\nNext: manage.py pull_activity")
