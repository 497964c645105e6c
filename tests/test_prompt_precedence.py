"""Which prompt template a brief gets (spec appendix B)."""

import itertools

import pytest

from registry.loader import get_prompt_template, select_prompt
from registry.values import Prompt
from tests.factories import make_prompt

WANTED = {"lane": "office", "persona": "sales", "stage": "Hot"}
# Spec appendix B numbers five of the eight; the others follow its idea: lane before persona before stage.
PRECEDENCE = [
    ("B1", "office", "sales", "Hot"),
    ("B2", "office", "sales", "*"),
    ("B3", "office", "*", "Hot"),
    ("lane-only", "office", "*", "*"),
    ("B4", "*", "sales", "Hot"),
    ("persona-only", "*", "sales", "*"),
    ("stage-only", "*", "*", "Hot"),
    ("B5", "*", "*", "*"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("place", range(8), ids=[row[0] for row in PRECEDENCE])
def test_appendix_b_a_template_wins_over_all_that_come_after_it(place):
    prompts = [make_prompt(*row[1:]).value() for row in PRECEDENCE[place:]]
    make_prompt("events", "exec", "Cold")
    make_prompt("office", "sales", "Cold")

    assert get_prompt_template(**WANTED) == prompts[0]


def test_appendix_b_holds_for_every_set_of_templates():
    prompts = [Prompt(name, *row, "v1", "", "", 180) for name, *row in PRECEDENCE]

    for size in range(1, 9):
        for chosen in itertools.combinations(prompts, size):
            assert select_prompt(list(reversed(chosen)), **WANTED) is chosen[0]
