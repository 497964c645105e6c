"""The defaults of a new installation: spec 6.1 and appendix A, made once and never against an admin's will."""

import re
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command

from registry.loader import get_event_rules, get_prompt_template, load_registry
from registry.models import EventRule
from registry.rules import problem
from registry.values import ScoreParameters

pytestmark = pytest.mark.django_db

SPEC_6_1 = {
    ("page_view", "pricing", ""): 25,
    ("page_view", "request_reservation", ""): 30,
    ("page_view", "integrations", ""): 18,
    ("page_view", "security", ""): 18,
    ("page_view", "case_study", ""): 12,
    ("page_view", "service_page", ""): 10,
    ("page_view", "directory_page", ""): 8,
    ("page_view", "docs", ""): 6,
    ("page_view", "blog", ""): 3,
    ("page_view", "comparison", ""): 15,
    ("page_view", "other", ""): 1,
    ("cta_click", "", "request_reservation"): 25,
    ("cta_click", "", "contact_sales"): 20,
    ("form_started", "", ""): 20,
    ("form_submitted", "", ""): 60,
}
APPENDIX_A_SYSTEM = (
    "You are an elite B2B ABM strategist. Generate concise, actionable account summaries for sales and marketing. Be "
    "specific about why the account is hot, what they likely care about, and what to do next. Do not invent facts. If "
    "something is uncertain, label it as a hypothesis."
)
APPENDIX_A_USER = """\
Create an “Account Brief” for the account in the JSON below.
Output exactly in this structure:

Why they’re hot (3 bullets) — cite observed behaviors only
Likely buying stage — one sentence
Primary service interest — one sentence referencing lane scores
Recommended next action (Sales) — 3 bullets
Recommended next action (Marketing) — 3 bullets
Personalization angle — 2 bullets with suggested messaging themes
Risks / unknowns — 2 bullets

Keep it under {{MAX_WORDS}} words.
JSON: {{JSON_HERE}}"""


def seed():
    out = StringIO()
    call_command("seed_registry", stdout=out)
    return out.getvalue()


def everything():
    """Every row of every registry table, history included."""
    models = apps.get_app_config("registry").get_models()
    return {model._meta.db_table: list(model.objects.order_by("pk").values()) for model in models}


def test_spec_step_4_seeding_twice_doubles_nothing_in_any_table():
    said = [seed()]
    once = everything()
    said += [seed()]

    assert everything() == once
    assert {table: len(rows) for table, rows in once.items() if rows and "history" not in table} == {
        "abm_score_configs": 1,
        "abm_score_weights": 26,  # 15 of events and 11 of leads
        "abm_event_rules": 12,
        "abm_prompt_templates": 1,
    }
    assert said[0].endswith("40 created.\n")
    assert said[1] == "Nothing to create: the defaults were seeded before.\n"


def test_spec_step_4_the_seeded_config_and_weights_are_those_of_the_spec():
    seed()
    registry = load_registry()

    assert registry.parameters == ScoreParameters(
        id=registry.parameters.id, name="default_v1", lambda_decay=0.10, normalize_k=80, cold_max=34, warm_max=69,
        surge_surging_min=1.5, surge_exploding_min=2.5, surge_smoothing=5.0, surge_min_raw_7d=0.0,
        surge_rebase_prev=False, new_account_days=14,
    )  # fmt: skip
    assert registry.weights.points == SPEC_6_1


def test_spec_step_4_the_seeded_prompt_is_appendix_a_and_fits_every_account():
    seed()
    prompt = get_prompt_template(lane="office", persona="exec", stage="Cold")

    assert (prompt.lane, prompt.persona, prompt.intent_stage, prompt.max_words) == ("*", "*", "*", 180)
    assert prompt.system_prompt == APPENDIX_A_SYSTEM
    assert prompt.user_prompt_template == APPENDIX_A_USER


@pytest.mark.parametrize(
    ("path", "content_type", "lane"),
    [
        ("/services/Office-Space/berlin", "service_page", "office-space"),
        ("/service/x", "service_page", "x"),
        ("/services", "service_page", ""),
        ("/services/", "service_page", ""),
        ("/pricing/eu", "pricing", ""),
        ("/security", "security", ""),
        ("/integrations/slack", "integrations", ""),
        ("/request-reservation/office", "request_reservation", "office"),
        ("/request-reservation", "request_reservation", ""),
        ("/case-studies/acme", "case_study", ""),
        ("/customers", "case_study", ""),
        ("/vs/other", "comparison", ""),
        ("/directory/a", "directory_page", ""),
        ("/docs", "docs", ""),
        ("/blog/pricing", "blog", ""),
        ("/about/pricing", "", ""),
        ("/", "", ""),
    ],
)
def test_the_seeded_rules_read_the_usual_paths(path, content_type, lane):
    seed()
    found = get_event_rules().classify("page_view", path, "", "")

    assert (found.content_type, found.lane) == (content_type, lane)


def test_the_seeded_rules_come_after_an_admins_own_and_each_can_be_saved():
    seed()

    for row in EventRule.objects.all():
        row.full_clean()
        assert row.priority >= 1000 > EventRule._meta.get_field("priority").default
        assert re.match(r"\^?/", row.match_value)
        assert problem(row.value()) is None
