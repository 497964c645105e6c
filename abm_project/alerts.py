"""Alerts after a published night: one message a recipient, by mail or webhook. The only outgoing web hooks.

`send_due` is called after a night and at every reconciliation, by whoever does those; the rows decide what it does. So
nobody has to remember anything: whatever was killed, the next call goes on where it ended.

1. The newest published night gets its messages, in one transaction, once. 2. Each message that is due is claimed by one
sender, under a lease, and sent. A sender that dies between sending and saying so leaves a message that is sent again,
under the same id: at least once, and recognisably the same.
"""

import logging
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from email.utils import parseaddr
from functools import partial
from smtplib import SMTPException, SMTPRecipientsRefused
from threading import Timer
from typing import Any

import orjson
import requests
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import IntegrityError
from django.utils import timezone
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError

from abm_project.access import roles
from abm_project.api.signatures import signature
from abm_project.dashboards.handling import snoozed_by
from abm_project.models import AlertDelivery, AlertNight, AlertSubscription, AlertWebhook
from abm_project.transitions import Change, changes, content, lines, link, subject
from ingestion.outgoing import NotAllowed, addresses, checked_url, refuse_private
from registry.transactions import transact
from scoring.models import NIGHT, JobRun

log = logging.getLogger(__name__)
ATTEMPTS = 8
LONGEST_WAIT = timedelta(hours=1)
NEWS = timedelta(days=2)  # an older night is none
ROUND_SECONDS = 60  # of one call; the next one goes on
CONNECT_SECONDS, SILENCE_SECONDS, ANSWER_SECONDS = 5, 10, 20


class TryAgain(Exception):
    """It may work later."""


class Hopeless(Exception):
    """It will not work as it is; the text says what to change."""


def send_due(now: datetime | None = None) -> None:
    """Make the messages of the newest published night, if nobody has, and send what is due."""
    now = now or timezone.now()
    make_messages(now)
    end = time.monotonic() + ROUND_SECONDS
    for delivery in AlertDelivery.objects.due(now).order_by("not_before", "id"):
        if time.monotonic() > end:
            return
        claimed = AlertDelivery.objects.claim(delivery, now)
        if claimed is not None:
            deliver(claimed, timezone.now())


# --- Who is told what -------------------------------------------------------------------------------------------------
def make_messages(now: datetime) -> None:
    night = JobRun.objects.filter(kind=NIGHT, state=JobRun.State.DONE).order_by("-slot").first()
    if night is None or night.slot is None or night.finished_at is None or now - night.finished_at > NEWS:
        return
    if AlertNight.objects.filter(slot__gte=night.slot).exists():
        return
    try:
        transact(partial(_make_messages, night, now))
    except IntegrityError:
        log.debug("The messages of %s were made by somebody else this moment.", night.slot)


def _make_messages(night: JobRun, now: datetime) -> None:
    assert night.slot is not None
    as_of = night.slot - timedelta(days=1)
    last = AlertNight.objects.order_by("-slot").first()
    told_until = last.as_of if last else as_of - timedelta(days=1)
    if settings.RUN_RETENTION_DAYS:
        AlertNight.objects.filter(slot__lt=night.slot - timedelta(days=settings.RUN_RETENTION_DAYS)).delete()
    made = AlertNight.objects.create(slot=night.slot, as_of=as_of, told_until=told_until)
    found = changes(as_of, told_until, settings.ALERT_QUIET_DAYS)
    made.accounts = len(found)
    made.save(update_fields=["accounts", "updated_at"])
    AlertDelivery.objects.bulk_create(
        AlertDelivery(
            night=made,
            recipient=recipient,
            user=subscriptions[0].user,
            webhook=subscriptions[0].webhook,
            content_json=content(wanted, as_of),
            not_before=now,
        )
        for recipient, subscriptions in by_recipient(now).items()
        if (wanted := wanted_by(subscriptions, found, now))
    )


def by_recipient(now: datetime) -> dict[str, list[AlertSubscription]]:
    """Subscriptions that are in force, of those who may see accounts at all."""
    found: dict[str, list[AlertSubscription]] = {}
    rows = AlertSubscription.objects.exclude(muted_until__gt=now.date()).select_related("user", "webhook")
    for one in rows.order_by("created_at", "id"):
        if one.user and roles(one.user) and one.user.email:
            found.setdefault(f"user:{one.user.pk}", []).append(one)
        elif one.webhook and one.webhook.enabled:
            found.setdefault(f"webhook:{one.webhook.pk}", []).append(one)
    return found


def wanted_by(subscriptions: list[AlertSubscription], found: list[Change], now: datetime) -> list[Change]:
    """What one recipient is told; nothing of accounts that they put aside for now."""
    user = subscriptions[0].user
    aside = set(snoozed_by(user.pk, now.date())) if user else set()
    return [
        change
        for change in found
        if change.company_id not in aside and any(is_wanted(change, one) for one in subscriptions)
    ]


def is_wanted(change: Change, by: AlertSubscription) -> bool:
    return by.wants(change.lane, change.owner_id, change.became_hot, change.became_exploding)


# --- Sending ----------------------------------------------------------------------------------------------------------
def deliver(delivery: AlertDelivery, now: datetime) -> None:
    """Send a claimed message, and keep what became of it."""
    try:
        send_mail(delivery) if delivery.user else post(delivery, now)
    except Hopeless as why:
        delivery.fail(str(why))
    except TryAgain as why:
        if delivery.attempts >= ATTEMPTS:
            delivery.fail(f"Given up after {ATTEMPTS} attempts: {why}")
        else:
            wait = timedelta(seconds=settings.ALERT_RETRY_SECONDS * 2 ** (delivery.attempts - 1))
            delivery.try_again(str(why), now + min(wait, LONGEST_WAIT))
    except Exception as bug:
        log.exception("An alert could not be sent.")
        delivery.fail(f"{type(bug).__name__}: see the log.")
    else:
        delivery.succeed(timezone.now())


