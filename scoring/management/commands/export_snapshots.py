"""All snapshots of a date as CSV or JSON Lines: the account's domain and every stored column under its own name."""

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from registry.csv_cells import escape
from scoring.models import DailyAccountIntent

COLUMNS = tuple(column.attname for column in DailyAccountIntent._meta.concrete_fields)
PAGE = 1_000


class Command(BaseCommand):
    help = "Write all snapshots of a date, ordered by account_key. JSON columns are JSON text in CSV."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", type=date.fromisoformat, required=True)
        parser.add_argument("--format", choices=("csv", "jsonl"), default="csv")
        parser.add_argument("--output", metavar="F", help="File to write (default: standard output).")

    def handle(self, *args: Any, **options: Any) -> None:
        if not DailyAccountIntent.objects.filter(date=options["date"]).exists():
            raise CommandError(f"No snapshot of {options['date']}.")
        write = write_csv if options["format"] == "csv" else write_jsonl
        try:
            with output_to(options["output"], self.stdout._out) as file:
                count = write(file, rows(options["date"]))
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CommandError(f"{options['output'] or 'The output'} cannot be written: {error.strerror}.") from error
        if options["output"]:
            self.stderr.write(f"{count:,} snapshots written to {options['output']}.")


def output_to(path: str | None, standard: IO[str]) -> AbstractContextManager[IO[str]]:
    return open(path, "w", newline="", encoding="utf-8") if path else nullcontext(standard)


def rows(day: date) -> Iterator[dict[str, Any]]:
    """By keyset on the domain, so that the memory does not grow with the number of accounts."""
    snapshots = DailyAccountIntent.objects.filter(date=day).order_by("prospect_company__domain")
    after = ""
    while page := list(
        snapshots.filter(prospect_company__domain__gt=after).values("prospect_company__domain", *COLUMNS)[:PAGE]
    ):
        for row in page:
            after = row.pop("prospect_company__domain")
            yield {"account_key": after, **row}


def write_csv(file: IO[str], found: Iterable[dict[str, Any]]) -> int:
    writer = csv.writer(file)
    writer.writerow(["account_key", *COLUMNS])
    count = 0
    for count, row in enumerate(found, 1):  # noqa: B007
        writer.writerow([cell(value) for value in row.values()])
    return count


def cell(value: Any) -> object:
    """JSON as JSON text, times in ISO 8601 with Z, floats to the last digit (repr)."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return repr(value)
    return escape(value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str_or_number(value))


def str_or_number(value: Any) -> object:
    return value if value is None or isinstance(value, int) else str(value)


def write_jsonl(file: IO[str], found: Iterable[dict[str, Any]]) -> int:
    count = 0
    for count, row in enumerate(found, 1):  # noqa: B007
        file.write(json.dumps(row, cls=JsonEncoder, ensure_ascii=False) + "\n")
    return count


class JsonEncoder(DjangoJSONEncoder):
    """Django's, but with microseconds: two exports of one row must agree to the last digit."""

    def default(self, o: Any) -> Any:
        return o.isoformat().replace("+00:00", "Z") if hasattr(o, "isoformat") else super().default(o)
