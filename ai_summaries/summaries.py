"""The brief of an account: the cached one, or a new one where that is due (spec 8.3). The file to read first.

1. A brief is kept per account, date of the snapshot, top lane and persona. It is written anew when the score moved far,
   the surge level changed or the template did (`needs_regeneration`), or an admin insists.
2. Whoever comes first claims the attempt: one row that the database allows once. The others wait for its end and take
   its answer, so that ten clicks are one call and one unit of the day's budget.
3. The facts are read, the model is asked (no transaction is open meanwhile) or, without one, the rules; what is written
   is checked against the facts, and asked for once more where it is wrong.
4. The text is stored with its facts and findings; the one it replaces is kept. A failure stores nothing but its reason.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.models import ProspectCompany
from ai_summaries import grounding, llm, offline
from ai_summaries.briefs import Facts, build_brief
from ai_summaries.grounding import Finding
from ai_summaries.models import SILENT, AccountAISummary, BriefAttempt, BriefBudget, lease_end
from ai_summaries.prompts import Rendered, content_hash, headings, render_prompt, room
from registry.loader import RegistryUnusable, get_prompt_template
from registry.transactions import transact
from registry.values import Prompt
from scoring.models import DailyAccountIntent

POLL_SECONDS = 0.2
MADE, CACHED, FAILED = "made", "cached", "failed"
FIRST = "The first for this date and lane."
FORCED = "An admin asked for it."
CHANGED = "What is known of the account changed while it was written. Ask again."
OURS = "An error on our side; it is in the log."
NO_TEMPLATE = (LookupError, RegistryUnusable)  # none fits, or the registry has bad rows and never had good ones


class NotScored(Exception):
    """The account has no snapshot: there is nothing to speak of."""


class BudgetReached(Exception):
    """No brief is left for today. `until`: when there is one again."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


@dataclass(frozen=True, slots=True)
class Brief:
    """A stored brief."""

    id: UUID
    persona: str
    cache_date: date
    top_lane: str
    intent_score: int
    surge_level: str
    summary_md: str
    model: str
    template_id: UUID
    template_version: str
    why: str
    written_at: datetime
    findings: tuple[Finding, ...]
    facts: Facts = field(repr=False)

    @property
    def is_from_rules(self) -> bool:
        return self.model == offline.MODEL


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: `state` is made, cached or failed; a failed one carries the last good brief there is,
    and the reason."""

    state: str
    brief: Brief | None
    why: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A text, who wrote it, and what the check found; None of it is stored."""

    text: str
    model: str
    findings: tuple[Finding, ...]
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0


# --- What is stored ---------------------------------------------------------------------------------------------------
def stored_brief(company: ProspectCompany, persona: str) -> Brief | None:
    """The newest brief of this persona, whatever it speaks of."""
    row = _stored(company, persona).first()
    return row and _brief(row)


def _stored(company: ProspectCompany, persona: str) -> Any:
    rows = AccountAISummary.objects.filter(prospect_company=company, persona=persona)
    return rows.select_related("prompt_template").order_by("-cache_date", "-written_at", "-id")


def last_failure(company: ProspectCompany, persona: str) -> BriefAttempt | None:
    """The newest attempt, if it failed."""
    newest = BriefAttempt.objects.of(company.pk, persona).exclude(state=BriefAttempt.State.RUNNING).first()
    return newest if newest and newest.state == BriefAttempt.State.FAILED else None


def _brief(row: AccountAISummary) -> Brief:
    return Brief(
        id=row.pk,
        persona=row.persona,
        cache_date=row.cache_date,
        top_lane=row.top_lane,
        intent_score=row.intent_score,
        surge_level=row.surge_level,
        summary_md=row.summary_md,
        model=row.model,
        template_id=row.prompt_template_id,
        template_version=row.prompt_version,
        why=row.why,
        written_at=row.written_at or row.updated_at,
        findings=tuple(Finding(**finding) for finding in row.findings_json),
        facts=row.input_json,
    )


