"""The API's description of itself: complete, and its page passes our Content-Security-Policy."""

import re

import pytest
import yaml
from django.contrib.staticfiles import finders
from django.core.management import call_command

from tests.factories import make_user

pytestmark = pytest.mark.django_db
SCHEMA, DOCS = "/api/schema/", "/api/docs/"
REGISTRY = ("event-rules", "score-configs", "score-weights", "prompt-templates", "domain-rules")


@pytest.fixture
def schema(client):
    client.force_login(make_user())
    return client.get(f"{SCHEMA}?format=json").json()


def operations(schema):
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_the_schema_is_valid_and_leaves_nothing_to_guess(capsys):
    call_command("spectacular", "--validate", "--fail-on-warn")

    assert yaml.safe_load(capsys.readouterr().out)["openapi"].startswith("3.")


def test_every_endpoint_is_described(schema):
    assert {name for name, _ in operations(schema)} == {
        "post /api/hooks/lead-requests",
        "get /api/abm/accounts",
        "get /api/abm/accounts.csv",
        "get /api/abm/accounts/lookup",
        "get /api/abm/accounts/{id}",
        "get /api/abm/accounts/{id}/explain",
        "get /api/abm/accounts/{id}/handling",
        "put /api/abm/accounts/{id}/owner",
        "put /api/abm/accounts/{id}/snooze",
        "delete /api/abm/accounts/{id}/snooze",
        "post /api/abm/accounts/{id}/contacted",
        "get /api/abm/lanes",
        "get /api/abm/movers",
        "get /api/abm/people",
        "get /api/abm/people.csv",
        "get /api/abm/lead-requests",
        "get /api/abm/lead-requests.csv",
        "get /api/abm/lead-requests/{id}",
        "patch /api/abm/lead-requests/{id}",
        "get /api/abm/jobs",
        "get /api/abm/jobs/{id}",
        "post /api/abm/jobs/{id}/publish",
        "post /api/abm/jobs/recompute-intent",
        "post /api/abm/accounts/{id}/ai-summary",
        *(f"{method} /api/abm/admin/{table}" for table in REGISTRY for method in ("get", "post")),
        *(f"{method} /api/abm/admin/{table}/{{id}}" for table in REGISTRY for method in ("get", "patch")),
        *(f"get /api/abm/admin/{table}/{{id}}/history" for table in REGISTRY),
        "post /api/abm/admin/event-rules/test",
        "post /api/abm/admin/score-configs/{id}/clone",
        "post /api/abm/admin/score-configs/{id}/activate",
        "get /api/abm/admin/score-configs/{id}/preview",
        "post /api/abm/admin/score-configs/{id}/preview",
        "get /api/abm/admin/revisions",
        "post /api/abm/admin/revisions/{id}/roll-back",
    }
    assert [name for name, operation in operations(schema) if not operation.get("description")] == []


def test_every_field_and_parameter_has_a_meaning(schema):
    fields = {
        f"{name}.{field}": told.get("description")
        for name, component in schema["components"]["schemas"].items()
        for field, told in component.get("properties", {}).items()
    }
    parameters = {
        f"{name} {parameter['name']}": parameter.get("description")
        for name, operation in operations(schema)
        for parameter in operation.get("parameters", ())
        if parameter["in"] != "path"
    }

    assert len(fields) > 100
    assert [name for name, told in (fields | parameters).items() if not told] == []


