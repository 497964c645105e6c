"""The registry over the API: what an admin may, what is refused and why, and never over somebody else's change."""

import json
from datetime import timedelta

import pytest

from registry import loader
from registry.models import DomainRule, EventRule, PromptTemplate, RegistryRevision, ScoreConfig, ScoreWeight
from scoring import jobs
from scoring.models import DailyAccountIntent, JobRun
from tests.factories import (
    DAY,
    make_config,
    make_domain_rule,
    make_fact,
    make_prompt,
    make_pull,
    make_rule,
    make_user,
    make_weight,
    score,
)
from tests.test_jobs import nobody_wakes  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
BASE = "/api/abm/admin"
TABLES = {
    "event-rules": EventRule,
    "score-configs": ScoreConfig,
    "score-weights": ScoreWeight,
    "prompt-templates": PromptTemplate,
    "domain-rules": DomainRule,
}


@pytest.fixture
def api(client):
    client.force_login(make_user("ada", "internal_admin"))

    def ask(method, path, body=None, etag=None):
        headers = {"If-Match": f'"{etag}"'} if etag else {}
        return client.generic(
            method, f"{BASE}/{path}", "" if body is None else json.dumps(body), "application/json", headers=headers
        )

    return ask


def change(api, path, **body):
    return api("PATCH", path, body, api("GET", path).json()["etag"])


def make_one(table, number=0):
    config = ScoreConfig.objects.filter(status="active").first() or make_config("live")
    if table == "score-configs":
        return make_config(f"c{number}", "draft")
    if table == "score-weights":
        return make_weight(config, f"event_{number}")
    if table == "prompt-templates":
        return make_prompt(f"lane_{number}")
    return make_rule(f"/{number}") if table == "event-rules" else make_domain_rule(f"d{number}.example")


NEW = {
    "event-rules": {"match_type": "path_prefix", "match_value": "/pricing", "content_type": "pricing"},
    "score-configs": {"name": "v2", "lambda_decay": 0.2, "normalize_k": 90},
    "prompt-templates": {"lane": "desks", "system_prompt": "Be brief.", "user_prompt_template": "{{JSON_HERE}}"},
    "domain-rules": {"domain": "WWW.Acme.example", "kind": "customer", "reason": "signed", "expires_on": "2030-01-31"},
}


# --- Reading and writing every table ----------------------------------------------------------------------------------
@pytest.mark.parametrize("table", NEW)
def test_a_row_is_made_read_changed_and_keeps_its_history(api, table):
    made = api("POST", table, NEW[table] | {"change_reason": "asked by sales"})
    assert made.status_code == 201, made.json()
    row, path = made.json(), f"{table}/{made.json()['id']}"
    assert made.headers["ETag"] == f'"{row["etag"]}"'
    assert {name: row[name] for name in NEW[table]} == NEW[table] | (
        {"domain": "acme.example"} if table == "domain-rules" else {}
    )

    field = {"score-configs": ("normalize_k", 95), "prompt-templates": ("max_words", 90)}.get(table, ("enabled", False))
    changed = api("PATCH", path, {field[0]: field[1], "change_reason": "too much"}, row["etag"])
    assert (changed.status_code, changed.json()[field[0]]) == (200, field[1])
    assert changed.json()["etag"] != row["etag"]

    told = api("GET", f"{path}/history").json()["results"]
    assert [(line["kind"], line["by"], line["reason"]) for line in told] == [
        ("changed", "ada", "too much"),
        ("created", "ada", "asked by sales"),
    ]
    assert [change["field"] for change in told[0]["changes"]] == [field[0]]
    assert api("GET", path).json() == changed.json()


def test_a_new_config_is_a_draft_and_nothing_makes_it_active_but_activating(api):
    made = api("POST", "score-configs", {"name": "v2"}).json()

    assert made["status"] == "draft"
    refused = api("PATCH", f"score-configs/{made['id']}", {"status": "active"}, made["etag"])
    assert (refused.status_code, refused.json()["errors"][0]["attr"]) == (400, "status")


def test_a_weight_is_made_in_its_config_and_stays_there(api):
    config, other = make_config("live"), make_config("other", "draft")
    body = {"score_config": str(config.pk), "event_name": "page_view", "content_type": "pricing", "weight": 25}

    made = api("POST", "score-weights", body)

    assert (made.status_code, made.json()["weight"], made.json()["kind"]) == (201, 25, "event")
    assert loader.get_weights_map(str(config.pk)).points == {("page_view", "pricing", ""): 25}
    moved = change(api, f"score-weights/{made.json()['id']}", score_config=str(other.pk))
    assert (moved.status_code, moved.json()["errors"][0]["code"]) == (400, "immutable")
    again = api("POST", "score-weights", body)
    assert again.status_code == 400


