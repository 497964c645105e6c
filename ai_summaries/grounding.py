"""Does a brief say only what the facts say? Pure; docs/brief.md states the rules in words, and what they cannot see.

A figure is grounded when it stands in the facts, or follows from one that does: rounded, as a percentage of a share,
without its sign, with a thousands separator or as a word. A date must be a date of the facts. A path, a host or a name
in code marks must be a text of the facts, and so must what is called a lane. Whether a true figure is used for the
right thing is seen only where the words around it say what it counts.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

BYTES = 20_000  # of a text that is stored and shown

FIGURE, DATE, PATH, LANE, NAME, ADDRESS = "figure", "date", "path", "lane", "name", "address"
LENGTH, EMPTY, CUT_OFF, HEADING = "length", "empty", "cut_off", "heading"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a text. `quote`: as it stands there. A warning marks nothing and asks for no second
    attempt."""

    kind: str
    quote: str
    detail: str
    is_warning: bool = False


def check(
    text: str, facts: Mapping[str, Any], *, max_words: int | None, headings: Sequence[str] = (), ended: bool = True
) -> tuple[Finding, ...]:
    """What is wrong with the text, in the order of the reader: its form, its figures, its names. None is fine.

    `max_words`: None where no template set a limit. `ended`: the model said that it was done.
    """
    if not text.strip():
        return (Finding(EMPTY, "", "The text is empty."),)
    found = list(_form(text, max_words, ended))
    known = _Known.of(facts)
    rest = _without_headings(text, headings)
    rest, odd = _take(rest, ADDRESSES, lambda match: _address_problem(match, known))
    found += odd
    rest, odd = _take(rest, CODE, lambda match: _name_problem(match, known))
    found += odd
    rest, odd = _take(rest, PATHS, lambda match: _path_problem(match, known))
    found += odd
    found += _lane_problems(rest, known)
    rest, odd = _take(rest, DATES, lambda match: _date_problem(match, known))
    found += odd
    found += _figure_problems(rest, known)
    found += _missing_headings(text, headings)
    return tuple(dict.fromkeys(found))


def serious(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if not finding.is_warning]


# --- Its form ---------------------------------------------------------------------------------------------------------
def words(text: str) -> int:
    """Words as a reader counts them: what has a letter or a digit."""
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def _form(text: str, max_words: int | None, ended: bool) -> Iterator[Finding]:
    if not ended:
        yield Finding(CUT_OFF, "", "The text was cut off before its end.")
    if len(text.encode()) > BYTES:
        yield Finding(LENGTH, "", f"The text is longer than {BYTES:,} bytes; only so much of it is kept.")
    if max_words is not None and (count := words(text)) > max_words:
        yield Finding(LENGTH, "", f"The text has {count} words; {max_words} were asked for.")


def _missing_headings(text: str, headings: Sequence[str]) -> Iterator[Finding]:
    said = _letters(text)
    for heading in headings:
        if _letters(heading) not in said:
            yield Finding(HEADING, heading, f"The heading “{heading}” is missing.", is_warning=True)


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _without_headings(text: str, headings: Sequence[str]) -> str:
    """A model repeats headings with their `(3 bullets)`; list numbers are no figures either."""
    text = re.sub(r"\(\s*\d+ (bullets?|sentences?|points?)\s*\)", "", text)
    text = re.sub(r"(?m)^(\s*(?:[-*>]\s+)*)(?:\*\*)?\d{1,2}[.)](?=\s)", r"\1", text)
    for heading in headings:
        text = text.replace(heading, " ")
    return text


def _take(text: str, pattern: re.Pattern[str], problem: Any) -> tuple[str, list[Finding]]:
    """The text without what the pattern finds, and what is wrong with it."""
    found = [finding for match in pattern.finditer(text) if (finding := problem(match))]
    return pattern.sub(" ", text), found


