"""What PostHog allows a caller: slots, requests a minute, bytes read an hour, seconds a query, rows an answer."""

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.posthog_standin.problems import Problem, throttled


@dataclass
class Limits:
    """PostHog's own numbers; a test changes them at run time with `PostHog.set`. None switches one off."""

    concurrent: int = 3
    concurrent_wait: float = 30  # how long a query queues for a slot before the 429
    per_minute: int | None = 240
    per_hour: int | None = 2400
    budget_bytes: int | None = None  # an hour; also the most that can be saved up
    execution_seconds: float = 10
    default_limit: int = 100
    max_limit: int = 50_000
    body_bytes: int = 20_000_000
    cache_seconds: float = 6 * 3600
    # The next three PostHog has not: they make it slow on purpose, the same way on every machine.
    query_delay: float = 0  # seconds that every query holds its slot beyond its own
    longest_range_seconds: float | None = None  # of `timestamp` in the query; more is answered with:
    longest_range_status: int = 504  # or 512


class Throttle:
    """Counts what was used; the limits are asked for anew each time, since they may change."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = threading.Condition()
        self._running = 0
        self._asked: deque[float] = deque()
        self._budget, self._budget_at = math.inf, time.monotonic()

    def count_request(self) -> None:
        now = time.monotonic()
        with self._lock:
            while self._asked and self._asked[0] <= now - 3600:
                self._asked.popleft()
            for allowed, seconds in ((self.limits.per_minute, 60), (self.limits.per_hour, 3600)):
                recent = [at for at in self._asked if at > now - seconds]
                if allowed is not None and len(recent) >= allowed:
                    first = recent[-allowed] if allowed else now
                    raise throttled(max(1, math.ceil(first + seconds - now)))
            self._asked.append(now)

    @contextmanager
    def slot(self) -> Iterator[None]:
        with self._lock:
            if not self._lock.wait_for(lambda: self._running < self.limits.concurrent, self.limits.concurrent_wait):
                raise Problem(
                    429, "throttled_error", "throttled",
                    "Too many queries are running right now. Please try again in a moment.",
                )  # fmt: skip
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._lock.notify()

    def budget_left(self) -> int | None:
        """Bytes that may still be read; None without a budget."""
        allowed = self.limits.budget_bytes
        if allowed is None:
            return None
        now = time.monotonic()
        with self._lock:
            self._budget = min(allowed, self._budget + allowed * (now - self._budget_at) / 3600)
            self._budget_at = now
            return math.floor(self._budget)

    def require_budget(self) -> None:
        left = self.budget_left()
        if left is not None and left <= 0:
            allowed = self.limits.budget_bytes or 1
            seconds = min(3600, max(1, math.ceil((1 - left) * 3600 / allowed)))
            raise Problem(
                429, "throttled_error", "api_queries_budget_exceeded",
                f"API queries read budget exceeded. Expected available in {seconds} seconds.",
                {"Retry-After": str(seconds)},
            )  # fmt: skip

    def debit(self, read_bytes: int) -> None:
        if self.budget_left() is not None:
            with self._lock:
                self._budget -= read_bytes
