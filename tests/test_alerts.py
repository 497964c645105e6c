"""Alerts on the wire: one message a night and recipient, by mail and web hook; whom Orbit calls, and whom never."""

import json
import socket
import time
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from abm_project import alerts
from abm_project.alerts import ATTEMPTS, allowed_addresses, send_due
from abm_project.api.signatures import is_signed
from abm_project.models import AlertDelivery, AlertNight, AlertSubscription, AlertWebhook, Snooze
from accounts.models import ProspectCompany
from ingestion.outgoing import NotAllowed, checked_url
from scoring import jobs
from scoring.models import NIGHT
from tests.factories import make_company, make_config, make_run, make_snapshot, make_user
from tests.receivers import MailServer, WebServer, make_certificate, serving

pytestmark = pytest.mark.django_db
HOT, WARM = {"intent_stage": "Hot", "intent_score": 78}, {"intent_stage": "Warm", "intent_score": 61}


@pytest.fixture
def today():
    return timezone.now().date()


@pytest.fixture
def as_of(today):
    return today - timedelta(days=1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def web(certificate, settings):
    settings.ALERT_CA_FILE, settings.ALERT_PRIVATE_HOSTS = str(certificate), ("localhost",)
    with serving(WebServer(certificate)) as server:
        yield server


@pytest.fixture
def mail(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_GOES_OUT = True
    with serving(MailServer()) as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        yield server


@pytest.fixture
def news(today, as_of):
    """A published night in which acme became Hot, of the lane office; and bolt, of event_space, is Ann's."""
    make_config()
    ann = make_user("ann", email="ann@orbit.example")
    for domain, lane, owner in (("acme.example", "office", None), ("bolt.example", "event_space", ann)):
        company = make_company(domain, owner=owner)
        make_snapshot(company, as_of - timedelta(days=1), **WARM, surge_level="Normal", top_lane=lane)
        make_snapshot(company, as_of, **HOT, surge_level="Normal", top_lane=lane)
    make_run(NIGHT, day=today, slot=today, finished_at=timezone.now())
    return ann


def subscribe(user=None, **fields):
    return AlertSubscription.objects.create(user=user, **fields)


def hook(web, kind="json", **fields):
    made = AlertWebhook.objects.create(name=kind, kind=kind, url=web.url, **fields)
    subscribe(webhook=made)
    return made


def later(**time):
    return timezone.now() + timedelta(**time)


def deliveries():
    return [(row.recipient.partition(":")[0], row.state, row.attempts) for row in AlertDelivery.objects.all()]


def told(post):
    return [account["domain"] for account in json.loads(post.body)["accounts"]]


# --- Who is told what -------------------------------------------------------------------------------------------------
def test_a_user_is_told_once_a_night_by_mail_with_the_reasons_in_words(news, mail, settings, as_of):
    settings.PUBLIC_URL = "https://orbit.example"
    subscribe(news)
    for _ in range(2):
        send_due()

    (sent,) = mail.mails
    assert (sent["To"], sent["Subject"]) == ("ann@orbit.example", f"Orbit, {as_of}: 2 became Hot")
    text = sent.get_payload(decode=True).decode()
    assert "acme.example became Hot: 78 after 61; 2× Pricing; lane office." in text
    assert "https://orbit.example/accounts/bolt.example" in text and "https://orbit.example/alerts" in text
    assert deliveries() == [("user", "sent", 1)]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, ["acme.example", "bolt.example"]),
        ({"lane": "office"}, ["acme.example"]),
        ({"lane": "office", "on_hot": False}, []),
        ({"on_hot": False}, []),
        ({"muted_until": 1}, []),
        ({"muted_until": 0}, ["acme.example", "bolt.example"]),
    ],
)
def test_lane_kind_and_quiet_choose_what_is_told(news, web, today, chosen, expected):
    if "muted_until" in chosen:
        chosen = {"muted_until": today + timedelta(days=chosen["muted_until"])}
    AlertSubscription.objects.create(webhook=AlertWebhook.objects.create(name="x", kind="json", url=web.url), **chosen)
    send_due()

    assert [told(post) for post in web.posts] == ([expected] if expected else [])