# --- What the facts know ----------------------------------------------------------------------------------------------
# What a word after a figure says it counts, and the names of the facts that are such. A stranger's words are no such
# fact: a lead that speaks of 900 visits makes none.
COUNTED = {
    "points?|pts": "points",
    "people|persons?|visitors?|users?|individuals?|stakeholders?": "people",
    "(?:lead |reservation |procurement )?requests?|leads?|inquir(?:y|ies)|enquir(?:y|ies)|submissions?": (
        "request|count|reasons"
    ),
    "(?:page )?views?|visits?|hits?|clicks?|times": "views|count|reasons|^days",
    "days?": "^days",
}
_BETWEEN = r"[ ×*_-]{0,3}(?:[^\W\d]+[ -]){0,2}?"  # on the same line: `3 pricing page views`
UNITS = [(re.compile(rf"{_BETWEEN}(?:{word})\b", re.I), re.compile(names)) for word, names in COUNTED.items()]
# And what a word right before it says, with no other figure between.
SCORES = {"lead score": "lead_score", "ratio": "ratio", "score": "^intent_score|(lowest|highest)_score|change|points"}
NAMED = [(re.compile(rf"\b{word}\b[^.;\n\d]{{0,16}}$", re.I), re.compile(names)) for word, names in SCORES.items()]
PERCENT, SHARES = re.compile("percent"), re.compile("share|ratio")
THEIRS = "their_"  # how the facts call what a lead's form said
NUMBER = re.compile(
    r"(?<![\w.,/-])[+−-]?(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(?:\s?(%|percent\b|k\b))?(?![\w]|[.,]\d)", re.I
)
IN_TEXT = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
ISO = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass
class _Known:
    """The facts taken apart: numbers by the name they stand under, dates, and texts that are ours."""

    numbers: list[tuple[str, float]] = field(default_factory=list)
    dates: set[date] = field(default_factory=set)
    said_dates: set[tuple[int, int]] = field(default_factory=set)  # month and day, in somebody's words
    texts: set[str] = field(default_factory=set)
    lanes: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)  # of the account: a form may have said it, so only the whole counts

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "_Known":
        known = cls()
        known._add("", facts)
        return known

    def _add(self, name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for inner_name, inner in value.items():
                self._add(str(inner_name), inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                self._add(name, inner)
        elif isinstance(value, str):
            self._add_text(name, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            self.numbers.append((name, abs(float(value))))

    def _add_text(self, name: str, text: str) -> None:
        if ISO.fullmatch(text):
            self.dates.add(date.fromisoformat(text))
            return
        self.numbers += [(name, float(number.replace(",", ""))) for number in IN_TEXT.findall(text)]
        self.said_dates |= {_month_and_day(found) for found in DATES.finditer(text)}
        if name.startswith(THEIRS):
            return
        self.texts.add(text.casefold())
        self.names |= {text.casefold()} if name == "name" else set()
        if name.startswith(("lane", "top_lane")):
            self.lanes.add(_letters(text))

    def has_number(self, value: float, decimals: int, names: re.Pattern[str] | None = None) -> bool:
        """Whether a fact (under such a name) is this number, or is it when rounded to as many decimals."""
        step = 10.0**-decimals / 2 + 1e-9
        return any(abs(fact - value) <= step for name, fact in self.numbers if names is None or names.search(name))

    def has_text(self, text: str) -> bool:
        return text.casefold() in self.texts

    def within_a_text(self, text: str) -> bool:
        edge = re.compile(rf"(?<![\w/.-]){re.escape(text.casefold())}(?![\w-]|/\w)")
        return any(edge.search(fact) for fact in self.texts - self.names)


# --- Its names --------------------------------------------------------------------------------------------------------
ADDRESSES = re.compile(
    r"\b\w+://[^\s)>\]]+|[\w.+-]+@[\w-]+\.[\w.-]+|(?<![\w/@.-])(?:[a-z0-9-]+\.)+[a-z]{2,}\b(?:/[^\s)>\],;]*)?", re.I
)
CODE = re.compile(r"`([^`\n]+)`")
PATHS = re.compile(r"(?<![\w/<:.~*])/[\w%~][\w\-./%~+@]*")
_ADJECTIVES = """the a an this that their its our your each every any other another same top main primary service
leading strongest hottest fastest second single one no which what by per of and or in for key core secondary dominant
relevant"""
GENERIC = frozenset(_ADJECTIVES.split())
LANES = re.compile(r"((?:[\w-]+[ ]){0,3}[\w-]+)[*_”\"']*\s+(?:service )?lanes?\b", re.I)


def _address_problem(match: re.Match[str], known: _Known) -> Finding | None:
    quote = match[0].rstrip(".,:;")
    bare = re.sub(r"^https?://(www\.)?", "", quote).rstrip("/")
    if "@" not in quote and (known.has_text(bare) or known.within_a_text(bare)):
        return None
    return Finding(ADDRESS, quote, f"The facts name no address {quote}.")


def _name_problem(match: re.Match[str], known: _Known) -> Finding | None:
    quote = match[1].strip()
    number = NUMBER.fullmatch(quote)
    if number:
        return _figure_problem(number, "", "", known)
    if quote.startswith("/"):
        return _path(quote, known)
    same = {_letters(text) for text in known.texts}
    if known.has_text(quote) or _letters(quote) in same or known.within_a_text(quote):
        return None
    return Finding(NAME, quote, f"The facts do not name “{quote}”.")


def _path_problem(match: re.Match[str], known: _Known) -> Finding | None:
    return _path(match[0].rstrip(".,:;"), known)


def _path(quote: str, known: _Known) -> Finding | None:
    stem = quote.rstrip("/*") or "/"
    if known.has_text(quote) or known.has_text(stem) or known.has_text(f"{stem}/"):
        return None
    return Finding(PATH, quote, f"No page {quote} is in the facts.")


def _lane_problems(text: str, known: _Known) -> Iterator[Finding]:
    """`Event Space lane`: the words right before it, as many as name one. An adjective of ours names none."""
    for match in LANES.finditer(re.sub(r"[*“”\"]", "", text)):
        before = match[1].split()
        tails = [" ".join(before[-count:]) for count in range(1, len(before) + 1)]
        if any(_letters(tail) in known.lanes for tail in tails) or before[-1].casefold() in GENERIC:
            continue
        name = tails[0] if len(before) < 2 or not before[-2][:1].isupper() else tails[1]
        if name[:1].isupper() or "_" in name or "-" in name:
            yield Finding(LANE, name, f"No lane “{name}” is in the facts.")


# --- Its figures ------------------------------------------------------------------------------------------------------
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
DATES = re.compile(
    rf"\b(?P<y>\d{{4}})-(?P<m>\d\d)-(?P<d>\d\d)\b"
    rf"|\b(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\s+(?P<m2>{_MONTH})(?:,?\s+(?P<y2>\d{{4}}))?(?!\w)"
    rf"|\b(?P<m3>{_MONTH})\s+(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y3>\d{{4}}))?(?!\w)",
    re.I,
)
# The windows of the scores, the scale, and turns of speech that count nothing.
NO_FIGURE = re.compile(
    r"\b(?:7|14|30)(?:[ -]?days?\b|d\b)|\b(?:seven|thirty)[ -]days?\b|(?:/|\bout of )\s?100\b|\b24/7\b"
    r"|\b1[:-](?:1|on-1)\b",
    re.I,
)
_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty"""
_TENS = "thirty forty fifty sixty seventy eighty ninety hundred"
WORDS = {word: float(number) for number, word in enumerate(_SMALL.split())}
WORDS |= {word: 10.0 * (number + 3) for number, word in enumerate(_TENS.split())}
WORDS |= {"once": 1.0, "twice": 2.0, "thrice": 3.0, "dozen": 12.0, "thousand": 1000.0}
COUNTS = "points?|people|persons?|visitors?|requests?|leads?|views?|visits?|clicks?|sessions?|pages?|forms?|times|days"
SPELLED = re.compile(
    rf"\b(?P<word>{'|'.join(WORDS)})\b(?=(?:[ -][\w/-]+){{0,2}}[ -](?:{COUNTS})\b)|\b(?P<times>twice|thrice)\b", re.I
)


def _date_problem(match: re.Match[str], known: _Known) -> Finding | None:
    named, year = _month_and_day(match), match["y"] or match["y2"] or match["y3"]
    if named in known.said_dates:
        return None
    if any((fact.month, fact.day) == named and year in (None, str(fact.year)) for fact in known.dates):
        return None
    quote = match[0].rstrip(".")
    return Finding(DATE, quote, f"The date {quote} is not in the facts.")


def _month_and_day(match: re.Match[str]) -> tuple[int, int]:
    month, day = match["m"] or match["m2"] or match["m3"], match["d"] or match["d2"] or match["d3"]
    return (int(month) if month.isdigit() else MONTHS.index(month[:3].casefold()) + 1), int(day)


def _figure_problems(text: str, known: _Known) -> Iterator[Finding]:
    text = NO_FIGURE.sub(" ", text)
    for match in NUMBER.finditer(text):
        if problem := _figure_problem(match, text[: match.start()], text[match.end() :], known):
            yield problem
    for match in SPELLED.finditer(text):
        value = WORDS[match[0].casefold()]
        if not known.has_number(value, 0, _unit("", text[match.end() :])):
            yield Finding(FIGURE, match[0], f"“{match[0]}” is not in the facts.")


def _figure_problem(match: re.Match[str], before: str, after: str, known: _Known) -> Finding | None:
    whole, fraction, mark = match[1].replace(",", ""), match[2] or "", (match[3] or "").casefold()
    value, decimals = float(whole + fraction), max(0, len(fraction) - 1)
    quote = match[0].strip()
    if mark in ("%", "percent"):
        fits = known.has_number(value, decimals, PERCENT) or known.has_number(value / 100, decimals + 2, SHARES)
    elif mark == "k":
        fits = known.has_number(1000 * value, decimals - 3)
    else:
        fits = known.has_number(value, decimals, _unit(before, after))
    return None if fits else Finding(FIGURE, quote, f"The figure {quote} is not in the facts.")


def _unit(before: str, after: str) -> re.Pattern[str] | None:
    """Under which names a figure may stand, where the words around it say what it is."""
    counted = (names for unit, names in UNITS if unit.match(after))
    named = (names for word, names in NAMED if word.search(before))
    return next(counted, None) or next(named, None)
