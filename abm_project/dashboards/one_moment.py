"""Several queries, one moment: what a night writes between two of them is seen by all of them or by none."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import Error, connection

# A snapshot of its own for this read alone: the connection stays at READ COMMITTED, which bulk writes need.
BEGIN = {
    "mysql": ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"),
    "sqlite": ("BEGIN",),  # deferred: it reads and never waits for a writer, nor a writer for it
}


@contextmanager
def one_moment() -> Iterator[None]:
    """Reads inside see the database as it was when the first of them began; nothing may be written inside.

    Inside a transaction, or inside another `one_moment`, it is that one's moment.
    """
    if connection.in_atomic_block or getattr(connection, "is_at_one_moment", False) or _is_alone():
        yield
        return
    with connection.cursor() as cursor:
        for statement in BEGIN[connection.vendor]:
            cursor.execute(statement)
        connection.is_at_one_moment = True  # type: ignore[attr-defined]
        try:
            yield
        finally:
            connection.is_at_one_moment = False  # type: ignore[attr-defined]
            with suppress(Error):  # a connection that broke has no transaction any more
                cursor.execute("COMMIT")


def _is_alone() -> bool:
    """A database in memory is one connection, which the threads of a test server share."""
    return connection.vendor == "sqlite" and connection.is_in_memory_db()
