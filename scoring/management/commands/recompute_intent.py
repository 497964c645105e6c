"""Score accounts from the stored facts: one date, or the last N."""

import gc
import sys
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from accounts.domains import normalize_domain_from_url
from accounts.resolution import CannotMerge
from registry.loader import RegistryUnusable
from scoring.models import JobRun, LeaseLost, RunInProgress
from scoring.rollup import CannotScore, Progress, last_full_day
from scoring.runs import MACHINE_FAILED, backfill_dates, count_changes, plain, run_recompute

BACKFILL_MAX = 3_660  # ten years; a slip of the finger must not list a million dates


class Command(BaseCommand):
    help = (
        "Score accounts for a UTC day from the stored facts. Safe to repeat. Snapshots of a date with a later one are"
        " history: missing ones are added, existing ones only change with --restate."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", type=date.fromisoformat, help="UTC day to score (default: yesterday).")
        parser.add_argument("--backfill", type=int, metavar="N", help="The N dates up to --date, oldest first.")
        parser.add_argument(
            "--restate", action="store_true", help="Rewrite past snapshots; says first how many change."
        )
        parser.add_argument("--accounts", nargs="+", metavar="DOMAIN", help="Only these accounts.")
        parser.add_argument("--no-input", action="store_true", help="Restate without asking.")

    def handle(self, *args: Any, **options: Any) -> None:
        gc.freeze()  # what is loaded by now stays: looking at it again and again took a quarter of a run's time
        try:
            self.recompute(options)
        except (CannotScore, CannotMerge, RegistryUnusable, RunInProgress, LeaseLost) as error:
            raise CommandError(str(error)) from error
        except MACHINE_FAILED as error:
            raise CommandError(plain(error)) from error

    def recompute(self, options: dict[str, Any]) -> None:
        now = timezone.now()
        as_of = options["date"] or last_full_day(now)
        domains = [canonical(text) for text in options["accounts"]] if options["accounts"] else None
        dates, skipped = [as_of], {}
        if options["backfill"] is not None:
            if not 1 <= options["backfill"] <= BACKFILL_MAX:
                raise CommandError(f"--backfill takes a number of dates, 1 or more and at most {BACKFILL_MAX:,}.")
            dates, skipped = backfill_dates(as_of, options["backfill"], now.date())
        for day, why in skipped.items():
            self.stdout.write(f"{day} skipped: {why}")
        if not dates:
            raise CommandError("No date can be scored. Import or pull activity first.")
        if options["restate"]:
            if domains is None:
                JobRun.objects.refuse_bulk()  # before minutes of counting
            self.announce(dates, now, domains, ask=not options["no_input"])
        with bar() as shown:
            outcome = run_recompute(
                dates,
                now,
                asked_by="command line",
                domains=domains,
                restate=options["restate"],
                skipped=skipped,
                on_progress=lambda progress: show(shown, progress),
            )
        for progress in outcome.dates:
            self.stdout.write(line(progress))
        self.report(outcome.dates[-1])

    def announce(self, dates: list[date], now: Any, domains: list[str] | None, *, ask: bool) -> None:
        """Say how much of the past would change, and let a person at a terminal think again."""
        for day, progress in count_changes(dates, now, domains).items():
            w = progress.written
            existing = w.changed + w.unchanged + w.removed
            self.stdout.write(
                f"{day}: {w.changed} of {existing} snapshots will change, {w.created} will be added,"
                f" {w.removed} removed."
            )
        if ask and sys.stdin.isatty() and input("Restate? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.")

    def report(self, last: Progress) -> None:
        """What the operators should look at, of the newest date."""
        if last.registry_problems:
            said = " ".join(last.registry_problems)
            self.stderr.write(f"The registry has bad rows; the last good one was used: {said}")
        for title, counts in (
            ("Account keys not scored", last.unresolved),
            ("Pages no event rule knew", last.unmatched),
            ("Events no weight knew", last.unweighed),
        ):
            if counts:
                top = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(5))
                self.stdout.write(f"{title}: {top}" + (f", and {len(counts) - 5} more" if len(counts) > 5 else ""))


def canonical(text: str) -> str:
    domain = normalize_domain_from_url(text)
    if domain is None:
        raise CommandError(f"{text!r} is no domain.")
    return domain


def bar() -> Any:
    return tqdm(unit=" accounts", disable=not sys.stderr.isatty(), leave=False)


def show(shown: Any, progress: Progress) -> None:
    shown.total, shown.n = progress.total, progress.done
    shown.set_description(str(progress.date))


def line(progress: Progress) -> str:
    w = progress.written
    said = [f"{w.created:,} new", f"{w.changed:,} changed", f"{w.unchanged:,} unchanged"]
    if w.kept:
        said.append(f"{w.kept:,} past ones kept (--restate rewrites them)")
    if w.removed:
        said.append(f"{w.removed:,} removed")
    return f"{progress.date}: {progress.scored:,} accounts scored; snapshots: {', '.join(said)}"
