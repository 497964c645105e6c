"""Registry revisions: one row for one content, and the registry comes back from it to the last digit."""

from datetime import date

import pytest

from registry.loader import load_registry
from registry.models import RegistryRevision
from registry.revisions import last_in_force, record, registry_of
from tests.factories import make_config, make_domain_rule, make_prompt, make_rule, make_weight

pytestmark = pytest.mark.django_db

RESOLUTION = {"scope": "host", "shipped_lists": "1"}


@pytest.fixture
def rows():
    config = make_config(lambda_decay="0.123456", surge_min_raw_7d=0.1 + 0.2, surge_smoothing="4.9999")
    make_weight(config, "page_view", 25, content_type="pricing")
    return {
        "config": config,
        "weight": make_weight(config, "cta_click", 20, cta_id="kaufen_ü"),
        "rule": make_rule("^/über/", "path_regex", lane="über", weight_override=0),
        "domain_rule": make_domain_rule(expires_on=date(2026, 12, 31), reason="asked to, “now”"),
        "lasting": make_domain_rule("*.xn--bcher-kva.example", "bot"),
    }


@pytest.mark.usefixtures("rows")
def test_the_same_registry_is_the_same_row():
    digests = {record(load_registry(), dict(RESOLUTION)).digest for _ in range(2)}
    record(load_registry(), dict(reversed(RESOLUTION.items())))

    assert [row.digest for row in RegistryRevision.objects.all()] == list(digests)


@pytest.mark.usefixtures("rows")
def test_the_registry_comes_back_from_the_database_to_the_last_digit():
    registry = load_registry()
    stored = RegistryRevision.objects.get(pk=record(registry, RESOLUTION).pk)

    assert registry_of(stored) == registry
    assert registry_of(stored).parameters.surge_min_raw_7d == 0.1 + 0.2
    assert stored.content_json["resolution"] == RESOLUTION
    assert record(registry_of(stored), RESOLUTION) == stored


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("config", "lambda_decay", "0.123457"),
        ("config", "normalize_k", 81),
        ("config", "cold_max", 33),
        ("config", "warm_max", 70),
        ("config", "surge_surging_min", "1.4"),
        ("config", "surge_exploding_min", "2.6"),
        ("config", "surge_smoothing", "5"),
        ("config", "surge_min_raw_7d", 0.3),
        ("config", "surge_rebase_prev", True),
        ("config", "new_account_days", 15),
        ("weight", "weight", 21),
        ("weight", "event_name", "Cta_click"),
        ("weight", "content_type", "x"),
        ("weight", "cta_id", "kaufen_u"),
        ("rule", "enabled", False),
        ("rule", "priority", 101),
        ("rule", "event_name", "*"),
        ("rule", "match_type", "contains"),
        ("rule", "match_value", "^/uber/(.*)"),
        ("rule", "content_type", "blog"),
        ("rule", "lane", "office"),
        ("rule", "weight_override", None),
        ("domain_rule", "enabled", False),
        ("domain_rule", "kind", "isp"),
        ("domain_rule", "domain", "*.acme.example"),
        ("domain_rule", "expires_on", date(2027, 1, 1)),
        ("lasting", "expires_on", date(2027, 1, 1)),
    ],
)
def test_any_change_makes_another_revision_and_its_undoing_the_first_again(rows, name, field, value):
    row = rows[name]
    before, kept = record(load_registry(), RESOLUTION), getattr(row, field)

    for wanted in (value, kept):
        setattr(row, field, wanted)
        row.save()
        after = record(load_registry(), RESOLUTION)
        assert (after == before) is (wanted is kept)
    assert RegistryRevision.objects.count() == 2


@pytest.mark.parametrize("name", ["weight", "rule", "domain_rule"])
def test_a_row_less_makes_another_revision(rows, name):
    before = record(load_registry(), RESOLUTION)

    rows[name].delete()

    assert record(load_registry(), RESOLUTION) != before


@pytest.mark.usefixtures("rows")
def test_a_change_of_what_else_decides_makes_another_revision():
    settings = [RESOLUTION, RESOLUTION | {"scope": "registrable"}, RESOLUTION | {"shipped_lists": "2"}]

    assert len({record(load_registry(), resolution).digest for resolution in settings}) == 3


@pytest.mark.usefixtures("rows")
def test_what_decides_no_score_makes_no_revision():
    before = record(load_registry(), RESOLUTION)
    make_prompt()
    draft = make_config("draft", "draft")
    make_weight(draft)
    make_rule("/off", enabled=False)
    make_rule("/draft", score_config=draft)

    assert record(load_registry(), RESOLUTION) == before


def test_the_registry_last_in_force_is_the_one_last_used_and_not_the_newest_made():
    config = make_config()
    made = {}
    for k in (80, 90, 80):
        config.normalize_k = k
        config.save()
        made[k] = record(load_registry(), RESOLUTION)
    record(registry_of(made[90]), RESOLUTION)  # a past registry, looked at: it is not in force

    assert last_in_force() == made[80]


def test_before_the_first_run_no_registry_was_in_force():
    make_config()
    record(registry_of(record(load_registry(), RESOLUTION)), RESOLUTION)
    RegistryRevision.objects.update(in_force_at=None)

    assert last_in_force() is None
