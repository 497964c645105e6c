"""The one error shape of the API, whatever went wrong; a page's error is a page (design 5)."""

import re

import pytest
from django.db import InternalError, OperationalError
from django.http import Http404
from django.test import Client
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.response import Response
from rest_framework.views import APIView

from abm_project import failures, urls
from abm_project.urls import handler400, handler403, handler404, handler500  # noqa: F401 - read by Django from here
from tests.factories import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_errors")]
UNKNOWN = "01890000-0000-7000-8000-000000000000"
SHAPE = {"type", "code", "detail", "errors", "request_id"}


class Line(serializers.Serializer):
    amount = serializers.IntegerField()


class Order(serializers.Serializer):
    name = serializers.CharField(max_length=5)
    lines = Line(many=True)

    def validate(self, data):
        if data["name"] == "whole":
            raise serializers.ValidationError("Nothing fits.", code="unfit")
        return data


class Orders(APIView):
    def get(self, request):
        failures = {
            "missing": Http404,
            "slow": lambda: Throttled(wait=7),
            "bug": lambda: ZeroDivisionError("secret"),
            "database": lambda: OperationalError(2013, "secret"),
            "disk": lambda: InternalError(3, "secret"),
        }
        raise failures[request.GET["fail"]]()

    def post(self, request):
        order = Order(data=request.data)
        order.is_valid(raise_exception=True)
        return Response(order.data)


@csrf_exempt
def broken(request):
    raise ZeroDivisionError("secret")


def frozen(request):
    raise OperationalError(2013, "secret")


urlpatterns = [
    path("api/orders", Orders.as_view()),
    path("api/broken", broken),
    path("api/frozen", frozen),
    path("frozen", frozen),
    path("broken", broken),
    *urls.urlpatterns,
]


@pytest.fixture
def sales(client):
    client.raise_request_exception = False
    client.force_login(make_user())
    return client


def shaped(answer, status, kind, code):
    body = answer.json()
    assert (answer.status_code, body["type"], body["code"]) == (status, kind, code)
    assert set(body) == SHAPE
    assert re.fullmatch("[0-9a-f]{32}", body["request_id"])
    assert body["request_id"] == answer["X-Request-ID"]
    assert "secret" not in answer.content.decode()
    return body


def post(client, body, kind="application/json"):
    return client.post("/api/orders", body, content_type=kind)


def test_a_validation_error_names_every_field_by_its_path(sales):
    body = shaped(
        post(sales, '{"name": "too long", "lines": [{"amount": 1}, {"amount": "x"}, {}]}'),
        400,
        "validation_error",
        "invalid",
    )

    assert [(error["attr"], error["code"]) for error in body["errors"]] == [
        ("name", "max_length"),
        ("lines.1.amount", "invalid"),
        ("lines.2.amount", "required"),
    ]


def test_an_error_of_the_whole_body_has_no_field(sales):
    body = shaped(post(sales, '{"name": "whole", "lines": []}'), 400, "validation_error", "invalid")

    assert body["errors"] == [{"attr": None, "code": "unfit", "detail": "Nothing fits."}]


@pytest.mark.parametrize(
    ("request_of", "status", "code"),
    [
        (lambda client: client.get("/api/orders?fail=missing"), 404, "not_found"),
        (lambda client: client.get("/api/nowhere"), 404, "not_found"),
        (lambda client: client.delete("/api/orders"), 405, "method_not_allowed"),
        (lambda client: post(client, "{"), 400, "parse_error"),
        (lambda client: post(client, "a=1", "text/plain"), 415, "unsupported_media_type"),
        (lambda client: client.get("/api/orders?fail=slow"), 429, "throttled"),
    ],
)
def test_a_client_error_has_the_one_shape(sales, request_of, status, code):
    assert shaped(request_of(sales), status, "client_error", code)["errors"] == []


@pytest.mark.urls("abm_project.urls")
def test_an_address_of_eight_kilobytes_works_or_is_refused_in_the_one_shape(client):
    client.force_login(make_user("ada", role="internal_admin"))
    paths = client.get("/api/schema/", {"format": "json"}).json()["paths"]
    asked = [
        (re.sub("{.+?}", UNKNOWN, path), parameter["name"])
        for path, verbs in paths.items()
        for parameter in verbs.get("get", {}).get("parameters", [])
        if parameter["in"] == "query"
    ]

    answers = [client.get(path, {name: "x" * 8000}) for path, name in asked]

    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(answers) > 40
    assert {answer.status_code for answer in refused} == {400, 404}
    assert all(set(answer.json()) == SHAPE for answer in refused)


def test_a_throttled_answer_says_when_to_come_back(sales):
    assert sales.get("/api/orders?fail=slow")["Retry-After"] == "7"


def test_a_stranger_and_a_user_without_a_role_get_403(client):
    shaped(client.get("/api/orders"), 403, "client_error", "not_authenticated")
    client.force_login(make_user(role=None))
    assert "no role yet" in shaped(client.get("/api/orders"), 403, "client_error", "permission_denied")["detail"]


@pytest.mark.parametrize("address", ["/api/orders?fail=bug", "/api/broken"])
def test_a_bug_under_api_is_json_and_tells_nothing(sales, address):
    shaped(sales.get(address), 500, "server_error", "server_error")


def test_a_missing_csrf_token_under_api_is_json(settings):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())

    assert "CSRF" in shaped(post(client, "{}"), 403, "client_error", "permission_denied")["detail"]


@pytest.mark.parametrize(("address", "status"), [("/nowhere", 404), ("/broken", 500), ("/?stage=Boiling", 400)])
def test_outside_api_an_error_is_a_page_with_the_request_id(sales, address, status):
    answer = sales.get(address)

    assert answer.status_code == status
    assert answer["Content-Type"].startswith("text/html")
    assert answer["X-Request-ID"] in answer.content.decode()
    assert "secret" not in answer.content.decode()


def test_the_page_of_a_bug_needs_no_database(sales, django_assert_num_queries, rf):
    with django_assert_num_queries(0):
        answer = failures.server_error(rf.get("/"))

    assert answer.status_code == 500


@pytest.mark.parametrize("address", ["/api/orders?fail=database", "/api/orders?fail=disk", "/api/frozen"])
def test_with_the_database_away_the_api_says_so_and_when_to_come_back(sales, address):
    answer = sales.get(address)

    shaped(answer, 503, "server_error", "unavailable")
    assert answer["Retry-After"] == "5"


def test_with_the_database_away_a_page_says_so_and_when_to_come_back(sales):
    answer = sales.get("/frozen")

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "Back in a moment" in answer.content.decode()
    assert "secret" not in answer.content.decode()
