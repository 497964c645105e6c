"""Whatever Orbit answers carries the one Content-Security-Policy, which allows nothing inline and nobody else's."""

import pytest

from tests.factories import make_user

POLICY = {
    "default-src 'self'",
    "img-src 'self' data:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
}
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/", 200),
        ("/?stage=odd", 400),
        ("/accounts/nobody.example", 404),
        ("/admin/", 200),
        ("/api/docs/", 200),
        ("/api/abm/accounts", 200),
        ("/api/abm/nothing", 404),
        ("/healthz", 200),
        ("/login", 302),
    ],
)
def test_every_answer_carries_the_policy(client, address, status):
    client.force_login(make_user(role="internal_admin"))

    for _ in range(2):
        answer = client.get(address)

        assert answer.status_code == status
        assert set(answer["Content-Security-Policy"].split("; ")) == POLICY
