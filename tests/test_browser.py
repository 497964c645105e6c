"""The pages in a real browser: by keyboard, on a desk and on a phone, light and dark, with data and without.

Every page must leave the console empty (a breach of the content security policy would speak there), have no axe
violation and never scroll sideways. `is_sound` looks at a page in all four ways; what is done on the way there is done
once, and on a phone too where the phone has another layout to press on.
"""

import os
import re
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import Contact, IntentSignal, ProspectCompany
from ingestion.models import ActivityPull
from registry.models import DomainRule
from scoring.jobs import due_slot
from scoring.models import JobRun
from tests.factories import (
    PASSWORD,
    at,
    make_config,
    make_fact,
    make_lead,
    make_pull,
    make_run,
    make_user,
    make_weight,
    score,
)

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
SIZES = {"desk": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
on_desk_and_phone = pytest.mark.parametrize("page", SIZES, indirect=True)
# A colour on its way from one scheme to the other has no contrast that could be measured.
END_TRANSITIONS = """() => {
  const under_way = () => document.getAnimations().filter((each) => each instanceof CSSTransition);
  for (let moving = under_way(); moving.length; moving = under_way()) moving.forEach((each) => each.finish());
}"""


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


@pytest.fixture
def page(chromium, live_server, request):
    """A browser page that collects what the console says into `page.said`; on a desk unless a test asks for a phone."""
    size = SIZES[getattr(request, "param", "desk")]
    context = chromium.new_context(base_url=live_server.url, viewport=size, color_scheme=SCHEMES[0])
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


@pytest.fixture
def history():
    """Forty runs, one of every state among them, with long words where a run can have them; the running one."""
    now = timezone.now()
    today = due_slot(now)
    result = {
        "dates": [{"date": str(today), "accounts": 31_200, "created": 12, "changed": 280, "removed": 2}],
        "skipped": {str(today - timedelta(days=40)): "It lies before the first day with facts."},
        "unmatched_pages": {f"/{'a-very-long-page/' * 8}": 482, "": 3},
        "unresolved_keys": {"personal": 31},
        "unweighed_events": {"video_played": 88},
        "registry_problems": ["event rule 14: the pattern is no regular expression"],
        "people": {"contacts": 57},
        "pull": {"days": 30, "events": 1_135_500, "requests": 31, "bytes": 465_000_000, "unresolved": {"none": 9}},
    }
    for age in range(1, 36):
        slot = today - timedelta(days=age)
        make_run("night", slot=slot, started_at=at(slot, 2), finished_at=at(slot, 3), result_json=result)
        make_pull(slot, read_at=now, unresolved_json={"none": 60}, bytes=180_000)
    message = "PostHog refused the key (401). Make a new one with the scope query:read and set POSTHOG_API_KEY. " * 2
    make_run(state="failed", message=message, asked_by="ada", started_at=now - timedelta(hours=5))
    make_run("night", "held", slot=today, message=message, started_at=now - timedelta(hours=4), finished_at=now)
    make_run(state="running", is_bulk=False, started_at=now - timedelta(hours=3), lease_until=now - timedelta(hours=2))
    make_run(state="queued", attempt=0, started_at=now, finished_at=None, params_json={"restate": True, "pull": True})
    return make_run(state="running", started_at=now, done_items=10, total_items=100, phase="recompute 2026-11-20")


def sign_in(page, role="sales"):
    make_user("sam", role=role)
    page.goto("/login")
    page.wait_for_selector("#id_username:focus")  # autofocus comes after load
    page.keyboard.type("sam")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")


def settled(page):
    """What was asked for is in its place: until then a new link is not boosted, and the focus may still move."""
    page.wait_for_selector(".htmx-request, .htmx-swapping, .htmx-added, .htmx-settling", state="detached")


def is_sound(page):
    """On a desk and on a phone, light and dark: no word in the console, nothing for axe to mend, nothing beyond the
    right edge."""
    settled(page)
    assert page.said == [], page.url
    own_size = page.viewport_size
    for size, scheme in product(SIZES, SCHEMES):
        page.set_viewport_size(SIZES[size])
        page.emulate_media(color_scheme=scheme)
        page.evaluate(END_TRANSITIONS)

        assert violations(page) == [], (page.url, size, scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (page.url, size, scheme)
    page.set_viewport_size(own_size)
    page.emulate_media(color_scheme=SCHEMES[0])
    page.said.clear()  # axe tries inline styles on forms of Django admin, which the policy rightly refuses


def violations(page):
    axe = pytest.importorskip("axe_playwright_python.base")
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe.AXE_SCRIPT)
    found = page.evaluate("axe.run({resultTypes: ['violations']}).then(results => results.violations)")
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]


