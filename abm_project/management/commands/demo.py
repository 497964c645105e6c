"""Fill a SQLite database with a believable quarter of activity, score it and say how to sign in.

Everything goes the way of real data, in one process: tables, registry, `import_activity` of a PostHog export file, then
`recompute_intent`. What an admin would decide by hand (names, owners, an alias, a suppressed rival) is decided here.

Run again on the same day, it only makes a new password. Run on a later day, it tells the same story up to yesterday:
the new window's days are imported over the old ones and scored again. A database that holds activity from elsewhere is
left as it is.
"""

import io
import json
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction
from django.db.models import Max

from abm_project.access import INTERNAL_ADMIN, SALES, give_role
from accounts.domains import resolve_account_key
from accounts.models import Contact, ContactIdentity, ProspectCompany
from accounts.resolution import add_alias
from ingestion.demo import BRANCH, BRANCH_OF, COMPETITOR, DEMO_COMPANIES, Company, DemoLead, demo_events, demo_leads
from ingestion.models import ActivityPull, LeadRequest
from registry.models import DomainRule
from registry.values import DomainRuleKind
from scoring.models import DailyAccountIntent, JobRun

USER, COLLEAGUE = "demo", "maya"
SNAPSHOTS = 30  # days of history
EXPORT = "orbit-demo.jsonl"  # an import keeps its file's name: by it the demo knows its own facts again


class Command(BaseCommand):
    help = "Fill a SQLite database with the demo, score it, and print how to sign in. For trying Orbit out only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="http://127.0.0.1:8000/", help="Where it will be served; only printed.")
        parser.add_argument("--companies", type=int, default=len(DEMO_COMPANIES), metavar="N", help="Default: all 100.")

    def handle(self, *args: Any, url: str, companies: int, **options: Any) -> None:
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
        self.stdout.write(
            f"\nOrbit is ready.\n\n"
            f"  URL       {url}\n  User      {USER}\n  Password  {password}   (a new one each time)\n"
        )

    def load(self, last_day: date, companies: Sequence[Company]) -> None:
        with self.step("Registry"):
            quietly("seed_registry")
        with self.step("90 days of activity"):
            import_events(last_day, len(companies))
        with self.step("Accounts and lead requests"), transaction.atomic():
            name_accounts(companies)
            share_accounts(companies)
            decide_domains()
            for lead in demo_leads(last_day):
                store_lead(lead)
        with self.step(f"Scores of {SNAPSHOTS} days"):
            score(last_day)

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


def import_events(last_day: date, companies: int) -> None:
    with tempfile.TemporaryDirectory(prefix="orbit-demo-") as directory:
        export = Path(directory) / EXPORT
        with export.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(event) + "\n" for event in demo_events(last_day, companies=companies))
        quietly("import_activity", str(export), "--replace")


def score(last_day: date) -> None:
    # The facts under an earlier day's demo were replaced: the snapshots it made must say what they say now.
    restate = ["--restate", "--no-input"] if DailyAccountIntent.objects.exists() else []
    quietly("recompute_intent", "--date", f"{last_day}", "--backfill", f"{SNAPSHOTS}", *restate)


def name_accounts(companies: Sequence[Company]) -> None:
    """Give accounts the names that PostHog's groups would have; what a lead or an admin called them stays."""
    group, unnamed = ProspectCompany.NameSource.GROUP, ProspectCompany.NameSource.DOMAIN
    for company in (*companies, COMPETITOR):
        name = {"name": company.name, "name_source": group}
        account, created = ProspectCompany.objects.get_or_create(domain=company.domain, defaults=name)
        if not created and account.name_source == unnamed:
            ProspectCompany.objects.filter(pk=account.pk).update(**name)


def share_accounts(companies: Sequence[Company]) -> None:
    """Every third account is the demo user's, every third a colleague's, the rest nobody's."""
    for turn, seller in enumerate(make_sellers()):
        theirs = [company.domain for company in companies[turn::3]]
        ProspectCompany.objects.filter(domain__in=theirs, owner__isnull=True).update(owner=seller)


def make_sellers() -> list[User]:
    """The user who will sign in, and one who never does."""
    sellers = []
    for name, roles in ((USER, (INTERNAL_ADMIN, SALES)), (COLLEAGUE, (SALES,))):
        user, created = User.objects.get_or_create(username=name)
        if created:
            user.set_unusable_password()
            user.save()
        for role in roles:
            give_role(user, role)
        sellers.append(user)
    return sellers


def decide_domains() -> None:
    """A rival that reads our prices is not to be called, and a branch's domain counts for its parent."""
    DomainRule.objects.get_or_create(
        domain=COMPETITOR.domain, kind=DomainRuleKind.COMPETITOR, defaults={"reason": "A rival reading our prices."}
    )
    parent, _ = ProspectCompany.objects.get_or_create(domain=BRANCH_OF, defaults={"name": BRANCH_OF})
    add_alias(parent, BRANCH.domain)


def store_lead(lead: DemoLead) -> None:
    """A lead request with its account and contact. Told again on a later day, the same request moves with the story."""
    account_key = resolve_account_key(asdict(lead))
    account = contact = None
    if account_key:
        name = {"name": lead.organization_name, "name_source": ProspectCompany.NameSource.LEAD}
        account, _ = ProspectCompany.objects.get_or_create(domain=account_key, defaults=name)
        contact = store_contact(account, lead)
    LeadRequest.objects.update_or_create(
        work_email=lead.work_email,
        message=lead.message,
        defaults={
            **asdict(lead),
            "account_key": account_key,
            "prospect_company": account,
            "contact": contact,
            "payload_json": {**asdict(lead), "submitted_at": lead.submitted_at.isoformat()},
        },
    )


def store_contact(account: ProspectCompany, lead: DemoLead) -> Contact:
    known = {"first_name": lead.first_name, "last_name": lead.last_name, "title": lead.title}
    contact, _ = Contact.objects.get_or_create(prospect_company=account, email=lead.work_email, defaults=known)
    for distinct_id in lead.tracking_json.values():
        ContactIdentity.objects.get_or_create(
            identity_type=ContactIdentity.Type.POSTHOG_DISTINCT_ID,
            identity_value=distinct_id,
            defaults={"contact": contact},
        )
    return contact


def new_password() -> str:
    password = secrets.token_urlsafe(12)
    user = make_sellers()[0]
    user.set_password(password)
    user.save(update_fields=["password"])
    return password
