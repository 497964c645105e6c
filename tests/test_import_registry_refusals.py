"""import_registry names every bad line of a file, and writes nothing of it."""

import pytest
from django.core.management import CommandError, call_command

from registry.models import ScoreConfig, ScoreWeight
from tests.factories import make_prompt, make_weight
from tests.test_import_registry import FILES, MODELS, load, refused, stored

__all__ = ["load"]  # a fixture
pytestmark = pytest.mark.django_db


def test_every_bad_line_is_named_and_nothing_is_written(load):
    make_weight(ScoreConfig.objects.get(name="test_v1"), "kept", 1)

    errors = refused(
        load,
        "score_weights",
        "event_name,weight,content_type,score_config\n"
        "good,1,,\n"
        "kept,2,,\n"
        "big,1001,,\n"
        "small,-1,,\n"
        "word,many,,\n"
        "none,,,\n"
        ",5,,\n"
        "few,5\n"
        "many,5,,,5\n"
        "case,5,Case Study,\n"
        "config,5,,nobody\n"
        "good,9,,\n",
    )

    assert errors == [
        "rows.csv line 4: weight: Ensure this value is less than or equal to 1000.",
        "rows.csv line 5: weight: Ensure this value is greater than or equal to 0.",
        "rows.csv line 6: weight: Enter a whole number.",
        "rows.csv line 7: weight: This field is required.",
        "rows.csv line 8: event_name: This field is required.",
        "rows.csv line 9: too many or too few cells",
        "rows.csv line 10: too many or too few cells",
        "rows.csv line 11: content_type: Write it as events carry it: case_study.",
        "rows.csv line 12: score_config: no config named 'nobody'",
        "rows.csv line 13: the same row as line 2",
    ]
    assert list(ScoreWeight.objects.values_list("event_name", "weight")) == [("kept", 1)]


@pytest.mark.parametrize(
    ("kind", "text", "error"),
    [
        ("event_rules", "match_type,match_value\nglob,/a\n", "match_type: Select a valid choice."),
        (
            "event_rules",
            "match_type,match_value\npath_regex,(?=a)\n",
            "match_value: The pattern cannot be used: invalid",
        ),
        ("event_rules", "match_type,match_value\nequals,a\0b\n", "match_value: Null characters are not allowed."),
        ("event_rules", "match_type,match_value,lane\nequals,/a,\\1\n", r"match_value: \1 needs a path_regex rule."),
        ("event_rules", "match_type,match_value,enabled\nequals,/a,maybe\n", "enabled: 'maybe' is neither 1 nor 0."),
        ("event_rules", "match_type,match_value,enabled\nequals,/a,\n", "enabled: '' is neither 1 nor 0."),
        ("event_rules", "match_type,match_value,priority\nequals,/a,\n", "priority: This field is required."),
        ("event_rules", "match_type,match_value,priority\nequals,/a,-1\n", "priority: Ensure this value is greater"),
        (
            "event_rules",
            "match_type,match_value,lane\nequals,/a," + "x" * 65 + "\n",
            "lane: Ensure this value has at most",
        ),
        ("score_weights", "event_name\nx\n", "weight: This field is required."),
        ("prompt_templates", "user_prompt_template\n{{JSON_HERE}}\n", "system_prompt: This field is required."),
        (
            "prompt_templates",
            "system_prompt,user_prompt_template\na,b\n",
            "user_prompt_template: {{JSON_HERE}} is missing",
        ),
        ("prompt_templates", "system_prompt,version\na,v2\n", "user_prompt_template: This field is required."),
        ("domain_rules", "domain,kind\nlocalhost,bot\n", "domain: Write a domain"),
        ("domain_rules", "domain,kind\nacme.example,friend\n", "kind: Select a valid choice."),
        ("domain_rules", "domain,kind,expires_on\nacme.example,bot,31.12.2026\n", "expires_on: Enter a valid date."),
    ],
)
def test_a_bad_cell_is_refused_with_its_column_and_reason(load, kind, text, error):
    assert refused(load, kind, text)[0].startswith(f"rows.csv line 2: {error}")
    assert stored(kind) == []


def test_a_template_that_would_be_the_second_enabled_one_is_refused(load):
    make_prompt()
    head = "version,system_prompt,enabled,user_prompt_template\n"

    errors = refused(load, "prompt_templates", head + "v2,x,1,{{JSON_HERE}}\n")

    assert errors == ["rows.csv line 2: Another template of this lane, persona and stage is enabled: disable it first."]
    load("prompt_templates", head + "v1,x,0,{{JSON_HERE}}\nv2,x,1,{{JSON_HERE}}\n")


def test_two_spellings_of_one_domain_are_the_same_row(load):
    text = "domain,kind\nBücher.example,bot\nXN--BCHER-KVA.example,bot\n"

    assert refused(load, "domain_rules", text) == ["rows.csv line 3: the same row as line 2"]


def test_without_an_active_config_weights_must_name_theirs(load):
    ScoreConfig.objects.update(status="archived")

    errors = refused(load, "score_weights", "event_name,weight\nx,1\n")

    assert errors == ["rows.csv line 2: score_config: no config is active"]
    load("score_weights", "event_name,weight,score_config\nx,1,draft\n")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "domain,kind,colour\n",
            "rows.csv: unknown column colour. Columns: enabled, domain, kind, reason, expires_on.",
        ),
        ("kind,reason\n", "rows.csv: no column domain."),
        ("Domain,kind\n", "rows.csv: unknown column Domain, no column domain."),
        ("domain,kind,kind\n", "rows.csv: a column twice."),
        ("", "rows.csv: no column domain, no column kind."),
        (b"domain,kind\n\xe9.example,bot\n", "rows.csv: cannot be read as CSV in UTF-8: "),
        ("domain,kind\n".encode("utf-16"), "rows.csv: cannot be read as CSV in UTF-8: "),
        ('domain,kind\nacme.example,"bot\n', "rows.csv after line 1: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_such_csv_is_refused_as_a_whole(load, text, error):
    errors = refused(load, "domain_rules", text)

    assert len(errors) == 1
    assert errors[0].startswith(error)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CommandError, match=r"nothing\.csv: cannot be read"):
        call_command("import_registry", "event_rules", str(tmp_path / "nothing.csv"))


@pytest.mark.parametrize("kind", FILES)
def test_a_file_with_one_bad_line_leaves_stored_rows_as_they_are(load, kind):
    load(kind, FILES[kind])
    before, history = stored(kind), MODELS[kind].history.count()

    refused(load, kind, FILES[kind].replace(",180,", ",181,").replace("0,,", "7,,").replace(",0,", ",7,") + "x\n")

    assert (stored(kind), MODELS[kind].history.count()) == (before, history)


def test_rules_that_are_too_large_together_are_refused_as_a_whole(load):
    rows = "".join(f"page_view,path_regex,k{n}[a-z]{{900}}\n" for n in range(100))

    (error,) = refused(load, "event_rules", f"event_name,match_type,match_value\n{rows}")

    assert error.startswith("rows.csv: All enabled event rules together are too large")