@pytest.mark.parametrize(
    ("table", "body", "attr", "said"),
    [
        ("event-rules", {"match_type": "path_regex", "match_value": "(?=a)"}, "match_value", "Look-around"),
        ("event-rules", {"match_type": "path_prefix"}, "match_value", "required"),
        ("event-rules", {"match_type": "glob", "match_value": "/a"}, "match_type", "valid choice"),
        ("event-rules", {"match_type": "equals", "match_value": "/a", "lane": "Two Words"}, None, "two_words"),
        ("event-rules", {"match_type": "equals", "match_value": "/a", "priority": "1"}, "priority", "integer"),
        ("event-rules", {"match_type": "equals", "match_value": "/a", "priority": -1}, "priority", "greater"),
        ("event-rules", {"match_type": "equals", "match_value": "/a", "enabled": "yes"}, "enabled", "boolean"),
        ("event-rules", {"match_type": "equals", "match_value": "/a", "id": "x"}, "id", "no such field"),
        ("event-rules", {"match_type": "equals", "match_value": 7}, "match_value", "valid string"),
        ("score-configs", {"name": "v2", "cold_max": 69}, None, "Cold max must be below warm max"),
        ("score-configs", {"name": "v2", "normalize_k": 0}, None, "Normalize k must be 1"),
        ("score-configs", {"name": "v2", "lambda_decay": "0.1"}, "lambda_decay", "number"),
        ("score-configs", {"name": "v2", "lambda_decay": 0.12345678}, "lambda_decay", "decimal places"),
        ("score-configs", {"name": "v2", "lambda_decay": -1}, None, "Lambda decay must be 0 to 10"),
        ("prompt-templates", {"system_prompt": "x", "user_prompt_template": "{}"}, "user_prompt_template", "JSON_HERE"),
        ("domain-rules", {"domain": "no domain", "kind": "own"}, "domain", "Write a domain"),
        ("domain-rules", {"domain": "a.example", "kind": "foe"}, "kind", "valid choice"),
    ],
)  # fmt: skip
def test_what_the_admin_refuses_the_api_refuses_with_the_same_words(api, table, body, attr, said):
    answer = api("POST", table, body)

    assert answer.status_code == 400
    (problem,) = answer.json()["errors"]
    assert said in problem["detail"]
    assert attr is None or problem["attr"] == attr
    assert not TABLES[table].objects.exists()


# --- Never over somebody else's change --------------------------------------------------------------------------------
@pytest.mark.parametrize("table", TABLES)
def test_a_change_needs_the_version_it_was_read_with(api, table):
    path = f"{table}/{make_one(table).pk}"
    etag = api("GET", path).json()["etag"]

    missing = api("PATCH", path, {"change_reason": "x"})
    stale = api("PATCH", path, {"change_reason": "x"}, "0" * 20)
    first = api("PATCH", path, {"change_reason": "mine"}, etag)
    second = api("PATCH", path, {"change_reason": "theirs"}, etag)

    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    assert (stale.status_code, first.status_code) == (412, 200)
    assert (second.status_code, second.json()["code"]) == (412, "stale")
    assert second.json()["detail"].startswith("ada changed this at ")


def test_a_changed_weight_makes_its_config_another_version(api):
    weight = make_one("score-weights")
    path = f"score-configs/{weight.score_config_id}"
    etag = api("GET", path).json()["etag"]

    assert change(api, f"score-weights/{weight.pk}", weight=77).status_code == 200

    assert api("PATCH", path, {"normalize_k": 90}, etag).status_code == 412
    listed = api("GET", "score-configs").json()["results"]
    assert listed[0]["etag"] == api("GET", path).json()["etag"]


# --- Lists ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("table", TABLES)
def test_a_list_takes_the_same_queries_for_one_row_and_forty(api, table, django_assert_max_num_queries):
    counts = []
    for rows in (range(1), range(1, 40)):
        for number in rows:
            make_one(table, number)
        with django_assert_max_num_queries(12) as asked:
            answer = api("GET", f"{table}?limit=100")
        counts.append(len(asked))

    assert (counts[0], len(answer.json()["results"])) == (counts[1], 40 + (table == "score-configs"))