@pytest.mark.parametrize("role", ["sales", "internal_admin"])
def test_an_empty_installation_is_sound(page, role):
    page.goto("/login")
    is_sound(page)
    sign_in(page, role)

    assert "No scored accounts yet" in page.inner_text("main")
    is_sound(page)


def test_the_runs_of_an_empty_installation_are_sound(page):
    sign_in(page, "internal_admin")
    page.goto("/runs")

    assert "Nothing has run yet" in page.inner_text("main")
    is_sound(page)


@on_desk_and_phone
def test_pages_with_data_are_sound(page, installation):
    sign_in(page)
    for address in (
        "/",
        "/?range=30d&stage=Hot&ordering=-raw_score",
        "/?suppressed=1",
        "/?limit=5&page=2",
        "/?search=ann",
        "/?search=nothing-is-called-so",
        "/accounts/a-rather-long-name-11.example",
        "/accounts/a-rather-long-name-3.example",
    ):
        page.goto(address)
        for details in page.query_selector_all("summary"):
            details.click()
        is_sound(page)


@on_desk_and_phone
def test_alerts_are_sound_before_and_after_one_is_added(page, installation):
    sign_in(page)
    page.goto("/alerts")
    assert "has no mail address yet" in page.inner_text("main")
    is_sound(page)
    page.get_by_label("Only my accounts").check()
    page.get_by_role("button", name="Add").click()
    page.wait_for_selector("ul.undecided")

    assert "My accounts, every lane" in page.inner_text("main")
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


def test_what_is_loaded_into_a_page_leaves_its_title(page, installation):
    sign_in(page)
    page.locator("#movers:not([hx-get])").wait_for()

    assert page.title() == "Hot accounts · Orbit"


@on_desk_and_phone
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


def test_the_runs_of_every_state_are_sound(page, history):
    sign_in(page, "internal_admin")
    for address in ("/runs", "/runs?state=failed", "/runs?state=odd"):
        page.goto(address)
        page.said.clear() if "odd" in address else None  # Chromium tells of the status 400
        is_sound(page)
    for state in JobRun.State.values:
        page.goto(f"/runs?state={state}")
        page.locator("tbody th a").first.press("Enter")
        page.wait_for_url(re.compile("/runs/[0-9a-f-]{36}$"))
        is_sound(page)


@on_desk_and_phone
def test_domains_that_are_nobodys_are_sound_on_their_page_and_below_the_runs(page, history):
    yesterday = timezone.now().date() - timedelta(days=1)
    for number in range(35):
        make_fact(f"{'a-rather-long-name-' * 3}{number}.linkedin.com", yesterday)
    make_fact("gmail.com", yesterday, ("page_view", "", "", "", "/", 1200))
    ActivityPull.objects.update(unresolved_json={"not_a_domain": {"events": 9, "examples": {"n/a " * 30: 8}}})
    sign_in(page, "internal_admin")
    page.goto("/runs")
    page.get_by_text("1,200 events").wait_for()
    assert page.title() == "Runs · Orbit"  # what is loaded into a page leaves its title
    is_sound(page)
    page.get_by_label("Account of gmail.com").fill("nobody.example")
    page.get_by_role("button", name="Alias gmail.com").click()
    page.get_by_role("alert").wait_for()
    page.said.clear()  # Chromium tells of the status 400
    is_sound(page)
    page.get_by_role("button", name="gmail.com is not personal").click()
    page.get_by_text("gmail.com is not personal from the next scores on.").wait_for()
    is_sound(page)


def test_decisions_in_the_admin_are_sound(page, installation, tmp_path):
    one, other = ("a-rather-long-name-0.example", "a-rather-long-name-11.example")
    account = ProspectCompany.objects.get(domain=one)
    sign_in(page, "internal_admin")

    page.goto("/admin/registry/domainrule/add/")
    page.get_by_label("Domain").fill(one)
    page.get_by_label("Kind").select_option("competitor")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Not saved yet").wait_for()
    is_sound(page)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/registry/domainrule/")
    page.goto(f"/admin/registry/domainrule/{DomainRule.objects.get(domain=one).pk}/delete/")
    page.get_by_text("No account and no activity is deleted.").wait_for()
    is_sound(page)
    page.get_by_role("button", name="sure").click()

    page.goto(f"/admin/accounts/prospectcompany/{account.pk}/change/")
    page.get_by_role("link", name="Domains and merges").click()
    page.wait_for_url("**/domains/")
    is_sound(page)
    page.get_by_role("textbox", name="Domain").fill(other)
    page.get_by_role("button", name="Show what it does").click()
    page.get_by_text("Score then").wait_for()
    is_sound(page)
    page.get_by_role("button", name="Yes, do it").click()
    page.get_by_text("from the next scores on.").wait_for()
    is_sound(page)

    lines = "".join(f"{'long-name-' * 4}{number}.example,Name {number},customer\n" for number in range(40))
    (tmp_path / "bad.csv").write_text(f"domain,name,suppression\ngmail.com,,\n{lines}")
    (tmp_path / "good.csv").write_text(f"domain,name,suppression\n{lines}")
    page.goto("/admin/accounts/prospectcompany/import/")
    is_sound(page)
    for name, says in (("bad", "cannot be done"), ("good", "Nothing is written yet")):
        page.locator("#file").set_input_files(tmp_path / f"{name}.csv")
        page.get_by_role("button", name="Show what it does").click()
        page.get_by_text(says).wait_for()
        page.said.clear()  # Chromium tells of the status 400
        is_sound(page)
    page.get_by_role("button", name="Yes, import it").click()
    page.get_by_text("Imported: 40 create").wait_for()


