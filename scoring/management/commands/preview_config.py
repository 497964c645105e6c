"""What activating a score config would move, before anybody activates it."""

import json
import sys
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from registry.loader import RegistryUnusable
from registry.models import ScoreConfig
from registry.values import IntentStage, SurgeLevel
from scoring.models import LeaseLost
from scoring.moves import Impact, Move, Way
from scoring.rollup import CannotScore
from scoring.runs import MACHINE_FAILED, plain, run_preview

SHOWN = 20  # accounts of one way


class Command(BaseCommand):
    help = (
        "Score all accounts for a UTC day with a score config and with the active one, and say which accounts move."
        " No score is written; the preview is kept with the config."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The config, by name: a draft, or an archived one.")
        parser.add_argument("--date", type=date.fromisoformat, help="UTC day (default: the newest scored one).")
        parser.add_argument("--json", action="store_true", help="Everything, for programs.")

    def handle(self, *args: Any, **options: Any) -> None:
        config = ScoreConfig.objects.filter(name=options["name"]).first()
        if config is None:
            known = ", ".join(ScoreConfig.objects.order_by("name").values_list("name", flat=True))
            raise CommandError(f"There is no score config {options['name']!r}. There are: {known or 'none'}.")
        with tqdm(unit=" accounts", disable=not sys.stderr.isatty(), leave=False) as bar:

            def show(progress: Any) -> None:
                bar.total, bar.n = progress.total, progress.done
                bar.refresh()

            try:
                made = run_preview(
                    config, options["date"], timezone.now(), asked_by="command line", on_progress=show
                )  # fmt: skip
            except (CannotScore, RegistryUnusable, LeaseLost) as error:
                raise CommandError(str(error)) from error
            except MACHINE_FAILED as error:
                raise CommandError(plain(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(made.impact_json, indent=1, sort_keys=True))
        else:
            self.tell(made.impact)

    def tell(self, impact: Impact) -> None:
        self.stdout.write(f"{impact.as_of}: {impact.moved:,} of {impact.accounts:,} accounts move.")
        for title, counts, ways in (
            ("Stage", impact.stage_counts, impact.stages),
            ("Surge", impact.surge_counts, impact.surges),
        ):
            for name in (*IntentStage, *SurgeLevel):
                if name in counts:
                    before, after = counts[name]
                    self.stdout.write(f"{title} {name}: {before:,} → {after:,}")
            for way in ways:
                self.tell_way(way)
        for way in impact.lanes:
            self.stdout.write(f"Top lane {way.before} → {way.after}: {way.count:,}")
        if impact.movers:
            self.stdout.write("Biggest movers:")
        for move in impact.movers:
            self.stdout.write(f"  {line(move)}{reasons(move)}")

    def tell_way(self, way: Way) -> None:
        self.stdout.write(f"  {way.before} → {way.after}: {way.count:,}")
        for move in way.accounts[:SHOWN]:
            self.stdout.write(f"    {line(move)}")
        if way.count > SHOWN:
            self.stdout.write(f"    and {way.count - SHOWN:,} more")


def line(move: Move) -> str:
    return f"{move.domain} {move.before.score} → {move.after.score}"


def reasons(move: Move) -> str:
    """The kinds of events that bring other points than before."""
    said = []
    for category, _, before, after in move.reasons:
        points = [round(side.points, 1) if side else 0.0 for side in (before, after)]
        if points[0] != points[1]:
            said.append(f"{category} {points[0]:,} → {points[1]:,} points")
    return f": {', '.join(said[:3])}" if said else ""
