"""Alerts while their senders are killed: every recipient gets the night's message, and can tell it is one (P6)."""

import time

import pytest
from django.conf import settings

from tests.installation import ended, installation
from tests.receivers import MailServer, WebServer, make_certificate, serving

DATABASE = settings.DATABASES["default"]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="kills processes that use a MariaDB server"),
]
STAGE = """
from datetime import timedelta
from django.utils import timezone
from abm_project.models import AlertSubscription, AlertWebhook
from registry.models import ScoreConfig
from scoring.models import JobRun
from tests.factories import make_company, make_run, make_snapshot, make_user
today = timezone.now().date()
for number in range(3):
    make_snapshot(make_company(f"c{{number}}.example"), today - timedelta(days=1), intent_stage="Hot", intent_score=80)
for number in range(4):
    AlertSubscription.objects.create(user=make_user(f"u{{number}}", email=f"u{{number}}@orbit.example"))
    webhook = AlertWebhook.objects.create(name=f"w{{number}}", kind="json", url="{url}")
    AlertSubscription.objects.create(webhook=webhook)
make_run("night", day=today, slot=today, finished_at=timezone.now())
"""
SEND = "from abm_project.alerts import send_due; send_due()"


@pytest.fixture
def stage(tmp_path):
    """An installation with news for four people and four web hooks, and the two servers they are sent to."""
    certificate = make_certificate(tmp_path)
    server = {"host": DATABASE["HOST"], "port": int(DATABASE["PORT"] or 3306), "user": DATABASE["USER"]}
    with serving(MailServer()) as mail, serving(WebServer(certificate)) as web:
        environment = {
            "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
            "ALERT_LEASE_SECONDS": "1",
            "ALERT_RETRY_SECONDS": "0",
            "ALERT_PRIVATE_HOSTS": "localhost",
            "ALERT_CA_FILE": str(certificate),
        }
        with installation({**server, "password": DATABASE["PASSWORD"]}, **environment) as home:
            home.run("shell", "--no-imports", "-c", STAGE.format(url=web.url))
            yield home, mail, web


def sender(home):
    return home.start("shell", "--no-imports", "-c", SEND)


def states(home):
    return dict(home.query("SELECT state, COUNT(*) FROM abm_alert_deliveries GROUP BY state"))


def kill(process):
    process.kill()  # and not os.kill: it says nothing of a process that ended just before
    process.communicate()


@pytest.mark.parametrize("held_back", ["mail", "web"])
def test_a_sender_killed_while_the_receiver_has_the_message_and_has_not_answered(stage, held_back):
    home, mail, web = stage
    receiver = mail if held_back == "mail" else web
    receiver.answer.clear()
    first = sender(home)
    assert receiver.got.wait(60)
    kill(first)
    receiver.answer.set()

    deadline = time.monotonic() + 60
    while states(home) != {"sent": 8}:
        assert time.monotonic() < deadline, states(home)
        code, said = ended(sender(home))
        assert code == 0, said
    assert {message["To"] for message in mail.mails} == {f"u{number}@orbit.example" for number in range(4)}
    assert len({message["Message-ID"] for message in mail.mails}) == 4
    assert len({post.headers["X-Orbit-Delivery"] for post in web.posts}) == 4
    assert len(mail.mails) + len(web.posts) == 9  # the one in the air came twice, under one id


def test_senders_killed_at_any_moment_leave_everybody_told_and_each_message_known_by_its_id(stage):
    home, mail, web = stage
    kills = 0
    for wait in (0.6, 0.9, 1.1, 1.2, 1.3, 1.4):
        processes = [sender(home), sender(home)]
        time.sleep(wait)  # the point is to strike anywhere
        for process in processes:
            kills += process.poll() is None
            kill(process)
    deadline = time.monotonic() + 60
    while states(home) != {"sent": 8}:
        assert time.monotonic() < deadline, states(home)
        code, said = ended(sender(home))
        assert code == 0, said

    assert kills
    assert home.query("SELECT COUNT(*) FROM abm_alert_nights") == [(1,)]
    ids = [message["Message-ID"] for message in mail.mails] + [post.headers["X-Orbit-Delivery"] for post in web.posts]
    assert len(set(ids)) == 8