def test_what_cannot_be_asked_for_is_sound_and_keeps_what_was_typed(page, history):
    sign_in(page, "internal_admin")
    page.goto("/runs")
    page.get_by_label("Dates").fill("0")
    page.get_by_role("button", name="Backfill").click()

    page.get_by_text("At least one date.").wait_for()
    assert page.get_by_label("Dates").input_value() == "0"
    page.said.clear()  # Chromium tells of the status 400
    is_sound(page)


def test_the_bar_moves_and_the_run_ends_without_a_reload(page, history):
    sign_in(page, "internal_admin")
    page.goto("/runs")
    page.evaluate("window.sameDocument = true")
    row = page.locator(f"#run-{history.pk}")
    link = row.locator("th a")
    link.focus()
    assert row.locator("progress").get_attribute("value") == "10"

    JobRun.objects.filter(pk=history.pk).update(done_items=60)
    row.locator("progress[value='60']").wait_for()
    assert link.evaluate("link => link === document.activeElement")  # a keyboard's place is kept
    is_sound(page)

    JobRun.objects.filter(pk=history.pk).update(state="failed", message="It broke.", finished_at=timezone.now())
    row.get_by_text("It broke.").wait_for()
    assert row.get_attribute("hx-get") is None
    assert "The last run failed: It broke." in page.locator("#freshness").inner_text()
    assert page.evaluate("window.sameDocument")
    is_sound(page)


def test_the_page_of_a_run_moves_and_shows_everything_when_it_has_ended(page, history):
    sign_in(page, "internal_admin")
    page.goto(f"/runs/{history.pk}")
    page.evaluate("window.sameDocument = true")
    JobRun.objects.filter(pk=history.pk).update(done_items=60)
    page.locator("progress[value='60']").wait_for()
    assert page.evaluate("window.sameDocument")

    result = {"dates": [{"date": "2026-11-20", "accounts": 7}]}
    JobRun.objects.filter(pk=history.pk).update(state="done", result_json=result, finished_at=timezone.now())
    page.get_by_role("heading", name="Scored dates").wait_for()
    is_sound(page)


def test_a_session_that_ends_under_a_moving_bar_leads_to_the_login(page, history):
    sign_in(page, "internal_admin")
    page.goto("/runs")
    page.context.clear_cookies()

    page.wait_for_url("**/login?next=/runs")


def test_asking_and_publishing_by_keyboard_alone(page, history, settings):
    settings.JOBS, settings.REDIS_URL = "queue", "redis://127.0.0.1:1"  # nobody does what is asked for
    JobRun.objects.filter(state__in=["queued", "running"]).update(state="done")
    held = JobRun.objects.get(state="held")
    sign_in(page, "internal_admin")
    page.goto("/runs")

    page.get_by_label("Dates").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("7")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("It is asked for.").wait_for()
    asked = JobRun.objects.get(state="queued").params_json
    assert (asked["backfill"], asked["pull"]) == (7, True)

    page.get_by_role("button", name="anyway").focus()
    page.keyboard.press("Enter")
    page.get_by_text("the run goes on with the volume it found").wait_for()
    held.refresh_from_db()
    assert held.params_json["accepted_by"] == "sam"
    is_sound(page)


def test_the_runs_work_without_script(chromium, live_server, history):
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    make_user("sam", role="internal_admin")
    page.goto("/login?next=/runs")
    page.fill("#id_username", "sam")
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/runs")
    assert page.locator("tbody tr").count() == 40
    page.get_by_role("button", name="anyway").click()
    page.get_by_text("the run goes on with the volume it found").wait_for()
    context.close()


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