def needs_regeneration(brief: Brief, snapshot: DailyAccountIntent, template: Prompt, prompt_hash: str) -> str:
    """Why a stored brief of this key is written anew when somebody asks; '' when it still holds (spec 8.3)."""
    if abs(snapshot.intent_score - brief.intent_score) >= settings.AI_REGENERATE_DELTA:
        return f"The score moved from {brief.intent_score} to {snapshot.intent_score}."
    if snapshot.surge_level != brief.surge_level:
        return f"Surge went from {brief.surge_level} to {snapshot.surge_level}."
    if prompt_hash != content_hash(template):
        return "The prompt template changed."
    if brief.is_from_rules and llm.is_configured():
        return "A language model is configured now."
    return ""


def why_due(company: ProspectCompany, persona: str) -> str:
    """Why asking would make a new brief now; '' where the stored one would be given. NotScored as it says."""
    return _due(company, _newest_snapshot(company), persona)[0]


def _due(company: ProspectCompany, snapshot: DailyAccountIntent, persona: str) -> tuple[str, AccountAISummary | None]:
    template = _template(snapshot, persona)
    stored = _stored(company, persona).filter(cache_date=snapshot.date, top_lane=snapshot.top_lane).first()
    if stored is None:
        return FIRST, None
    return needs_regeneration(_brief(stored), snapshot, template, stored.prompt_hash), stored


def _template(snapshot: DailyAccountIntent, persona: str) -> Prompt:
    return get_prompt_template(lane=snapshot.top_lane, persona=persona, stage=snapshot.intent_stage)


def _newest_snapshot(company: ProspectCompany) -> DailyAccountIntent:
    found = company.snapshots.filter(date=company.snapshot_date).first() if company.snapshot_date else None
    if found is None:
        raise NotScored(f"{company.domain} has no score yet, so there is nothing a brief could speak of.")
    return found


# --- One click --------------------------------------------------------------------------------------------------------
def get_or_generate_summary(
    company: ProspectCompany, persona: str, now: datetime, *, asked_by: Any = None, force: bool = False
) -> Outcome:
    """The brief, written now where that is due. `asked_by`: a user, or None for nobody in particular.

    NotScored, and BudgetReached where a new one is due and none is left. Never takes longer than AI_DEADLINE_SECONDS
    and what the database needs.
    """
    asked = _Asked(company, persona, now, asked_by, llm.Deadline(settings.AI_DEADLINE_SECONDS))
    seen = asked.ended().first()
    try:
        why, stored = _due(company, _newest_snapshot(company), persona)
    except NO_TEMPLATE as error:
        return _failed(asked, str(error))
    if stored is not None and not why and not force:
        return Outcome(CACHED, _brief(stored))
    try:
        attempt = _claim(asked, why or FORCED, seen)
    except _Ended as other:
        return _outcome_of(other.attempt, asked)
    if attempt is None:
        return _failed(asked, "It is still being written for somebody else. Reload in a moment.")
    return _attempt(attempt, asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One click."""

    company: ProspectCompany
    persona: str
    now: datetime
    by: Any
    deadline: llm.Deadline

    def ended(self) -> Any:
        """Attempts at the same brief that came to an end by themselves, the newest first."""
        attempts = BriefAttempt.objects.of(self.company.pk, self.persona)
        return attempts.exclude(state=BriefAttempt.State.RUNNING).exclude(reason=SILENT)


class _Ended(Exception):
    """Another attempt at the same brief came to its end while we waited: its answer is ours too."""

    def __init__(self, attempt: BriefAttempt) -> None:
        super().__init__()
        self.attempt = attempt


def _claim(asked: _Asked, why: str, seen: BriefAttempt | None) -> BriefAttempt | None:
    """The attempt, ours to make; None when somebody is at it for as long as one may wait."""
    while True:
        try:
            return transact(partial(_begin, asked, why, seen))
        except IntegrityError:  # the database allows one running row
            BriefAttempt.objects.bury_dead()
        if not asked.deadline.left():
            return None
        time.sleep(min(POLL_SECONDS, asked.deadline.left()))


def _begin(asked: _Asked, why: str, seen: BriefAttempt | None) -> BriefAttempt:
    """Claim, look whether that is still needed, and spend: all of it or nothing."""
    with transaction.atomic():
        attempt = BriefAttempt.objects.create(
            prospect_company=asked.company,
            persona=asked.persona,
            asked_by=asked.by.get_username() if asked.by else "",
            why=why,
            lease_until=lease_end(),
        )
        newest = asked.ended().first()
        if newest is not None and newest != seen:
            raise _Ended(newest)
        if llm.is_configured():
            _spend(asked.now, asked.by)
    return attempt


def _spend(now: datetime, asked_by: Any) -> None:
    """One of the day's briefs; nothing is spent where one of the two budgets has none left."""
    day = now.astimezone(UTC).date()
    tomorrow = datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=UTC)
    said = "No more today: {} {} briefs a day. The next one can be written after midnight UTC."
    for holder, limit, who in _budgets(asked_by):
        if not BriefBudget.objects.spend(day, holder, limit):
            raise BudgetReached(said.format(who, limit), tomorrow)


