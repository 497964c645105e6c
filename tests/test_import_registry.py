"""import_registry: rows of a CSV file, checked like the admin's, all of them or none."""

from datetime import date
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from registry.models import DomainRule, EventRule, PromptTemplate, ScoreConfig, ScoreWeight
from tests.factories import make_config, make_rule

pytestmark = pytest.mark.django_db

FILES = {
    "event_rules": """\
enabled,priority,event_name,match_type,match_value,content_type,lane,weight_override,score_config,notes
1,10,page_view,path_regex,^/a/(.*),blog,\\1,0,,"one, two"
no,20,form_*,equals,/b,,,,test_v1,
""",
    "score_weights": """\
event_name,kind,content_type,cta_id,weight,score_config
page_view,event,pricing,,25,
cta_click,event,,Buy,0,draft
""",
    "prompt_templates": """\
lane,persona,intent_stage,version,system_prompt,user_prompt_template,max_words,enabled
*,*,*,v1,Be brief.,"Facts:
{{JSON_HERE}}

End.
",180,yes
office,sales,Hot,v1,Be kind.,{{JSON_HERE}},90,false
""",
    "domain_rules": """\
domain,kind,reason,expires_on,enabled
Acme.example,competitor,asked,2026-12-31,true
*.Bücher.example,own,,,1
""",
}
MODELS = {
    "event_rules": EventRule,
    "score_weights": ScoreWeight,
    "prompt_templates": PromptTemplate,
    "domain_rules": DomainRule,
}


@pytest.fixture
def load(tmp_path):
    make_config()
    make_config("draft", "draft")

    def load(kind, text, **options):
        path, out = tmp_path / "rows.csv", StringIO()
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        call_command("import_registry", kind, str(path), stdout=out, **options)
        return out.getvalue()

    return load


def refused(load, kind, text):
    with pytest.raises(CommandError) as refusal:
        load(kind, text)
    title, *errors = str(refusal.value).split("\n")
    assert title == "Nothing was written."
    return errors


def stored(kind):
    return list(MODELS[kind].objects.order_by("pk").values())


@pytest.mark.parametrize("kind", FILES)
def test_a_file_makes_its_rows_and_a_second_time_nothing(load, kind):
    assert load(kind, FILES[kind]) == "2 created, 0 updated, 0 unchanged.\n"
    once = stored(kind)

    for text in (FILES[kind], "\ufeff" + FILES[kind], FILES[kind].replace("\n", "\r\n")):
        assert load(kind, text) == "0 created, 0 updated, 2 unchanged.\n"
    assert stored(kind) == once


@pytest.mark.parametrize("kind", FILES)
def test_a_dry_run_says_what_it_would_do_and_writes_nothing(load, kind):
    said = load(kind, FILES[kind], dry_run=True)

    assert said.endswith("2 would be created, 0 would be updated, 0 unchanged.\n")
    assert said.count("  + ") == 2
    assert stored(kind) == []
    assert not MODELS[kind].history.exists()


def test_every_cell_arrives(load):
    for kind, text in FILES.items():
        load(kind, text)
    config, draft = ScoreConfig.objects.get(name="test_v1"), ScoreConfig.objects.get(name="draft")

    columns = ("enabled", "priority", "event_name", "match_type", "match_value", "content_type", "lane")
    columns += ("weight_override", "score_config", "notes")
    assert list(EventRule.objects.order_by("priority").values_list(*columns)) == [
        (True, 10, "page_view", "path_regex", "^/a/(.*)", "blog", r"\1", 0, None, "one, two"),
        (False, 20, "form_*", "equals", "/b", "", "", None, config.pk, ""),
    ]
    columns = ("score_config", "kind", "event_name", "content_type", "cta_id", "weight")
    assert list(ScoreWeight.objects.order_by("-weight").values_list(*columns)) == [
        (config.pk, "event", "page_view", "pricing", "", 25),
        (draft.pk, "event", "cta_click", "", "Buy", 0),
    ]
    columns = ("lane", "persona", "intent_stage", "version", "system_prompt", "user_prompt_template", "max_words")
    assert list(PromptTemplate.objects.order_by("lane").values_list(*columns, "enabled")) == [
        ("*", "*", "*", "v1", "Be brief.", "Facts:\n{{JSON_HERE}}\n\nEnd.", 180, True),
        ("office", "sales", "Hot", "v1", "Be kind.", "{{JSON_HERE}}", 90, False),
    ]
    columns = ("domain", "kind", "reason", "expires_on", "enabled")
    assert list(DomainRule.objects.order_by("kind").values_list(*columns)) == [
        ("acme.example", "competitor", "asked", date(2026, 12, 31), True),
        ("*.xn--bcher-kva.example", "own", "", None, True),
    ]


def test_a_changed_cell_updates_its_row_and_keeps_what_the_file_does_not_say(load):
    row = make_rule("/b", "equals", lane="office", notes="ours", priority=7)

    said = load("event_rules", "match_type,match_value,lane\nequals,/b,events\n", verbosity=2)

    assert said == "  ~ 7 page_view equals /b (lane)\n0 created, 1 updated, 0 unchanged.\n"
    row.refresh_from_db()
    assert (row.lane, row.notes, row.priority, row.enabled) == ("events", "ours", 7, True)
    assert row.history.count() == 2


def test_a_rule_of_one_config_is_another_rule_than_that_of_every_config(load):
    load("event_rules", "match_type,match_value,score_config\nequals,/b,\nequals,/b,test_v1\nequals,/b,draft\n")

    assert EventRule.objects.filter(match_value="/b").count() == 3


def test_patterns_that_differ_by_case_or_accent_are_different_rules(load):
    said = load("event_rules", "match_type,match_value\npath_regex,\\d\npath_regex,\\D\nequals,/über\nequals,/uber\n")

    assert said == "4 created, 0 updated, 0 unchanged.\n"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("1", True), ("TRUE", True), ("Yes", True), ("0", False), ("False", False), ("no", False)],
)
def test_the_words_of_a_boolean(load, cell, expected):
    load("domain_rules", f"domain,kind,enabled\nacme.example,bot,{cell}\n")

    assert DomainRule.objects.get().enabled is expected
