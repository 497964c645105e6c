"""Jobs: when they are due, who does them, and how they are asked for. The truth about each is its row of `job_runs`;
Redis only carries wake-ups, and losing all of them costs `RECONCILE_SECONDS`.

`reconcile` compares what should be with what is and wakes what is due. It may be called by anybody, at any time, any
number of times at once: that, and not any one message, is what makes the night happen.
"""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from threading import Thread
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.module_loading import import_string
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError

from registry.loader import RegistryUnusable
from registry.models import ScoreConfig
from scoring.models import NIGHT, PREVIEW, PULL, RECOMPUTE, JobRun
from scoring.nights import NIGHT_BEGINS, is_due, perform_night, perform_pull, perform_recompute
from scoring.rollup import CannotScore, recompute
from scoring.runs import perform_preview, preview_params

log = logging.getLogger(__name__)
QUEUE = "default"
LONGEST = timedelta(hours=12)  # of a run; its lease and PostHog's deadlines end it long before
KINDS: dict[str, Callable[[JobRun, datetime], None]] = {
    NIGHT: perform_night,
    RECOMPUTE: perform_recompute,
    PULL: perform_pull,
    PREVIEW: perform_preview,
}


def due_slot(now: datetime) -> date:
    """The UTC day of the latest 02:00 UTC. Reckoned here, since rq-scheduler's cron asks the clock of its machine."""
    return (now.astimezone(UTC) - timedelta(hours=NIGHT_BEGINS.hour)).date()


def reconcile(now: datetime | None = None) -> None:
    now = now or timezone.now()
    put_right(now)
    wake_due(now)
    follow_up()


def follow_up() -> None:
    """What follows a published night and lies above this package, by its name in settings. It finds by itself what is
    to do, so it is called often, and a failure waits for the next call."""
    for name in settings.AFTER_A_NIGHT:
        try:
            import_string(name)()
        except Exception:
            log.exception("%s failed; the next reconciliation calls it again.", name)


def put_right(now: datetime) -> None:
    """Make the rows what they should be.

    1. Dead runs are marked failed, or queued again; 2. the night of the due slot has its row, unless there was never
    anything to score; 3. failed or held, it is tried again; 4. older nights that never got done are closed.
    """
    slot = due_slot(now)
    JobRun.objects.bury_dead()
    if is_due(slot):
        JobRun.objects.queue_again(JobRun.objects.night(slot, now), now)
    JobRun.objects.supersede(slot, now)


# --- Waking ---
def wake_due(now: datetime) -> None:
    """Have what waits done. The rows stay queued until somebody claims them, so a wake-up may be lost or come twice;
    and Redis may be away: it is asked once, not for each of them."""
    try:
        for run in JobRun.objects.due(now):
            wake(run, now)
        if settings.JOBS == "queue" and (client := connect()).exists(WAITING):  # left by a worker that died
            _wake_for_waiting(client)
    except RedisError as error:
        log.warning("Redis cannot wake a worker (%s). The next reconciliation tries again.", error)


def wake(run: JobRun, now: datetime) -> None:
    """By a worker, or without Redis by a thread of this process."""
    if settings.JOBS == "inline":
        Thread(target=_perform_here, args=(run.pk,), name=f"run {run.pk}", daemon=True).start()
    else:
        _enqueue(run, now)


def _enqueue(run: JobRun, now: datetime) -> None:
    """One wake-up per run, attempt and interval, however many ask. The interval is part of its name because Redis may
    still know a job of that name whose worker is long dead; such a leftover must never be in the way."""
    interval = int(now.timestamp()) // settings.RECONCILE_SECONDS
    try:
        Queue(QUEUE, connection=connect()).enqueue_call(
            perform,
            args=(str(run.pk),),
            job_id=f"abm-run-{run.pk}-{run.attempt}-{interval}",
            unique=True,
            timeout=int(LONGEST.total_seconds()),
            ttl=2 * settings.RECONCILE_SECONDS,  # waiting longer, it is forgotten: others have followed it
            result_ttl=0,
            failure_ttl=settings.RECONCILE_SECONDS,
        )
    except DuplicateJobError:
        log.debug("%s is awake already.", run)


def queue_depth() -> int:
    """Wake-ups that no worker has taken. RedisError when it cannot say."""
    return int(Queue(QUEUE, connection=connect()).count)


def connect() -> Redis:
    """To the point: one try of REDIS_TIMEOUT_SECONDS. The client's own default would try four times over seconds."""
    return _client(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS)


def _client(url: str, seconds: float) -> Redis:
    return Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0))


@lru_cache(maxsize=1)
def _come(url: str, seconds: float) -> Script:
    """For the public door: one exchange, and no new connection for each lead."""
    return _client(url, seconds).register_script(COME)


