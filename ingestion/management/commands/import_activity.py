"""Facts from PostHog batch-export files: all of them or, when something is wrong, nothing."""

import gc
import os
import sqlite3
import time
from argparse import ArgumentTypeError
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, InterfaceError
from django.utils import timezone
from tqdm import tqdm

from ingestion import activity, export_files
from ingestion.cells import clean
from ingestion.export_files import ActivityExport
from ingestion.sources import FUTURE, NO_ACCOUNT, NOT_A_DOMAIN, OTHER_EVENT, AccountSource, LeftOut
from ingestion.tracking import tracked_events
from registry.loader import RegistryUnusable
from registry.transactions import DATABASE_FAILED

REASONS = {
    NO_ACCOUNT: "no account given",
    NOT_A_DOMAIN: "account is no domain",
    FUTURE: "dated in the future",
    OTHER_EVENT: "not a tracked event",
}

CONNECTION_LOST = (1053, 1927, 2002, 2003, 2006, 2013, 4031)  # of MariaDB and MySQL: gone, killed or shutting down


def account_source(text: str) -> AccountSource:
    try:
        return AccountSource.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def alias(text: str) -> tuple[str, str]:
    sent, equals, tracked = text.rpartition("=")
    if not (sent and equals and tracked):
        raise ArgumentTypeError(f"{text!r} is no alias: write SENT=TRACKED, such as '$pageview=page_view'.")
    return sent, tracked


def utc_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no date: write YYYY-MM-DD.") from error