def test_lists_are_filtered_and_refuse_what_they_do_not_know(api):
    config = make_config("live")
    make_rule("/pricing", lane="desks", priority=5)
    make_rule("/docs", enabled=False, score_config=config)
    make_rule("/Blog", "contains", event_name="cta_*", notes="Blog of Ann")

    def found(query):
        return [row["match_value"] for row in api("GET", f"event-rules?{query}").json()["results"]]

    assert found("") == ["/pricing", "/docs", "/Blog"]
    assert (found("enabled=false"), found("enabled=true&lane=desks")) == (["/docs"], ["/pricing"])
    assert (found("search=ANN"), found("event_name=cta_*")) == (["/Blog"], ["/Blog"])
    assert (found("match_type=contains"), found(f"score_config={config.pk}")) == (["/Blog"], ["/docs"])
    for bad in ("enabled=1", "match_type=glob", "score_config=1", "x=1"):
        assert (bad, api("GET", f"event-rules?{bad}").status_code) == (bad, 400)


@pytest.mark.parametrize("role", ["sales", None])
def test_nobody_else_reads_or_changes_anything(client, api, role):
    row = make_rule()
    revision = RegistryRevision.objects.create(digest="a" * 64, content_json={})
    client.force_login(make_user("sam", role))
    paths = [f"{table}{rest}" for table in TABLES for rest in ("", f"/{row.pk}", f"/{row.pk}/history")]
    actions = [f"score-configs/{row.pk}/{verb}" for verb in ("clone", "preview", "activate")]
    actions += ["event-rules/test", f"revisions/{revision.pk}/roll-back", *TABLES]

    for path in (*paths, "revisions"):
        assert (path, api("GET", path).status_code) == (path, 403)
    for path in actions:
        assert (path, api("POST", path, {}).status_code) == (path, 403)
    for path in paths[1::3]:
        assert (path, api("PATCH", path, {}, "x").status_code) == (path, 403)


# --- Versions ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def live():
    make_pull()
    config = make_config("live")
    make_weight(config, weight=2)
    make_weight(config, content_type="pricing", weight=20)
    make_rule("/pricing", content_type="pricing", lane="desks")
    for number in range(1, 5):
        make_fact(f"a{number}.example", DAY, ("page_view", "", "", "", "/pricing", number))
    score()
    return config


@pytest.mark.usefixtures("nobody_wakes")
def test_clone_change_preview_activate_and_back_over_the_api(api, live):
    draft = api("POST", f"score-configs/{live.pk}/clone", {"name": "doubled"})
    assert (draft.status_code, draft.json()["status"]) == (201, "draft")
    path = f"score-configs/{draft.json()['id']}"
    (weight,) = api("GET", f"score-weights?score_config={draft.json()['id']}&search=pricing").json()["results"]
    assert change(api, f"score-weights/{weight['id']}", weight=40).status_code == 200

    assert api("GET", f"{path}/preview").status_code == 404
    run = api("POST", f"{path}/preview", {"date": str(DAY)})
    assert (run.status_code, run.json()["kind"], run.json()["state"]) == (202, "preview", "queued")
    jobs.perform(JobRun.objects.get(kind="preview").pk)
    preview = api("GET", f"{path}/preview").json()
    assert (preview["is_current"], preview["date"], preview["impact"]["moved"]) == (True, str(DAY), 4)
    assert {way["after"]: way["count"] for way in preview["impact"]["stages"]}

    etag = api("GET", path).json()["etag"]
    active = api("POST", f"{path}/activate", {"instead_of": str(live.pk), "change_reason": "more weight"}, etag)
    assert (active.status_code, active.json()["status"]) == (200, "active")
    assert not api("GET", f"{path}/preview").json()["is_current"]
    assert ScoreConfig.objects.get(name="doubled").history.latest().history_change_reason == "more weight"

    (revision,) = api("GET", "revisions").json()["results"]
    assert revision["score_config"] == "live"
    stale = api("POST", f"revisions/{revision['id']}/roll-back", {"instead_of": str(live.pk)})
    assert (stale.status_code, stale.json()["code"]) == (409, "activated_meanwhile")
    back = api("POST", f"revisions/{revision['id']}/roll-back", {"instead_of": draft.json()["id"]})
    assert (back.status_code, back.json()["name"], back.json()["status"]) == (200, "live", "active")
    assert dict(ScoreConfig.objects.values_list("name", "status")) == {"live": "active", "doubled": "archived"}


