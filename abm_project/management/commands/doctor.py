"""The doctor of a whole installation."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from abm_project.doctor import examine
from abm_project.logs import redact

SIGNS = {True: "ok  ", False: "BAD ", None: "    "}


class Command(BaseCommand):
    help = (
        "Look at everything an installation needs: settings, database, Redis, scheduler, last night, registry, PostHog,"
        " the model of briefs, mail, web hooks. Ends with what to do, and with exit code 1 when something is wrong."
        " Writes nothing."
    )
    requires_system_checks = []  # it reports them itself

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--skip-posthog", action="store_true", help="Do not ask PostHog, which takes seconds.")

    def handle(self, *args: Any, **options: Any) -> None:
        wrong, changes = [], dict[str, str]()
        for name, found in examine(timezone.now(), ask_posthog=not options["skip_posthog"]):
            self.stdout.write(f"\n{name}")
            for finding in found.findings:
                self.stdout.write(f"{SIGNS[finding.good]} {redact(finding.text)}")
            wrong += [finding.text for finding in found.findings if finding.good is False]
            changes |= found.settings
        if changes:
            self.stdout.write("\nChange these settings:")
            for setting, value in changes.items():
                self.stdout.write(f"{setting}={value}")
        if wrong:
            self.stdout.write("\nTo do:")
            for number, text in enumerate(wrong, 1):
                self.stdout.write(f"{number}. {redact(text)}")
            things = f"{len(wrong)} things are not as they" if len(wrong) > 1 else "One thing is not as it"
            raise CommandError(f"{things} should be.")
        self.stdout.write("\nAll is well.")
