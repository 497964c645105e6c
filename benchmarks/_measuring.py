"""What the benchmarks share: the machine they ran on, medians, and the memory of a process of its own."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RUNS = 3


def machine(database: str = "") -> str:
    """The line that every benchmark prints first; `database` is the server's version where one takes part."""
    named = f", MariaDB {database}" if database else ""
    return f"machine: {platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} CPUs{named}"


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(*works: Callable[[], object], runs: int = RUNS) -> list[float]:
    """Seconds of each piece of work, the median of `runs`. They take turns: a noisy minute then hits all of them."""
    taken = [[seconds(work) for work in works] for _ in range(runs)]
    return [statistics.median(own) for own in zip(*taken, strict=True)]


def peak_megabytes() -> float:
    """The most memory this process ever held. Not `ru_maxrss`: Linux counts the parent's memory at the fork to it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def upsert_sql(table: str, columns: tuple[str, ...]) -> str:
    """What a floor writes rows with, by a bare cursor."""
    marks, updates = ", ".join(["%s"] * len(columns)), ", ".join(f"{name} = VALUES({name})" for name in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) ON DUPLICATE KEY UPDATE {updates}"


def in_child(script: str, *args: object) -> Any:
    """What `script` prints as JSON on its last line, run with these arguments in a process of its own."""
    done = subprocess.run(
        [sys.executable, script, *map(str, args)], stdout=subprocess.PIPE, text=True, check=True, env=os.environ
    )
    return json.loads(done.stdout.splitlines()[-1])
