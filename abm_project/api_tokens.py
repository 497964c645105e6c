"""API tokens: how one is made, and whom it stands for. HTTP-free.

A token is `orbit_<key>_<secret>`. The key is public and finds the row; the secret is 256 random bits, of which a plain
SHA-256 is kept: there is nothing to guess, so nothing has to be slow.
"""

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User

from abm_project.access import INTERNAL_ADMIN, act_as, roles
from abm_project.models import ApiToken

LONGEST = timedelta(days=366)
USUAL = timedelta(days=90)
FORM = re.compile(r"orbit_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
NO_HASH = "0" * 64


class Refused(Exception):
    """The token opens nothing; the text says no more than that to whoever has it."""


def issue(name: str, user: User, role: str, expires_at: datetime, made_by: str) -> tuple[ApiToken, str]:
    """A new token and its text, which nothing can show again."""
    token = ApiToken(name=name, user=user, role=role, expires_at=expires_at)
    return token, seal(token, made_by)


def seal(token: ApiToken, made_by: str) -> str:
    """Give a token that is filled in its secret, and store it. Its text."""
    key, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    token.key, token.secret_hash, token.made_by = key, hash_of(secret), made_by
    token.save(force_insert=True)
    return f"orbit_{key}_{secret}"


def holder(text: str, now: datetime) -> tuple[User, ApiToken]:
    """The user a token acts for, with its role and no other. Refused: unknown, expired, revoked, or its user may not
    do this any more."""
    match = FORM.fullmatch(text)
    key, secret = match.groups() if match else ("", "")
    token = ApiToken.objects.select_related("user").filter(key=key).first() if match else None
    # Compared also where there is no such key, so that the time says nothing.
    known = hmac.compare_digest(hash_of(secret), token.secret_hash if token else NO_HASH)
    if token is None or not known or not token.is_good(now) or not covers(token.user, token.role):
        raise Refused("This API token is not known, or it expired, was revoked, or its user may not do this any more.")
    token.note_use(now)
    act_as(token.user, token.role)
    return token.user, token


def covers(user: User, role: str) -> bool:
    """Whether the user may do what the role may: an admin may do all that sales may."""
    mine = roles(user)
    return role in mine or INTERNAL_ADMIN in mine


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
