"""A person is erased everywhere; what only counts stays, and a lead that comes later makes no contact of them."""

import io
import json

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Contact, ErasedPerson, IntentSignal, ProspectCompany
from ingestion.leads import ingest_lead_request
from ingestion.models import LeadRequest
from registry.seeds import seed
from scoring.evidence import lead_marks
from tests.factories import make_user

pytestmark = pytest.mark.django_db
SECRETS = ("ann@acme.example", "Annabel", "Archibald", "Chief Noodle", "+1 555 0100", "ph-secret", "call me at home")


def lead(email="ann@acme.example", message="call me at home", **fields):
    said = {
        "work_email": email,
        "first_name": "Annabel",
        "last_name": "Archibald",
        "title": "Chief Noodle",
        "phone": "+1 555 0100",
        "organization_website": "https://acme.example",
        "organization_name": "Acme",
        "message": message,
        "lane": "office",
        "request_type": "reservation",
        "tracking_json": {"posthog_distinct_id": "ph-secret"},
        **fields,
    }
    raw = json.dumps(said).encode()
    return ingest_lead_request(said, said, raw, timezone.now()).lead


def erase(*options):
    out = io.StringIO()
    call_command("erase_person", "Ann@Acme.example ", *options, stdout=out)
    return out.getvalue()


def every_text():
    """Every value of every row of every table."""
    rows = [row for model in apps.get_models() if model._meta.managed for row in model.objects.values_list()]
    return "\n".join(str(row) for row in rows)


@pytest.fixture
def ann():
    seed()
    first = lead()
    LogEntry.objects.create(
        user=make_user("admin", "internal_admin"),
        content_type=ContentType.objects.get_for_model(Contact),
        object_id=str(first.contact_id),
        object_repr="ann@acme.example",
        action_flag=CHANGE,
        change_message='["Annabel"]',
    )
    return first


def test_nothing_that_names_the_person_is_left_in_any_table(ann):
    assert all(secret in every_text() for secret in SECRETS)

    said = erase()

    assert [secret for secret in SECRETS if secret in every_text()] == []
    assert "contacts       1\nidentities     1\nlead requests  1\nsignals        1\n" in said
    assert "log entries    1\n" in said
    assert "ann@" not in said


def test_what_only_counts_stays(ann):
    score, marks = ann.lead_score, list(lead_marks(["acme.example"], ann.submitted_at.date(), ann.submitted_at.date()))

    erase()

    kept = LeadRequest.objects.get()
    assert (kept.account_key, kept.lane, kept.request_type, kept.lead_score) == (
        "acme.example", "office", "reservation", score,
    )  # fmt: skip
    assert list(lead_marks(["acme.example"], kept.submitted_at.date(), kept.submitted_at.date())) == marks
    assert ProspectCompany.objects.get().name == "Acme"
    assert IntentSignal.objects.get().summary == "Reservation request by somebody for office"


def test_others_of_the_account_are_left_alone(ann):
    lead("bob@acme.example", "hello", tracking_json={"posthog_distinct_id": "ph-bob"})
    before = list(LeadRequest.objects.filter(work_email="bob@acme.example").values())

    erase()

    assert list(LeadRequest.objects.filter(work_email="bob@acme.example").values()) == before
    assert Contact.objects.get().email == "bob@acme.example"


def test_a_dry_run_says_the_same_and_erases_nothing(ann):
    before = every_text()

    said = erase("--dry-run")

    assert "contacts       1\n" in said
    assert said.endswith("Nothing was erased: a dry run.\n")
    assert every_text() == before


def test_a_second_time_finds_nobody_and_leaves_the_receipt_as_it_is(ann):
    erase()
    receipt = list(ErasedPerson.objects.values())

    assert erase().endswith("Nobody of this address is known.\n")
    assert list(ErasedPerson.objects.values()) == receipt
    assert receipt[0]["counts_json"]["contacts"] == 1


def test_a_lead_that_comes_later_is_stored_and_makes_no_contact(ann):
    erase()

    later = lead(message="again")

    assert later.account_key == "acme.example"
    assert later.prospect_company.domain == "acme.example"
    assert later.contact is None
    assert not Contact.objects.exists()


def test_the_hash_names_nobody_without_the_key(ann, settings):
    erase()
    known = ErasedPerson.objects.get().email_hash

    settings.ERASURE_KEY = "another"
    lead(message="again")

    assert "ann" not in known
    assert Contact.objects.exists()


def test_something_that_is_no_address_is_refused():
    with pytest.raises(CommandError, match="'ann' is no e-mail address"):
        call_command("erase_person", "ann")


# --- In the admin ---
def test_the_admin_asks_first_and_then_erases_with_a_receipt(ann, client):
    client.force_login(make_user("boss", "internal_admin"))
    chosen = {"action": "erase", "_selected_action": [str(Contact.objects.get().pk)]}

    asked = client.post("/admin/accounts/contact/", chosen)
    assert "This cannot be taken back" in asked.content.decode()
    assert "ann@acme.example" in asked.content.decode()
    assert Contact.objects.exists()

    client.post("/admin/accounts/contact/", {**chosen, "confirmed": "Erase them"})
    assert not Contact.objects.exists()
    assert ErasedPerson.objects.get().erased_by == "boss"
    assert client.get("/admin/accounts/erasedperson/").status_code == 200


def test_sales_cannot_erase(ann, client):
    client.force_login(make_user("maya", "sales"))

    client.post(
        "/admin/accounts/contact/", {"action": "erase", "_selected_action": [str(ann.contact_id)], "confirmed": 1}
    )

    assert Contact.objects.exists()