class Command(BaseCommand):
    help = "Import activity from PostHog batch-export files (JSON Lines, gzip or not). All files, or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument(
            "--account",
            type=account_source,
            default=AccountSource("group", "company"),
            metavar="SOURCE",
            help="Where events name their account: group:TYPE, property:NAME or person_email. Default: %(default)s.",
        )
        parser.add_argument(
            "--event-alias",
            type=alias,
            action="append",
            default=[],
            metavar="SENT=TRACKED",
            help="Count events sent as SENT as TRACKED; may be repeated. Quote names that begin with $.",
        )
        stored = parser.add_mutually_exclusive_group()
        stored.add_argument("--replace", action="store_true", help="The files are the whole truth for their days.")
        stored.add_argument("--add", action="store_true", help="The files hold further events of days already stored.")
        parser.add_argument("--from", dest="first", type=utc_day, metavar="DATE", help="The export's first UTC day.")
        parser.add_argument("--to", dest="last", type=utc_day, metavar="DATE", help="Its last; both or neither.")

    def handle(self, *args: Any, **options: Any) -> None:
        gc.freeze()  # what is loaded by now stays: the collector need not look at it a thousand times
        files: list[Path] = options["files"]
        started, now = time.monotonic(), timezone.now()
        self._refuse_mistakes(files, options, now)
        try:
            with self._read(files, options, now) as export:
                seconds_read = time.monotonic() - started
                report = self._store(export, files, options)
                self._print(export, report, len(files), seconds_read, time.monotonic() - started)
        except (export_files.UnusableExport, activity.DaysAlreadyStored, RegistryUnusable) as refusal:
            raise CommandError(f"Nothing was written. {refusal}") from refusal
        except DATABASE_FAILED as error:
            if connection_was_lost(error):
                raise CommandError(lost(error, adding=options["add"])) from error
            raise CommandError(f"Nothing was written. The database stopped it: {error}. Try again.") from error
        except IntegrityError as error:
            raise CommandError(
                f"Nothing was written. The database stopped it, perhaps for another import of these days: {error}"
            ) from error
        except MemoryError as error:
            raise CommandError(
                "Nothing was written: there was not enough memory. Give the command more, or fewer files at once."
            ) from error
        except sqlite3.OperationalError as error:  # Django's own are wrapped: this is the temporary file
            raise CommandError(
                f"Nothing was written. The temporary file ({error}): SQLITE_TMPDIR names a directory with more room."
            ) from error

    def _refuse_mistakes(self, files: list[Path], options: dict[str, Any], now: datetime) -> None:
        if len(set(map(os.path.realpath, files))) < len(files):
            raise CommandError("A file is named twice: its events would count twice.")
        first, last = options["first"], options["last"]
        if (first is None) != (last is None):
            raise CommandError("--from and --to are the two ends of the export's interval: give both or neither.")
        if first and not first <= last <= now.astimezone(UTC).date():
            raise CommandError("--from may not be after --to, and --to not in the future.")

    def _read(self, files: list[Path], options: dict[str, Any], now: datetime) -> ActivityExport:
        size = sum(map(os.path.getsize, filter(os.path.isfile, files)))
        with tqdm(total=size, desc="reading", unit="B", unit_scale=True, disable=None) as bar:
            return export_files.read(
                files,
                options["account"],
                aliases={**settings.ACTIVITY_EVENT_ALIASES, **dict(options["event_alias"])},
                tracked=tracked_events(),
                site_hosts=settings.SITE_HOSTS,
                now=now,
                max_cells=settings.ACTIVITY_MAX_CELLS,
                interval=(options["first"], options["last"]) if options["first"] else None,
                progress=bar.update,
            )

    def _store(self, export: ActivityExport, files: list[Path], options: dict[str, Any]) -> activity.StoreReport:
        mode = activity.Mode.REPLACE if options["replace"] else activity.Mode.NEW
        mode = activity.Mode.ADD if options["add"] else mode
        label = f"{options['account']} in {clean(', '.join(path.name for path in files))}"
        with tqdm(desc="storing", unit=" rows", disable=None) as bar:
            return activity.store(export, mode, label, bar.update)

    def _print(
        self, export: ActivityExport, report: activity.StoreReport, files: int, seconds_read: float, seconds: float
    ) -> None:
        left_out = export.left_out()
        self._line("Read", f"{export.lines:,} lines of {files} file{'s' * (files > 1)} in {seconds_read:.1f} s")
        self._line("Days", _days(export, report))
        self._line(
            "Kept", f"{export.events:,} events, {report.keys:,} account keys, {report.account_days:,} account days"
        )
        self._unscored("personal mail", export.personal_events)
        self._unscored("platform", export.platform_events)
        self._line("Left out", f"{sum(found.events for found in left_out.values()):,} events")
        for reason, found in left_out.items():
            self._line("", f"{REASONS[reason]} ({reason}): {_counted(found)}")
        self._line("Bad lines", f"{export.bad_lines:,}")
        for bad in export.first_bad_lines:
            self._line("", str(bad))
        if export.bad_lines > len(export.first_bad_lines):
            self._line("", f"… and {export.bad_lines - len(export.first_bad_lines):,} more")
        rows = f"{report.written:,} rows written, {report.unchanged:,} unchanged, {report.removed:,} removed"
        self._line("Stored", f"{rows} in {seconds - seconds_read:.1f} s")
        if report.paths_cut:
            self._line(
                "", f"{report.paths_cut:,} rare paths were cut to bound a row at {settings.ACTIVITY_MAX_CELLS:,}"
            )

    def _unscored(self, kind: str, events: int) -> None:
        if events:
            self._line("", f"kept, not scored: {kind} domain {events:,} events")

    def _line(self, label: str, text: str) -> None:
        self.stdout.write(f"{label:<10} {clean(text)}")


def connection_was_lost(error: Exception) -> bool:
    return isinstance(error, InterfaceError) or (bool(error.args) and error.args[0] in CONNECTION_LOST)


def lost(error: Exception, *, adding: bool) -> str:
    """The connection may be lost while the database commits: then only the database knows."""
    again = "look at the activity pulls in the admin first: what is added twice counts twice" if adding else "try again"
    return (
        f"The database went away ({' '.join(map(str, error.args))}). All of it is written or nothing, and most likely"
        f" nothing: when the database is back, {again}."
    )


def _days(export: ActivityExport, report: activity.StoreReport) -> str:
    text = f"{report.days:,}, {export.days[0]} to {export.days[-1]}"
    if report.empty_days:
        text += f", {report.empty_days:,} without a kept event"
    return text + (f"; {report.partial_day} is not over: partial" if report.partial_day else "")


def _counted(found: LeftOut) -> str:
    """`450: "x.(none)" 40, "localhost" 12 …`"""
    examples = ", ".join(f"{value!r} {events:,}" for value, events in found.examples.items())
    rest = found.events - sum(found.examples.values())
    return f"{found.events:,}" + (f": {examples}{', …' if rest else ''}" if examples else "")
