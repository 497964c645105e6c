"""How well a brief's check against its facts finds planted errors, and how often it cries wolf: the labelled set.

    ./dev bench grounding

Precision: of what it marks, how much is wrong. Recall: of what is wrong, how much it marks. Needs no service.
"""

from collections import Counter

from ai_summaries.grounding import check
from tests.grounding_cases import CASES, HELD_OUT, PLANTED, TRUE, Case, same


def main() -> None:
    print(f"{len(CASES)} briefs: {len(TRUE)} true, {len(PLANTED)} with planted errors")
    measure(CASES)
    print(f"\n{len(HELD_OUT)} more, held out: the checker was never changed for them")
    measure(HELD_OUT)


def measure(cases: list[Case]) -> None:
    right, missed = Counter[str](), Counter[str]()
    misses, alarms = [], []
    for case in cases:
        quotes = [finding.quote for finding in check(case.text, case.facts, max_words=None)]
        for wrong in case.wrong:
            found = any(same(quote, wrong) for quote in quotes)
            (right if found else missed)[case.kind] += 1
            misses += [] if found else [f"{case.kind}: “{wrong}” in “{case.text}”"]
        unplanted = [quote for quote in quotes if not any(same(quote, wrong) for wrong in case.wrong)]
        alarms += [f"“{quote}” in “{case.text}”" for quote in unplanted]
    print(f"{'planted':14}{'found':>7}{'missed':>8}")
    for kind in sorted({*right, *missed}):
        print(f"{kind:14}{right[kind]:7}{missed[kind]:8}")
    found, lost = right.total(), missed.total()
    print(f"precision {found / (found + len(alarms)):.3f}   recall {found / (found + lost):.3f}")
    for title, lines in (("False alarms", alarms), ("Misses", misses)):
        print(f"{title}: {len(lines)}", *lines, sep="\n  ")


if __name__ == "__main__":
    main()
