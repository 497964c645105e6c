"""The registry in Django admin: who may edit, what is refused with a reason, and which config is active."""

import pytest
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.urls import reverse

from registry import loader
from registry.editing import version_of
from registry.models import DomainRule, EventRule, PromptTemplate, RegistryRevision, ScoreConfig, ScoreWeight
from tests.factories import make_config, make_domain_rule, make_prompt, make_rule, make_user, make_weight

pytestmark = pytest.mark.django_db

EDITED = [EventRule, ScoreConfig, PromptTemplate, DomainRule]
RULE = {"priority": 5, "event_name": "page_view", "match_type": "path_regex", "match_value": "^/a", "enabled": "on"}
NO_WEIGHTS = {"weights-TOTAL_FORMS": 0, "weights-INITIAL_FORMS": 0}
CONFIG = {
    "name": "test_v1", "lambda_decay": "0.1", "normalize_k": 80, "cold_max": 34, "warm_max": 69,
    "surge_surging_min": "1.5", "surge_exploding_min": "2.5", "surge_smoothing": "5", "surge_min_raw_7d": 0,
    "new_account_days": 14, **NO_WEIGHTS,
}  # fmt: skip


@pytest.fixture
def rows():
    """One row of every model, so that no page is open only because it is empty."""
    config = make_config()
    make_weight(config)
    RegistryRevision.objects.create(digest="a" * 64, content_json={"weights": []})
    return [make_rule(), config, make_prompt(), make_domain_rule(), RegistryRevision.objects.get()]


@pytest.fixture
def ada(client):
    user = make_user("ada", "internal_admin")
    client.force_login(user)
    return user


def url(model, page, *args):
    return reverse(admin_urlname(model._meta, page), args=args)


def pages(row):
    paths = [url(row, "changelist"), url(row, "changelist") + "?q=%C3%A9", url(row, "change", row.pk)]
    if not isinstance(row, RegistryRevision):
        paths += [url(row, "add"), url(row, "history", row.pk), url(row, "delete", row.pk)]
        paths.append(url(row, "simple_history", row.pk, row.history.get().pk))
    return paths


@pytest.mark.usefixtures("ada")
def test_every_page_of_every_registry_model_is_open_to_an_admin(client, rows):
    assert {type(row) for row in rows} == {*EDITED, RegistryRevision}
    for path in (path for row in rows for path in pages(row)):
        assert (path, client.get(path).status_code) == (path, 200)


@pytest.mark.parametrize("role", ["sales", None])
def test_no_page_of_the_registry_is_open_to_anybody_else(client, rows, role):
    client.force_login(make_user("sam", role))
    for path in (path for row in rows for path in pages(row)):
        assert (path, client.get(path).status_code in (302, 403)) == (path, True)
        assert client.post(path, RULE).status_code in (302, 403)
    assert EventRule.objects.count() == 1


@pytest.mark.usefixtures("ada")
def test_a_revision_can_be_looked_at_and_not_changed(client, rows):
    for page, *args in [("add",), ("delete", rows[-1].pk)]:
        assert client.post(url(RegistryRevision, page, *args), {"post": "yes"}).status_code == 403
    assert RegistryRevision.objects.count() == 1


def test_a_saved_rule_says_in_its_history_who_saved_it(client, ada):
    answer = client.post(url(EventRule, "add"), RULE)

    assert answer.status_code == 302
    assert [(row.history_type, row.history_user) for row in EventRule.history.all()] == [("+", ada)]


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("pattern", "reason"), [("(?=a)", "invalid perl operator: (?=."), (r"(a)\1", r"invalid escape sequence: \1.")]
)
def test_a_bad_pattern_is_refused_with_the_reason_and_nothing_is_saved(client, pattern, reason):
    answer = client.post(url(EventRule, "add"), RULE | {"match_value": pattern})

    assert answer.status_code == 200
    (said,) = answer.context["adminform"].form.errors["match_value"]
    assert reason in said
    assert said.endswith("Look-around and back-references are not supported.")
    assert not EventRule.objects.exists()


@pytest.mark.usefixtures("ada")
def test_a_second_enabled_template_is_refused_and_a_disabled_one_saved(client):
    make_prompt()
    form = {"lane": "*", "persona": "*", "intent_stage": "*", "version": "v2", "max_words": 90}
    form |= {"system_prompt": "x", "user_prompt_template": "{{JSON_HERE}}"}

    answer = client.post(url(PromptTemplate, "add"), form | {"enabled": "on"})

    assert "disable it first" in answer.content.decode()
    assert client.post(url(PromptTemplate, "add"), form).status_code == 302
    assert list(PromptTemplate.objects.order_by("version").values_list("enabled", flat=True)) == [True, False]


