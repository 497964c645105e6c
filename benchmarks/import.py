"""Event lines a second of an import: the floor (gunzip and decode), reading, and the whole way into MariaDB. [LINES]

The export is made up but shaped like PostHog's: 20,000 accounts of which few are busy, 60 days, any order of time,
query strings that hardly repeat, two events in a hundred that are not tracked and one in a hundred without an account.
1. floor: gunzip, cut into lines, decode each line's JSON, keep nothing;
2. read: `export_files.read` and a walk over all account days, no database;
3. import: the command `import_activity` into empty tables, once, in a process of its own that also says its memory.
"""

import gzip
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import accumulate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["SITE_HOSTS"] = "www.northwind.example"  # with it the URL of every event is looked at: the slower way
os.environ["DATABASE_PROFILE"] = "jobs"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "abm_project.settings")

import django
import orjson

django.setup()

from _measuring import RUNS, in_child, machine, medians, peak_megabytes, seconds
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from ingestion import export_files
from ingestion.models import ActivityDay, ActivityPull
from ingestion.sources import AccountSource

LINES, ACCOUNTS, DAYS = 1_000_000, 20_000, 60
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATHS = [f"/{part}/{n}" for part in ("pricing", "docs", "blog", "integrations", "customers") for n in range(60)]
BROWSERS = ("Chrome", "Safari", "Firefox", "Microsoft Edge")


def events(lines: int) -> Iterator[bytes]:
    pick = random.Random(7)
    busy = list(accumulate(1 / (n + 20) for n in range(ACCOUNTS)))
    start = NOW - timedelta(days=DAYS, hours=12)
    for chunk in range(0, lines, 10_000):
        count = min(10_000, lines - chunk)
        for account in pick.choices(range(ACCOUNTS), cum_weights=busy, k=count):
            person = account * 3 + pick.randrange(3)
            path = PATHS[min(int(pick.expovariate(1 / 40)), len(PATHS) - 1)]
            at = start + timedelta(seconds=pick.randrange(DAYS * 86_400), milliseconds=pick.randrange(1_000))
            number = pick.getrandbits(64)
            named = {"$groups": {"company": f"https://www.company{account}.example/"}} if number % 100 else {}
            yield orjson.dumps(
                {
                    "uuid": f"01930000-0000-7000-8000-{number >> 16:012x}",
                    "event": "$pageview" if number % 50 else "$pageleave",
                    "distinct_id": f"0193{person:028x}-visitor",
                    "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    "person_id": f"01890000-0000-7000-8000-{person:012x}",
                    "properties": {
                        "$current_url": f"https://www.northwind.example{path}?utm_source=news&gclid={number:x}",
                        "$pathname": path,
                        "$host": "www.northwind.example",
                        "$referrer": "https://www.google.com/",
                        "$browser": BROWSERS[number % 4],
                        "$browser_version": 120 + number % 9,
                        "$os": "Windows" if number % 3 else "Mac OS X",
                        "$device_type": "Desktop",
                        "$screen_width": 1920,
                        "$screen_height": 1080,
                        "$lib": "web",
                        "$lib_version": "1.190.2",
                        "$session_id": f"0193aaaa-{number & 0xFFFFFFFF:08x}",
                        "title": f"Northwind – {path}",
                        **named,
                    },
                }
            )


def write(path: Path, lines: int) -> None:
    with gzip.open(path, "wb", compresslevel=3) as file:
        for line in events(lines):
            file.write(line + b"\n")


def floor(path: Path) -> None:
    rest = b""
    with gzip.open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                orjson.loads(line)


def read(path: Path) -> None:
    export = export_files.read(
        [path],
        AccountSource("group", "company"),
        aliases=settings.ACTIVITY_EVENT_ALIASES,
        tracked=settings.ACTIVITY_EVENTS,
        site_hosts=settings.SITE_HOSTS,
        now=NOW,
        max_cells=settings.ACTIVITY_MAX_CELLS,
    )
    with export:
        for _ in export.account_days():
            pass


def whole_import(path: Path) -> None:
    """In a child: into empty tables, so that a second one finds what the first did."""
    with connection.cursor() as cursor:
        for model in (ActivityDay, ActivityPull):
            cursor.execute(f"TRUNCATE TABLE {model._meta.db_table}")
    took = seconds(lambda: call_command("import_activity", str(path), stdout=StringIO()))
    result = {"seconds": took, "megabytes": peak_megabytes(), "account_days": ActivityDay.objects.count()}
    print(json.dumps(result))


def only_read(path: Path) -> None:
    """In a child: the memory of reading alone."""
    read(path)
    print(json.dumps({"megabytes": peak_megabytes()}))


def main(lines: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        print(machine(cursor.fetchone()[0]))
    call_command("migrate", verbosity=0)
    with tempfile.TemporaryDirectory(prefix="orbit-bench-") as directory:
        few, many = Path(directory, "few.jsonl.gz"), Path(directory, "many.jsonl.gz")
        write(few, max(1, lines // 10))
        write(many, lines)
        with gzip.open(many) as file:
            length = sum(len(chunk) for chunk in iter(lambda: file.read(1 << 20), b"")) / lines
        print(f"export: {lines:,} lines of {length:,.0f} bytes, {many.stat().st_size / 1e6:,.1f} MB gzip")
        decoded, walked = medians(lambda: floor(many), lambda: read(many))
        print(f"floor   {_speed(lines, decoded)}  gunzip and decode (median of {RUNS})")
        print(f"read    {_speed(lines, walked)}  {walked / decoded:.2f} x the floor (median of {RUNS})")
        memory = [in_child(__file__, "read", path)["megabytes"] for path in (few, many)]
        small, large = (in_child(__file__, "import", path) for path in (few, many))
        print(
            f"import  {_speed(lines, large['seconds'])}  {large['seconds'] / decoded:.2f} x the floor (one run),"
            f" {large['account_days']:,} account days"
        )
        print(f"peak memory, read:   {_two(*memory, lines)}")
        print(f"peak memory, import: {_two(small['megabytes'], large['megabytes'], lines)}")


def _speed(lines: int, took: float) -> str:
    return f"{lines / took:>9,.0f} lines/s  {took:6.2f} s"


def _two(few: float, many: float, lines: int) -> str:
    return f"{few:.0f} MB at {lines // 10:,} lines, {many:.0f} MB at {lines:,} ({many - few:+.0f} MB)"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["import", path]:
            whole_import(Path(path))
        case ["read", path]:
            only_read(Path(path))
        case given:
            main(int(given[0].replace("_", "").replace(",", "")) if given else LINES)
