"""The API held to its own description by schemathesis: whatever is sent, it answers as it says (reliability P3).

./dev soak runs it; the seed is fixed, so that a failure comes again.
"""

from collections import Counter
from datetime import timedelta

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.factories import (
    DAY,
    make_company,
    make_config,
    make_domain_rule,
    make_fact,
    make_lead,
    make_person,
    make_prompt,
    make_pull,
    make_rule,
    make_run,
    make_user,
    make_weight,
    score,
)
from tests.test_jobs import nobody_wakes  # noqa: F401 - a fixture

pytestmark = [pytest.mark.soak, pytest.mark.django_db, pytest.mark.usefixtures("nobody_wakes")]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 15  # of each operation, of good requests and of bad ones: some 1,500 in all
SEED = 20261121
TOKEN = "a" * 32
KNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def admin(client, settings):
    """Signed in. Throttles are tested elsewhere; here they would answer everything."""
    settings.API_RATES = dict.fromkeys(settings.API_RATES, "1000000/min")
    client.force_login(make_user(role="internal_admin"))
    client.cookies[settings.CSRF_COOKIE_NAME] = TOKEN
    return client


@pytest.fixture
def rows():
    make_rows()


def make_rows():
    company = make_company("acme.example", id=KNOWN)
    contact = make_person(company, "ann@acme.example")
    make_lead(id=KNOWN, prospect_company=company, contact=contact, work_email="ann@acme.example", lead_score=40)
    make_lead("other.example", status="working", lane="desk")
    make_run("night", "held", id=KNOWN)
    config = make_config(id=KNOWN)
    make_weight(config, id=KNOWN)
    make_rule(id=KNOWN)
    make_prompt(id=KNOWN)
    make_domain_rule(id=KNOWN)
    for age in range(60):
        make_pull(DAY - timedelta(days=age))
    for age in range(2):
        make_fact("acme.example", DAY - timedelta(days=age), people=(1, 2))
    score(DAY - timedelta(days=1), DAY)


@pytest.fixture
def schema(admin):
    """With the real application behind it, whose requests must not close the connection of the test, which is in a
    transaction; Django's test client sees to that itself, and undoes it."""
    schema = schemathesis.openapi.from_dict(admin.get("/api/schema/?format=json").json())
    schema.app = get_wsgi_application()
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield schema
    for signal in signals:
        signal.connect(close_old_connections)


def test_a_thousand_requests_good_and_bad_are_answered_as_described(admin, schema, rows):
    known = {
        "cookies": {name: cookie.value for name, cookie in admin.cookies.items()},
        "headers": {"X-CSRFToken": TOKEN},
    }
    answered = Counter()

    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:
            fuzz(operation, mode, known, answered)

    assert answered.total() >= 1_000
    assert len({operation for operation, _ in answered}) == len(list(schema.get_all_operations()))
    assert {status for _, status in answered} >= {200, 201, 202, 400, 404, 409, 412, 428}


def fuzz(operation, mode, known, answered, examples=EXAMPLES):
    @seed(SEED)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers_as_described(case):
        if "id" in case.path_parameters and sum(answered.values()) % 2:
            case.path_parameters["id"] = KNOWN  # a random one is never there
        response = case.call(**known)
        answered[operation.label, response.status_code] += 1
        if response.status_code != 414:  # an address of more than 4 kB: the web server refuses it before we see it
            case.validate_response(response, checks=CHECKS)

    answers_as_described()
