"""Working through accounts in a real browser: find, filter, sort, page, open, explain, take, download. By keyboard."""

import re
from pathlib import Path

import pytest

from abm_project.models import AccountAction
from accounts.models import ProspectCompany
from tests.factories import PASSWORD, make_user
from tests.test_browser import (  # noqa: F401 - fixtures among them
    chromium,
    installation,
    is_sound,
    on_desk_and_phone,
    page,
    pytestmark,
    settled,
    sign_in,
)

LAST = "a-rather-long-name-11.example"


@pytest.fixture
def without_script(chromium, live_server):  # noqa: F811
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    make_user("sam")
    page = context.new_page()  # noqa: F811
    page.goto("/login")
    page.fill("#id_username", "sam")
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/")
    yield page
    context.close()


def focused(page):  # noqa: F811
    return page.evaluate("document.activeElement.id")


def press(page, selector, key="Enter"):  # noqa: F811
    settled(page)
    page.locator(selector).focus()
    page.keyboard.press(key)


def test_lanes_people_and_movers_are_sound(page, installation):  # noqa: F811
    sign_in(page)
    for address in (
        "/lanes",
        "/lanes?lane=private_office",
        "/lanes?lane=nothing",
        "/people",
        f"/people?account={LAST}&category=pricing",
        "/people?search=nobody",
        "/movers",
        "/password",
    ):
        page.goto(address)
        is_sound(page)
    for address in ("/nothing", "/runs", "/?stage=Boiling"):
        page.goto(address)
        page.said.clear()  # Chromium tells of the status
        is_sound(page)


def test_before_there_is_data_and_before_one_is_signed_in_all_is_sound(page):  # noqa: F811
    for address in ("/password/forgotten", "/password/sent", "/password/new/x/y"):
        page.goto(address)
        is_sound(page)
    sign_in(page)
    for address in ("/lanes", "/people", "/movers", "/?owner=me"):
        page.goto(address)
        is_sound(page)


def test_the_admin_is_sound_and_of_the_same_bar(page, installation):  # noqa: F811
    sign_in(page, "internal_admin")
    for address in (
        "",
        "registry/eventrule/",
        "registry/prompttemplate/",
        "accounts/prospectcompany/",
        "ingestion/leadrequest/",
        "scoring/jobrun/",
        "auth/user/",
    ):
        page.goto(f"/admin/{address}")
        assert page.locator("#header nav a").first.inner_text() == "Hot accounts"
        is_sound(page)


@on_desk_and_phone
def test_the_menus_of_an_account_are_sound_when_open_and_when_refused(page, installation):  # noqa: F811
    sign_in(page)
    page.goto(f"/accounts/{LAST}")
    for menu in ("#give", "#snooze", "#contact"):
        press(page, menu)
        page.locator(f"details[open] > {menu}").wait_for()
        is_sound(page)
    press(page, "#snooze")
    page.get_by_label("Until").fill("2020-01-01")
    page.locator("details.menu[open] button").press("Enter")
    page.get_by_text("A day after today").wait_for()
    assert page.get_by_label("Until").input_value() == "2020-01-01"
    page.said.clear()  # Chromium tells of the status 400
    is_sound(page)


