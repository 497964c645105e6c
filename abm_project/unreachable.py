"""What this process knows of a database that cannot be reached: it is left alone for a second.

Without it each request waits two seconds for a connection, and those behind it for a thread: with more requests than
threads, the last were answered long after the six seconds that are promised (reliability 16). A query that fails on a
connection that stands is none of this: the others' may be well.
"""

import time

from django.db import connection

LEFT_ALONE = 1  # seconds
_until = 0.0


def note() -> None:
    """After an error of the database: was there no connection at all?"""
    global _until
    if connection.connection is None:
        _until = time.monotonic() + LEFT_ALONE


def is_left_alone() -> bool:
    return time.monotonic() < _until