def _budgets(asked_by: Any) -> list[tuple[str, int, str]]:
    of_user = [(f"user:{asked_by.pk}", settings.AI_BRIEFS_PER_USER_AND_DAY, "one user may ask for")] if asked_by else []
    return [*of_user, (BriefBudget.ALL, settings.AI_BRIEFS_PER_DAY, "this installation may ask for")]


def _outcome_of(attempt: BriefAttempt, asked: _Asked) -> Outcome:
    if attempt.state == BriefAttempt.State.FAILED or attempt.summary is None:
        return _failed(asked, attempt.reason or CHANGED)
    return Outcome(MADE, _brief(attempt.summary), attempt.why)


def _failed(asked: _Asked, reason: str) -> Outcome:
    return Outcome(FAILED, stored_brief(asked.company, asked.persona), failure=reason)


# --- One attempt ------------------------------------------------------------------------------------------------------
def _attempt(attempt: BriefAttempt, asked: _Asked) -> Outcome:
    try:
        snapshot = _newest_snapshot(asked.company)
        template = _template(snapshot, asked.persona)
        facts = build_brief(asked.company, snapshot)
        draft = write(template, facts, asked.deadline)
        if isinstance(draft, llm.Failed):
            attempt.fail(draft.reason, calls=draft.tries)
            return _failed(asked, draft.reason)
        stored = transact(partial(_store, attempt, asked, snapshot, template, facts, draft))
    except BaseException:
        attempt.fail(OURS)
        raise
    if stored is None:
        return _failed(asked, CHANGED)
    return Outcome(MADE, _brief(stored), attempt.why)


def write(template: Prompt, facts: Facts, deadline: llm.Deadline) -> Draft | llm.Failed:
    """A text for these facts: the model's, checked and asked for once more where it is wrong; without one, the rules'.

    Of two texts the one with fewer faults is taken, the second where they are equal. An empty one is a failure.
    """
    if not llm.is_configured():
        text = offline.write(facts)
        return Draft(text, offline.MODEL, grounding.check(text, facts, max_words=None))
    rendered = render_prompt(template, facts)
    first = _ask(template, rendered, facts, [rendered.user], deadline)
    if isinstance(first, llm.Failed) or not grounding.serious(first.findings):
        return first
    turns = [rendered.user, first.text or "(nothing)", complaint(first.findings)]
    second = _ask(template, rendered, facts, turns, deadline)
    best = first if isinstance(second, llm.Failed) else min(second, first, key=_faults)
    if not best.text:
        return llm.Failed("The model gave an empty text, twice.", first.calls + _calls(second))
    return Draft(best.text, best.model, best.findings, *_spent(first, second))