@pytest.mark.parametrize(
    ("operation", "statuses"),
    [
        ("post /api/hooks/lead-requests", "201 400 401 409 411 413 415 422 429 503"),
        ("get /api/abm/accounts", "200 400 401 403 503"),
        ("get /api/abm/accounts.csv", "200 400 401 403 503"),
        ("get /api/abm/accounts/{id}", "200 401 403 404 503"),
        ("get /api/abm/accounts/{id}/explain", "200 400 401 403 404 503"),
        ("get /api/abm/lanes", "200 400 401 403 503"),
        ("get /api/abm/lead-requests", "200 400 401 403 503"),
        ("get /api/abm/lead-requests.csv", "200 400 401 403 503"),
        ("get /api/abm/lead-requests/{id}", "200 401 403 404 503"),
        ("patch /api/abm/lead-requests/{id}", "200 400 401 403 404 411 413 415 503"),
        ("get /api/abm/jobs", "200 400 401 403 503"),
        ("post /api/abm/accounts/{id}/ai-summary", "200 400 401 403 404 409 411 413 415 429 502 503"),
        ("post /api/abm/jobs/{id}/publish", "202 400 401 403 404 409 411 413 415 503"),
        ("post /api/abm/jobs/recompute-intent", "202 400 401 403 409 411 413 415 503"),
        ("post /api/abm/admin/event-rules", "201 400 401 403 411 413 415 503"),
        ("patch /api/abm/admin/score-weights/{id}", "200 400 401 403 404 411 412 413 415 428 503"),
        ("post /api/abm/admin/score-configs/{id}/activate", "200 400 401 403 404 409 411 412 413 415 428 503"),
        ("post /api/abm/admin/event-rules/test", "200 400 401 403 409 411 413 415 503"),
    ],
)
def test_every_status_is_described_and_every_error_has_the_one_shape(schema, operation, statuses):
    answers = dict(operations(schema))[operation]["responses"]

    assert " ".join(answers) == statuses
    for status, answer in answers.items():
        if status >= "400":
            shape = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert shape in ("Problem", "RunConflict", "BriefFailed")
            assert answer["description"]
        assert ("Retry-After" in answer.get("headers", {})) == (status in ("429", "503"))


def test_what_is_strict_says_so_and_choices_are_named(schema):
    shapes = schema["components"]["schemas"]

    assert shapes["PatchedLeadChangeRequest"]["additionalProperties"] is False
    assert shapes["RecomputeBodyRequest"]["additionalProperties"] is False
    assert "additionalProperties" not in shapes["LeadBodyRequest"]
    assert shapes["LeadStatus"]["enum"] == ["new", "working", "qualified", "disqualified", "spam"]
    assert shapes["RequestType"]["enum"] == ["reservation", "procurement", "contact_sales", "other"]


def test_lists_say_their_filters_orders_and_pages(schema):
    parameters = {
        parameter["name"]: parameter["schema"]
        for parameter in dict(operations(schema))["get /api/abm/accounts"]["parameters"]
    }

    assert set(parameters["stage"]["enum"]) == {"Cold", "Warm", "Hot"}
    assert parameters["suppressed"] == {"type": "string", "enum": ["1"]}
    assert parameters["owner"] == {"type": "string", "maxLength": 150}
    assert re.fullmatch(parameters["ordering"]["pattern"], "-intent_score,domain")
    assert not re.fullmatch(parameters["ordering"]["pattern"], "-password")
    assert parameters["limit"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert schema["components"]["schemas"]["IntentStage"]["enum"] == ["Cold", "Warm", "Hot"]


def test_the_page_has_nothing_inline_and_loads_nothing_from_elsewhere(client):
    client.force_login(make_user())
    page = client.get(DOCS)
    html = page.content.decode()

    assert "default-src 'self'" in page["Content-Security-Policy"]
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    sources = re.findall(r'(?:src|href)="([^"]+)"', html)
    files = [address for address in sources if address.startswith("/static/")]
    (script,) = set(sources) - set(files)
    assert [address for address in files if not finders.find(address.removeprefix("/static/"))] == []
    assert len(files) == 4
    assert client.get(script)["Content-Type"] == "application/javascript"


@pytest.mark.parametrize("address", [SCHEMA, DOCS])
def test_the_description_is_for_the_roles(client, address):
    assert client.get(address).status_code == 403
    client.force_login(make_user(role=None))
    assert client.get(address).status_code == 403
