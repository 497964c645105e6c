"""For every test."""

import pytest

from registry import loader
from tests.anthropic_standin import Anthropic
from tests.posthog_standin import PostHog


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Hundreds of test users: the real hasher would take half of the suite's time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def own_counters(settings):
    """Workers of a test run share one Redis: one that empties its cache would empty the other's, and its queue too."""
    settings.CACHES = {"default": {"BACKEND": "abm_project.counters.LocalCounters"}}


@pytest.fixture(autouse=True)
def new_process():
    """No test sees the registry that another one cached."""
    loader.clear_cache()


# --- PostHog ---
@pytest.fixture(scope="module")
def standin():
    """One for all tests of a file; `posthog` is it, with the settings pointing there."""
    with PostHog(timezone="US/Pacific", per_minute=None, per_hour=None) as posthog:
        yield posthog


@pytest.fixture
def posthog(standin, settings):
    point_at(standin, settings)
    yield standin
    standin.faults.clear()
    standin.forget_requests()


def point_at(posthog, settings):
    settings.POSTHOG_HOST, settings.POSTHOG_API_KEY = posthog.url, posthog.api_key
    settings.POSTHOG_PROJECT_ID = str(posthog.project_id)
    settings.POSTHOG_RETRY_SECONDS = 0.001


# --- Anthropic ---
@pytest.fixture
def anthropic_api(settings):
    """A language model that is configured, and answers on this machine."""
    with Anthropic() as api:
        settings.ANTHROPIC_API_KEY, settings.ANTHROPIC_BASE_URL, settings.AI_MODEL = api.key, api.url, api.models[0]
        settings.AI_RETRY_SECONDS = 0.01
        yield api
