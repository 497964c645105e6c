"""Facts from PostHog: the days a night would read, or those that are named."""

import gc
import sys
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from ingestion.posthog import PostHogError, connect
from ingestion.pull import Pulled, days_from_files, days_to_read, pull
from registry.loader import RegistryUnusable
from scoring.models import LeaseLost, RunInProgress
from scoring.nights import run_pull
from scoring.runs import MACHINE_FAILED, Held, plain

LONGEST = 366  # days; a slip of the finger must not ask for ten years


class Command(BaseCommand):
    help = (
        "Pull activity from PostHog, a UTC day at a time. Without options the days a night reads: those not in,"
        " and the last ones again, since late events change the past. Scores follow with recompute_intent."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="first", type=date.fromisoformat, metavar="DATE", help="The first UTC day.")
        parser.add_argument(
            "--to", dest="last", type=date.fromisoformat, metavar="DATE", help="The last; both or none."
        )
        parser.add_argument("--full", action="store_true", help="All of the last 59 days, also those from files.")
        parser.add_argument("--dry-run", action="store_true", help="Read and count, and store nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        gc.freeze()  # what is loaded by now stays: the collector need not look at it a thousand times
        now = timezone.now()
        days = chosen(options, now.date())
        if options["first"] is None and not options["full"] and (kept := days_from_files(now.date())):
            self.stdout.write(f"From files {kept} days, which stay; --full reads them from PostHog.")
        if not days:
            self.stdout.write("Nothing to read: every day is in.")
            return
        try:
            with tqdm(total=len(days), unit=" days", disable=not sys.stderr.isatty(), leave=False) as bar:
                pulled = self.dry_run(days, now, bar) if options["dry_run"] else self.pull(days, now, bar)
        except (PostHogError, Held, RegistryUnusable, RunInProgress, LeaseLost) as error:
            raise CommandError(str(error)) from error
        except MACHINE_FAILED as error:
            raise CommandError(plain(error)) from error
        self.report(days, pulled, stored=not options["dry_run"])

    def pull(self, days: list[date], now: Any, bar: Any) -> Pulled:
        seen: list[Pulled] = []

        def show(pulled: Pulled) -> None:
            bar.update(pulled.days - bar.n)
            seen[:] = [pulled]

        run_pull(days, now, asked_by="command line", on_progress=show)
        return seen[0]

    def dry_run(self, days: list[date], now: Any, bar: Any) -> Pulled:
        for pulled in pull(connect(), days, now, keep=False):
            bar.update(pulled.days - bar.n)
        return pulled

    def report(self, days: list[date], pulled: Pulled, *, stored: bool) -> None:
        asked = pulled.meter
        self.stdout.write(f"Days       {pulled.days:,}, {days[0]} to {days[-1]}")
        self.stdout.write(f"Events     {pulled.events:,}, in {pulled.account_days:,} account days")
        left_out = ", ".join(f"{reason} {events:,}" for reason, events in sorted(pulled.unresolved.items()))
        self.stdout.write(f"Left out   {left_out or 'none'}")
        scanned = f", {asked.scanned:,} read by PostHog" if asked.scanned else ""
        self.stdout.write(f"PostHog    {asked.requests:,} requests, {asked.bytes:,} bytes of answers{scanned}")
        written = f"{pulled.written:,} rows written, {pulled.removed:,} removed" if stored else "nothing: a dry run"
        self.stdout.write(f"Stored     {written}, in {pulled.seconds:.1f} s")


def chosen(options: dict[str, Any], today: date) -> list[date]:
    first, last = options["first"], options["last"]
    if (first is None) != (last is None) or (first is not None and options["full"]):
        raise CommandError("Give --from and --to, or --full, or none of them.")
    if first is None:
        return days_to_read(today, full=options["full"])
    if not first <= last <= today:
        raise CommandError("--from may not be after --to, and --to not in the future.")
    if (last - first).days >= LONGEST:
        raise CommandError(f"That is more than {LONGEST} days.")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