def test_an_activation_must_have_seen_the_draft_and_the_active_config_as_they_are(api, live):
    first, second = live.clone("first"), live.clone("second")
    body = {"instead_of": str(live.pk)}
    etag = api("GET", f"score-configs/{first.pk}").json()["etag"]
    late = api("GET", f"score-configs/{second.pk}").json()["etag"]

    assert api("POST", f"score-configs/{first.pk}/activate", body).status_code == 428
    assert api("POST", f"score-configs/{first.pk}/activate", body, "x").status_code == 412
    assert api("POST", f"score-configs/{first.pk}/activate", {}, etag).status_code == 400
    assert api("POST", f"score-configs/{first.pk}/activate", body, etag).status_code == 200
    refused = api("POST", f"score-configs/{second.pk}/activate", body, late)

    assert (refused.status_code, refused.json()["code"]) == (409, "activated_meanwhile")
    assert "first is active now" in refused.json()["detail"]
    assert ScoreConfig.objects.get(status="active") == first


def test_a_clone_needs_a_name_of_its_own_and_a_preview_no_future_date(api, live):
    taken = api("POST", f"score-configs/{live.pk}/clone", {"name": "live"})
    assert (taken.status_code, taken.json()["errors"][0]["attr"]) == (400, "name")
    future = api("POST", f"score-configs/{live.pk}/preview", {"date": "2999-01-01"})
    assert (future.status_code, future.json()["errors"][0]["code"]) == (400, "future")


# --- The tester -------------------------------------------------------------------------------------------------------
def outcome(api, page, **said):
    answer = api("POST", "event-rules/test", {"page": page, **said})
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_the_tester_says_which_rule_wins_which_would_next_and_what_the_event_is_worth(api, live, settings):
    settings.SITE_HOSTS = ("acme.com",)
    make_rule("/pric", content_type="other", priority=200)

    found = outcome(api, "https://www.acme.com/pricing/teams?utm=1#a")

    assert (found["path"], found["content_type"], found["lane"]) == ("/pricing/teams", "pricing", "desks")
    assert (found["winner"]["match_value"], found["next"]["match_value"]) == ("/pricing", "/pric")
    assert found["why"] == "Rule 100: the path begins with /pricing, and it is the first that matches."
    assert (found["weight"], found["weight_source"]) == (20, "page_view + pricing")
    assert found["touched"] == {
        "first": str(DAY - timedelta(days=6)), "last": str(DAY), "events": 10, "accounts": 4, "complete": True,
    }  # fmt: skip
    assert outcome(api, "https://docs.other.com/pricing")["path"] == "docs.other.com/pricing"


def test_the_tester_says_when_no_rule_is_asked_or_none_matches(api, live):
    own = outcome(api, "/pricing", content_type="Case Study", lane="events", event_name="$pageview")
    assert (own["winner"], own["touched"], own["event_name"]) == (None, None, "page_view")
    assert own["why"] == "The event says its content type and lane itself, so no rule is asked."
    assert (own["content_type"], own["weight"], own["weight_source"]) == ("case_study", 2, "page_view")

    none = outcome(api, "/imprint", event_name="video_played")
    assert (none["winner"], none["weight"], none["weight_source"]) == (None, 0, "no weight")
    assert none["why"] == "No enabled rule matches this event name and path."


def test_the_tester_without_an_active_config_says_so(api):
    answer = api("POST", "event-rules/test", {"page": "/a"})

    assert (answer.status_code, answer.json()["code"]) == (409, "registry_unusable")


def test_a_rule_tells_that_an_earlier_one_shadows_it(api, live):
    made = api("POST", "event-rules", {"match_type": "path_prefix", "match_value": "/pricing/teams"}).json()

    assert made["warnings"][0].startswith("This rule can never win: rule 100 page_view path_prefix /pricing is tried")
    assert change(api, f"event-rules/{made['id']}", priority=99).json()["warnings"] == []


def test_what_is_changed_over_the_api_shows_in_the_next_recompute(api, live):
    weight = live.weights.get(content_type="pricing")
    before = {row.prospect_company.domain: row.raw_score_30d for row in snapshots()}

    assert change(api, f"score-weights/{weight.pk}", weight=40).status_code == 200
    score()

    assert {row.prospect_company.domain: row.raw_score_30d for row in snapshots()} == {
        domain: 2 * raw for domain, raw in before.items()
    }


def snapshots():
    return DailyAccountIntent.objects.select_related("prospect_company")
