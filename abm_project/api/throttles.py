"""How often strangers may knock. Counters live in Redis; without it everybody is let in, since a lead that is turned
away is lost and a flood is not (reliability 13 and 14)."""

import logging
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.conf import settings
from django.core.cache import caches
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle, SimpleRateThrottle
from rest_framework.views import APIView

log = logging.getLogger(__name__)
LEFT_ALONE = 2  # seconds in which a thread does not ask a store that failed it: else every request waits for it


class LeadThrottle(BaseThrottle):
    """Of one client, by the address that the trusted proxies saw (never by the first X-Forwarded-For), and of all.

    Lets everything through while its store is away; a thread waits for it once in LEFT_ALONE seconds.
    """

    def __init__(self, per_address: str) -> None:
        self.per_address = per_address  # the name of a rate: harder for forms in a browser where a secret is set

    def allow_request(self, request: Request, view: APIView) -> bool:
        counters: Any = caches["default"]  # one for each thread
        request.throttle_store_is_away = time.monotonic() < getattr(counters, "left_alone_until", 0)  # type: ignore[attr-defined]
        self.seconds = 0.0
        if not request.throttle_store_is_away:  # type: ignore[attr-defined]
            try:
                self.seconds = turned_away(counters, self._rates(request))
            except (RedisError, OSError) as error:
                request.throttle_store_is_away = True  # type: ignore[attr-defined]
                counters.left_alone_until = time.monotonic() + LEFT_ALONE
                log.warning("Requests are not counted: Redis does not answer (%s).", type(error).__name__)
        return not self.seconds

    def _rates(self, request: Request) -> list["Rate"]:
        now, rates = time.time(), settings.API_RATES
        return [
            Rate(f"throttle:{self.per_address}:{self.get_ident(request)}", rates[self.per_address], now),
            Rate("throttle:lead_in_all", rates["lead_in_all"], now),
        ]

    def wait(self) -> float:
        return self.seconds


@cache
def _parsed(rate: str) -> tuple[int, int]:
    """So many in so many seconds, of a rate such as 60/min."""
    return SimpleRateThrottle.parse_rate(None, rate)  # type: ignore[arg-type, return-value]


class Rate:
    """So many of one key, in a window of now and the part of the one before that is not over. A count is one number,
    however many it counts, and the store itself counts: requests at once cannot count past each other."""

    def __init__(self, key: str, rate: str, now: float) -> None:
        self.most, self.duration = _parsed(rate)
        window, self.elapsed = divmod(now, self.duration)
        self.key, self.key_before = f"{key}:{window:.0f}", f"{key}:{window - 1:.0f}"

    def wait(self, here: int, counters: Any) -> float:
        """0 where the one that was just counted has room; else the seconds until there is room for one more, if nobody
        else comes."""
        left_of_before = 1 - self.elapsed / self.duration
        if here + self.most * left_of_before <= self.most:
            return 0.0  # however many came before
        before = counters.get(self.key_before, 0)
        if here + before * left_of_before <= self.most:
            return 0.0
        room = self.most - here
        if room < 0:
            return float(self.duration - self.elapsed + self.duration / max(1, self.most))
        return max(1.0, self.duration * (1 - room / before) - self.elapsed)


def turned_away(counters: Any, rates: Sequence[Rate]) -> float:
    """Count one more. For how many seconds it is turned away; 0 when it is let in.

    What is turned away counts nowhere, so that a flood of one address leaves the others their share.
    """
    counts = counters.add_one({rate.key: 3 * rate.duration for rate in rates})
    seconds = max(rate.wait(count, counters) for rate, count in zip(rates, counts, strict=True))
    if seconds:
        for rate in rates:
            counters.decr(rate.key)
    return seconds
