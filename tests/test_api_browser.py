"""The API seen from a real browser: Swagger's page under our Content-Security-Policy, and the form of docs/api.md."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.cache import cache

from ingestion.models import LeadRequest
from tests.factories import PASSWORD, make_user
from tests.test_api_docs import FORM
from tests.test_browser import chromium, pytestmark  # noqa: F401 - a fixture, and when to run


@pytest.fixture
def page(chromium):  # noqa: F811
    context = chromium.new_context()
    page = context.new_page()
    page.said = []
    page.on("console", lambda message: message.type in ("error", "warning") and page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    yield page
    context.close()


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def site(live_server, settings, tmp_path):
    """Somebody's site, elsewhere, whose page is the form of the document."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    (tmp_path / "form.html").write_text(FORM.replace("https://orbit.example", live_server.url), encoding="utf-8")
    origin = f"http://127.0.0.1:{server.server_port}"
    settings.CORS_ALLOWED_ORIGINS = [origin]
    cache.clear()
    yield origin
    server.shutdown()
    thread.join()
    server.server_close()
    for thread in threading.enumerate():  # a new lead's account is scored behind the answer
        if thread.name.startswith("rescore"):
            thread.join(10)


def test_swagger_shows_every_operation_and_the_console_stays_empty(page, live_server):
    make_user("sam")
    page.goto(f"{live_server.url}/login?next=/api/docs/")
    page.get_by_label("User").fill("sam")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".opblock")

    described = page.request.get(f"{live_server.url}/api/schema/?format=json").json()["paths"].values()
    operations = sum(len(set(methods) & {"get", "post", "put", "patch", "delete"}) for methods in described)

    assert page.locator(".opblock").count() == operations > 50
    page.locator(".opblock-summary-post", has_text="/api/hooks/lead-requests").click()
    page.wait_for_selector("text=Idempotency-Key")
    assert page.said == []


def test_the_documents_form_posts_a_lead_from_another_site(page, site):
    page.goto(f"{site}/form.html?utm_source=mail&other=1")
    page.evaluate("window.posthog = { get_distinct_id: () => 'ph-9' }")
    page.locator("[name=work_email]").fill("ann@acme.example")
    page.locator("[name=message]").fill("A launch.")
    page.get_by_role("button").click()
    page.wait_for_selector("text=Thank you")

    lead = LeadRequest.objects.get()
    assert (lead.work_email, lead.lane, lead.request_type) == ("ann@acme.example", "private_office", "reservation")
    assert (lead.message, lead.utm_json) == ("A launch.", {"utm_source": "mail"})
    assert (lead.status, lead.tracking_json) == ("new", {"posthog_distinct_id": "ph-9"})
    assert lead.page_url.startswith(f"{site}/form.html")


def test_whoever_fills_the_hidden_field_of_the_form_is_stored_as_spam(page, site):
    page.goto(f"{site}/form.html")
    page.locator("[name=work_email]").fill("bot@acme.example")
    page.evaluate("document.querySelector('[name=company_fax]').value = '1'")
    page.get_by_role("button").click()
    page.wait_for_selector("text=Thank you")

    assert LeadRequest.objects.get().status == "spam"


def test_a_site_that_is_not_listed_cannot_read_the_answer(page, site, settings):
    settings.CORS_ALLOWED_ORIGINS = []
    page.goto(f"{site}/form.html")

    refused = page.evaluate(
        'fetch(document.scripts[0].text.match(/http:[^"]+lead-requests/)[0],'
        " {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'}).then(() => false, () => true)"
    )

    assert refused is True
    assert not LeadRequest.objects.exists()
