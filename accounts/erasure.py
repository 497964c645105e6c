"""Who was erased, known again by a keyed hash of the address: without the key it names nobody."""

import hashlib
import hmac

from django.conf import settings
from django.db import connection


def email_hash(email: str) -> str:
    return hmac.new(settings.ERASURE_KEY.encode(), email.strip().lower().encode(), hashlib.sha256).hexdigest()


def was_erased(email: str) -> bool:
    with connection.cursor() as cursor:  # asked for every lead, and written by Django in more time than it is answered
        cursor.execute("SELECT 1 FROM erased_people WHERE email_hash = %s", [email_hash(email)])
        return cursor.fetchone() is not None
