"""How large the database gets: bytes of a fact, a snapshot and an account, and what 100,000 accounts come to.

`./dev bench size [ACCOUNTS]`, default 20,000: the accounts of `./dev bench recompute`, on average 3 active days of 30
with 5 cells each, and three scored dates. Sizes are those of the server's files, indexes included, divided by the rows.
"""

import sys
from datetime import timedelta
from io import StringIO

from _measuring import machine
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from recompute import AS_OF, NOW, make_facts

from scoring.runs import run_recompute

DATES = 3
WHAT = {"activity_days": "a fact", "daily_account_intent": "a snapshot", "prospect_companies": "an account"}
IN_ALL = 100_000
ACTIVE = 3 / 30  # of days


def bytes_of(table: str) -> float:
    """Data and indexes, by the row."""
    sql = "SELECT data_length + index_length FROM information_schema.tables WHERE table_schema = DATABASE()"
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE TABLE {table}")
        cursor.fetchall()
        cursor.execute(f"{sql} AND table_name = %s", [table])
        (size,) = cursor.fetchone()
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        return float(size) / cursor.fetchone()[0]


def main(accounts: int) -> None:
    call_command("migrate", verbosity=0)
    call_command("seed_registry", stdout=StringIO())
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        print(machine(cursor.fetchone()[0]))
    make_facts(accounts)
    run_recompute([AS_OF - timedelta(days=back) for back in range(DATES - 1, -1, -1)], NOW, asked_by="bench")
    each = {table: bytes_of(table) for table in WHAT}
    for table, what in WHAT.items():
        print(f"{what:12} {each[table]:8,.0f} bytes  ({table})")
    facts = IN_ALL * ACTIVE * settings.FACT_RETENTION_DAYS * each["activity_days"]
    snapshots = IN_ALL * settings.SNAPSHOT_RETENTION_DAYS * each["daily_account_intent"]
    rows = IN_ALL * each["prospect_companies"]
    print(f"{IN_ALL:,} accounts, all scored every night, with the default retention:")
    for what, size in (("facts", facts), ("snapshots", snapshots), ("accounts", rows)):
        print(f"{what:12} {size / 1e9:8.2f} GB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
