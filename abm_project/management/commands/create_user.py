"""Make a user with a role, or give an existing one another role.

Safe to run twice: a password is only touched where the user is new or `--password-stdin` gives one.
"""

import secrets
import sys
from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from abm_project.access import ROLES, give_role


class Command(BaseCommand):
    help = "Create a user who may sign in, or change the role of one who exists."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--role", choices=ROLES, required=True)
        parser.add_argument("--password-stdin", action="store_true", help="Read the password from standard input.")

    def handle(self, *args: Any, name: str, role: str, password_stdin: bool, **options: Any) -> None:
        demand_text(name)
        given = read_password() if password_stdin else None
        with transaction.atomic():
            user = User.objects.filter(username=name).first()
            made = user is None
            user = user or new_user(name)
            password = given if password_stdin else secrets.token_urlsafe(15) if made else None
            if password is not None:
                set_password(user, password)
            user.groups.remove(*Group.objects.filter(name__in=ROLES).exclude(name=role))
            give_role(user, role)
        self.stdout.write(f"{'Created' if made else 'Updated'} {name} with the role {role}.")
        if made and not password_stdin:
            self.stdout.write(f"Password: {password}")
        elif password is None:
            self.stdout.write("The password stays as it was; --password-stdin changes it.")


def demand_text(given: str) -> None:
    """A shell hands over any bytes; halves of characters are nothing that a database or a hash takes."""
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise CommandError("The name and the password must be UTF-8 text.") from error


def read_password() -> str:
    try:
        given = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CommandError("The name and the password must be UTF-8 text.") from error
    demand_text(given)
    return given


def new_user(name: str) -> User:
    user = User(username=name)
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error
    return user


def set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error
    user.set_password(password)
    user.save()
