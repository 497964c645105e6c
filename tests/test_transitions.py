"""When an account is news: it is Hot or Exploding, and was not in the days before; and the words for it."""

from datetime import timedelta

import pytest

from abm_project.transitions import changes as read_changes
from abm_project.transitions import content, lines, subject
from tests.factories import DAY, make_company, make_config, make_snapshot, make_user

pytestmark = pytest.mark.django_db
YESTERDAY = DAY - timedelta(days=1)
HOT = {"intent_stage": "Hot", "intent_score": 78, "surge_level": "Normal"}
WARM = {"intent_stage": "Warm", "intent_score": 61, "surge_level": "Normal"}
EXPLODING = {"surge_level": "Exploding", "surge_ratio": 3.21}


@pytest.fixture(autouse=True)
def config():
    make_config()


def history(domain="acme.example", *, today=HOT, company=None, **before):
    """Snapshots by age in days (`age_3=HOT`), and of DAY."""
    company = company or make_company(domain)
    for name, row in sorted(before.items(), reverse=True):
        make_snapshot(company, DAY - timedelta(days=int(name.removeprefix("age_"))), **row)
    if today:
        make_snapshot(company, DAY, **today)
    return company


def changes(told_until=YESTERDAY, quiet_days=7):
    return read_changes(DAY, told_until, quiet_days)


@pytest.mark.parametrize(
    ("before", "today", "became"),
    [
        ({"age_1": WARM}, HOT, (True, False)),
        ({"age_1": HOT}, HOT, None),
        ({"age_1": WARM}, WARM, None),
        ({"age_1": HOT}, WARM, None),
        ({}, HOT, (True, False)),
        ({"age_1": WARM}, WARM | EXPLODING, (False, True)),
        ({"age_1": WARM | EXPLODING}, WARM | EXPLODING, None),
        ({"age_1": WARM}, HOT | EXPLODING, (True, True)),
        ({"age_1": HOT}, HOT | EXPLODING, (False, True)),
        ({"age_1": WARM | EXPLODING}, HOT | EXPLODING, (True, False)),
        ({"age_1": WARM, "age_7": HOT}, HOT, None),
        ({"age_1": WARM, "age_8": HOT}, HOT, (True, False)),
    ],
)
def test_it_is_news_when_it_was_not_so_on_any_day_of_the_week_before(before, today, became):
    history(today=today, **before)

    found = [(change.became_hot, change.became_exploding) for change in changes()]
    assert found == ([became] if became else [])


def test_what_changed_on_a_day_that_was_not_told_of_is_told_later():
    """Two nights were not done: the account became Hot on the first of their dates, and is still so."""
    history(age_3=WARM, age_2=HOT, age_1=HOT)

    assert changes(told_until=YESTERDAY) == []
    assert [change.domain for change in changes(told_until=DAY - timedelta(days=3))] == ["acme.example"]


def test_a_provisional_day_neither_is_news_nor_hides_any():
    history("today.example", today=HOT | {"is_provisional": True}, age_1=WARM)
    history("before.example", age_1=HOT | {"is_provisional": True}, age_2=WARM)

    assert [change.domain for change in changes()] == ["before.example"]


def test_suppressed_and_merged_accounts_are_never_news():
    history("ours.example", company=make_company("ours.example", suppressed_as="own"))
    head = make_company("head.example")
    history("merged.example", company=make_company("merged.example", merged_into=head))

    assert changes() == []


def test_the_best_score_comes_first_and_many_take_one_query(django_assert_num_queries):
    for number in range(40):
        history(f"c{number:02}.example", today=HOT | {"intent_score": 70 + number % 30})
    with django_assert_num_queries(1):
        found = changes()

    assert [change.score for change in found] == sorted((70 + n % 30 for n in range(40)), reverse=True)


def test_the_words_name_what_changed_why_and_whose_it_is():
    ann = make_user("ann")
    company = make_company(name="Acme\n Ltd", owner=ann)
    history(company=company, age_1=WARM, today=HOT | EXPLODING | {"why_hot_json": ["2× Pricing", "1× Form Started"]})
    said = content(changes(), DAY)

    assert subject(said) == "Orbit, 2026-11-21: 1 became Hot, 1 Exploding"
    assert list(lines(said, "https://orbit.example")) == [
        "Acme Ltd (acme.example) became Hot and Exploding (×3.2 in a week): 78 after 61; 2× Pricing, 1× Form Started;"
        " lane office; owner ann.\nhttps://orbit.example/accounts/acme.example"
    ]


def test_one_seen_first_says_so_and_more_than_twenty_are_counted():
    for number in range(23):
        history(f"c{number:02}.example")
    said = content(changes(), DAY)

    assert (said["count"], len(said["accounts"])) == (23, 20)
    told = lines(said, "")
    assert "78, seen first; 2× Pricing" in told[0] and "http" not in told[0]
    assert told[-1] == "And 3 more."
