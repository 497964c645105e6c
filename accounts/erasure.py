"""Who was erased, known again by a keyed hash of the address: without the key it names nobody."""

import hashlib
import hmac

from django.conf import settings

from accounts.models import ErasedPerson


def email_hash(email: str) -> str:
    return hmac.new(settings.ERASURE_KEY.encode(), email.strip().lower().encode(), hashlib.sha256).hexdigest()


def was_erased(email: str) -> bool:
    return ErasedPerson.objects.filter(email_hash=email_hash(email)).exists()
