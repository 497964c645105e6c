"""What a test leaves to a real rq worker: a function that its process can import."""

from django.utils import timezone

from accounts.models import ProspectCompany
from ai_summaries.summaries import get_or_generate_summary


def write(persona):
    """The state of a brief of the hottest account, and why it failed."""
    company = ProspectCompany.objects.listed().order_by("-intent_score", "domain").first()
    outcome = get_or_generate_summary(company, persona, timezone.now())
    return outcome.state, outcome.failure
