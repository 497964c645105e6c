"""What the pages and the API read across the apps. No HTTP here: filters and dates in, frozen values out.

Everything follows the newest snapshot, not the clock, so a stale installation still shows its scores. What one call
returns is of one moment, also while a night is being written. Callers take the names from here.
"""

from abm_project.dashboards.account import (
    AccountDetail,
    Brief,
    Category,
    Lane,
    Lead,
    Signal,
    Snapshot,
    TimelineDay,
    account_by_id,
    account_detail,
)
from abm_project.dashboards.account_list import (
    DEFAULT_ORDERING,
    ORDERINGS,
    RANGES,
    AccountFilter,
    Facet,
    HotAccount,
    HotAccounts,
    every_hot_account,
    hot_accounts,
)
from abm_project.dashboards.families import account_id, canonical_domain, lead_requests_of
from abm_project.dashboards.finding import FoundAccount, Lookup, lookup
from abm_project.dashboards.handling import Action, Contacted, Handling, handling
from abm_project.dashboards.lanes import LaneCard, LaneCards, lane_cards
from abm_project.dashboards.moves import Mover, Movers, Moves, movers
from abm_project.dashboards.people_list import (
    PEOPLE_DEFAULT_ORDERING,
    PEOPLE_ORDERINGS,
    Identity,
    People,
    PeopleFilter,
    Person,
    PersonAccount,
    every_person,
    people,
)
from abm_project.dashboards.staleness import Freshness, freshness
from abm_project.dashboards.trends import TREND_DAYS
from abm_project.dashboards.why import Reason, Step, Why, explained

__all__ = [
    "DEFAULT_ORDERING",
    "ORDERINGS",
    "PEOPLE_DEFAULT_ORDERING",
    "PEOPLE_ORDERINGS",
    "RANGES",
    "TREND_DAYS",
    "AccountDetail",
    "AccountFilter",
    "Action",
    "Brief",
    "Category",
    "Contacted",
    "Facet",
    "FoundAccount",
    "Freshness",
    "Handling",
    "HotAccount",
    "HotAccounts",
    "Identity",
    "Lane",
    "LaneCard",
    "LaneCards",
    "Lead",
    "Lookup",
    "Mover",
    "Movers",
    "Moves",
    "People",
    "PeopleFilter",
    "Person",
    "PersonAccount",
    "Reason",
    "Signal",
    "Snapshot",
    "Step",
    "TimelineDay",
    "Why",
    "account_by_id",
    "account_detail",
    "account_id",
    "canonical_domain",
    "every_hot_account",
    "every_person",
    "explained",
    "freshness",
    "handling",
    "hot_accounts",
    "lane_cards",
    "lead_requests_of",
    "lookup",
    "movers",
    "people",
]
