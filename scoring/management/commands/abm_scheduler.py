"""See to the nights: keep the schedule over Redis, or without it do the jobs here."""

import signal
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from scoring.scheduler import run_with_redis, run_without_redis


class Command(BaseCommand):
    help = (
        "Runs for ever: wakes the workers at 02:00 UTC and every RECONCILE_SECONDS. Any number may run. Without"
        " REDIS_URL it does the jobs itself."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: what it does is kept as stopped
        self.stdout.write("The scheduler runs" + ("." if settings.REDIS_URL else ", and does the jobs itself."))
        with suppress(KeyboardInterrupt):
            (run_with_redis if settings.REDIS_URL else run_without_redis)()