# --- Doing ---
def perform(run_id: str | UUID) -> None:
    """Claim the run and do it. Nothing to do when somebody else got it first, or while another bulk run goes on."""
    now = timezone.now()
    run = JobRun.objects.filter(pk=run_id).first()
    claimed = run and JobRun.objects.start(run, now)
    if not claimed:
        return
    try:
        KINDS[claimed.kind](claimed, now)
    except CannotScore as why:  # a reason for people, such as a day without facts: no traceback
        log.error("%s failed. %s", claimed, why)
        return
    except Exception:
        log.exception("%s failed.", claimed)  # the row says why, and the next reconciliation tries a night again
        return
    if claimed.kind == NIGHT:
        follow_up()


def _perform_here(run_id: UUID) -> None:
    try:
        perform(run_id)
    finally:
        connection.close()


# --- Asking ---
def ask_recompute(body: dict[str, Any], now: datetime, asked_by: str) -> JobRun:
    """Queue a recompute; `body`: date, backfill, restate, pull, accounts. RunInProgress names the run in the way."""
    params = {name: body.get(name) for name in ("date", "backfill", "restate", "pull", "accounts")}
    is_bulk = params["accounts"] is None or bool(params["pull"])
    try:
        return JobRun.objects.ask(RECOMPUTE, now, is_bulk=is_bulk, asked_by=asked_by, params=params)
    finally:
        wake_due(now)  # also one that is in the way because nobody woke it


def ask_preview(config: ScoreConfig, as_of: date | None, now: datetime, asked_by: str) -> JobRun:
    """Queue a preview of the config; `as_of` None: of the newest scored date. One that waits already is that one."""
    params = preview_params(config, as_of)
    waiting = JobRun.objects.filter(kind=PREVIEW, state=JobRun.State.QUEUED)
    try:
        for run in waiting:
            if run.params_json == params:
                return run
        return JobRun.objects.ask(PREVIEW, now, is_bulk=False, asked_by=asked_by, params=params)
    finally:
        wake_due(now)


def publish_anyway(run: JobRun, now: datetime, asked_by: str) -> bool:
    """Let a held night go on with the volume it found. Did it change? Only a held one does."""
    published = JobRun.objects.publish_anyway(run, now, asked_by)
    wake_due(now)
    return published


# --- Accounts whose leads came in ---
WAITING, WOKEN = "abm:rescore:waiting", "abm:rescore:woken"
COME = "redis.call('SADD', KEYS[1], ARGV[1]) return redis.call('SET', KEYS[2], 1, 'NX', 'EX', ARGV[2])"
WOKEN_SECONDS = 10  # a wake-up that nobody followed for so long is followed by another
TOGETHER = 50  # accounts of one transaction: their next leads wait for it


def rescore_soon(domain: str, *, redis_is_away: bool = False) -> None:
    """Score an account for today, within seconds: by a worker, or by a thread of this process. If nobody does, the
    night heals it, so nothing that fails here is the caller's trouble."""
    if settings.JOBS == "queue" and not redis_is_away:
        try:
            _leave_to_worker(domain)
            return
        except RedisError as error:
            log.warning("Redis cannot wake a worker for %s (%s): it is scored here.", domain, type(error).__name__)
    Thread(target=_rescore_here, args=(domain,), name=f"rescore {domain}", daemon=True).start()


def _leave_to_worker(domain: str) -> None:
    """Whoever comes first wakes a worker for all that come until it is up: of a burst, a job for each lead would keep
    the workers busy for minutes."""
    come = _come(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS)
    is_first = come([WAITING, WOKEN], [domain, WOKEN_SECONDS])
    if is_first:
        _wake_for_waiting(come.registered_client)


def _wake_for_waiting(client: Redis) -> None:
    Queue(QUEUE, connection=client).enqueue_call(rescore_waiting, result_ttl=0, ttl=3_600)


def rescore_waiting() -> None:
    """A worker is up: score what waits."""
    client = connect()
    client.delete(WOKEN)  # first: who comes from now on may be too late for this one, and wakes another
    while domains := client.spop(WAITING, TOGETHER):
        rescore(*(domain.decode() for domain in domains))


def rescore(*domains: str) -> None:
    """By the facts and leads that are in. A date that cannot be scored yet (before the night's pull) waits for it."""
    now = timezone.now()
    try:
        for _ in recompute(now.date(), now, domains=list(domains)):
            pass
    except (CannotScore, RegistryUnusable) as why:
        log.info("%s: not scored before the night: %s", ", ".join(domains), why)


def _rescore_here(domain: str) -> None:
    try:
        rescore(domain)
    except Exception:
        log.exception("%s was not scored again; the night does it.", domain)
    finally:
        connection.close()
