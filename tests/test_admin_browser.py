"""The scoring model in the admin, in a real browser: every page sound, and the whole story by keyboard."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from registry.models import EventRule, RegistryRevision, ScoreConfig
from scoring import jobs
from scoring.models import DailyAccountIntent
from scoring.runs import run_preview
from tests.factories import (
    make_config,
    make_fact,
    make_prompt,
    make_pull,
    make_rule,
    make_run,
    make_weight,
)
from tests.test_browser import chromium, is_sound, page, pytestmark, sign_in  # noqa: F401 - fixtures


@pytest.fixture
def live():
    """Twelve accounts with three scored days, and rules enough to fill a page."""
    today = timezone.now().date()
    config = make_config("default_v1")
    for kind, weight in (("pricing", 4), ("security", 3), ("", 1)):
        make_weight(config, content_type=kind, weight=weight)
    make_weight(config, "form_submitted", 60)
    for number in range(30):
        make_rule(
            f"/section-{number}/a-rather-long-path", lane=f"lane_{number}", content_type="docs", priority=200 + number
        )
    make_rule("/pricing", content_type="pricing", lane="desks")
    make_rule("/pricing/teams", content_type="pricing", lane="teams", priority=150)
    make_prompt()
    for age in range(1, 41):
        make_pull(today - timedelta(days=age))
    for number in range(12):
        for age in range(1, 4):
            cells = [("page_view", "", "", "", "/pricing", 2 * number + 1), ("page_view", "", "", "", "/about", 2)]
            make_fact(f"a-rather-long-name-{number}.example", today - timedelta(days=age), *cells)
    for age in (3, 2, 1):
        list(jobs.recompute(today - timedelta(days=age), timezone.now()))
    make_run("recompute", result_json={"unmatched_pages": {"/about": 72, f"/{'long/' * 30}": 9}})
    return config


def addresses(live):
    draft = live.clone("doubled_v2")
    draft.weights.filter(content_type="pricing").update(weight=8)
    make_rule("/about", content_type="about", lane="events", priority=1, score_config=draft)
    run_preview(draft, None, timezone.now(), asked_by="ada")
    bare = live.clone("bare_v3")
    revision, shadowed = RegistryRevision.objects.get(), EventRule.objects.get(match_value="/pricing/teams")
    live.weights.filter(content_type="pricing").update(weight=5)

    def of(name, row):
        return reverse(f"admin:registry_{name}", args=[row.pk])

    return [
        reverse("admin:registry_scoreconfig_changelist"),
        *(of("scoreconfig_change", config) for config in (live, draft)),
        of("scoreconfig_clone", live),
        *(of(f"scoreconfig_{name}", config) for name in ("preview", "activate") for config in (draft, bare)),
        of("scoreconfig_history", live),
        of("registryrevision_change", revision),
        reverse("admin:registry_eventrule_changelist"),
        of("eventrule_change", shadowed),
        reverse("admin:registry_eventrule_test") + "?page=https://acme.example/pricing/teams",
        reverse("admin:registry_eventrule_test") + "?page=/about",
        reverse("admin:registry_event_rules_import"),
        reverse("run_unmatched"),
        reverse("runs"),
    ]


def test_every_page_of_the_scoring_model_is_sound(page, live):  # noqa: F811
    sign_in(page, "internal_admin")

    for address in addresses(live):
        page.goto(address)
        is_sound(page)


def test_a_file_shows_what_it_would_change_soundly(page, live, tmp_path):  # noqa: F811
    file = tmp_path / "rules.csv"
    file.write_text("match_type,match_value,lane\npath_prefix,/pricing,rooms\nequals,/new,rooms\n")
    sign_in(page, "internal_admin")
    page.goto(reverse("admin:registry_event_rules_import"))

    page.set_input_files("#file", file)
    page.get_by_role("button", name="Show what it does").press("Enter")

    page.get_by_text("Nothing is written yet").wait_for()
    is_sound(page)
    page.get_by_role("button", name="Yes, import it").press("Enter")
    page.get_by_text("Imported: 1 created, 1 updated").wait_for()


def scores():
    rows = DailyAccountIntent.objects.order_by("date", "prospect_company__domain")
    return list(rows.values_list("date", "prospect_company__domain", "intent_score", "raw_score_30d", "intent_stage"))


def recompute():
    list(jobs.recompute(timezone.now().date() - timedelta(days=1), timezone.now()))


@pytest.fixture
def in_this_thread(monkeypatch):
    """A run that is asked for is done before the answer: the test's database has one writer."""
    monkeypatch.setattr(jobs, "wake", lambda run, now: jobs.perform(run.pk))


def test_the_whole_story_by_keyboard(page, live, in_this_thread):  # noqa: F811
    """Clone, double pricing, preview, see who becomes Hot, activate, recompute, see the note, roll back, recompute."""
    before = scores()
    sign_in(page, "internal_admin")

    page.goto(reverse("admin:registry_scoreconfig_change", args=[live.pk]))
    page.get_by_role("link", name="Clone as draft").press("Enter")
    page.get_by_role("button", name="Clone as draft").press("Enter")
    page.get_by_text("default_v2 is a draft with everything of default_v1").wait_for()

    draft = ScoreConfig.objects.get(name="default_v2")
    weight = draft.weights.get(content_type="pricing")
    inline = list(draft.weights.order_by("kind", "event_name", "content_type", "cta_id")).index(weight)
    field = page.locator(f"#id_weights-{inline}-weight")
    field.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("8")
    page.locator("#id_change_reason").focus()
    page.keyboard.type("pricing tells most")
    page.keyboard.press("Enter")
    page.wait_for_url("**/scoreconfig/")

    page.goto(reverse("admin:registry_scoreconfig_preview", args=[draft.pk]))
    page.get_by_role("button", name="Preview impact").press("Enter")
    page.get_by_role("heading", name="What default_v2 moves").wait_for()
    become_hot = draft.previews.get().impact.entering("Hot")
    (named,) = [move.domain for way in become_hot for move in way.accounts][:1]
    page.get_by_role("link", name=named).first.wait_for()

    page.get_by_role("link", name="Activate…").press("Enter")
    page.get_by_role("button", name="Activate default_v2").press("Enter")
    page.get_by_text("default_v2 is active and decides the next scores.").wait_for()
    recompute()
    expected = {move.domain: move.after.score for way in become_hot for move in way.accounts}
    assert {domain: score for _, domain, score, _, _ in scores()[-12:] if domain in expected} == expected

    page.goto(f"/accounts/{named}")
    page.locator(".changes").get_by_text("Score config default_v2: active").wait_for()
    is_sound(page)

    page.goto(reverse("admin:registry_scoreconfig_changelist"))
    page.get_by_role("link", name="default_v1, in force from").first.press("Enter")
    page.get_by_role("button", name="Roll back to this").press("Enter")
    page.get_by_text("Rolled back: default_v1 is active").wait_for()
    recompute()

    assert scores() == before
    is_sound(page)
