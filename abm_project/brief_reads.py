"""What the account page shows of its brief. No HTTP: an account and a persona in, frozen values out."""

from dataclasses import dataclass
from datetime import date, datetime

from django.utils.safestring import mark_safe

from abm_project.markdown import to_html
from accounts.models import ProspectCompany
from ai_summaries import llm, summaries
from ai_summaries.grounding import Finding, serious
from ai_summaries.offline import LABEL
from ai_summaries.summaries import Brief
from registry.values import Persona

PERSONAS = tuple(persona.value for persona in Persona)


@dataclass(frozen=True, slots=True)
class BriefPanel:
    """The brief of one persona as it stands. `due`: why a click would write a new one; '' where it would not."""

    domain: str
    persona: str
    brief: Brief | None
    html: str
    doubts: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    due: str
    nothing_to_tell: str
    failure: str
    failed_at: datetime | None
    snapshot_date: date | None
    has_model: bool
    personas: tuple[str, ...] = PERSONAS
    rules_label: str = LABEL

    @property
    def is_older(self) -> bool:
        """It speaks of an earlier day than the scores that are shown."""
        return bool(self.brief and self.snapshot_date and self.brief.cache_date < self.snapshot_date)


def panel_of(company: ProspectCompany, persona: str) -> BriefPanel:
    """A fixed number of queries."""
    brief, failed = summaries.stored_brief(company, persona), summaries.last_failure(company, persona)
    due, nothing = "", ""
    try:
        due = summaries.why_due(company, persona)
    except summaries.NotScored as error:
        nothing = str(error)
    except summaries.NO_TEMPLATE as error:
        nothing = f"No brief can be written: {error}"
    doubts = tuple(serious(brief.findings)) if brief else ()
    return BriefPanel(
        domain=company.domain,
        persona=persona,
        brief=brief,
        html=mark_safe(to_html(brief.summary_md, [finding.quote for finding in doubts])) if brief else "",
        doubts=doubts,
        warnings=tuple(finding for finding in brief.findings if finding.is_warning) if brief else (),
        due=due,
        nothing_to_tell=nothing,
        failure=failed.reason if failed else "",
        failed_at=failed.finished_at if failed else None,
        snapshot_date=company.snapshot_date,
        has_model=llm.is_configured(),
    )