def test_an_owner_is_told_of_their_accounts_and_two_choices_make_one_message(news, web):
    ours = hook(web)
    AlertSubscription.objects.all().delete()
    subscribe(webhook=ours, owner=news)
    subscribe(webhook=ours, owner=news, lane="event_space")
    send_due()

    assert [told(post) for post in web.posts] == [["bolt.example"]]


def test_nobody_is_told_of_an_account_they_put_aside_but_others_are(news, mail, web, today):
    subscribe(news)
    hook(web)
    acme = ProspectCompany.objects.get(domain="acme.example")
    Snooze.objects.create(user=news, prospect_company=acme, until=today + timedelta(days=1))
    send_due()

    assert "acme" not in mail.mails[0].get_payload(decode=True).decode()
    assert [told(post) for post in web.posts] == [["acme.example", "bolt.example"]]


def test_who_may_not_see_accounts_or_has_no_address_is_told_nothing(news, mail):
    subscribe(make_user("nina", role=None, email="nina@orbit.example"))
    subscribe(make_user("gone", email="gone@orbit.example", is_active=False))
    subscribe(make_user("mute"))
    send_due()

    assert mail.mails == [] and deliveries() == []


def test_without_a_mail_server_the_log_says_which_setting_is_missing(news, settings):
    settings.EMAIL_GOES_OUT = False
    subscribe(news)
    send_due()

    assert "EMAIL_URL" in AlertDelivery.objects.get().message


def test_no_night_an_old_one_and_one_that_failed_tell_nothing(mail, today):
    make_config()
    subscribe(make_user(email="sam@orbit.example"))
    send_due()
    make_run(NIGHT, "failed", day=today, slot=today, finished_at=timezone.now())
    old = today - timedelta(days=4)
    make_snapshot(make_company(), old - timedelta(days=1), **HOT)
    make_run(NIGHT, day=old, slot=old)
    send_due()

    assert not AlertNight.objects.exists() and mail.mails == []


def test_the_next_night_tells_what_is_new_since_this_one(news, web, today, as_of):
    hook(web)
    send_due()
    make_snapshot(make_company("cold.example"), as_of, **WARM, surge_level="Normal")
    for domain in ("acme.example", "bolt.example", "cold.example"):
        known = ProspectCompany.objects.get(domain=domain)
        make_snapshot(known, today, **HOT, surge_level="Normal")
    make_run(NIGHT, day=today, slot=today + timedelta(days=1), finished_at=timezone.now())
    send_due()

    assert [told(post) for post in web.posts] == [["acme.example", "bolt.example"], ["cold.example"]]


def test_messages_of_nights_that_are_too_old_go(news, web, settings, today):
    hook(web)
    for age in (400, 401):
        slot = today - timedelta(days=age)
        night = AlertNight.objects.create(slot=slot, as_of=slot, told_until=slot)
        AlertDelivery.objects.create(night=night, recipient="user:1", state="sent", not_before=timezone.now())
    for _ in range(2):
        send_due()

    assert {night.slot for night in AlertNight.objects.all()} == {today, today - timedelta(days=400)}
    assert AlertDelivery.objects.count() == 2
    settings.RUN_RETENTION_DAYS = 0
    AlertNight.objects.filter(slot=today).delete()
    AlertNight.objects.update(slot=today - timedelta(days=900))
    send_due()
    assert AlertNight.objects.count() == 2


def test_a_night_that_is_done_sends_by_itself_and_a_failure_of_alerts_is_not_the_nights(news, web, monkeypatch, caplog):
    hook(web)
    jobs.follow_up()
    assert len(web.posts) == 1

    monkeypatch.setattr(alerts, "make_messages", lambda now: 1 / 0)
    jobs.follow_up()
    assert "the next reconciliation calls it again" in caplog.text


# --- The wire ---------------------------------------------------------------------------------------------------------
def test_json_is_signed_over_its_bytes_and_names_its_delivery(news, web, today, as_of):
    webhook = hook(web)
    send_due()

    (post,) = web.posts
    assert is_signed(post.headers["X-Orbit-Signature"], post.body, [webhook.secret], time.time())
    said = json.loads(post.body)
    assert post.headers["X-Orbit-Delivery"] == said["id"] == str(AlertDelivery.objects.get().pk)
    assert (said["event"], said["night"], said["as_of"], said["count"]) == (
        "accounts.changed",
        str(today),
        str(as_of),
        2,
    )
    first = said["accounts"][0]
    assert (first["score"], first["score_before"], first["became_hot"]) == (78, 61, True)
    assert first["reasons"] == ["2× Pricing"] and "owner_id" not in first


