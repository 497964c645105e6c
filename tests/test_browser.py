"""The pages in a real browser: by keyboard, on a desk and on a phone, light and dark, with data and without.

Every page must leave the console empty (a breach of the content security policy would speak there), have no axe
violation and never scroll sideways.
"""

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import Contact, IntentSignal, ProspectCompany
from registry.models import DomainRule
from tests.factories import PASSWORD, at, make_config, make_fact, make_lead, make_pull, make_user, make_weight, score

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}; set CHROMIUM to its path"),
]
SIZES = {"desk": (1280, 800), "phone": (390, 844)}


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    patch = pytest.MonkeyPatch()
    # Playwright's loop runs in this thread, and Django would refuse the ORM beside it.
    patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
    patch.undo()


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture(params=SIZES)
def page(chromium, live_server, scheme, request):
    """A browser page that collects what the console says into `page.said`."""
    width, height = SIZES[request.param]
    context = chromium.new_context(
        base_url=live_server.url, viewport={"width": width, "height": height}, color_scheme=scheme
    )
    page = context.new_page()
    page.said = []
    page.on("console", lambda message: message.type in ("error", "warning") and page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    yield page
    context.close()


@pytest.fixture
def installation():
    """Twelve accounts with ten scored days, some of everything a page can show."""
    today = timezone.now().date()
    config = make_config()
    for kind, weight in (("pricing", 25), ("security", 18), ("", 2)):
        make_weight(config, content_type=kind, weight=weight)
    for age in range(1, 41):
        make_pull(today - timedelta(days=age))
    for number in range(12):
        for age in range(1, 41, number + 1):
            day = today - timedelta(days=age)
            cells = [
                ("page_view", "pricing", "private_office", "", f"/pricing/{'long-' * number}plans", number + 1),
                ("page_view", "security", "meeting_rooms", "", "/security", 1),
                ("page_view", "", "", "", "/", 2),
            ]
            # Every second account only looks at the front page, and stays Cold.
            make_fact(f"a-rather-long-name-{number}.example", day, *cells[2 * (number % 2 == 0) :])
    make_lead("a-rather-long-name-11.example", today - timedelta(days=2), first_name="Ann", message="Call me. " * 30)
    DomainRule.objects.create(domain="a-rather-long-name-3.example", kind="competitor")
    score(*(today - timedelta(days=age) for age in range(10, 0, -1)))
    company = ProspectCompany.objects.get(domain="a-rather-long-name-11.example")
    contact = Contact.objects.create(prospect_company=company, email="ann@a-rather-long-name-11.example", title="CFO")
    IntentSignal.objects.create(
        prospect_company=company, contact=contact, kind="form", summary="Asked for a room", occurred_at=at(today)
    )


def sign_in(page, role="sales"):
    make_user("sam", role=role)
    page.goto("/login")
    page.wait_for_function("document.activeElement.id === 'id_username'")  # autofocus comes after load
    page.keyboard.type("sam")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")


def is_sound(page):
    """No word in the console, nothing for axe to mend, nothing beyond the right edge."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    violations = axe.Axe().run(page).response["violations"]

    assert [(found["id"], [node["html"] for node in found["nodes"]]) for found in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.said == []


@pytest.mark.parametrize("role", ["sales", "internal_admin"])
def test_an_empty_installation_is_sound(page, role):
    page.goto("/login")
    is_sound(page)
    sign_in(page, role)

    assert "No scored accounts yet" in page.inner_text("main")
    is_sound(page)


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/?range=30d&stage=Hot&ordering=-raw_score",
        "/?suppressed=1",
        "/?limit=5&page=2",
        "/?search=ann",
        "/?search=nothing-is-called-so",
        "/accounts/a-rather-long-name-11.example",
        "/accounts/a-rather-long-name-3.example",
    ],
)
def test_a_page_with_data_is_sound(page, installation, address):
    sign_in(page)
    page.goto(address)
    for details in page.query_selector_all("summary"):
        details.click()

    is_sound(page)


def test_the_way_to_an_account_by_keyboard_alone(page, installation):
    sign_in(page)

    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    second = page.evaluate("document.activeElement.textContent")
    assert second == page.locator("tbody th a").nth(1).text_content()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/accounts/*")
    assert "Why " in page.inner_text("main")

    page.keyboard.press("/")
    page.keyboard.type("name-7")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?search=name-7")
    assert page.locator("tbody tr").count() == 1


def test_chips_filter_combine_and_are_cleared(page, installation):
    sign_in(page)
    everyone = page.locator("tbody tr").count()

    page.get_by_role("link", name=re.compile(r"Hot \d")).click()
    page.wait_for_url("**stage=Hot**")
    assert 0 < page.locator("tbody tr").count() < everyone
    page.get_by_role("link", name="30 days").click()
    page.wait_for_url("**range=30d**")
    assert "stage=Hot" in page.url
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/?range=30d")
    assert page.locator("tbody tr").count() == everyone


def test_the_csv_button_brings_what_is_filtered(page, installation):
    sign_in(page)
    page.goto("/?search=name-7")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()

    assert [line.split(",")[1] for line in lines] == ["domain", "a-rather-long-name-7.example"]


def test_the_admin_keeps_the_content_security_policy(page, installation):
    sign_in(page, "internal_admin")
    for address in (
        "/admin/",
        "/admin/accounts/prospectcompany/",
        "/admin/auth/user/add/",
        "/admin/registry/scoreconfig/",
    ):
        page.goto(address)

    assert page.said == []
