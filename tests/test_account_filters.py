"""The query string of the list: unknown values are refused and named, hostile ones too (reliability 26)."""

import pytest

from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def sales(client):
    client.force_login(make_user())
    return client


@pytest.mark.parametrize("address", ["/", "/accounts.csv"])
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("stage=Boiling", "Cold, Warm, Hot"),
        ("stage=hot", "Cold, Warm, Hot"),
        ("surge=Huge", "Normal, Surging, Exploding"),
        ("range=90d", "7d, 30d"),
        ("owner=7", "There is no user 7: write a user name, or me."),
        ("suppressed=yes", "is not one of: 1"),
        ("ordering=password", "intent_score"),
        ("ordering=--intent_score", "intent_score"),
        ("page=0", "greater than or equal to 1"),
        ("page=-1", "greater than or equal to 1"),
        ("page=x", "whole number"),
        ("limit=201", "less than or equal to 200"),
        ("limit=1000000000", "less than or equal to 200"),
        ("lane=a%00b", "one word"),
        ("lane=a b", "one word"),
        ("search=%00", "Null characters"),
        ("search=" + "x" * 201, "200"),
        ("stage=Hot&stage=Cold", "Give it once"),
    ],
)
def test_a_filter_that_does_not_exist_is_a_400_that_names_what_is_allowed(sales, address, query, named):
    answer = sales.get(f"{address}?{query}")

    assert answer.status_code == 400
    assert named in answer.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "stage=",
        "stage=Hot&surge=&lane=&search=&page=",
        "lane=unheard_of",
        "page=999999",
        "limit=200",
        "utm_source=mail",
    ],
)
def test_empty_and_unused_parts_mean_all(sales, query):
    assert sales.get(f"/?{query}").status_code == 200


def test_what_was_wrong_is_shown_as_text(sales):
    shown = sales.get("/?stage=<script>x</script>").content.decode()

    assert "&lt;script&gt;" in shown
    assert "<script>x" not in shown