def test_slack_gets_text_in_which_a_strangers_name_is_only_text(news, web, as_of):
    company = make_company("evil.example", name="<!channel> @here <https://evil.example|Acme> & Co")
    make_snapshot(company, as_of, **HOT)
    hook(web, "slack")
    send_due()

    text = json.loads(web.posts[0].body)["text"]
    assert "X-Orbit-Signature" not in web.posts[0].headers
    assert "<" not in text and "&lt;!channel&gt; @\u200bhere" in text and "&amp; Co" in text


@pytest.mark.parametrize("status", [500, 503, 429, 408, 0])
def test_what_may_pass_is_tried_again_later_and_once_it_went_well_never_again(news, web, status):
    hook(web)
    web.orders.statuses = [status]
    send_due()
    assert deliveries() == [("webhook", "queued", 1)]
    send_due()
    assert len(web.posts) == 1  # its time has not come

    for _ in range(2):
        send_due(later(seconds=61))
    assert deliveries() == [("webhook", "sent", 2)]
    assert len(web.posts) == 2
    assert len({post.headers["X-Orbit-Delivery"] for post in web.posts}) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 410])
def test_what_cannot_pass_ends_at_once_and_no_redirect_is_followed(news, web, status):
    hook(web)
    web.orders.statuses, web.orders.location = [status], web.url
    send_due()

    assert deliveries() == [("webhook", "failed", 1)]
    assert len(web.posts) == 1
    assert AlertDelivery.objects.get().message == f"The receiver answered {status}."


def test_it_is_given_up_after_eight_attempts_with_growing_waits(news, web):
    hook(web)
    web.orders.statuses = [500] * 20
    waits, now = [], timezone.now()
    for _ in range(12):
        before = timezone.now()
        send_due(now)
        after = timezone.now()
        row = AlertDelivery.objects.get()
        waits.append((row.not_before - after, row.not_before - before))
        now = row.not_before + timedelta(seconds=1)

    for (least, most), seconds in zip(waits[: ATTEMPTS - 1], (60, 120, 240, 480, 960, 1920, 3600), strict=True):
        assert least <= timedelta(seconds=seconds) <= most
    assert deliveries() == [("webhook", "failed", ATTEMPTS)]
    assert len(web.posts) == ATTEMPTS


def test_a_mail_server_that_is_away_is_tried_again_and_one_that_refuses_is_not(news, mail):
    subscribe(news)
    mail.refuse = "451 later"
    send_due()
    assert deliveries() == [("user", "queued", 1)]
    mail.refuse = "550 nobody here"
    send_due(later(seconds=61))
    assert deliveries() == [("user", "failed", 2)]

    AlertDelivery.objects.all().send_again(timezone.now())
    mail.refuse = ""
    send_due(later(seconds=1))
    assert deliveries() == [("user", "sent", 1)] and len(mail.mails) == 1


def test_a_certificate_of_somebody_else_is_not_trusted_and_the_address_is_told_nobody(news, web, settings, caplog):
    hook(web)
    settings.ALERT_CA_FILE = ""
    send_due()

    row = AlertDelivery.objects.get()
    assert (row.state, web.posts) == ("queued", [])
    assert row.message == "SSLError on the way." and "s3cret" not in caplog.text


# --- Whom Orbit never calls (reliability 32) --------------------------------------------------------------------------
@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "ftp://hooks.example/x",
        "https://",
        "https:///x",
        "//hooks.example/x",
        "javascript:alert(1)",
        "https://user:hunter2@hooks.example/x",
        "https://x@127.0.0.1/",
        "https://hooks.example:22/x",
        "https://hooks.example:99999/x",
        " https://hooks.example/x",
        "https://[::1/x",
    ],
)
def test_an_address_that_is_none_for_a_web_hook_is_refused_as_it_is_entered(url):
    with pytest.raises(NotAllowed) as refused:
        checked_url(url)

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://hooks.example/x?y=a@b", "https://hooks.example:8443/x", "https://münchen.example/"]
)
def test_an_https_address_is_taken(url):
    assert checked_url(url)


