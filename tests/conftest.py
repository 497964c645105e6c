"""For every test."""

import pytest


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Hundreds of test users: the real hasher would take half of the suite's time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
