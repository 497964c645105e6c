"""Runs of the recompute: which dates, one `JobRun` for all of them, and what it came to."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta

from django.db import Error, connection
from django.utils import timezone

from ingestion.posthog import OutOfBudget, PostHogError
from registry.loader import RegistryUnusable, load_proposed, load_registry
from registry.models import ScoreConfig
from registry.transactions import DATABASE_FAILED
from scoring.models import PREVIEW, RECOMPUTE, ConfigPreview, JobRun, LeaseLost
from scoring.preview import Previewing, digest, preview
from scoring.rollup import CannotScore, Progress, check_window, recompute, scored_date
from scoring.run_ids import current as current_run

KEPT_PREVIEWS = 10  # of one config
MACHINE_FAILED = (*DATABASE_FAILED, MemoryError)  # no fault of the run: `plain` says what to do


class Held(Exception):
    """The newest day's volume is far too low: an admin decides, or a later attempt finds it in order."""


@dataclass
class Outcome:
    """What a run did: one progress per date, and the dates it left out with the reason."""

    dates: list[Progress] = field(default_factory=list)
    skipped: dict[date, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        last = self.dates[-1] if self.dates else None
        return {
            "dates": [{"date": str(p.date), "accounts": p.scored, **asdict(p.written)} for p in self.dates],
            "skipped": {str(day): why for day, why in self.skipped.items()},
            "registry_problems": list(last.registry_problems) if last else [],
            "unresolved_keys": dict(last.unresolved) if last else {},
            "unmatched_pages": dict(last.unmatched.most_common(20)) if last else {},
            "unweighed_events": dict(last.unweighed.most_common(20)) if last else {},
        }


def backfill_dates(as_of: date, count: int, today: date) -> tuple[list[date], dict[date, str]]:
    """The `count` dates that end in `as_of`: those that can be scored, oldest first, and why the others cannot."""
    dates, skipped = [], {}
    for day in (as_of - timedelta(days=back) for back in range(min(count, as_of.toordinal()) - 1, -1, -1)):
        try:
            check_window(day, today)
            dates.append(day)
        except CannotScore as why:
            skipped[day] = str(why)
    return dates, skipped


def run_recompute(
    dates: Sequence[date],
    now: datetime,
    *,
    asked_by: str,
    domains: Sequence[str] | None = None,
    restate: bool = False,
    skipped: dict[date, str] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Recompute the dates in order under a JobRun that begins now. Whatever fails is kept in the run, and raised again.

    RunInProgress when all accounts are asked for and another such run goes on; LeaseLost when this one was taken for
    dead on its way.
    """
    params = {"dates": [str(day) for day in dates], "domains": domains and list(domains), "restate": restate}
    run = JobRun.objects.claim(RECOMPUTE, timezone.now(), is_bulk=domains is None, asked_by=asked_by, params=params)
    with ending(run):
        outcome = recompute_dates(
            run, dates, now, domains=domains, restate=restate, skipped=skipped, on_progress=on_progress
        )
        run.succeed(outcome.as_json(), timezone.now())
    return outcome


def recompute_dates(
    run: JobRun,
    dates: Sequence[date],
    now: datetime,
    *,
    domains: Sequence[str] | None = None,
    restate: bool = False,
    skipped: dict[date, str] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """The dates in order, as a part of a run that goes on."""
    outcome = Outcome(skipped=skipped or {})
    for day in dates:
        progress = Progress(day)
        for progress in recompute(day, now, run=run, domains=domains, restate=restate, guard=run.heartbeat):
            run.advance(progress.done, progress.total, f"recompute {day}")
            on_progress(progress)
        outcome.dates.append(progress)
    return outcome


def preview_params(config: ScoreConfig, as_of: date | None) -> dict[str, object]:
    return {"config": str(config.pk), "name": config.name, "date": as_of and as_of.isoformat()}


def run_preview(
    config: ScoreConfig,
    as_of: date | None,
    now: datetime,
    *,
    asked_by: str,
    on_progress: Callable[[Previewing], None] = lambda progress: None,
) -> ConfigPreview:
    """Preview the config under a JobRun that begins now; `as_of` None: the newest scored date. It reads alone, so it
    stands in no other run's way."""
    params = preview_params(config, as_of)
    run = JobRun.objects.claim(PREVIEW, timezone.now(), is_bulk=False, asked_by=asked_by, params=params)
    with ending(run):
        return _preview(run, now, on_progress)


def perform_preview(run: JobRun, now: datetime) -> None:
    """What somebody asked for. `run.params_json`: config (id), date (ISO or null)."""
    with ending(run):
        _preview(run, now, lambda progress: None)


def _preview(run: JobRun, now: datetime, on_progress: Callable[[Previewing], None]) -> ConfigPreview:
    asked = run.params_json
    as_of = date.fromisoformat(asked["date"]) if asked.get("date") else scored_date(now)
    found = None
    for found in preview(load_proposed(asked["config"]), as_of, now, guard=run.heartbeat):
        run.advance(found.done, found.total, f"preview {as_of}")
        on_progress(found)
    assert found is not None and found.impact is not None, "a preview ends with what it found"
    made = ConfigPreview.objects.create(
        score_config_id=asked["config"],
        job_run=run,
        date=as_of,
        before_digest=found.before,
        after_digest=found.after,
        impact_json=found.impact.as_json(),
    )
    of_config = ConfigPreview.objects.filter(score_config=made.score_config_id).order_by("-created_at", "-id")
    ConfigPreview.objects.filter(pk__in=list(of_config.values_list("pk", flat=True)[KEPT_PREVIEWS:])).delete()
    result = {
        "date": str(as_of),
        "accounts": found.impact.accounts,
        "moved": found.impact.moved,
        "preview": str(made.pk),
    }
    run.succeed(result, timezone.now())
    return made


def is_current(made: ConfigPreview) -> bool:
    """Whether it still says what an activation would do: neither the config nor what is in force has changed since."""
    try:
        proposed, present = load_proposed(made.score_config_id), load_registry()
    except (RegistryUnusable, ScoreConfig.DoesNotExist):
        return False
    return (digest(present), digest(proposed)) == (made.before_digest, made.after_digest)


@contextmanager
def ending(run: JobRun) -> Iterator[None]:
    """Whatever stops the work inside, also Ctrl-C, is kept in the run: one that ends says so, unless it is killed."""
    token = current_run.set(str(run.pk))
    try:
        yield
    except BaseException as error:
        give_up(run, error)
        raise
    finally:
        current_run.reset(token)


def give_up(run: JobRun, error: BaseException) -> None:
    """Keep why the run failed. With the database away nobody can; then its lease runs out, which says the same."""
    if isinstance(error, LeaseLost):
        return  # the row says already how it ended
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()  # then a new one is opened, if the database is there again
    with suppress(Error, LeaseLost):
        now = timezone.now()
        if isinstance(error, Held):
            run.hold(str(error), now)
        else:
            patience = timedelta(seconds=error.seconds) if isinstance(error, OutOfBudget) else None
            run.fail(plain(error), now, not_before=patience and now + patience)


def plain(error: BaseException) -> str:
    if isinstance(error, CannotScore | RegistryUnusable | PostHogError | ScoreConfig.DoesNotExist):
        return str(error)
    if ran_out_of_memory(error):
        return (
            "There was not enough memory for the run. Each batch of accounts was written whole or not at all: give its"
            " process more, and run it again."
        )
    if isinstance(error, DATABASE_FAILED):
        return (
            f"The database stopped the run ({' '.join(map(str, error.args))}). Each batch of accounts was written whole"
            " or not at all: when the database is back, run it again."
        )
    if isinstance(error, KeyboardInterrupt):
        return "Stopped by hand. Run it again."
    return f"{type(error).__name__}: {error}"


def ran_out_of_memory(error: BaseException) -> bool:
    """Python, the database's client and the reader of JSON each say it in their own way."""
    return isinstance(error, MemoryError) or error.args[:1] == (2008,) or "Not enough memory" in str(error)


def count_changes(dates: Sequence[date], now: datetime, domains: Sequence[str] | None) -> dict[date, Progress]:
    """What a restatement of these dates would write: nothing is written."""
    found = {}
    for day in dates:
        for progress in recompute(day, now, domains=domains, restate=True, write=False):
            found[day] = progress
    return found
