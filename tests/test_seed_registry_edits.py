"""Seeding again never overwrites, doubles or brings back what an admin changed."""

import pytest

from registry.models import EventRule, PromptTemplate, ScoreConfig, ScoreWeight
from tests.factories import make_config, make_prompt, make_weight
from tests.test_seed_registry import everything, seed

pytestmark = pytest.mark.django_db


def test_an_edited_a_disabled_a_renamed_and_a_deleted_row_stay_as_the_admin_left_them():
    seed()
    ScoreConfig.objects.update(normalize_k=90)
    ScoreWeight.objects.filter(content_type="pricing").update(weight=1)
    EventRule.objects.filter(match_value="/docs").update(enabled=False)
    PromptTemplate.objects.update(enabled=False, lane="office")
    ScoreWeight.objects.get(content_type="blog").delete()
    EventRule.objects.get(match_value="/blog").delete()
    for row in (ScoreWeight.objects.get(cta_id="contact_sales"), EventRule.objects.get(match_value="/pricing")):
        name = "cta_id" if isinstance(row, ScoreWeight) else "match_value"
        setattr(row, name, "renamed")
        row.save()
    left = everything()

    for _ in range(2):
        seed()

        assert everything() == left


def test_a_deleted_config_and_its_weights_do_not_come_back():
    seed()
    ScoreConfig.objects.get().delete()

    seed()

    assert (ScoreConfig.objects.count(), ScoreWeight.objects.count()) == (0, 0)


def test_a_renamed_config_is_not_seeded_again():
    seed()
    ScoreConfig.objects.update(name="ours")

    seed()

    assert list(ScoreConfig.objects.values_list("name", flat=True)) == ["ours"]


def test_an_admins_own_active_config_is_not_displaced():
    make_config("ours")

    for _ in range(2):
        seed()

        assert dict(ScoreConfig.objects.values_list("name", "status")) == {"ours": "active", "default_v1": "draft"}


def test_a_template_or_a_config_that_an_admin_made_first_stays_alone():
    ours = make_prompt()
    config = make_config("default_v1")
    make_weight(config)

    seed()

    assert list(PromptTemplate.objects.all()) == [ours]
    assert (ScoreConfig.objects.get(), ScoreWeight.objects.count()) == (config, 1)
