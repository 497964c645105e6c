"""What the pages and the API read across the apps. No HTTP here: filters and dates in, frozen values out.

Everything follows the newest snapshot, not the clock, so a stale installation still shows its scores. What one call
returns is of one moment, also while a night is being written. Callers take the names from here.
"""

from abm_project.dashboards.account import (
    AccountDetail,
    Brief,
    Category,
    Counted,
    Lane,
    Lead,
    Signal,
    Snapshot,
    TimelineDay,
    account_by_id,
    account_detail,
    detail_of,
)
from abm_project.dashboards.account_list import (
    DEFAULT_ORDERING,
    ORDERINGS,
    RANGES,
    AccountFilter,
    Facet,
    HotAccount,
    HotAccounts,
    hot_accounts,
)
from abm_project.dashboards.exports import ACCOUNT_COLUMNS, PEOPLE_COLUMNS, account_cells, people_cells
from abm_project.dashboards.families import (
    account_id,
    family_of,
    lead_requests_of,
    show_heads,
    shown_under,
)
from abm_project.dashboards.finding import FoundAccount, Lookup, lookup
from abm_project.dashboards.handling import Action, Contacted, Handling, handling, handling_of
from abm_project.dashboards.lanes import LaneCard, LaneCards, lane_cards
from abm_project.dashboards.moves import Mover, Movers, Moves, movers
from abm_project.dashboards.one_moment import one_moment
from abm_project.dashboards.people_list import (
    PEOPLE_DEFAULT_ORDERING,
    PEOPLE_ORDERINGS,
    Identity,
    People,
    PeopleFilter,
    Person,
    PersonAccount,
    people,
)
from abm_project.dashboards.staleness import Freshness, freshness, newest_due
from abm_project.dashboards.trends import TREND_DAYS
from abm_project.dashboards.why import Reason, Step, Why, explained

__all__ = [
    "ACCOUNT_COLUMNS",
    "DEFAULT_ORDERING",
    "ORDERINGS",
    "PEOPLE_COLUMNS",
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
    "Counted",
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
    "account_cells",
    "account_detail",
    "account_id",
    "detail_of",
    "explained",
    "family_of",
    "freshness",
    "handling",
    "handling_of",
    "hot_accounts",
    "lane_cards",
    "lead_requests_of",
    "lookup",
    "movers",
    "newest_due",
    "one_moment",
    "people",
    "people_cells",
    "show_heads",
    "shown_under",
]
