"""Event rules, score weights, prompt templates or domain rules from a CSV file: all of it or nothing."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry.csv_import import TABLES, ImportRefused, import_rows


class Command(BaseCommand):
    help = "Create or update registry rows from a CSV file with the table's column names. --dry-run writes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=sorted(TABLES))
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="Say what would change and write nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = import_rows(options["kind"], options["file"], dry_run=options["dry_run"])
        except ImportRefused as refusal:
            raise CommandError(f"Nothing was written.\n{refusal}") from refusal
        if options["verbosity"] > 1 or options["dry_run"]:
            for line in report.created:
                self.stdout.write(f"  + {line}")
            for line in report.updated:
                self.stdout.write(f"  ~ {line}")
        verb = "would be " if options["dry_run"] else ""
        self.stdout.write(
            f"{len(report.created)} {verb}created, {len(report.updated)} {verb}updated, {report.unchanged} unchanged."
        )
