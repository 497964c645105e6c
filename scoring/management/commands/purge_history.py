"""Remove what is older than the settings allow, as every night does at its end."""

from collections import deque
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from scoring.models import JobRun, RunInProgress
from scoring.retention import purge


class Command(BaseCommand):
    help = (
        "Remove facts, snapshots, runs, history, lead payloads, older briefs and sessions that are older than the"
        " *_RETENTION_DAYS settings allow. Every night does it by itself. Safe to repeat, and to stop."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count what would go, and remove nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        write = not options["dry_run"]
        if write:
            try:
                JobRun.objects.refuse_bulk()  # it may be reading what goes
            except RunInProgress as run:
                raise CommandError(str(run)) from run
        (purged,) = deque(purge(timezone.now(), write=write), maxlen=1)
        counts = ", ".join(f"{rows:,} {what.replace('_', ' ')}" for what, rows in purged.items())
        self.stdout.write(f"{'Removed' if write else 'Would remove'}: {counts}.")
