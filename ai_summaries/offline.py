"""The brief of an installation without a language model: the default template's structure, filled by rules. Pure.

It says nothing but what the facts say, so it passes the same check as a model's text.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

MODEL = "rules"  # what stands where a model's name would
LABEL = "made from rules; no language model configured"
OPENINGS = {
    "pricing": "what it costs at their size",
    "security": "security and compliance answers",
    "integrations": "how it fits the tools they have",
    "request_reservation": "a reservation made easy",
    "case_study": "a reference like them",
    "comparison": "an honest comparison with the alternatives",
    "docs": "help with what they read in the docs",
    "service_page": "what the service includes",
}
CONTENT = {
    "pricing": "a pricing guide",
    "security": "the security overview",
    "integrations": "the integrations overview",
    "request_reservation": "the reservation guide",
    "case_study": "case studies",
    "comparison": "a comparison sheet",
    "docs": "getting-started material",
    "service_page": "the service's one-pager",
}


def write(facts: Mapping[str, Any]) -> str:
    """Markdown with the seven headings of the default template."""
    sections = [
        ("Why they’re hot", _why(facts)),
        ("Likely buying stage", _stage(facts)),
        ("Primary service interest", _interest(facts)),
        ("Recommended next action (Sales)", _sales(facts)),
        ("Recommended next action (Marketing)", _marketing(facts)),
        ("Personalization angle", _angle(facts)),
        ("Risks / unknowns", _risks(facts)),
    ]
    return "\n\n".join(f"**{heading}**\n\n{_body(lines)}" for heading, lines in sections) + "\n"


def _body(lines: str | Sequence[str]) -> str:
    return lines if isinstance(lines, str) else "\n".join(f"- {line}" for line in lines)


def _why(facts: Mapping[str, Any]) -> list[str]:
    score = facts["score"]
    lines = [f"{reason} in the last 7 days" for reason in facts["reasons"][:1]]
    if len(facts["reasons"]) > 1:
        lines.append(f"Also {', '.join(facts['reasons'][1:])}")
    people = score["unique_people_7d"]
    if people:
        lines.append(f"{_several(people, 'person', 'people')} active in 7 days; surge {score['surge_level']}")
    lines.append(f"Intent score {score['intent_score']}, {score['points_7d']} points in 7 days")
    return lines[:3]


def _stage(facts: Mapping[str, Any]) -> str:
    stage = facts["score"]["intent_stage"]
    meaning = {
        "Hot": "they act like buyers who compare and decide",
        "Warm": "they look closely and have not decided",
        "Cold": "there is little to go by yet",
    }
    return f"{stage}: {meaning.get(stage, 'unclear')} (hypothesis, from the score of {facts['score']['intent_score']})."


def _interest(facts: Mapping[str, Any]) -> str:
    if not facts["lanes"]:
        return "No lane was seen in the last 30 days."
    lane = facts["lanes"][0]
    return f"`{lane['lane']}`, with {lane['points_7d']} points in 7 days and {lane['points_30d']} in 30 days."


def _sales(facts: Mapping[str, Any]) -> list[str]:
    leads = facts["recent_lead_requests"]
    first = _answer(leads[0]) if leads else "Find whom to call: no lead request names anybody"
    titled = next((person["their_title"] for person in facts["known_people"] if person["their_title"]), "")
    second = f"Ask for the {_in_words(titled)}" if titled else "Ask who decides and who pays"
    return [first, second, f"Lead with {OPENINGS.get(_interests(facts)[0], 'their plans, and what would help')}"]


def _answer(lead: Mapping[str, Any]) -> str:
    kind = "" if lead["request_type"] == "other" else f"{lead['request_type'].replace('_', ' ')} "
    day = date.fromisoformat(lead["received"])
    return f"Answer the {kind}request of {day.day} {day:%b}"


def _marketing(facts: Mapping[str, Any]) -> list[str]:
    first, second = _interests(facts)
    pages = facts["top_pages_7d"]
    return [
        f"Send {CONTENT.get(first, 'an introduction')}",
        f"Follow up with {CONTENT.get(second, 'a case study')}",
        f"Retarget visitors of `{pages[0]['path']}`" if pages and _is_plain(pages[0]["path"]) else "Keep them warm",
    ]


def _angle(facts: Mapping[str, Any]) -> list[str]:
    first, second = _interests(facts)
    return [
        f"Theme: {OPENINGS.get(first, 'why now')}",
        f"Theme: {OPENINGS.get(second, 'what others like them chose')}",
    ]


def _risks(facts: Mapping[str, Any]) -> list[str]:
    return [text.rstrip(".") for text in facts["unknown"][:2]]


def _interests(facts: Mapping[str, Any]) -> tuple[str, str]:
    """The two kinds of page or form that counted most and that we know what to say about."""
    known = [line["what"] for line in facts["what_counted_most_30d"] if line["what"] in OPENINGS]
    return (*dict.fromkeys(known), "", "")[:2]


def _several(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _in_words(text: str) -> str:
    """A stranger's words inside our sentence: letters, digits and a little between them."""
    return " ".join("".join(c if c.isalnum() or c in "-&,/" else " " for c in text).split())[:60]


def _is_plain(path: str) -> bool:
    """Fit to stand between code marks."""
    return path.startswith("/") and "`" not in path and len(path) <= 80
