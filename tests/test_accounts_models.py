"""What the database refuses in the tables of accounts, leads, facts, scores and briefs, past every form."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import CompanyDomain, Contact, ContactIdentity, ProspectCompany
from ai_summaries.models import AccountAISummary
from ingestion.models import ActivityDay, ActivityPull, LeadRequest
from scoring.models import DailyAccountIntent, JobRun
from tests.factories import DAY, at, make_company, make_fact, make_lead, make_prompt, make_pull, make_run, make_snapshot
from tests.test_registry_models import insert, refuses

pytestmark = pytest.mark.django_db


def make_contact(company, email="jose@acme.example", **fields):
    return Contact.objects.create(prospect_company=company, email=email, **fields)


def make_summary(company, **fields):
    key = {"cache_date": DAY, "top_lane": "office", "persona": "sales", "intent_score": 50, "surge_level": "Normal"}
    text = {"prompt_hash": "0", "input_json": {}, "summary_md": "x", "model": "m"}
    return AccountAISummary.objects.create(prospect_company=company, **key | text | fields)


def test_a_domain_is_one_account_and_no_account_has_none():
    make_company("acme.example")

    refuses(r"domain", insert(ProspectCompany, domain="acme.example", name="x"))
    refuses("company_has_domain", insert(ProspectCompany, domain="", name="x"))
    refuses("domain", insert(ProspectCompany, domain=None, name="x"))


def test_an_account_is_not_merged_into_itself():
    company, other = make_company(), make_company("other.example")

    refuses("company_not_merged_into_itself", lambda: ProspectCompany.objects.update(merged_into=company))
    ProspectCompany.objects.filter(pk=other.pk).update(merged_into=company)
    assert ProspectCompany.objects.get(merged_into=company) == other


@pytest.mark.parametrize(
    ("pattern", "fields"),
    [
        ("company_score_range", {"intent_score": 101}),
        ("intent_score|score_range", {"intent_score": -1}),
        ("company_stage_known", {"intent_stage": "Tepid"}),
        ("company_surge_known", {"surge_level": "Calm"}),
    ],
)
def test_a_summary_out_of_range_is_refused(pattern, fields):
    make_company()

    refuses(pattern, lambda: ProspectCompany.objects.update(**fields))


def test_a_further_domain_belongs_to_one_account():
    company, other = make_company(), make_company("other.example")
    CompanyDomain.objects.create(domain="acme.test", prospect_company=company)

    refuses("domain", insert(CompanyDomain, domain="acme.test", prospect_company=other))
    refuses("company_domain_not_empty", insert(CompanyDomain, domain="", prospect_company=other))


def test_a_contact_is_there_once_per_company_and_address():
    company, other = make_company(), make_company("other.example")
    make_contact(company)
    make_contact(other)

    refuses(
        "contact_once_per_company|UNIQUE.*email", insert(Contact, prospect_company=company, email="jose@acme.example")
    )
    refuses("contact_has_email", insert(Contact, prospect_company=company, email=""))


def test_addresses_that_differ_by_case_or_accent_are_different_people():
    company = make_company()
    people = {
        email: make_contact(company, email) for email in ("jose@acme.example", "josé@acme.example", "Jose@acme.example")
    }

    assert {email: Contact.objects.get(email=email) for email in people} == people


def test_an_identity_is_one_contacts_and_its_case_counts():
    company = make_company()
    contact, other = make_contact(company), make_contact(company, "ann@acme.example")
    for value in ("abcD", "abcd", "äbcd"):
        ContactIdentity.objects.create(contact=contact, identity_type="posthog_distinct_id", identity_value=value)
    ContactIdentity.objects.create(contact=other, identity_type="crm_id", identity_value="abcd")

    same = {"contact": other, "identity_type": "posthog_distinct_id", "identity_value": "abcd"}
    refuses("contact_identity_once|UNIQUE.*identity_value", insert(ContactIdentity, **same))
    refuses("contact_identity_not_empty", insert(ContactIdentity, **same | {"identity_value": ""}))
    refuses("contact_identity_type_known", insert(ContactIdentity, **same | {"identity_type": "cookie"}))
    assert ContactIdentity.objects.get(identity_value="abcD").contact == contact


@pytest.mark.parametrize(
    ("pattern", "fields"),
    [
        ("lead_score_range", {"lead_score": 101}),
        ("lead_score", {"lead_score": -1}),
        ("lead_account_key_null_not_empty", {"account_key": ""}),
        ("lead_status_known", {"status": "lost"}),
    ],
)
def test_a_lead_request_out_of_range_is_refused(pattern, fields):
    refuses(pattern, insert(LeadRequest, **{"submitted_at": at(DAY)} | fields))


def test_a_lead_request_without_an_account_is_kept():
    make_lead(None)

    assert LeadRequest.objects.get().account_key is None


def test_facts_are_one_row_per_key_and_day():
    make_fact("acme.example")
    make_fact("ACME.example")
    make_fact("acme.example", DAY.replace(day=1))

    fact = {"cells_json": [], "people_json": [], "last_seen_at": at(DAY)}
    refuses("PRIMARY|UNIQUE.*date", insert(ActivityDay, account_key="acme.example", date=DAY, **fact))
    refuses("activity_has_key", insert(ActivityDay, account_key="", date=DAY, **fact))
    assert ActivityDay._meta.pk.field_names == ("account_key", "date")


def test_a_day_is_pulled_or_not():
    make_pull()

    refuses("date", insert(ActivityPull, date=DAY, state="pulled"))
    refuses("activity_pull_state_known", insert(ActivityPull, date=DAY.replace(day=1), state="maybe"))


def test_an_account_has_one_snapshot_a_day():
    company = make_company()
    make_snapshot(company)
    make_snapshot(make_company("other.example"))
    make_snapshot(company, DAY.replace(day=1))

    copy = DailyAccountIntent.objects.filter(prospect_company=company, date=DAY).values().get()
    del copy["id"]
    refuses("snapshot_once_per_day|UNIQUE.*date", insert(DailyAccountIntent, **copy))


@pytest.mark.parametrize(
    ("pattern", "fields"),
    [
        ("snapshot_score_range", {"intent_score": 101}),
        ("intent_score", {"intent_score": -1}),
        ("snapshot_stage_known", {"intent_stage": "Tepid"}),
        ("snapshot_surge_known", {"surge_level": "Calm"}),
    ],
)
def test_a_snapshot_out_of_range_is_refused(pattern, fields):
    make_snapshot(make_company())

    refuses(pattern, lambda: DailyAccountIntent.objects.update(**fields))


def test_a_job_run_is_in_a_known_state():
    make_run()

    refuses("job_run_state_known", lambda: JobRun.objects.update(state="lost"))


def test_an_account_has_one_brief_per_day_lane_and_persona():
    company, prompt = make_company(), make_prompt()
    make_summary(company, prompt_template=prompt)
    for other in ({"persona": "exec"}, {"top_lane": "Office"}, {"cache_date": DAY.replace(day=1)}):
        make_summary(company, prompt_template=prompt, **other)

    refuses("ai_summary_once|UNIQUE.*persona", lambda: make_summary(company, prompt_template=prompt))
    for pattern, fields in [
        ("ai_summary_score_range", {"intent_score": 101}),
        ("ai_summary_persona_known", {"persona": "ceo"}),
    ]:
        refuses(pattern, lambda fields=fields: AccountAISummary.objects.filter(persona="exec").update(**fields))


# --- Inserting ---
def test_an_inserted_row_is_the_one_that_save_would_store():
    company = make_company()
    fields = {"first_name": "Ann", "top_categories_7d_json": ["é", {"a": None}], "last_seen_at": timezone.now()}
    saved = Contact.objects.create(email="a@x.example", prospect_company=company, **fields)
    inserted = Contact.insert(email="b@x.example", prospect_company_id=company.pk, **fields)

    one, other = Contact.objects.filter(pk__in=[saved.pk, inserted]).order_by("email").values()
    alike = one.keys() - {"id", "email", "created_at", "updated_at"}
    assert {name: one[name] for name in alike} == {name: other[name] for name in alike}
    assert saved.created_at <= other["created_at"] == other["updated_at"]


def test_defaults_of_inserted_rows_are_not_shared_between_them():
    company = make_company()
    ids = [Contact.insert(email=f"{name}@x.example", prospect_company_id=company.pk) for name in "ab"]

    assert len(set(ids)) == 2 == Contact.objects.filter(pk__in=ids, top_categories_7d_json=[]).count()


def test_an_inserted_row_can_be_saved_again_as_the_object_it_was_made_from():
    contact = Contact(email="a@x.example", prospect_company=make_company())
    assert (
        Contact.insert(id=contact.pk, email=contact.email, prospect_company_id=contact.prospect_company_id)
        == contact.pk
    )

    stored = contact.as_stored()
    stored.title = "Head of Workplace"
    stored.save()

    assert Contact.objects.get().title == "Head of Workplace"
    assert stored.created_at == Contact.objects.get().created_at


def test_inserting_what_is_there_is_refused_or_ignored_as_asked():
    company = make_company()
    Contact.insert(prospect_company_id=company.pk, email="a@x.example", title="first")

    with pytest.raises(IntegrityError), transaction.atomic():
        Contact.insert(prospect_company_id=company.pk, email="a@x.example")
    Contact.insert(prospect_company_id=company.pk, email="a@x.example", or_ignore=True)

    assert Contact.objects.get().title == "first"


def test_inserting_what_no_column_is_for_is_refused():
    with pytest.raises(KeyError, match="nickname"):
        Contact.insert(prospect_company_id=make_company().pk, email="a@x.example", nickname="Bob")
