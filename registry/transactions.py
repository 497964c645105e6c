"""Transactions that are tried again when the database asks for it.

Two writers can meet in a deadlock (1213) or wait too long for a lock (1205) through no fault of theirs; the database
then rolls one of them back and expects it to come again. Only the whole transaction can be repeated, so this stands
outside of it.
"""

from collections.abc import Callable
from functools import cache
from typing import TypeVar

from django.db import InterfaceError, InternalError, OperationalError, connection, transaction
from tenacity import Retrying, retry_if_exception, retry_if_exception_type, stop_after_attempt, wait_random_exponential

ATTEMPTS = 6
ASKED_TO_RETRY = (1205, 1213)
# The database's own failure, not that of what was asked: it is away, full or, InternalError, cannot write its files.
DATABASE_FAILED = (InterfaceError, InternalError, OperationalError)
T = TypeVar("T")


def asked_to_retry(error: BaseException) -> bool:
    return isinstance(error, OperationalError) and bool(error.args) and error.args[0] in ASKED_TO_RETRY


def transact(work: Callable[[], T], *, again: tuple[type[BaseException], ...] | type[BaseException] = ()) -> T:
    """Do the work in a transaction, up to six times. It must not keep anything outside the database when it fails.

    `again`: errors that are also no fault of the work, such as another writer having inserted the same key first.

    Inside another transaction it is done once, in a savepoint: a deadlock has rolled that one back too.
    """
    if connection.in_atomic_block:
        return _once(work)
    try:
        return _once(work)  # nearly always: the machinery of retries would take longer than a lead's look-ups
    except Exception as error:
        if not (asked_to_retry(error) or isinstance(error, again)):
            raise
    return _attempts(again)(_once, work)


@cache
def _attempts(again: tuple[type[BaseException], ...] | type[BaseException]) -> Retrying:
    return Retrying(
        retry=retry_if_exception(asked_to_retry) | retry_if_exception_type(again),
        stop=stop_after_attempt(ATTEMPTS - 1),  # the first was made without it
        wait=wait_random_exponential(multiplier=0.05, max=2),
        reraise=True,
    )


def _once(work: Callable[[], T]) -> T:
    with transaction.atomic():
        return work()
