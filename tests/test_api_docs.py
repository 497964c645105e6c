"""docs/api.md is true: its programs run against a server, its tables are those of the code."""

import json
import os
import re
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.fields import empty

from abm_project.api.accounts import AccountFilters
from abm_project.api.hook import LeadBody
from abm_project.api.leads import ORDERINGS, LeadFilters
from abm_project.api.people import PeopleFilters
from abm_project.dashboards import ORDERINGS as ORDERINGS_OF_ACCOUNTS
from abm_project.dashboards import PEOPLE_ORDERINGS
from accounts.models import ProspectCompany
from ingestion.models import LeadRequest
from tests.factories import (
    DAY,
    PASSWORD,
    make_config,
    make_fact,
    make_lead,
    make_person,
    make_pull,
    make_token,
    make_user,
    make_weight,
    score,
)
from tests.markdown import table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"
TEXT = PAGE.read_text(encoding="utf-8")
SERVER = "http://127.0.0.1"


def programs(language):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", TEXT)


SIGNED_CURL, TOKEN_CURL, SESSION_CURL = programs("sh")
(PYTHON,) = programs("python")
(FORM,) = programs("html")


@pytest.fixture
def orbit(live_server, settings):
    """A server that takes signed leads, and what the programs are told of it."""
    cache.clear()
    settings.LEAD_SECRETS = ("s3cret", "an older one")
    make_user("sam")
    yield {"ORBIT_URL": live_server.url, "LEAD_SECRET": "s3cret", "ORBIT_USER": "sam", "ORBIT_PASSWORD": PASSWORD}
    for thread in threading.enumerate():  # a new lead's account is scored behind the answer
        if thread.name.startswith("rescore"):
            thread.join(10)


def run(told, *command, fails=False):
    environment = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ} | told
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr * fails


# --- Its programs -----------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_the_curl_program_posts_a_signed_lead_and_again_it_is_the_same_one(orbit):
    first, second = (json.loads(run(orbit, "sh", "-euc", SIGNED_CURL)) for _ in range(2))

    lead = LeadRequest.objects.get()
    assert first == second == {"id": str(lead.pk), "received_at": lead.submitted_at.isoformat()}
    assert (lead.work_email, lead.organization_name, lead.account_key) == ("ann@acme.example", "Acme", "acme.example")


@pytest.mark.django_db(transaction=True)
def test_the_python_program_posts_a_signed_lead_and_again_it_is_the_same_one(orbit):
    first, second = (run(orbit, sys.executable, "-I", "-c", PYTHON).strip() for _ in range(2))

    lead = LeadRequest.objects.get()
    assert first == second == str(lead.pk)
    assert (lead.work_email, lead.quantity, lead.request_type) == ("bob@acme.example", 40, "procurement")
    assert lead.tracking_json == {"posthog_distinct_id": "0199-the-browsers-own"}


@pytest.mark.django_db(transaction=True)
def test_with_another_secret_both_programs_say_that_they_are_not_accepted(orbit):
    wrong = orbit | {"LEAD_SECRET": "guess"}

    assert "not_accepted" in run(wrong, "sh", "-euc", SIGNED_CURL, fails=True)
    assert "not_accepted" in run(wrong, sys.executable, "-I", "-c", PYTHON, fails=True)
    assert not LeadRequest.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_session_program_signs_in_and_takes_the_first_new_lead_on(orbit):
    taken = make_lead(work_email="ann@acme.example")
    make_lead(status="spam", key=None)

    shown = json.loads(run(orbit, "sh", "-euc", SESSION_CURL))

    assert (shown["id"], shown["status"]) == (str(taken.pk), "working")
    taken.refresh_from_db()
    assert taken.status == "working"


@pytest.mark.django_db(transaction=True)
def test_the_token_program_asks_everything_about_the_account_of_an_address(orbit):
    make_weight(make_config())
    for age in range(60):
        make_pull(DAY - timedelta(days=age))
    make_fact("acme.example", DAY, ("page_view", "pricing", "private_office", "", "/pricing", 20))
    make_fact("acme.example", DAY - timedelta(days=1))
    score(DAY - timedelta(days=1), DAY)
    make_person(ProspectCompany.objects.get(), "ann@acme.example")
    told = orbit | {"ORBIT_TOKEN": make_token(User.objects.get(username="sam"))}

    shown = run(told, "sh", "-euc", TOKEN_CURL)
    answers = re.sub("\ufeff[^{]*", "", shown)  # all but the file
    account, why, people, accounts, lanes, movers = read_each(answers)
    assert account["domain"] == why["domain"] == accounts["results"][0]["domain"] == "acme.example"
    assert account["score_30d_raw"] == why["raw_score_30d"] == why["bridge"]["raw"] > 200
    assert people["results"][0]["email"] == "ann@acme.example"
    assert lanes["accounts"]["results"] == accounts["results"]
    assert movers["since"] == "2026-11-20"
    assert "rank,domain,name" in shown


