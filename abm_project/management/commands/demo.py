"""Fill a SQLite database with a believable quarter of activity, score it and say how to sign in.

Everything goes the way of real data, in one process: tables, registry, `import_activity` of a PostHog export file, lead
requests as the public door takes them in, `recompute_intent`, and what a night notes of known people. What an admin
would decide by hand (names, owners, an alias, a merge, who is not to be called) is decided here.

Run again on the same day, it only makes a new password. Run on a later day, it tells the same story up to yesterday:
the new window's days are imported over the old ones and scored again, and its lead requests come in anew. A database
that holds activity from elsewhere is left as it is.
"""

import io
import json
import secrets
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction
from django.db.models import Max

from abm_project.access import INTERNAL_ADMIN, SALES, give_role
from abm_project.models import AccountAction
from abm_project.ownership import contacted, give, snooze
from accounts.models import ContactIdentity, IntentSignal, ProspectCompany
from accounts.resolution import add_alias, merge
from ingestion.cells import cta, page_path, stored_name
from ingestion.demo import DemoLead, demo_events, demo_leads
from ingestion.demo_cast import (
    BOUGHT,
    BOUGHT_BY,
    BRANCH,
    BRANCH_OF,
    DEMO_COMPANIES,
    LINK_CHECKER,
    NOTES,
    SUPPRESSED,
    Company,
)
from ingestion.events import Cell
from ingestion.leads import ingest_lead_request, set_status
from ingestion.models import ActivityPull, LeadRequest
from ingestion.visits import Visit
from registry.loader import load_registry
from registry.models import DomainRule
from scoring.engine import WEEK, Classifier
from scoring.models import PULL, RECOMPUTE, DailyAccountIntent, JobRun
from scoring.people import note
from scoring.rollup import CannotScore
from scoring.runs import run_recompute

USER, COLLEAGUES = "demo", ("maya", "jonas")
TURNS = 5  # every so many accounts one is each seller's; the rest are nobody's
SNAPSHOTS = 30  # days of history
WINDOW = 90  # days of activity
EXPORT = "orbit-demo.jsonl"  # an import keeps its file's name: by it the demo knows its own facts again
Event = Mapping[str, Any]