def test_from_the_list_to_an_account_of_ones_own_by_keyboard_alone(page, installation):  # noqa: F811
    sign_in(page)
    page.evaluate("window.sameDocument = true")
    everybody = page.locator("tbody tr").count()

    press(page, "#by-stage-Hot")  # filter
    page.wait_for_url("**stage=Hot**")
    assert 0 < page.locator("tbody tr").count() < everybody
    assert focused(page) == "by-stage-Hot"  # and the keyboard stays where it was
    press(page, "#sort-last-seen")  # sort
    page.wait_for_url("**ordering=-last_seen_at**")
    assert page.locator("th.seen[aria-sort=descending]").count() == 1
    press(page, "#clear")
    page.wait_for_url(re.compile(r"/$"))
    assert page.evaluate("window.sameDocument")  # none of it loaded a page

    page.goto("/?limit=5")
    press(page, "#next")  # page
    page.wait_for_url("**page=2**")
    assert page.locator("tbody td.rank").first.text_content() == "6"
    page.keyboard.press("Escape")
    page.keyboard.press("/")  # search
    page.keyboard.type("name-11")
    page.keyboard.press("Enter")
    page.wait_for_url("**search=name-11**")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")  # open
    page.wait_for_url(f"**/accounts/{LAST}")

    press(page, "#why ~ details summary")  # explain
    assert page.get_by_role("region", name="Every contribution").is_visible()
    page.evaluate("window.sameDocument = true")
    press(page, "#take")  # take it
    page.get_by_text("Yours").wait_for()
    assert page.evaluate("window.sameDocument")
    settled(page)
    assert focused(page) == "handling"
    assert ProspectCompany.objects.get(domain=LAST).owner.username == "sam"
    assert "took it" in page.locator("#history").inner_text()
    press(page, "#contact")
    page.keyboard.press("Tab")
    page.keyboard.type("Call back in March")
    page.keyboard.press("Enter")
    page.locator("#history").get_by_text("Call back in March").wait_for()
    assert AccountAction.objects.filter(kind="contacted").count() == 1
    press(page, "#snooze")
    page.keyboard.press("Escape")
    assert page.locator("details.menu[open]").count() == 0
    assert focused(page) == "snooze"

    page.goto("/?owner=me")
    with page.expect_download() as download:  # the file of what is shown
        press(page, "text=CSV")
    lines = Path(download.value.path()).read_text().splitlines()
    assert [line.split(",")[1] for line in lines] == ["domain", LAST]
    assert page.said == []


def test_choosing_a_lane_lists_its_accounts_without_a_reload(page, installation):  # noqa: F811
    sign_in(page)
    page.goto("/lanes")
    page.evaluate("window.sameDocument = true")
    press(page, "#lane-private_office")
    page.wait_for_url("**lane=private_office**")

    assert page.locator("tbody tr").count() > 0
    assert focused(page) == "lane-private_office"
    assert page.evaluate("window.sameDocument")
    page.go_back()
    page.get_by_text("Choose a lane").wait_for()
    assert page.said == []


def test_the_movers_arrive_by_themselves(page, installation):  # noqa: F811
    sign_in(page)
    page.locator("#movers").get_by_text("Entered Hot").wait_for()

    assert page.url.endswith("/")  # the address is still the list's
    assert page.said == []


def test_a_session_that_ends_leads_to_the_login_and_back(page, installation):  # noqa: F811
    sign_in(page)
    page.context.clear_cookies()
    press(page, "#by-stage-Hot")

    page.wait_for_url(re.compile(r"/login\?next="))


def test_without_script_filters_forms_and_files_work(without_script, installation):  # noqa: F811
    page = without_script  # noqa: F811
    page.goto("/")
    page.get_by_role("link", name="See what moved").click()
    page.wait_for_url("**/movers**")
    assert "Entered Hot" in page.inner_text("main")
    page.goto("/")
    page.click("#by-stage-Hot")
    page.wait_for_url("**stage=Hot**")
    page.goto(f"/accounts/{LAST}")
    page.click("#take")
    page.locator("#handling").get_by_text("Yours").wait_for()
    page.click("#snooze")
    page.get_by_label("Until").fill("2020-01-01")
    page.click("details.menu[open] button")
    page.locator("#handling").get_by_text("A day after today").wait_for()
    page.goto("/lanes")
    page.click("#lane-private_office")
    page.wait_for_url("**lane=private_office**")
    assert page.locator("tbody tr").count() > 0
    page.goto("/people")
    page.fill("#find-people", "ann")
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**search=ann**")
    assert page.locator("tbody tr").count() == 1
