"""How often strangers may knock. Counters live in Redis; without it everybody is let in, since a lead that is turned
away is lost and a flood is not (reliability 13 and 14)."""

import logging
import time

from django.conf import settings
from django.core.cache import caches
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

log = logging.getLogger(__name__)
LEFT_ALONE = 2  # seconds in which a thread does not ask a store that failed it: else every request waits for it


class FailOpenThrottle(SimpleRateThrottle):
    """A rate that lets everything through while its store is away; a thread waits for it once in LEFT_ALONE seconds.

    Counted by the store itself, in a window of now and the part of the one before that is not over: requests at once
    cannot count past each other, and a count is one number, however many there are. What is refused counts nowhere, so
    a flood of one address leaves the others their share.
    """

    def get_rate(self) -> str | None:
        rate: str | None = settings.API_RATES[self.scope]
        return rate

    def allow_request(self, request: Request, view: APIView) -> bool:
        if getattr(request, "throttle_store_is_away", False) or getattr(request, "is_refused", False):
            return True
        store = caches["default"]  # one for each thread
        if time.monotonic() < getattr(store, "left_alone_until", 0):
            request.throttle_store_is_away = True  # type: ignore[attr-defined]
            return True
        try:
            allowed = self._count(self.get_cache_key(request, view))
        except (RedisError, OSError) as error:
            request.throttle_store_is_away = True  # type: ignore[attr-defined]
            store.left_alone_until = time.monotonic() + LEFT_ALONE
            log.warning("Requests are not counted: Redis does not answer (%s).", type(error).__name__)
            return True
        request.is_refused = not allowed  # type: ignore[attr-defined]
        return allowed

    def _count(self, key: str) -> bool:
        window, self.elapsed = divmod(self.timer(), self.duration)
        left_of_before = 1 - self.elapsed / self.duration
        self.here = self._add_one(f"{key}:{window:.0f}")
        if self.here + self.num_requests * left_of_before <= self.num_requests:
            return True  # however many came before
        self.before = self.cache.get(f"{key}:{window - 1:.0f}", 0)
        if self.here + self.before * left_of_before <= self.num_requests:
            return True
        self.cache.decr(f"{key}:{window:.0f}")
        return False

    def _add_one(self, key: str) -> int:
        try:
            return int(self.cache.incr(key))
        except ValueError:  # the first of its window
            self.cache.add(key, 0, timeout=3 * self.duration)
            return int(self.cache.incr(key))

    def wait(self) -> float:
        """Seconds until there is room for one more, if nobody else comes."""
        room = self.num_requests - self.here
        if room < 0:
            return float(self.duration - self.elapsed + self.duration / max(1, self.num_requests))
        return max(1.0, self.duration * (1 - room / self.before) - self.elapsed)


class LeadsFromAddress(FailOpenThrottle):
    """Of one client, by the address that the trusted proxies saw; never by the first X-Forwarded-For."""

    scope = "lead_per_address"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return f"throttle:{self.scope}:{self.get_ident(request)}"


class LeadsUnsigned(LeadsFromAddress):
    """Harder, for forms in a browser where a secret is set: they cannot keep one."""

    scope = "lead_unsigned_per_address"


class LeadsInAll(FailOpenThrottle):
    scope = "lead_in_all"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return f"throttle:{self.scope}"