class Command(BaseCommand):
    help = "Fill a SQLite database with the demo, score it, and print how to sign in. For trying Orbit out only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", help="Where it will be served; only printed.")
        parser.add_argument("--companies", type=int, default=len(DEMO_COMPANIES), metavar="N", help="Default: all 400.")

    def handle(self, *args: Any, url: str | None, companies: int, **options: Any) -> None:
        if connection.vendor != "sqlite":
            raise CommandError(
                f"The demo is for trying Orbit out and writes only to SQLite; DATABASE_URL names {connection.vendor}."
            )
        last_day = yesterday()
        with self.step("Tables"):
            quietly("migrate", "--no-input")
        if has_other_activity():
            self.stdout.write("This database holds activity that is not the demo's: nothing is added to it.")
        elif is_loaded(last_day):
            self.stdout.write("The demo data is there already.")
        else:
            self.load(last_day, DEMO_COMPANIES[: max(1, companies)])
        with self.step("A new password"):
            password = new_password()
        address = f"  URL       {url}\n" if url else ""
        self.stdout.write(
            f"\nOrbit is ready.\n\n{address}  User      {USER}\n  Password  {password}   (a new one each time)\n"
        )

    def load(self, last_day: date, companies: Sequence[Company]) -> None:
        with self.step("Registry"):
            quietly("seed_registry")
        with self.step(f"{WINDOW} days of activity"):
            events = list(demo_events(last_day, WINDOW, len(companies)))
            import_events(events)
        with self.step("Accounts and lead requests"), transaction.atomic():
            name_accounts(companies)
            share_accounts(companies)
            decide_domains()
            take_in(demo_leads(last_day, len(companies)))
            work_accounts(companies, last_day)
        with self.step(f"Scores of {SNAPSHOTS} days"):
            remember_mishaps(last_day)
            score(last_day)
        with self.step("Known people"):
            see_people(events, last_day)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One line a step, with its seconds."""
        start = time.monotonic()
        self.stdout.write(f"{name} … ", ending="")
        self.stdout.flush()
        try:
            yield
        except BaseException:
            self.stdout.write("failed")
            raise
        self.stdout.write(f"{time.monotonic() - start:.1f} s")


def yesterday() -> date:
    """The last full UTC day: the one that last night scored."""
    return datetime.now(UTC).date() - timedelta(days=1)


def quietly(command: str, *args: str) -> None:
    """Run another command without its report and progress bars; what goes wrong is raised."""
    with redirect_stderr(io.StringIO()):
        call_command(command, *args, verbosity=0, stdout=io.StringIO())


def has_other_activity() -> bool:
    return ActivityPull.objects.exclude(source__endswith=f" in {EXPORT}").exists()


def is_loaded(last_day: date) -> bool:
    """Whether an earlier run got to its end today: facts and scores reach yesterday and the last run succeeded."""
    newest_pull = ActivityPull.objects.aggregate(Max("date"))["date__max"]
    last_run = JobRun.objects.filter(kind="recompute").order_by("-started_at", "-id").first()
    return (
        newest_pull == last_day
        and last_run is not None
        and last_run.state == JobRun.State.DONE
        and DailyAccountIntent.objects.filter(date=last_day).exists()
    )


def import_events(events: Iterable[Event]) -> None:
    with tempfile.TemporaryDirectory(prefix="orbit-demo-") as directory:
        export = Path(directory) / EXPORT
        with export.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)
        quietly("import_activity", str(export), "--replace")


def remember_mishaps(last_day: date) -> None:
    """The two runs of the past that did not go well, so that the Runs page shows what it says of such ones."""
    if JobRun.objects.exclude(state=JobRun.State.DONE).exists():
        return
    before_all = last_day - timedelta(days=WINDOW)
    with suppress(CannotScore):
        run_recompute([before_all], datetime.now(UTC), asked_by=COLLEAGUES[0])
    days = {"days": [str(last_day - timedelta(days=9))]}
    held = JobRun.objects.claim(PULL, datetime.now(UTC), is_bulk=True, asked_by=COLLEAGUES[1], params=days)
    held.hold(
        f"{days['days'][0]} has 31 events, and the same weekday of the four weeks before had 214. Something is likely"
        " broken on the way from the site to PostHog, so nothing was scored.",
        datetime.now(UTC),
    )
    for run, days_ago in ((JobRun.objects.get(kind=RECOMPUTE, state=JobRun.State.FAILED), 3), (held, 8)):
        began = datetime.combine(last_day - timedelta(days=days_ago), datetime.min.time(), UTC) + timedelta(hours=10)
        times = {"started_at": began, "heartbeat_at": began, "finished_at": began + timedelta(seconds=4)}
        JobRun.objects.filter(pk=run.pk).update(**times)


def score(last_day: date) -> None:
    # The facts under an earlier day's demo were replaced: the snapshots it made must say what they say now.
    restate = ["--restate", "--no-input"] if DailyAccountIntent.objects.exists() else []
    quietly("recompute_intent", "--date", f"{last_day}", "--backfill", f"{SNAPSHOTS}", *restate)


def name_accounts(companies: Sequence[Company]) -> None:
    """Give accounts the names that PostHog's groups would have; what a lead or an admin called them stays."""
    group, unnamed = ProspectCompany.NameSource.GROUP, ProspectCompany.NameSource.DOMAIN
    for company in (*companies, BOUGHT, LINK_CHECKER, *(company for company, _ in SUPPRESSED.values())):
        name = {"name": company.name, "name_source": group}
        account, created = ProspectCompany.objects.get_or_create(domain=company.domain, defaults=name)
        if not created and account.name_source == unnamed:
            ProspectCompany.objects.filter(pk=account.pk).update(**name)


def share_accounts(companies: Sequence[Company]) -> None:
    for turn, seller in enumerate(make_sellers()):
        theirs = [company.domain for company in companies[turn::TURNS]]
        ProspectCompany.objects.filter(domain__in=theirs, owner__isnull=True).update(owner=seller)


def make_sellers() -> list[User]:
    """The user who will sign in, and those who never do."""
    sellers = []
    for name, roles in ((USER, (INTERNAL_ADMIN, SALES)), *((name, (SALES,)) for name in COLLEAGUES)):
        user, created = User.objects.get_or_create(username=name)
        if created:
            user.set_unusable_password()
            user.save()
        for role in roles:
            give_role(user, role)
        sellers.append(user)
    return sellers


