"""The scoring model in Django admin: clone, preview, activate, go back; and never over somebody else's change."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from abm_project.config_admin import free_name, pictures
from abm_project.score_changes import changes_by_day, mark
from registry.editing import version_of
from registry.models import EventRule, RegistryRevision, ScoreConfig, ScoreWeight
from scoring import jobs
from scoring.models import DailyAccountIntent, JobRun
from scoring.runs import run_preview
from tests.factories import (
    DAY,
    at,
    make_config,
    make_fact,
    make_prompt,
    make_pull,
    make_rule,
    make_run,
    make_user,
    make_weight,
    score,
)
from tests.test_jobs import nobody_wakes  # noqa: F401 - a fixture
from tests.test_registry_admin import CONFIG, url

pytestmark = pytest.mark.django_db
NOW = at(DAY + timedelta(days=1), 2)


@pytest.fixture
def admin(client):
    client.force_login(make_user("ada", "internal_admin"))
    return client


@pytest.fixture
def live():
    make_pull()
    config = make_config("live_v1")
    make_weight(config, weight=2)
    make_weight(config, content_type="pricing", weight=20)
    make_rule("/pricing", content_type="pricing", lane="desks")
    for number in range(1, 5):
        make_fact(f"a{number}.example", DAY, ("page_view", "", "", "", "/pricing", number))
    score()
    return config


def said(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def page(name, config):
    return reverse(f"admin:registry_scoreconfig_{name}", args=[config.pk])


def told(answer):
    return [str(message) for message in answer.context["messages"]]


# --- Clone, preview, activate, back -----------------------------------------------------------------------------------
def test_a_config_is_cloned_under_a_free_name_and_a_taken_one_is_refused(admin, live):
    assert 'value="live_v2"' in admin.get(page("clone", live)).content.decode()

    taken = admin.post(page("clone", live), {"name": "live_v1"})
    made = admin.post(page("clone", live), {"name": "doubled"}, follow=True)

    assert (taken.status_code, "already exists" in said(taken)) == (400, True)
    draft = ScoreConfig.objects.get(name="doubled")
    assert told(made) == ["doubled is a draft with everything of live_v1. Change it, then preview it."]
    assert (draft.status, draft.weights.count()) == ("draft", 2)
    assert draft.history.get().history_user.username == "ada"


def test_free_names_count_on(live):
    make_config("live_v2", "draft")

    assert [free_name(name) for name in ("live_v1", "live_v2", "other", "x" * 64)] == [
        "live_v3",
        "live_v3",
        "other_v2",
        "x" * 56 + "_v2",
    ]


@pytest.mark.usefixtures("nobody_wakes")
def test_a_preview_is_asked_for_shows_its_progress_and_then_what_moves(admin, live):
    draft = live.clone("draft")
    draft.weights.filter(content_type="pricing").update(weight=60)
    assert "There is no preview of draft yet." in said(admin.get(page("preview", draft)))

    asked = admin.post(page("preview", draft), {"date": str(DAY)}, follow=True)
    assert "A preview is under way: it begins in a moment." in said(asked)
    run = JobRun.objects.get(kind="preview")
    assert (run.asked_by, run.params_json["date"]) == ("ada", str(DAY))
    jobs.perform(run.pk)

    shown = said(admin.get(page("preview", draft)))
    assert "4 of 4 accounts move" in shown
    assert "Out of date" not in shown
    assert "pricing 80.0 → 240.0" in shown
    future = admin.post(page("preview", draft), {"date": "2999-01-01"})
    assert (future.status_code, "That day has not come yet." in said(future)) == (400, True)


def test_a_failed_preview_says_why(admin, live):
    draft = live.clone("draft")
    make_run("preview", "failed", is_bulk=False, message="No facts.", params_json={"config": str(draft.pk)})

    assert "The last preview failed: No facts." in said(admin.get(page("preview", draft)))


def test_an_activation_shows_the_preview_and_warns_without_one_or_when_it_is_out_of_date(admin, live):
    draft = live.clone("draft")
    assert "Nobody has previewed draft." in said(admin.get(page("activate", draft)))

    run_preview(draft, None, NOW, asked_by="ada")
    shown = said(admin.get(page("activate", draft)))
    assert "0 of 4 accounts move: it scores exactly as what is in force" in shown
    assert "out of date" not in shown

    make_rule("/x", lane="x")
    assert "The preview below is out of date." in said(admin.get(page("activate", draft)))


def activate(admin, config, seen, instead_of, **more):
    return admin.post(page("activate", config), {"seen": seen, "instead_of": str(instead_of.pk), **more}, follow=True)


def test_of_two_admins_who_activate_one_wins_and_the_other_is_told(admin, live):
    first, second = live.clone("first"), live.clone("second")
    seen = {config: version_of(config) for config in (first, second)}

    won = activate(admin, first, seen[first], live, reason="more pricing")
    lost = activate(admin, second, seen[second], live)

    assert told(won) == ["first is active and decides the next scores."]
    assert (lost.status_code, "first is active now. Look again" in said(lost)) == (409, True)
    assert dict(ScoreConfig.objects.values_list("name", "status")) == {
        "live_v1": "archived",
        "first": "active",
        "second": "draft",
    }


def test_a_draft_that_was_edited_meanwhile_is_not_activated_unseen(admin, live):
    draft = live.clone("draft")
    seen = version_of(draft)
    weight = draft.weights.first()
    weight.weight += 1
    weight.save()

    lost = activate(admin, draft, seen, live)

    assert (lost.status_code, "changed this at" in said(lost)) == (409, True)
    assert ScoreConfig.objects.get(status="active") == live


def test_a_revision_says_what_made_it_what_differs_now_and_brings_it_back(admin, live):
    revision = RegistryRevision.objects.get()
    here = url(revision, "change", revision.pk)
    assert "It says the same: scores are made with it." in said(admin.get(here))
    live.weights.filter(content_type="pricing").update(weight=60)
    assert "page_view · pricing 60 20" in said(admin.get(here))

    back = {"instead_of": str(live.pk), "reason": "too hot"}
    answer = admin.post(
        reverse("admin:registry_registryrevision_roll_back", args=[revision.pk]), back, follow=True
    )  # fmt: skip

    assert told(answer)[0].startswith("Rolled back: live_v1 is active with the numbers")
    assert live.weights.get(content_type="pricing").weight == 20
    assert live.history.latest().history_change_reason == f"Rolled back to revision {revision}: too hot"
    stale = admin.post(
        reverse("admin:registry_registryrevision_roll_back", args=[revision.pk]),
        {"instead_of": str(revision.pk)},
        follow=True,
    )
    assert "Somebody else activated another config meanwhile" in told(stale)[0]


def test_the_list_leads_back_and_tells_what_changed(admin, live):
    weight = live.weights.get(content_type="pricing")
    weight.weight = 60
    weight.save()

    shown = said(admin.get(url(live, "changelist")))

    assert f"live_v1, in force from {RegistryRevision.objects.get().in_force_at:%-d %b %Y}" in shown
    assert "a command: Weight of page_view · pricing: 20 → 60" in shown


def test_a_config_that_made_scores_is_never_deleted(admin, live):
    live.clone("next").activate()

    answer = admin.post(url(live, "delete", live.pk), {"post": "yes"})

    assert "live_v1 has made scores, and is kept to explain them." in said(answer)
    assert ScoreConfig.objects.filter(pk=live.pk).exists()


@pytest.mark.parametrize("role", ["sales", None])
def test_nobody_else_reaches_any_page(client, live, role):
    client.force_login(make_user("sam", role))
    revision = RegistryRevision.objects.get()
    paths = [page(name, live) for name in ("clone", "preview", "activate")]
    paths += [reverse("admin:registry_registryrevision_roll_back", args=[revision.pk])]
    paths += [reverse("admin:registry_eventrule_test"), reverse("run_unmatched")]
    paths += [reverse(f"admin:registry_event_rules_{verb}") for verb in ("import", "export")]

    for path in paths:
        assert (path, client.get(path).status_code in (302, 403)) == (path, True)
        assert (path, client.post(path, {"name": "x"}).status_code in (302, 403, 405)) == (path, True)
    assert ScoreConfig.objects.count() == 1


def test_an_unknown_or_mistyped_config_is_no_page(admin):
    for key in ("01890000-0000-7000-8000-000000000000", "x"):
        for name in ("clone", "preview", "activate"):
            address = reverse(f"admin:registry_scoreconfig_{name}", args=[key])
            assert (address, admin.get(address).status_code) == (address, 404)


def test_the_numbers_have_pictures_that_say_what_they_mean():
    shown = pictures(ScoreConfig(name="x", normalize_k=80))

    assert shown.half_life == "6.93 days"
    assert shown.decay.label.endswith("50 % after 7 days, 25 % after 14, 6 % after 28")
    assert shown.score.label == "Score by raw points: 80 points give 63, 160 points give 86, 240 points give 95"
    assert pictures(ScoreConfig(name="x", lambda_decay=0)).half_life == "never: nothing fades"


# --- Never over somebody else's change --------------------------------------------------------------------------------
def test_a_form_that_was_opened_before_somebody_saved_is_told_so_and_keeps_what_was_typed(admin, live):
    seen = version_of(live)
    form = CONFIG | {"name": "live_v1", "normalize_k": 90, "seen": seen, "change_reason": "mine"}
    weight = live.weights.first()
    weight.weight += 1
    weight.save()

    answer = admin.post(url(live, "change", live.pk), form)

    assert "changed this at" in said(answer)
    assert 'value="90"' in answer.content.decode()
    live.refresh_from_db()
    assert live.normalize_k == 80
    fresh = CONFIG | {"name": "live_v1", "normalize_k": 90, "seen": version_of(ScoreConfig.objects.get(pk=live.pk))}
    assert admin.post(url(live, "change", live.pk), fresh | {"change_reason": "mine"}).status_code == 302
    assert live.history.latest().history_change_reason == "mine"


def list_form(rows, **changed):
    form = {"form-TOTAL_FORMS": len(rows), "form-INITIAL_FORMS": len(rows), "_save": "Save"}
    for n, row in enumerate(rows):
        form |= {f"form-{n}-id": row.pk, f"form-{n}-priority": row.priority, f"initial-form-{n}-priority": row.priority}
        form |= {f"initial-form-{n}-enabled": str(row.enabled)} | ({f"form-{n}-enabled": "on"} if row.enabled else {})
    return form | changed


def test_a_list_saves_what_was_touched_and_nothing_else(admin):
    rows = [make_rule("/a", priority=1), make_rule("/b", priority=2), make_rule("/c", priority=3)]
    form = list_form(rows, **{"form-0-priority": 10, "form-2-enabled": ""})
    EventRule.objects.filter(match_value="/b").update(priority=77)  # meanwhile, by somebody else

    assert admin.post(url(EventRule, "changelist"), form).status_code == 302

    assert dict(EventRule.objects.values_list("match_value", "priority")) == {"/a": 10, "/b": 77, "/c": 3}
    assert not EventRule.objects.get(match_value="/c").enabled
    assert [EventRule.history.filter(id=row.pk).count() for row in rows] == [2, 1, 2]


def test_a_list_does_not_overwrite_what_somebody_else_changed(admin):
    rows = [make_rule("/a", priority=1)]
    form = list_form(rows, **{"form-0-priority": 10})
    EventRule.objects.update(priority=5)

    answer = admin.post(url(EventRule, "changelist"), form)

    assert "Somebody changed this to 5 meanwhile." in said(answer)
    assert EventRule.objects.get().priority == 5


# --- Many at once, warnings, CSV --------------------------------------------------------------------------------------
def act(admin, model, action, *rows):
    form = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return told(admin.post(url(model, "changelist"), form, follow=True))


def test_rules_are_switched_together_each_with_its_history_or_not_at_all(admin):
    rows = [make_rule(f"/{n}") for n in range(3)]
    assert act(admin, EventRule, "disable", *rows) == ["3 disabled."]
    assert not EventRule.objects.filter(enabled=True).exists()
    assert EventRule.history.filter(history_user__username="ada", history_type="~").count() == 3
    assert act(admin, EventRule, "disable", *rows) == ["0 disabled."]

    one, other = make_prompt(version="v1"), make_prompt(version="v2", enabled=False)
    (refused,) = act(admin, type(one), "enable", one, other)
    assert refused.startswith("Nothing was enabled. */*/* v2: Another template")
    assert act(admin, EventRule, "enable", rows[0]) == ["1 enabled."]


def test_a_rule_that_can_never_win_is_saved_with_a_warning_and_marked_on_its_page(admin):
    make_rule("/docs")
    form = {"priority": 200, "event_name": "page_view", "match_type": "path_prefix", "match_value": "/docs/api"}

    answer = admin.post(url(EventRule, "add"), form | {"enabled": "on"}, follow=True)

    assert any(text.startswith("This rule can never win") for text in told(answer))
    rule = EventRule.objects.get(match_value="/docs/api")
    assert "This rule can never win" in said(admin.get(url(rule, "change", rule.pk)))


class File:
    def __init__(self, text, name="rules.csv"):
        self.name, self.content = name, text.encode()

    def read(self, size=-1):
        content, self.content = self.content, b""
        return content


def test_an_export_comes_back_as_it_was_whatever_a_spreadsheet_would_make_of_it(admin, live):
    make_rule("=1+1", "contains", lane="desks", notes="@home, 'quoted'", score_config=live)
    content = b"".join(admin.get(reverse("admin:registry_event_rules_export")).streaming_content).decode()
    assert "'=1+1" in content

    answer = admin.post(reverse("admin:registry_event_rules_import"), {"file": File(content)})

    assert "The file changes nothing" in said(answer)
    assert "2 unchanged" in said(answer)
    weights = b"".join(admin.get(reverse("admin:registry_score_weights_export")).streaming_content).decode()
    assert "live_v1,event,page_view,pricing,,20" in weights


def test_an_import_shows_each_column_before_and_after_and_is_written_when_it_is_confirmed(admin):
    make_rule("/pricing", lane="desks")
    text = "match_type,match_value,lane,priority\npath_prefix,/pricing,rooms,100\nequals,/new,rooms,7\n"
    address = reverse("admin:registry_event_rules_import")

    shown = admin.post(address, {"file": File(text)})
    assert "1 created, 1 updated, 0 unchanged" in said(shown)
    assert "lane desks rooms" in said(shown)
    assert EventRule.objects.get().lane == "desks"

    carried = {name: shown.context[name] for name in ("name", "content")}
    done = admin.post(address, carried, follow=True)
    assert told(done) == ["Imported: 1 created, 1 updated. It counts from the next scores on."]
    assert set(EventRule.objects.values_list("match_value", "lane")) == {("/pricing", "rooms"), ("/new", "rooms")}
    assert EventRule.history.latest().history_change_reason == "Imported from rules.csv"
    assert EventRule.history.latest().history_user.username == "ada"


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({}, "Choose a file."),
        ({"content": "%"}, "Choose the file again."),
        ({"file": File("a,b\n")}, "unknown column a"),
        ({"file": File("match_type,match_value\npath_regex,(\n")}, "rules.csv line 2"),
        ({"file": File("x" * 1_600_000)}, "larger than 1.5 MB"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(admin, form, problem):
    answer = admin.post(reverse("admin:registry_event_rules_import"), form)

    assert (answer.status_code, problem in said(answer)) == (400, True)
    assert not EventRule.objects.exists()


# --- The tester and the unmatched pages -------------------------------------------------------------------------------
def test_the_tester_says_which_rule_wins_and_offers_to_make_one(admin, live):
    address = reverse("admin:registry_eventrule_test")
    assert admin.get(address).status_code == 200

    found = said(admin.get(address, {"page": "/pricing/teams"}))
    assert "Rule 100 wins: /pricing" in found
    assert "20 points on its day: the weight of page_view · pricing" in found
    assert "classified 10 events of 4 accounts from 15 Nov to 21 Nov" in found

    none = admin.get(address, {"page": "https://acme.example/a b?c=1"})
    assert "No rule wins" in said(none)
    assert "match_value=%2Fa%2520b" in none.content.decode()
    assert admin.get(address, {"page": ""}).status_code == 400


def test_the_tester_without_an_active_config_says_what_to_do(admin):
    assert "No score config is active" in said(admin.get(reverse("admin:registry_eventrule_test"), {"page": "/a"}))


def test_unmatched_pages_of_the_newest_run_lead_to_a_rule(admin, live):
    assert "Nothing has been scored yet." in said(admin.get(reverse("run_unmatched")))
    make_run("recompute", result_json={"unmatched_pages": {"/about": 9, "/pricing/x": 20}})
    make_run("recompute", is_bulk=False, result_json={"unmatched_pages": {"/odd": 1}})

    shown = admin.get(reverse("run_unmatched"))

    assert "/pricing/x 20 views · a rule knows it now: /pricing" in said(shown)
    assert "/about 9 views Make a rule Test" in said(shown)
    rule = re.search(r'href="([^"]+)" aria-label="Make a rule for /about"', shown.content.decode())[1]
    form = admin.get(rule.replace("&amp;", "&")).content.decode()
    assert 'value="/about"' in form
    assert "/odd" not in said(shown)


# --- The timeline -----------------------------------------------------------------------------------------------------
def test_the_first_score_after_a_change_is_marked_on_the_timeline(admin):
    make_weight(make_config(), content_type="pricing", weight=20)
    make_rule("/pricing", content_type="pricing")
    today = timezone.now().date()
    days = [today - timedelta(days=age) for age in (3, 2, 1)]
    for day in days:
        make_pull(day)
        make_fact("a1.example", day, ("page_view", "", "", "", "/pricing", 1))
    for day in days[:2]:
        list(jobs.recompute(day, timezone.now()))
    weight = ScoreWeight.objects.get(content_type="pricing")
    weight.weight = 40
    weight.save()
    company = DailyAccountIntent.objects.filter(date=days[0]).first().prospect_company
    assert changes_by_day(company.pk, days[0], days[-1]) == {}  # no score shows it yet
    list(jobs.recompute(days[2], timezone.now()))

    found = changes_by_day(company.pk, days[0], days[-1])

    assert list(found) == [days[2]]
    assert mark(found[days[2]]) == ("Scoring changed: Weight of page_view · pricing: 20 → 40",)
    assert "Weight of page_view · pricing: 20 → 40" in said(admin.get("/accounts/a1.example"))


@pytest.mark.parametrize("address", ["eventrule", "scoreconfig", "prompttemplate", "domainrule", "registryrevision"])
def test_every_list_takes_the_same_queries_for_one_row_and_forty(admin, live, address, django_assert_max_num_queries):
    counts = []
    for numbers in (range(1), range(1, 40)):
        for n in numbers:
            config = make_config(f"c{n}", "draft")
            make_rule(f"/{n}", score_config=config)
            make_prompt(f"lane_{n}")
            RegistryRevision.objects.create(digest=f"{n:064}", content_json={"config": {"name": "x"}})
        with django_assert_max_num_queries(40) as asked:
            assert admin.get(f"/admin/registry/{address}/").status_code == 200
        counts.append(len(asked))

    assert counts[0] == counts[1]
