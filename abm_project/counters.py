"""Where requests are counted: Django's caches, and one more thing, to count in a single exchange with Redis.

Django's own `incr` takes two of them and a third for a new key, and makes a new client each time: a lead spent more on
being counted than on being read.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache


class RedisCounters(RedisCache):
    """One for each thread, as Django's caches are."""

    @cached_property
    def _client(self) -> Any:
        return self._cache.get_client(write=True)

    def add_one(self, keys: Mapping[str, int]) -> list[int]:
        """Each key's count with this one. A count is forgotten so many seconds after the last one: its value here."""
        with self._client.pipeline(transaction=False) as exchange:
            for key, seconds in keys.items():
                named = self.make_and_validate_key(key)
                exchange.incr(named).expire(named, seconds)
            counts: list[int] = exchange.execute()[::2]
        return counts


class LocalCounters(LocMemCache):
    """Of this process, where there is no Redis."""

    def add_one(self, keys: Mapping[str, int]) -> list[int]:
        for key, seconds in keys.items():
            self.add(key, 0, timeout=seconds)
        return [self.incr(key) for key in keys]
