"""Is the process alive, and can it do its work? For probes: no login, no secret, and an answer within three seconds,
also where Redis or the database is frozen."""

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.db.models import Max, Min, Q
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis import RedisError

from scoring.models import NIGHT, JobRun
from scoring.scheduler import last_seen

NIGHT_MAX_AGE = timedelta(hours=26)
TROUBLE = {"failed": "failed and is tried again", "held": "is held and waits for an admin"}


@dataclass(frozen=True, slots=True)
class Check:
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Nights:
    """What the rows say: when the first was queued and the last one done, the newest, and whether any run is alive."""

    first_queued: datetime | None
    last_done: datetime | None
    newest: tuple[date, str] | None
    running: bool


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    try:
        nights = read_nights()
    except Error:
        nights = None
    checks = {"database": database(nights), "night": night(nights, now), **scheduler(nights, now)}
    ready = all(check.ok for check in checks.values())
    said = {name: asdict(check) for name, check in checks.items()}
    return JsonResponse({"status": "ok" if ready else "failing", "checks": said}, status=200 if ready else 503)


def read_nights() -> Nights:
    """By the connection that waits for a second only."""
    runs = JobRun.objects.using("health")
    nights = runs.filter(kind=NIGHT)
    times = nights.aggregate(first=Min("queued_at"), last=Max("finished_at", filter=Q(state=JobRun.State.DONE)))
    newest = nights.order_by("-slot").values_list("slot", "state").first()
    running = runs.filter(state=JobRun.State.RUNNING, lease_until__gte=Now()).exists()
    return Nights(times["first"], times["last"], newest, running)


def database(nights: Nights | None) -> Check:
    return Check(True, "It answers.") if nights else Check(False, "It does not answer, or is not migrated.")


def night(nights: Nights | None, now: datetime) -> Check:
    """Red when the last successful night, or the first one that was asked for, is more than 26 hours ago."""
    if nights is None:
        return Check(False, "Unknown: the database does not answer, or is not migrated.")
    slot, state = nights.newest or (None, "")
    said = f" The night of {slot} {TROUBLE[state]}." if state in TROUBLE else ""
    since = nights.last_done or nights.first_queued
    if since is None:
        return Check(True, "No night yet. The first follows the first day of activity.")
    hours = (now - since) / timedelta(hours=1)
    what = "The last successful night ended" if nights.last_done else "No night has succeeded yet; the first was due"
    return Check(now - since <= NIGHT_MAX_AGE, f"{what} {hours:.1f} hours ago.{said}")


def scheduler(nights: Nights | None, now: datetime) -> dict[str, Check]:
    try:
        seen = last_seen()
    except RedisError:
        away = Check(False, "It does not answer.")
        return {"redis": away, "scheduler": Check(False, "Unknown: Redis does not answer.")}
    if settings.REDIS_URL:
        said = f"Seen at {seen:%H:%M:%S} UTC." if seen else "None is seen. Start abm_scheduler."
        return {"redis": Check(True, "It answers."), "scheduler": Check(seen is not None, said)}
    return {"scheduler": scheduler_here(seen, nights, now)}


def scheduler_here(seen: datetime | None, nights: Nights | None, now: datetime) -> Check:
    """Without Redis: one that works at a run does not look around meanwhile. None at all is fine where nothing is to be
    pulled, such as a demo."""
    if seen is None:
        wanted = bool(settings.POSTHOG_API_KEY)
        return Check(not wanted, "None has ever run here: nights do not come by themselves. Start abm_scheduler.")
    patience = timedelta(seconds=max(3 * settings.SCHEDULER_TICK_SECONDS, 2))
    lives = now - seen <= patience or bool(nights and nights.running)
    return Check(lives, f"Seen at {seen:%Y-%m-%d %H:%M:%S} UTC." + ("" if lives else " Start abm_scheduler."))
