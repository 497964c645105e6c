"""Spec steps 1 to 3: every table and column of spec 4 and 5 exists in the database under the spec's name."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from tests.factories import make_company, make_prompt, make_snapshot
from tests.test_accounts_models import make_contact, make_summary

pytestmark = pytest.mark.django_db

# Spec section, table, columns.
SPEC = [
    ("2", "prospect_companies", "id domain"),
    (
        "4.1", "prospect_companies",
        "intent_stage surge_level top_lane last_seen_at score_updated_at score_7d_raw score_30d_raw"
        " salesforce_account_id salesforce_account_url salesforce_owner_id",
    ),
    ("4.2", "contacts", "prospect_company_id email salesforce_lead_id salesforce_contact_id"),
    (
        "4.3", "lead_requests",
        "prospect_company_id salesforce_lead_id salesforce_task_id account_key why_hot_json lead_score",
    ),
    (
        "4.4", "daily_account_intent",
        "id prospect_company_id date score_config_id raw_score_7d raw_score_prev_7d raw_score_30d intent_score"
        " intent_stage surge_ratio surge_level unique_people_7d top_lane lane_scores_7d_json lane_scores_30d_json"
        " top_categories_7d_json top_pages_7d_json key_events_7d_json created_at updated_at",
    ),
    (
        "4.5", "account_ai_summaries",
        "id prospect_company_id cache_date top_lane intent_score surge_level prompt_template_id input_json summary_md"
        " model created_at updated_at",
    ),
    ("4.6", "contact_identities", "id contact_id identity_type identity_value created_at updated_at"),
    ("1", "intent_signals", "id prospect_company_id contact_id"),
    (
        "5-1", "abm_event_rules",
        "id enabled priority event_name match_type match_value content_type lane weight_override score_config_id notes"
        " created_at updated_at",
    ),
    (
        "5-2", "abm_score_configs",
        "id name status lambda_decay normalize_k cold_max warm_max surge_surging_min surge_exploding_min created_at"
        " updated_at",
    ),
    (
        "5-2", "abm_score_weights",
        "id score_config_id event_name content_type cta_id weight created_at updated_at",
    ),
    (
        "5-3", "abm_prompt_templates",
        "id enabled lane persona intent_stage version system_prompt user_prompt_template max_words created_at"
        " updated_at",
    ),
]  # fmt: skip
INDEXED = {
    "daily_account_intent": ["date", "intent_stage", "top_lane", "surge_level"],
    "prospect_companies": ["top_lane", "last_seen_at"],
    "activity_days": ["date"],
}
NULLABLE = {
    "prospect_companies": ["salesforce_account_id", "salesforce_account_url", "salesforce_owner_id"],
    "contacts": ["salesforce_lead_id", "salesforce_contact_id"],
    "lead_requests": ["salesforce_lead_id", "salesforce_task_id", "account_key"],
    "abm_event_rules": ["weight_override", "score_config_id"],
}


def columns_of(table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} WHERE 1 = 0")
        return {column[0] for column in cursor.description}


@pytest.mark.parametrize(("table", "columns"), [row[1:] for row in SPEC], ids=[f"{row[0]}-{row[1]}" for row in SPEC])
def test_spec_steps_1_to_3_the_table_has_the_specs_columns(table, columns):
    assert set(columns.split()) - columns_of(table) == set()


@pytest.mark.parametrize(("table", "columns"), NULLABLE.items(), ids=list(NULLABLE))
def test_spec_step_1_what_the_spec_calls_nullable_may_be_null(table, columns):
    with connection.cursor() as cursor:
        found = connection.introspection.get_table_description(cursor, table)

    assert set(columns) - {column.name for column in found if column.null_ok} == set()


@pytest.mark.parametrize(("table", "columns"), INDEXED.items(), ids=list(INDEXED))
def test_the_columns_that_lists_filter_by_lead_an_index(table, columns):
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)

    assert set(columns) <= {index["columns"][0] for index in found.values() if index["index"] and index["columns"]}


def test_spec_step_1_migrations_ran_cleanly_and_match_the_models():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    call_command("migrate", check_unapplied=True, verbosity=0)
    call_command("check", fail_level="WARNING", databases=["default"], verbosity=0)


def test_every_table_of_the_models_exists_with_every_column():
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.managed:
            continue  # django_rq has one that only carries a permission
        expected = {field.column for field in model._meta.local_concrete_fields if field.column}
        assert (model, expected - columns_of(model._meta.db_table)) == (model, set())


def test_spec_step_2_rows_can_be_made_read_changed_and_deleted():
    company = make_company()
    rows = [
        make_snapshot(company),
        make_summary(company, prompt_template=make_prompt()),
        make_contact(company).identities.create(identity_type="crm_id", identity_value="1"),
    ]
    for row in rows:
        model, key, made = type(row), row.pk, row.updated_at
        row.save()
        assert model.objects.get(pk=key).updated_at > made
        row.delete()
        assert not model.objects.filter(pk=key).exists()
