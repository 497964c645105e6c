"""A stand-in for PostHog, true to the wire: its HTTP, its query language on a real ClickHouse, its limits and errors.

    from tests.posthog_standin import PostHog, faults

    with PostHog(timezone="US/Pacific", execution_seconds=5) as posthog:
        posthog.capture([{"event": "page_view", "distinct_id": "u1", "timestamp": "2026-11-21T10:00:00Z",
                          "properties": {"$pathname": "/pricing", "$groups": {"company": "acme.example"}}}])
        posthog.faults.add(faults.throttled(retry_after=2), name="abm_rollup", nth=2)
        posthog.set(longest_range_seconds=86_400, max_limit=400)
        ...  # the code under test gets posthog.url, posthog.project_id, posthog.api_key; for capture project_key
        assert [request.status for request in posthog.requests] == [200, 429, 200]

Start: `PostHog(...)` is a process of its own, ready in under a second, ended by the `with`; `python -m
tests.posthog_standin --demo` and `./dev posthog` serve a demo in the foreground.
`reset()` makes it as new between two tests, quicker than another start.
Load: `capture` takes events or an export's lines (their `person_id` and `person_properties` are kept), 200,000 in a
few seconds. PostHog's own way, `POST /batch/`, works too.
Settings, at the start and with `set`: `timezone`, `scopes`, `group_types`, and every field of `limits.Limits`. The
group type company exists since 2020 unless `group_types` says otherwise: `{}` for none, `{"company": None}` for always.
Faults: `faults` has a function for each; `posthog.faults.clear()`, `len(posthog.faults)`.
Log: `posthog.requests`, oldest first (see `Request`); `forget_requests()`.

What it does not know it answers with a 501 `not_reproduced_by_the_standin`: JOIN, CTE, UNION, the lazy join of groups,
functions that HogQL's list lacks here. Person merges, materialised columns and ingestion lag it does not have.
"""

from tests.posthog_standin import faults
from tests.posthog_standin.handle import PostHog, Request

__all__ = ["PostHog", "Request", "faults"]
