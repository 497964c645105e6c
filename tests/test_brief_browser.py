"""The brief in a real browser, in every state it can be in, and by keyboard alone."""

from threading import Event

import pytest

from registry.seeds import seed
from tests.anthropic_standin import faults
from tests.test_browser import chromium, installation, is_sound, page, pytestmark, settled, sign_in  # noqa: F401

ACCOUNT = "/accounts/a-rather-long-name-11.example"
SEE_IT_COPIED = """() => {
  const button = document.querySelector("[data-copy]");
  const look = () => { if (button.textContent === "Copied") button.dataset.copied = ""; };
  new MutationObserver(look).observe(button, {childList: true});
}"""
LONG = "- 900 visits to /" + "a-very-long-path/" * 20 + "\n- `" + "w" * 300 + "`\n\n```\n" + "code " * 80 + "\n```\n"


@pytest.fixture
def account(page, installation):  # noqa: F811
    seed()
    sign_in(page, "internal_admin")
    page.goto(ACCOUNT)
    return page


def write(page):  # noqa: F811
    page.click("#brief-write")
    page.wait_for_selector("#brief .notice[role=status]")


def test_none_yet_and_from_rules_is_sound(account):
    is_sound(account)
    write(account)

    assert "Made from rules; no language model configured" in account.inner_text("#brief")
    is_sound(account)
    account.click("#brief-exec")
    account.wait_for_selector("#brief-exec[aria-current]")
    assert "Write the brief" in account.inner_text("#brief")


def test_flagged_failed_and_used_up_is_sound(account, anthropic_api, settings):
    settings.AI_BRIEFS_PER_DAY = 2
    anthropic_api.faults = [faults.says(LONG)] * 2 + [faults.error(403)]
    write(account)
    assert account.locator("#brief mark").count() >= 2
    is_sound(account)

    write_anew(account, "403")
    assert "What follows is the last good one." in account.inner_text("#brief")
    is_sound(account)

    write_anew(account, "No more today")
    is_sound(account)


def write_anew(page, said):  # noqa: F811
    page.click("#brief-write")
    page.wait_for_selector(f"#brief .notice:has-text('{said}')")


def test_while_it_is_written_a_bar_says_so_and_the_button_waits(account, anthropic_api):
    bar_was_seen = Event()
    anthropic_api.faults = [faults.Fault(gate=bar_was_seen)]
    account.click("#brief-write")

    account.wait_for_selector("#brief progress", state="visible")
    assert account.is_disabled("#brief-write")
    bar_was_seen.set()
    account.wait_for_selector("text=The brief was written just now.")
    settled(account)
    assert account.is_hidden("#brief progress")
    assert account.said == []


def test_by_keyboard_alone_it_is_written_and_copied(account):
    account.context.grant_permissions(["clipboard-read", "clipboard-write"])
    account.focus("#brief-write")
    account.keyboard.press("Enter")
    account.wait_for_selector("#brief-text")
    account.wait_for_selector("#brief:focus-within")
    account.evaluate(SEE_IT_COPIED)  # the word stands for two seconds
    account.focus("[data-copy]")
    account.keyboard.press("Enter")

    account.wait_for_selector("[data-copied]")
    assert "Why they’re hot" in account.evaluate("navigator.clipboard.readText()")


def test_without_a_script_the_form_does_it(chromium, live_server, installation):  # noqa: F811
    seed()
    context = chromium.new_context(base_url=live_server.url)
    signing_in = context.new_page()
    sign_in(signing_in)
    plain = chromium.new_context(
        base_url=live_server.url, java_script_enabled=False, storage_state=context.storage_state()
    )
    page = plain.new_page()  # noqa: F811
    page.goto(ACCOUNT)
    page.click("#brief-write")
    page.wait_for_url(f"**{ACCOUNT}?persona=sales#brief")

    assert "The brief was written just now." in page.inner_text("main")
    assert page.is_hidden("[data-copy]")
    assert page.is_hidden("#brief progress")
    plain.close()
    context.close()


def test_the_preview_of_a_prompt_is_sound(account):
    account.goto("/admin/registry/prompttemplate/")
    account.click("#result_list tbody th a")
    account.click("text=Preview and try")
    account.fill("[name=account]", "a-rather-long-name-11.example")
    is_sound(account)
    account.click("[name=show]")
    account.wait_for_selector("#preview-user")

    is_sound(account)