def send_mail(delivery: AlertDelivery) -> None:
    if not settings.EMAIL_GOES_OUT:
        raise Hopeless("EMAIL_URL is not set: no mail can be sent.")
    assert delivery.user is not None
    said = delivery.content_json
    ending = [f"Change what you are told: {settings.PUBLIC_URL}/alerts"] if settings.PUBLIC_URL else []
    host = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    mail = EmailMessage(
        subject(said),
        "\n\n".join([*lines(said, settings.PUBLIC_URL), *ending]),
        to=[delivery.user.email],
        headers={"Message-ID": f"<{delivery.pk}@{host}>", "Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send()
    except SMTPRecipientsRefused as error:
        (code, _), *_ = error.recipients.values()
        raise (Hopeless if code >= 500 else TryAgain)(f"The mail server refuses the address ({code}).") from error
    except (SMTPException, OSError) as error:
        raise TryAgain(f"The mail server did not take it ({type(error).__name__}).") from error


def post(delivery: AlertDelivery, now: datetime) -> None:
    webhook = delivery.webhook
    assert webhook is not None
    if not webhook.enabled:
        raise Hopeless("The webhook is disabled.")
    raw = orjson.dumps(body_of(delivery, webhook.kind))
    headers = {"Content-Type": "application/json", "User-Agent": "Orbit", "X-Orbit-Delivery": str(delivery.pk)}
    if webhook.kind == AlertWebhook.Kind.JSON:
        stamp = int(now.timestamp())
        headers["X-Orbit-Signature"] = f"t={stamp},v1={signature(webhook.secret, stamp, raw)}"
    status = call(webhook.url, raw, headers)
    if not 200 <= status < 300:
        hopeless = 300 <= status < 500 and status not in (408, 425, 429)
        raise (Hopeless if hopeless else TryAgain)(f"The receiver answered {status}.")


def body_of(delivery: AlertDelivery, kind: str) -> Mapping[str, Any]:
    said, public_url = delivery.content_json, settings.PUBLIC_URL
    if kind == AlertWebhook.Kind.SLACK:
        return {"text": harmless("\n\n".join([f"*{subject(said)}*", *lines(said, public_url)]))}
    accounts = [account | {"url": link(account, public_url)} for account in said["accounts"]]
    event = {"event": "accounts.changed", "id": str(delivery.pk), "night": str(delivery.night.slot)}
    return {**event, **said, "accounts": accounts}


def harmless(text: str) -> str:
    """Names come from strangers: no link, no mention of a channel (the character after @ has no width)."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", "@\u200b")


# --- The wire ---------------------------------------------------------------------------------------------------------
def call(url: str, raw: bytes, headers: Mapping[str, str]) -> int:
    """POST, and the status of the answer, whose body is not read. Hopeless where the address may not be called."""
    try:
        checked_url(url)
        with requests.Session() as session:
            session.trust_env = False  # no proxy and no .netrc that the settings do not name
            session.mount("https://", _CheckedAdapter())
            session.verify = settings.ALERT_CA_FILE or True
            timeout = (CONNECT_SECONDS, SILENCE_SECONDS)
            with session.post(
                url, data=raw, headers=dict(headers), timeout=timeout, allow_redirects=False, stream=True
            ) as answer:
                return answer.status_code
    except NotAllowed as error:
        raise Hopeless(str(error)) from error
    except (requests.RequestException, HTTPError, OSError) as error:
        refused = _refusal(error)
        if refused is not None:
            raise Hopeless(str(refused)) from error
        raise TryAgain(f"{type(error).__name__} on the way.") from error  # its text may hold the address


def _refusal(error: BaseException | None) -> NotAllowed | None:
    """Ours, however deep the libraries have wrapped it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, NotAllowed):
            return error
        seen.add(id(error))
        inner = getattr(error, "reason", None) or next((arg for arg in error.args if isinstance(arg, Exception)), None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return None


class _CheckedConnection(HTTPSConnection):
    """Connects to the very address that was looked at: a name that means something else a moment later (DNS rebinding)
    gets nowhere. The certificate is still the name's. The whole call ends after ANSWER_SECONDS."""

    def _new_conn(self) -> socket.socket:
        last: OSError = OSError("no address")
        for address in allowed_addresses(self.host, self.port or 443):
            try:
                found = socket.create_connection((address, self.port or 443), CONNECT_SECONDS)
            except OSError as error:
                last = error
                continue
            self._deadline = Timer(ANSWER_SECONDS, self._cut)
            self._deadline.daemon = True
            self._deadline.start()
            return found
        raise NewConnectionError(self, f"{type(last).__name__}") from last

    def _cut(self) -> None:
        try:
            if self.sock is not None:
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("The connection had ended already.")

    def close(self) -> None:
        if hasattr(self, "_deadline"):
            self._deadline.cancel()
        super().close()


class _CheckedPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedConnection


class _CheckedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _CheckedPool}


def allowed_addresses(host: str, port: int, resolve: Callable[[str, int], Iterable[str]] = addresses) -> list[str]:
    """Where the name leads now. NotAllowed if any of it is not public, unless the settings name the host."""
    found = list(dict.fromkeys(resolve(host, port)))
    if host.lower() not in settings.ALERT_PRIVATE_HOSTS:
        for address in found:
            refuse_private(host, address)
    return found
