"""The scheduler, `manage.py abm_scheduler`: sees to it that somebody reconciles at 02:00 UTC and every few minutes.

Over Redis it is an rq-scheduler that puts right what rq-scheduler leaves to luck (docs/decisions/0016): it registers
its entries again on every tick and never pushes an overdue one into the future; it outlives Redis; an entry that cannot
be read is dropped instead of stopping all others. Any number may run. Without Redis it does the jobs itself.
"""

import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error, close_old_connections
from django.utils import timezone
from redis import Redis, RedisError
from redis.exceptions import ConnectionError, LockNotOwnedError, TimeoutError
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq_scheduler import Scheduler

from scoring.jobs import QUEUE, connect, due_slot, follow_up, perform, put_right, reconcile
from scoring.models import JobRun
from scoring.nights import NIGHT_BEGINS

log = logging.getLogger(__name__)
NIGHTLY, REGULAR = "abm-nightly-rollup", "abm-reconcile"
# In UTC: Django puts TIME_ZONE, which is never anything else, into the process's TZ.
CRON = f"0 {NIGHT_BEGINS.hour} * * *"
SEEN = "abm:scheduler:seen"


class NightScheduler(Scheduler):
    """One that may run beside others, be killed at any moment, and find Redis down, frozen or empty."""

    def __init__(self, connection: Redis, tick: float) -> None:
        super().__init__(QUEUE, interval=tick, connection=connection)

    def tick(self) -> None:
        """One look: of several schedulers, one at a time."""
        with self.turn() as mine:
            if mine:
                self.register()
                self.enqueue_jobs()
        ttl = max(3 * self._interval, 2)
        self.connection.set(SEEN, timezone.now().isoformat(), px=int(1000 * ttl))

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """The lock of this tick. It is given back by its owner only: a slow one must not free what is another's."""
        lock = self.connection.lock(self.scheduler_lock_key, timeout=max(3 * self._interval, 2), blocking=False)
        mine = lock.acquire()
        try:
            yield mine
        finally:
            if mine:
                try:
                    lock.release()
                except LockNotOwnedError:
                    log.warning("A tick took longer than its lock.")

    def register(self) -> None:
        self.keep(NIGHTLY, next_night(timezone.now()).timestamp(), {"cron_string": CRON, "use_local_timezone": False})
        self.keep(REGULAR, time.time(), {"interval": settings.RECONCILE_SECONDS})

    def keep(self, id: str, first: float, meta: dict[str, Any]) -> None:
        """The entry is there as it must be. When it is due stays as it is: a new time would lose an overdue one."""
        wanted = self._create_job(reconcile, id=id, commit=False, result_ttl=-1)
        wanted.meta = meta
        found = self.read(id)
        if found is None or (found.func_name, found.meta) != (wanted.func_name, wanted.meta):
            self.connection.delete(wanted.key)
            wanted.save()
        self.connection.zadd(self.scheduled_jobs_key, {id: first}, nx=True)

    def read(self, id: str) -> Job | None:
        """The job, if there is one that can be read to its end."""
        try:
            job = self.job_class.fetch(id, connection=self.connection)
            return job if job.func_name and isinstance(job.meta, dict) else None
        except (ConnectionError, TimeoutError):
            raise
        except NoSuchJobError:
            return None
        except Exception:
            log.exception("The scheduled entry %s cannot be read and is made anew.", id)
            return None

    def enqueue_jobs(self) -> None:
        due = self.connection.zrangebyscore(self.scheduled_jobs_key, "-inf", time.time())
        for member in due:
            self.enqueue_or_drop(member)

    def enqueue_or_drop(self, member: bytes) -> None:
        try:
            job = self.job_class.fetch(member.decode(), connection=self.connection)
            self.get_queue_for_job(job).remove(job)  # while no worker comes, one waits, not one for every interval
            with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of crontab, about its clock: UTC
                self.enqueue_job(job)
        except (ConnectionError, TimeoutError):
            raise
        except Exception:
            log.exception("The scheduled entry %r cannot be read and is dropped.", member)
            self.connection.zrem(self.scheduled_jobs_key, member)


def next_night(now: datetime) -> datetime:
    return datetime.combine(due_slot(now) + timedelta(days=1), NIGHT_BEGINS)


def run_with_redis() -> None:
    """Tick for ever. Redis away is waited for, longer each time; so is the database, for the first reconciliation."""
    tick, longest = settings.SCHEDULER_TICK_SECONDS, settings.SCHEDULER_BACKOFF_SECONDS
    scheduler, wait, reconciled = NightScheduler(connect(), tick), 0.0, False
    while True:
        try:
            reconciled = reconciled or reconciled_now()
            scheduler.tick()
            wait = 0.0
        except RedisError as error:
            wait = min(max(2 * wait, 1), longest)
            log.warning("Redis is away (%s). Looking again in %.1f s.", error, wait)
        time.sleep(wait or tick)


def reconciled_now() -> bool:
    close_old_connections()
    try:
        reconcile()
    except Error as error:
        log.warning("The database is away (%s). Reconciling again at the next tick.", error)
        return False
    return True


def run_without_redis() -> None:
    """Do what is due, in this process. Between two reconciliations only what others queued: a night that failed is
    not tried again at every tick."""
    looked, slot = -math.inf, None
    while True:
        now, clock = timezone.now(), time.monotonic()
        again = clock - looked >= settings.RECONCILE_SECONDS or due_slot(now) != slot
        close_old_connections()
        try:
            do_what_is_due(now, again)
            looked, slot = (clock, due_slot(now)) if again else (looked, slot)
        except Error as error:
            log.warning("The database is away (%s). Looking again at the next tick.", error)
        time.sleep(settings.SCHEDULER_TICK_SECONDS)


def do_what_is_due(now: datetime, reconciling: bool) -> None:
    settings.SCHEDULER_SEEN_FILE.touch()
    if reconciling:
        put_right(now)
    for run in list(JobRun.objects.due(now)):
        perform(run.pk)
        settings.SCHEDULER_SEEN_FILE.touch()
    if reconciling:
        follow_up()


def last_seen() -> datetime | None:
    """When a scheduler last looked; with Redis None soon after the last one ended. RedisError when it cannot say."""
    if not settings.REDIS_URL:
        return file_time(settings.SCHEDULER_SEEN_FILE)
    said = connect().get(SEEN)
    return datetime.fromisoformat(said.decode()) if said else None


def file_time(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None
