"""Lists as rows of cells, for CSV: the page's button and the API give the same file."""

from collections.abc import Iterator

from abm_project.dashboards.account_list import AccountFilter, every_hot_account
from abm_project.dashboards.people_list import PeopleFilter, every_person

ACCOUNT_COLUMNS = (
    "rank",
    "domain",
    "name",
    "intent_score",
    "intent_stage",
    "surge_level",
    "surge_ratio",
    "is_new",
    "top_lane",
    "score_7d_raw",
    "score_30d_raw",
    "unique_people_7d",
    "why_hot",
    "last_seen_at",
    "last_lead_at",
    "owner",
    "suppressed_as",
    "snapshot_date",
    "change_1d",
    "change_7d",
    "id",
    "last_lead_id",
    "contacted_at",
    "contacted_by",
)
PEOPLE_COLUMNS = (
    "email",
    "name",
    "title",
    "last_seen_at",
    "categories",
    "inferred",
    "account_domain",
    "account_name",
    "intent_score",
    "intent_stage",
    "surge_level",
    "top_lane",
    "anonymous_people_7d",
    "id",
    "account_id",
)


def account_cells(chosen: AccountFilter) -> Iterator[list[object]]:
    """A row per account of the filter, in its order."""
    for account in every_hot_account(chosen):
        yield [getattr(account, column) for column in ACCOUNT_COLUMNS]


def people_cells(chosen: PeopleFilter) -> Iterator[list[object]]:
    """A row per person of the filter, in its order."""
    for person in every_person(chosen):
        account = person.account
        yield [
            person.email,
            person.name,
            person.title,
            person.last_seen_at,
            person.categories,
            person.inferred,
            account.domain,
            account.name,
            account.intent_score,
            account.intent_stage,
            account.surge_level,
            account.top_lane,
            account.anonymous_people_7d,
            person.id,
            account.id,
        ]
