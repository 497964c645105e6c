"""Erase a person from everything that Orbit keeps."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from abm_project.erasure import erase_person
from accounts.erasure import email_hash


class Command(BaseCommand):
    help = "Erase a person: contact, ids, lead fields, payloads, signals, briefs, admin log. Prints a receipt."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be erased, and erase nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        email: str = options["email"].strip().lower()
        if "@" not in email:
            raise CommandError(f"{email!r} is no e-mail address.")
        receipt = asdict(erase_person(email, erased_by="command line", write=not options["dry_run"]))
        for name, count in receipt.items():
            self.stdout.write(f"{name.replace('_', ' '):<14} {count:,}")
        if options["dry_run"]:
            self.stdout.write("Nothing was erased: a dry run.")
        elif any(receipt.values()):
            self.stdout.write(f"Erased {timezone.now():%Y-%m-%d %H:%M} UTC. Receipt {email_hash(email)}")
        else:
            self.stdout.write("Nobody of this address is known.")
