"""The code of the release before runs on the tables of today (reliability 41), as it does from `migrate` until the web
is started anew.

That code is the last tag's; before there is one, it is the commit before the newest change of a migration.
PYTEST_OLD_RELEASE names another: of that one all tests run that need the database, and not the chosen ones alone.
Either has today's packages.
"""

import io
import os
import secrets
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import MySQLdb
import pytest
from django.apps import apps
from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField

from tests.installation import KEPT, ROOT, die_with_me

DATABASE = settings.DATABASES["default"]
NAMED = os.environ.get("PYTEST_OLD_RELEASE", "")
CHOSEN = (  # what an old web and old workers do, over every table; a minute or two
    "test_tables.py",
    "test_walk.py",
    "test_lead_hook.py",
    "test_leads_api.py",
    "test_recompute.py",
    "test_hot_accounts_page.py",
    "test_account_page.py",
    "test_dashboards_api.py",
    "test_ownership.py",
    "test_registry_admin.py",
    "test_summaries.py",
    "test_alerts.py",
)
EVERY_TEST = ("tests", "-m", "django_db and not soak")


# --- The rule ---
def test_a_column_that_was_added_has_a_value_where_older_code_names_none():
    """Django's own `default` is written into a migration's rows, and then forgotten by the database."""
    ours = {"registry", "accounts", "ingestion", "scoring", "ai_summaries", "abm_project"}
    migrations = MigrationLoader(None).disk_migrations.items()  # None: asks no database
    added = {
        (app, operation.model_name, operation.name)
        for (app, name), migration in migrations
        if app in ours and not name.startswith("0001")  # where the tables themselves are new
        for operation in migration.operations
        if isinstance(operation, AddField)
    }
    fields = [apps.get_model(app, model)._meta.get_field(name) for app, model, name in added]

    assert len(fields) >= 4
    assert [str(field) for field in fields if not (field.null or field.generated or field.has_db_default())] == []


# --- The proof ---
@pytest.mark.soak
@pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="SQLite has one process, which is stopped for an upgrade")
def test_the_tests_of_the_release_before_pass_on_the_tables_of_today(tmp_path):
    revision = old_revision()
    with tarfile.open(fileobj=io.BytesIO(git("archive", revision))) as archive:
        archive.extractall(tmp_path, filter="data")
    there = [f"tests/{name}" for name in CHOSEN if (tmp_path / "tests" / name).exists()]
    name = f"orbit_old_{secrets.token_hex(4)}"

    with migrated_by_today(f"test_{name}"):
        options = ("-q", "--reuse-db", "-p", "no:cacheprovider", "--tb=short")
        chosen = EVERY_TEST if NAMED else there
        code, said = run(tmp_path, name, "-m", "pytest", *options, *chosen, timeout=1800 if NAMED else 420)

    assert code == 0, f"{revision}:\n{said}"


def old_revision() -> str:
    """Skips where there is no history to take it from: a shallow clone, or files without a repository."""
    if NAMED:
        return NAMED
    try:
        tag = git("describe", "--tags", "--abbrev=0", "HEAD^", may_fail=True)
        newest = git("log", "-1", "--format=%H", "--", "*/migrations/0*.py")
        return (tag or git("rev-parse", "--verify", "--quiet", f"{newest.decode().strip()}^")).decode().strip()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"There is no history here: {error} {getattr(error, 'stderr', b'').decode().strip()}")


def git(*command: str, may_fail: bool = False) -> bytes:
    answer = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, check=not may_fail)
    return b"" if answer.returncode else answer.stdout


@contextmanager
def migrated_by_today(name: str) -> Iterator[None]:
    server = {name.lower(): DATABASE[name] for name in ("HOST", "USER", "PASSWORD")} | {"port": int(DATABASE["PORT"])}
    with closing(MySQLdb.connect(**server)) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            code, said = run(ROOT, name, "manage.py", "migrate", "--verbosity=0", timeout=120)
            assert code == 0, said
            yield
        finally:
            connection.cursor().execute(f"DROP DATABASE {name}")


def run(where: Path, database: str, *command: str, timeout: float) -> tuple[int, str]:
    """Another version's Python process. Its Redis is not the one that this run's other tests empty."""
    host = "{USER}:{PASSWORD}@{HOST}:{PORT}".format(**DATABASE)
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "DATABASE_URL": f"mysql://{host}/{database}",
        "REDIS_URL": settings.REDIS_URL.removesuffix("/0") + "/9" if settings.REDIS_URL else "",
        "ENV_FILE": os.devnull,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=where,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        preexec_fn=lambda: die_with_me(1, signal.SIGKILL),
    )
    return ended.returncode, ended.stdout