def try_draft(company: ProspectCompany, draft: Prompt, now: datetime, *, asked_by: Any = None) -> Draft | llm.Failed:
    """What the model writes of the account's newest facts with a template that is not in force. Nothing is stored but
    that it was spent; NotScored and BudgetReached as for a brief."""
    facts = facts_of(company)
    if llm.is_configured():
        transact(partial(_spend, now, asked_by))
    return write(draft, facts, llm.Deadline(settings.AI_DEADLINE_SECONDS))


def facts_of(company: ProspectCompany) -> Facts:
    """What a brief asked for now would be written from. NotScored as it says."""
    return build_brief(company, _newest_snapshot(company))


def template_of(company: ProspectCompany, persona: str) -> Prompt:
    """The template a brief asked for now would be written with; NO_TEMPLATE where none can be found."""
    return _template(_newest_snapshot(company), persona)


def _ask(
    template: Prompt, rendered: Rendered, facts: Facts, turns: Sequence[str], deadline: llm.Deadline
) -> Draft | llm.Failed:
    answer = llm.complete(rendered.system, turns, max_tokens=room(template), deadline=deadline)
    if isinstance(answer, llm.Failed):
        return answer
    asked_for = headings(template.user_prompt_template)
    findings = grounding.check(answer.text, facts, max_words=template.max_words, headings=asked_for, ended=answer.ended)
    text = answer.text.encode()[: grounding.BYTES].decode(errors="ignore")
    return Draft(text, answer.model, findings, answer.input_tokens, answer.output_tokens, answer.tries)


def complaint(findings: Sequence[Finding]) -> str:
    """What the model is told of its first text."""
    wrong = "\n".join(f"- {finding.detail}" for finding in findings)
    return f"A check against the JSON found this:\n{wrong}\nWrite the whole brief once more without these faults."


def _faults(draft: Draft) -> tuple[bool, int]:
    return not draft.text, len(grounding.serious(draft.findings))


def _calls(answer: Draft | llm.Failed) -> int:
    return answer.tries if isinstance(answer, llm.Failed) else answer.calls


def _spent(first: Draft, second: Draft | llm.Failed) -> tuple[int, int, int]:
    """Tokens in, tokens out, calls: of both."""
    more = (0, 0) if isinstance(second, llm.Failed) else (second.input_tokens, second.output_tokens)
    return first.input_tokens + more[0], first.output_tokens + more[1], first.calls + _calls(second)


def _store(
    attempt: BriefAttempt, asked: _Asked, snapshot: DailyAccountIntent, template: Prompt, facts: Facts, draft: Draft
) -> AccountAISummary | None:
    """The row with the new text; None where the attempt is not ours any more: it was taken for dead, or somebody whose
    words are in the facts was erased meanwhile."""
    if BriefAttempt.objects.select_for_update().filter(pk=attempt.pk, state=BriefAttempt.State.RUNNING).first() is None:
        return None
    text: dict[str, Any] = {
        "intent_score": snapshot.intent_score,
        "surge_level": snapshot.surge_level,
        "prompt_template_id": UUID(template.id),
        "prompt_hash": content_hash(template),
        "prompt_version": template.version,
        "input_json": facts,
        "summary_md": draft.text,
        "model": draft.model[:64],
        "findings_json": [asdict(finding) for finding in draft.findings],
        "why": attempt.why,
        "written_at": asked.now,
    }
    key: dict[str, Any] = {"prospect_company": asked.company, "persona": asked.persona}
    key |= {"cache_date": snapshot.date, "top_lane": snapshot.top_lane}
    row = AccountAISummary.objects.select_for_update().filter(**key).first()
    if row is None:
        row = AccountAISummary.objects.create(**key, **text)
    else:
        row.replace_by(text)
    attempt.succeed(row, calls=draft.calls, input_tokens=draft.input_tokens, output_tokens=draft.output_tokens)
    return row
