"""Where requests are counted: Django's caches, and one more thing, to count in a single exchange with Redis.

Django's own `incr` takes two of them and a third for a new key, and makes a new client each time: a lead spent more on
being counted than on being read.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

ADD_ONE = """
local counts = {}
for place, key in ipairs(KEYS) do
    counts[place] = redis.call("INCR", key)
    redis.call("EXPIRE", key, ARGV[place])
end
return counts
"""


class RedisCounters(RedisCache):
    """One for each thread, as Django's caches are."""

    @cached_property
    def _add_one(self) -> Any:
        return self._cache.get_client(write=True).register_script(ADD_ONE)

    def add_one(self, keys: Mapping[str, int]) -> list[int]:
        """Each key's count with this one. A count is forgotten so many seconds after the last one: its value here."""
        counts: list[int] = self._add_one([self.make_key(key) for key in keys], keys.values())
        return counts


class LocalCounters(LocMemCache):
    """Of this process, where there is no Redis."""

    def add_one(self, keys: Mapping[str, int]) -> list[int]:
        for key, seconds in keys.items():
            self.add(key, 0, timeout=seconds)
        return [self.incr(key) for key in keys]