PRIVATE = [
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::", "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_to_a_private_address_is_refused_even_as_one_of_two(address):
    for found in ([address], ["93.184.216.34", address]):
        with pytest.raises(NotAllowed, match="not public"):
            allowed_addresses("hooks.example", 443, lambda host, port, found=found: found)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_a_public_address_may_be_called(address):
    assert allowed_addresses("hooks.example", 443, lambda host, port: [address]) == [address]


def test_a_private_name_is_not_even_connected_to(news, web, settings):
    """Looked at where the connection is made, and only what was looked at is connected to: a name that means something
    else a moment later changes nothing."""
    hook(web)
    settings.ALERT_PRIVATE_HOSTS = ()
    send_due()

    assert web.connections == 0
    assert AlertDelivery.objects.get().state == "failed"
    assert AlertDelivery.objects.get().message == "localhost leads to 127.0.0.1, which is not public."


def test_the_name_is_looked_up_once_and_what_was_looked_at_is_connected_to(news, web, settings, monkeypatch):
    """A name server may say another thing a moment later (DNS rebinding): nobody asks it again."""
    asked, real = [], socket.getaddrinfo

    def moving(host, port, *args, **kwargs):
        if host != "rebind.example":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    hook(web)
    AlertWebhook.objects.update(url=web.url.replace("localhost", "rebind.example"))
    settings.ALERT_PRIVATE_HOSTS = ("rebind.example",)
    monkeypatch.setattr(socket, "getaddrinfo", moving)
    send_due()

    assert asked == ["rebind.example"]
    assert web.connections == 1 and web.posts == []  # the certificate is not its own


# --- Once, whoever sends and whatever dies ----------------------------------------------------------------------------
def test_the_outbox_holds_one_row_a_night_and_recipient(today, as_of):
    night = AlertNight.objects.create(slot=today, as_of=as_of, told_until=as_of)
    row = {"night": night, "recipient": "user:1", "not_before": timezone.now()}
    AlertDelivery.objects.create(**row)
    for broken in (
        row,
        row | {"recipient": "user:2", "state": "odd"},
        row | {"recipient": "user:3", "state": "sending"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            AlertDelivery.objects.create(**broken)
    with pytest.raises(IntegrityError), transaction.atomic():
        AlertNight.objects.create(slot=today, as_of=as_of, told_until=as_of)
    with pytest.raises(IntegrityError), transaction.atomic():
        AlertSubscription.objects.create()
    with pytest.raises(IntegrityError), transaction.atomic():
        AlertWebhook.objects.create(name="x", kind="pigeon", url="https://x.example")


def test_a_sender_that_died_is_followed_after_its_lease_with_the_same_id(news, web, settings):
    hook(web)
    alerts.make_messages(timezone.now())
    row = AlertDelivery.objects.get()
    dead = AlertDelivery.objects.claim(row, later(seconds=1))
    assert AlertDelivery.objects.claim(row, later(seconds=1)) is None
    send_due(later(seconds=2))
    assert web.posts == []

    AlertDelivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    send_due(later(seconds=3))
    assert [post.headers["X-Orbit-Delivery"] for post in web.posts] == [str(row.pk)]
    assert not dead.fail("late")  # it comes to, and changes nothing any more
    assert deliveries() == [("webhook", "sent", 2)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.mariadb
def test_ten_senders_at_once_send_one_message(news, web):
    hook(web)
    together = Barrier(10)

    def sender():
        together.wait()
        try:
            send_due(later(seconds=1))
        finally:
            connection.close()

    threads = [Thread(target=sender) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    send_due(later(seconds=2))

    assert len(web.posts) == 1
    assert deliveries() == [("webhook", "sent", 1)]


# --- The admin and the page -------------------------------------------------------------------------------------------
@pytest.fixture
def admin(client):
    client.force_login(make_user("boss", "internal_admin"))
    return client


def test_an_admin_makes_a_web_hook_whose_address_is_never_shown(admin):
    url = "https://hooks.example/services/T00/s3cret"
    form = {"name": "sales", "kind": "json", "url": url, "enabled": "on"}
    made = admin.post("/admin/abm_project/alertwebhook/add/", form, follow=True).content.decode()
    webhook = AlertWebhook.objects.get()

    assert webhook.url == url and webhook.secret in made
    for page in ("/admin/abm_project/alertwebhook/", f"/admin/abm_project/alertwebhook/{webhook.pk}/change/"):
        shown = admin.get(page).content.decode()
        assert "s3cret" not in shown and webhook.secret not in shown
    admin.post(f"/admin/abm_project/alertwebhook/{webhook.pk}/change/", form | {"url": "", "name": "both"})
    webhook.refresh_from_db()
    assert (webhook.name, webhook.url) == ("both", url)


@pytest.mark.parametrize("url", ["", "http://hooks.example", "https://a:b@hooks.example"])
def test_the_admin_refuses_an_address_that_is_none(admin, url):
    answer = admin.post("/admin/abm_project/alertwebhook/add/", {"name": "x", "kind": "slack", "url": url})

    assert answer.status_code == 200 and not AlertWebhook.objects.exists()


def test_an_admin_sends_a_message_again(admin, news, web):
    hook(web)
    web.orders.statuses = [404]
    send_due()
    row = AlertDelivery.objects.get()
    chosen = {"action": "send_again", "_selected_action": [str(row.pk)]}
    admin.post("/admin/abm_project/alertdelivery/", chosen)
    send_due(later(seconds=1))

    assert deliveries() == [("webhook", "sent", 1)]
    assert len(web.posts) == 2


def test_a_user_adds_quiets_and_removes_what_they_are_told(client):
    sam = make_user(email="sam@orbit.example")
    make_snapshot(make_company())
    client.force_login(sam)
    add = {"do": "add", "lane": "office", "mine": "on", "on_hot": "on"}
    assert client.post("/alerts", add)["Location"] == "/alerts"
    one = AlertSubscription.objects.get()
    assert (one.user, one.owner, one.lane, one.on_hot, one.on_exploding) == (sam, sam, "office", True, False)
    assert client.post("/alerts", add).status_code == 400  # once is enough
    assert "My accounts" in client.get("/alerts").content.decode()

    client.post("/alerts", {"do": "mute", "id": one.pk, "until": "2026-12-24"})
    one.refresh_from_db()
    assert str(one.muted_until) == "2026-12-24"
    client.post("/alerts", {"do": "remove", "id": one.pk})
    assert not AlertSubscription.objects.exists()


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"do": "dance"},
        {"do": "add", "lane": ""},
        {"do": "add", "lane": "no such lane", "on_hot": "on"},
        {"do": "add", "lane": "\x00", "on_hot": "on"},
    ],
)
def test_a_form_that_says_nothing_useful_is_a_400(client, form):
    client.force_login(make_user())

    assert client.post("/alerts", form).status_code == 400
    assert not AlertSubscription.objects.exists()


@pytest.mark.parametrize("id", ["", "x", "01890000-0000-7000-8000-000000000000", "hers"])
def test_somebody_elses_subscription_is_not_there(client, id):
    hers = subscribe(make_user("ann"))
    client.force_login(make_user())
    answer = client.post("/alerts", {"do": "remove", "id": hers.pk if id == "hers" else id})

    assert answer.status_code == 404 and AlertSubscription.objects.exists()


def test_a_user_without_an_address_is_told_so_and_many_lines_take_no_more_queries(
    client, django_assert_max_num_queries
):
    sam = make_user()
    client.force_login(sam)
    for lane in range(20):
        subscribe(sam, lane=f"lane_{lane}", owner=sam)
    with django_assert_max_num_queries(12):
        page = client.get("/alerts").content.decode()

    assert "has no mail address yet" in page
    assert client.post("/alerts", {"do": "add", "on_hot": "on"}).status_code == 400


def test_a_subscription_of_nobody_or_of_two_is_refused_in_words():
    user = make_user("ann", "sales")
    webhook = AlertWebhook.objects.create(name="team", kind="slack", url="https://hooks.example/x")
    for recipients in ({}, {"user": user, "webhook": webhook}):
        with pytest.raises(ValidationError, match="Choose a user or a webhook, not both"):
            AlertSubscription(**recipients).full_clean()
