"""Customers and targets from a CSV file: all of it or nothing."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.csv_import import NotACsvFile, Report, import_accounts


class Command(BaseCommand):
    help = "Create, name, alias, merge and suppress accounts from a CSV file. --dry-run says what each line would do."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="Say what each line would do and write nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        try:
            with options["file"].open("rb") as file:
                report = import_accounts(file, timezone.now().date(), dry_run=dry_run)
        except (OSError, NotACsvFile) as error:
            raise CommandError(f"Nothing was written. {error}") from error
        if dry_run or options["verbosity"] > 1:
            for line in report.lines:
                said = "; ".join(line.problems) if line.problems else ", ".join(line.does) or "nothing"
                self.stdout.write(f"  {'!' if line.problems else ' '} line {line.number} {line.domain}: {said}")
        if report.refused:
            raise CommandError(refusal(report))
        self.stdout.write(f"{'Would do: ' if dry_run else 'Done: '}{summary(report)}.")


def summary(report: Report) -> str:
    counts = sorted(report.counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{number:,} {word}" for word, number in counts if number) or "nothing"


def refusal(report: Report) -> str:
    found = [f"line {line.number} {line.domain}: {problem}" for line in report.refused for problem in line.problems]
    return "\n".join([f"Nothing was written: {len(report.refused):,} lines cannot be done.", *found])
