"""A closed door with a note on it. No database: it may be away meanwhile."""

import pytest

WORDS = "Back at 14:00 UTC."


@pytest.fixture(autouse=True)
def closed(settings):
    settings.MAINTENANCE = WORDS


@pytest.mark.parametrize("address", ["/", "/accounts/acme.example", "/login", "/admin/", "/nothing"])
def test_every_page_says_why_and_when_to_come_again(client, address):
    answer = client.get(address)

    assert (answer.status_code, answer["Retry-After"]) == (503, "300")
    assert "Orbit is closed for maintenance" in answer.content.decode()
    assert WORDS in answer.content.decode()
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"


def test_the_api_and_the_hook_say_it_in_their_one_shape(client):
    answer = client.post("/api/hooks/lead-requests", {}, content_type="application/json")

    assert answer.status_code == 503
    assert (answer.json()["code"], answer.json()["detail"]) == ("maintenance", WORDS)


def test_the_probe_of_the_process_still_answers(client):
    assert client.get("/healthz").status_code == 200
