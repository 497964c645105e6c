"""For every test."""

import pytest

from registry import loader


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Hundreds of test users: the real hasher would take half of the suite's time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def own_counters(settings):
    """Workers of a test run share one Redis: one that empties its cache would empty the other's, and its queue too."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture(autouse=True)
def new_process():
    """No test sees the registry that another one cached."""
    loader.clear_cache()
