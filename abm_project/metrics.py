"""`/metrics` for a monitor that knows the token: what the web answered, and what stands in the rows.

Answers are counted in each web process and added up over all of them by prometheus-client, in files of METRICS_DIR. The
rest is read when it is asked for, over the connection that waits a second only.
"""

import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.db.models import Count, Max
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from redis import RedisError

from abm_project.models import AlertDelivery
from ingestion.models import ActivityPull, LeadRequest
from scoring import jobs
from scoring.models import NIGHT, DailyAccountIntent, JobRun
from scoring.scheduler import last_seen

OURS = CollectorRegistry()
ANSWERS = Counter("orbit_http_answers", "Answers of the web.", ["route", "method", "status"], registry=OURS)
SECONDS = Histogram(
    "orbit_http_seconds",
    "How long they took.",
    ["route"],
    registry=OURS,
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # anything else is a stranger's word


class MetricsMiddleware:
    """Counts by route, never by address: there are as many series as there are routes, whoever knocks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begin = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        route = f"/{match.route}" if match else "none"
        method = request.method if request.method in METHODS else "other"
        _answers(route, method, response.status_code).inc()
        _seconds(route).observe(time.perf_counter() - begin)
        return response


# The library looks for the series of its labels under a lock, and checks the labels, at every request.
_answers = cache(ANSWERS.labels)
_seconds = cache(SECONDS.labels)


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """404 for everybody else: that it is there is nobody's business."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not settings.METRICS_TOKEN or not constant_time_compare(given, settings.METRICS_TOKEN):
        raise Http404
    state = CollectorRegistry(auto_describe=False)
    state.register(State())  # type: ignore[arg-type]
    return HttpResponse(generate_latest(counted()) + generate_latest(state), content_type=CONTENT_TYPE_LATEST)


def counted() -> CollectorRegistry:
    if not settings.METRICS_DIR:
        return OURS
    all_processes = CollectorRegistry()
    MultiProcessCollector(all_processes, str(settings.METRICS_DIR))
    return all_processes


class State:
    """What is so at this moment."""

    def collect(self) -> Iterator[Metric]:
        now = timezone.now()
        try:
            yield from list(self.of_database())
            database_is_up = 1
        except Error:
            database_is_up = 0
        yield gauge("orbit_database_up", "Whether the database answers.", database_is_up)
        try:
            seen = last_seen()
            if seen is not None:
                age = (now - seen).total_seconds()
                yield gauge("orbit_scheduler_seen_seconds", "Since a scheduler looked last.", age)
            if settings.REDIS_URL:
                yield gauge("orbit_redis_up", "Whether Redis answers.", 1)
                yield gauge("orbit_queue_jobs", "Wake-ups that no worker has taken yet.", jobs.queue_depth())
        except RedisError:
            yield gauge("orbit_redis_up", "Whether Redis answers.", 0)

    def of_database(self) -> Iterator[Metric]:
        now = timezone.now()
        runs = JobRun.objects.using("health")
        by_state = runs.values_list("kind", "state").annotate(Count("id")).order_by()
        yield counts("orbit_runs", "Runs, by kind and state.", ["kind", "state"], [((k, s), n) for k, s, n in by_state])
        done = runs.filter(kind=NIGHT, state=JobRun.State.DONE).aggregate(last=Max("finished_at"))["last"]
        if done is not None:
            age = (now - done).total_seconds()
            yield gauge("orbit_night_age_seconds", "Since the last successful night ended.", age)
        published = DailyAccountIntent.objects.using("health").filter(is_provisional=False)
        newest = published.aggregate(last=Max("date"))["last"]
        if newest is not None:
            yield gauge(
                "orbit_scores_age_days", "Days from the date of the scores to today.", (now.date() - newest).days
            )
        yield from self.of_pulls(now.date() - timedelta(days=30))
        leads = LeadRequest.objects.using("health").filter(submitted_at__gt=now - timedelta(days=1))
        found = [((status,), n) for status, n in leads.values_list("status").annotate(Count("id")).order_by()]
        yield counts("orbit_leads_last_day", "Leads stored in the last 24 hours, by status.", ["status"], found)
        alerts = AlertDelivery.objects.using("health").values_list("state").annotate(Count("id")).order_by()
        yield counts("orbit_alerts", "Alert messages, by state.", ["state"], [((state,), n) for state, n in alerts])

    def of_pulls(self, since: date) -> Iterator[Metric]:
        pulls = list(ActivityPull.objects.using("health").filter(date__gte=since).order_by("date"))
        states = {state: sum(pull.state == state for pull in pulls) for state in ActivityPull.State.values}
        named = [((state,), n) for state, n in states.items()]
        yield counts("orbit_pulled_days", "Of the last 30 days, by state of their facts.", ["state"], named)
        if pulls:
            lost = sum(found.get("events", 0) for found in pulls[-1].unresolved_json.values())
            share = lost / (lost + pulls[-1].events) if lost + pulls[-1].events else 0.0
            yield gauge("orbit_unresolved_share", "Of the newest day's events, those that name no account.", share)


def gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def counts(name: str, meaning: str, labels: list[str], found: list[tuple[tuple[str, ...], int]]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for values, number in found:
        family.add_metric(list(values), number)
    return family
