"""A preview against the recompute of the same accounts: it reads once and scores twice.

`./dev bench preview [ACCOUNTS]`, default 20,000, facts as in `./dev bench recompute`. The measure is the time that the
recompute spends in reading and scoring (`rollup.score`), without its locks and writes.
"""

import gc
import os
import sys
from pathlib import Path
from statistics import median
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "abm_project.settings")

import django

django.setup()

from _measuring import RUNS, machine, seconds
from django.core.management import call_command
from django.db import connection
from recompute import AS_OF, NOW, make_facts

from registry.loader import load_proposed
from registry.models import ScoreConfig
from scoring import rollup
from scoring.preview import preview
from scoring.rollup import recompute


def engine_seconds() -> tuple[float, float]:
    """Of a recompute that changes nothing: (reading and scoring, all of it)."""
    spent = []
    scoring = rollup.score

    def timed(*args):  # type: ignore[no-untyped-def]
        found = []
        spent.append(seconds(lambda: found.append(scoring(*args))))
        return found[0]

    with patch.object(rollup, "score", timed):
        whole = seconds(lambda: list(recompute(AS_OF, NOW)))
    return sum(spent), whole


def main(accounts: int) -> None:
    call_command("migrate", verbosity=0)
    call_command("seed_registry", stdout=open(os.devnull, "w"))  # noqa: SIM115
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        print(machine(cursor.fetchone()[0]))
    make_facts(accounts)
    list(recompute(AS_OF, NOW))
    draft = ScoreConfig.objects.get(status="active").clone("doubled pricing")
    draft.weights.filter(content_type="pricing").update(weight=50)
    gc.freeze()
    taken = []
    for _ in range(RUNS):  # in turns: a noisy minute then hits both alike
        engine, whole = engine_seconds()
        taken.append([engine, whole, seconds(lambda: list(preview(load_proposed(draft.pk), AS_OF, NOW)))])
    engine, whole, previewing = (median(column) for column in zip(*taken, strict=True))
    print(f"recompute: {whole:.1f} s, of which reading and scoring {engine:.1f} s; {accounts:,} accounts")
    print(f"preview: {previewing:.1f} s; preview ÷ reading and scoring {previewing / engine:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