@pytest.mark.usefixtures("ada")
def test_numbers_out_of_order_are_refused_with_the_reason(client):
    config = make_config()

    answer = client.post(url(config, "change", config.pk), CONFIG | {"cold_max": 69})

    assert answer.context["adminform"].form.non_field_errors() == [
        "Cold max must be below warm max, and warm max below 100."
    ]


@pytest.mark.usefixtures("ada")
def test_what_an_admin_saves_counts_at_once_in_this_process(client, settings):
    settings.REGISTRY_TTL_SECONDS = 3600
    config = make_config()
    assert loader.get_active_score_config().normalize_k == 80

    weight = {"weights-0-kind": "event", "weights-0-event_name": "form_started", "weights-0-weight": 7}
    form = CONFIG | {"normalize_k": 90} | weight | {"weights-TOTAL_FORMS": 1}
    assert client.post(url(config, "change", config.pk), form).status_code == 302

    assert loader.get_active_score_config().normalize_k == 90
    assert loader.get_weights_map(str(config.pk)).points == {("form_started", "", ""): 7}
    assert ScoreWeight.history.get().history_user.username == "ada"


def choose(client, *configs):
    form = {"action": "activate", "_selected_action": [str(config.pk) for config in configs]}
    answer = client.post(url(ScoreConfig, "changelist"), form, follow=True)
    return [str(message) for message in answer.context["messages"]]


def statuses():
    return dict(ScoreConfig.objects.values_list("name", "status"))


@pytest.mark.usefixtures("ada")
def test_the_activate_action_asks_first_and_then_makes_one_config_active_and_archives_the_other(client, settings):
    settings.REGISTRY_TTL_SECONDS = 3600
    old, new = make_config("old"), make_config("new", "draft")
    assert loader.get_active_score_config().name == "old"

    assert choose(client, old, new) == ["Choose exactly one config."]
    assert choose(client, new) == []
    assert statuses() == {"old": "active", "new": "draft"}
    client.post(url(new, "activate", new.pk), {"seen": version_of(new), "instead_of": old.pk, "reason": "better"})
    assert statuses() == {"old": "archived", "new": "active"}
    assert loader.get_active_score_config().name == "new"
    assert new.history.latest().history_change_reason == "better"


@pytest.mark.usefixtures("ada")
def test_no_form_changes_which_config_is_active(client):
    active, draft = make_config("a"), make_config("b", "draft")
    for config in (active, draft):
        form = CONFIG | {"name": config.name, "status": "active" if config == draft else "archived"}
        assert client.post(url(config, "change", config.pk), form).status_code == 302
    assert client.post(url(ScoreConfig, "add"), CONFIG | {"name": "c", "status": "active"}).status_code == 302

    assert statuses() == {"a": "active", "b": "draft", "c": "draft"}


@pytest.mark.usefixtures("ada")
def test_a_restored_version_brings_back_its_numbers_and_not_its_status(client):
    old, new = make_config("old", normalize_k=50), make_config("new", "draft", normalize_k=60)
    ScoreConfig.objects.get(pk=old.pk).history.update(normalize_k=51)
    new.activate()

    for config, k in [(old, 51), (new, 61)]:
        version = config.history.earliest()
        form = CONFIG | {"name": config.name, "normalize_k": k}
        assert client.post(url(config, "simple_history", config.pk, version.pk), form).status_code == 302

    assert statuses() == {"old": "archived", "new": "active"}
    assert list(ScoreConfig.objects.order_by("normalize_k").values_list("normalize_k", flat=True)) == [51, 61]


@pytest.mark.usefixtures("ada")
def test_the_active_config_cannot_be_deleted_alone_or_among_others(client):
    active, draft = make_config("a"), make_config("b", "draft")
    chosen = {"action": "delete_selected", "_selected_action": [active.pk, draft.pk], "post": "yes"}

    for path, form in [(url(active, "delete", active.pk), {"post": "yes"}), (url(active, "changelist"), chosen)]:
        assert "a is the active score config: activate another one first." in client.post(path, form).content.decode()
    assert client.post(url(draft, "delete", draft.pk), {"post": "yes"}).status_code == 302
    assert statuses() == {"a": "active"}


@pytest.mark.usefixtures("ada")
def test_a_rule_that_is_too_large_beside_the_others_is_refused_unless_it_is_disabled(client):
    EventRule.objects.bulk_create(
        EventRule(match_type="path_regex", match_value=f"k{n}[a-z]{{900}}") for n in range(92)
    )
    form = RULE | {"match_value": "k[a-z]{900}"}

    answer = client.post(url(EventRule, "add"), form)

    (said,) = answer.context["adminform"].form.errors["match_value"]
    assert said.startswith("All enabled event rules together are too large")
    assert client.post(url(EventRule, "add"), form | {"enabled": ""}).status_code == 302
    assert client.post(url(EventRule, "add"), RULE | {"match_value": "^/small"}).status_code == 302