def decide_domains() -> None:
    """Who reads our pages and is not to be called; a branch's domain counts for its parent, and so does what was
    bought."""
    for kind, (company, reason) in SUPPRESSED.items():
        DomainRule.objects.get_or_create(domain=company.domain, kind=kind, defaults={"reason": reason})
    parent, _ = ProspectCompany.objects.get_or_create(domain=BRANCH_OF, defaults={"name": BRANCH_OF})
    add_alias(parent, BRANCH.domain)
    buyer, _ = ProspectCompany.objects.get_or_create(domain=BOUGHT_BY, defaults={"name": BOUGHT_BY})
    merge(ProspectCompany.objects.get(domain=BOUGHT.domain), into=buyer)


# --- People -----------------------------------------------------------------------------------------------------------
def take_in(leads: Sequence[DemoLead]) -> None:
    """Each as if it came at its time. Those of an earlier day's telling make room: the same request moves with the
    story."""
    told = LeadRequest.objects.filter(work_email__in={lead.work_email for lead in leads})
    marks = [str(pk) for pk in told.values_list("pk", flat=True)]
    IntentSignal.objects.filter(detail_json__lead_request__in=marks).delete()
    told.delete()
    for lead in leads:
        fields = asdict(lead)
        status, is_spam = fields.pop("status"), fields.pop("is_honeypot")
        payload = form_body(fields) | ({settings.LEAD_HONEYPOT: "on"} if is_spam else {})
        raw = json.dumps(payload).encode()
        stored = ingest_lead_request(fields, payload, raw, lead.submitted_at, is_spam=is_spam).lead
        if stored.status != status:
            set_status(stored, status)


def form_body(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields under the names of the site's form, without those left empty."""
    names = {"lane": "service_lane", "tracking_json": "tracking"}
    sent = {name: value for name, value in fields.items() if name != "submitted_at" and value not in ("", None, {})}
    return {names.get(name, name): value for name, value in sent.items()}


def work_accounts(companies: Sequence[Company], last_day: date) -> None:
    """What sellers did, once: somebody was in touch about a lead, silent accounts are snoozed, one was handed over."""
    if AccountAction.objects.exists():
        return
    seller, colleague, _ = make_sellers()
    leads = LeadRequest.objects.filter(status__in=["working", "qualified"], prospect_company__owner__isnull=False)
    for turn, lead in enumerate(leads.select_related("prospect_company__owner").order_by("submitted_at", "work_email")):
        owner, at = lead.prospect_company.owner, lead.submitted_at + timedelta(hours=3)
        contacted(lead.prospect_company_id, owner, NOTES[turn % len(NOTES)], at)
    morning = datetime.combine(last_day, datetime.min.time(), UTC) + timedelta(hours=9)
    silent = [company.domain for company in companies if company.profile == "silent"]
    for account in ProspectCompany.objects.filter(owner=seller, domain__in=silent).order_by("domain")[:2]:
        snooze(account.pk, seller, last_day + timedelta(days=15), morning)
    for account in ProspectCompany.objects.filter(owner=colleague).order_by("domain")[:1]:
        give(account.pk, USER, colleague, morning)


def see_people(events: Iterable[Event], last_day: date) -> None:
    """What the nights up to now would have noted of known people: the last time, and seven days of what they read."""
    ids = ContactIdentity.objects.filter(identity_type=ContactIdentity.Type.POSTHOG_DISTINCT_ID)
    contacts = dict(ids.values_list("identity_value", "contact_id"))
    found: dict[Any, list[Visit]] = defaultdict(list)
    for event in events:
        if contact := contacts.get(event["distinct_id"]):
            found[contact].append(visit(event, last_day))
    registry = load_registry()
    classifier = Classifier(registry.rule_set(), registry.weights)
    with transaction.atomic():
        note(found, classifier, datetime.now(UTC), lambda: None)


def visit(event: Event, last_day: date) -> Visit:
    """Of an event that is more than seven days old only the time is left."""
    at, said = datetime.fromisoformat(event["timestamp"]), event["properties"]
    content_type, lane = stored_name(said.get("content_type", "")), stored_name(said.get("service_lane", ""))
    name = settings.ACTIVITY_EVENT_ALIASES.get(event["event"], event["event"])
    cell = Cell(name, content_type, lane, cta(said.get("cta_id", "")), page_path(said), 1)
    is_recent = at.date() > last_day - timedelta(days=WEEK)
    return Visit(event["distinct_id"], (cell,) if is_recent else (), at)


def new_password() -> str:
    password = secrets.token_urlsafe(12)
    user = make_sellers()[0]
    user.set_password(password)
    user.save(update_fields=["password"])
    return password