@pytest.mark.django_db(transaction=True)
def test_with_another_token_the_program_says_that_it_is_not_accepted(orbit):
    assert "401" in run(orbit | {"ORBIT_TOKEN": "orbit_guess"}, "sh", "-euc", TOKEN_CURL, fails=True)


def read_each(text):
    """JSON texts that stand one after the other."""
    decoder, found = json.JSONDecoder(), []
    while text.strip():
        value, end = decoder.raw_decode(text.strip())
        found.append(value)
        text = text.strip()[end:]
    return found


def test_the_form_sends_nothing_that_is_not_known(settings):
    named = set(re.findall(r'<(?:input|textarea) name="(\w+)"', FORM)) | set(re.findall(r"\blead\.(\w+) =", FORM))

    assert named - set(LeadBody().fields) == {settings.LEAD_HONEYPOT}


# --- Its tables -------------------------------------------------------------------------------------------------------
def test_the_fields_are_those_that_are_taken_with_their_limits():
    stated = {row["field"]: row for row in table(PAGE, "Fields")}
    fields = LeadBody().fields
    tracking = {f"tracking.{name}": field for name, field in fields.pop("tracking").fields.items()}
    known = {**fields, **tracking}

    assert set(stated) == set(known)
    for name, field in known.items():
        limit, kind = stated[name]["limit"].replace(",", ""), stated[name]["type"]
        if kind == "string":
            assert int(limit) == field.max_length, name
        elif kind == "choice":
            assert re.findall(r"`(\w+)`", stated[name]["limit"]) == list(field.choices)
            assert f"left out: `{field.default}`" in stated[name]["meaning"]
        elif kind == "whole number":
            assert limit == f"{field.min_value} to {field.max_value}", name
        assert field.required == (name == "work_email"), name
        assert field.required or field.default is not empty


def test_the_answers_are_those_of_the_openapi_description():
    described = SchemaGenerator().get_schema(public=True)["paths"]["/api/hooks/lead-requests"]["post"]["responses"]
    stated = {row["status"] for row in table(PAGE, "Answers")}

    assert stated - {"405", "500"} == set(described)  # what no POST gets, and what nobody should


def test_the_filters_are_those_of_the_list():
    stated = {row["filter"]: row["values"] for row in table(PAGE, "Filters")}

    assert set(stated) == set(LeadFilters.base_filters)
    assert re.findall(r"`(\w+)`", stated["status"]) == LeadRequest.Status.values
    assert sorted(re.findall(r"`([\w-]+)`", stated["ordering"])) == sorted(ORDERINGS)


@pytest.mark.parametrize(
    ("heading", "filters", "orderings"),
    [
        ("Filters of accounts", AccountFilters, ORDERINGS_OF_ACCOUNTS),
        ("Filters of people", PeopleFilters, PEOPLE_ORDERINGS),
    ],
)
def test_the_filters_of_the_dashboards_are_those_of_the_code(heading, filters, orderings):
    stated = {row["filter"]: row["values"] for row in table(PAGE, heading)}

    assert set(stated) == set(filters.base_filters)
    assert set(re.findall(r"`(\w+)`", stated["ordering"])) == set(orderings)


def test_every_address_of_the_api_is_in_the_page_or_in_that_of_the_registry():
    said = TEXT + (PAGE.parent / "registry.md").read_text(encoding="utf-8")
    routes = [str(entry.pattern) for entry in get_resolver().url_patterns if str(entry.pattern).startswith("api/")]
    addresses = [f"/{route.replace('<uuid:id>', '<id>')}" for route in routes]

    def is_stated(address):
        table, _, rest = address.partition("/<id>")  # the registry's page has these once for all of its tables
        of_any_table = f"…`/<id>{rest}`" in said and table.startswith("/api/abm/admin/") and f"{table}`" in said
        return address in said or of_any_table

    assert len(addresses) >= 40
    assert [address for address in addresses if not is_stated(address)] == []
