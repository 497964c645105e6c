"""A believable quarter at a fictional provider of workspaces: the activity and lead requests that the demo starts with.

Pure and seeded: the same arguments give the same events, in the shape of PostHog batch-export lines, so that the demo
goes through the real import. Every company is invented (`demo_cast`).

How it is told: a company has a profile, a profile is a few phases ("quiet until three days ago, then …"), a phase has
visits a day and a mix of journeys, and a journey is a row of pages that a visitor follows for a while.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from ingestion.demo_cast import (
    BOUGHT,
    BRANCH,
    BUDGETS,
    CITIES,
    DEMO_COMPANIES,
    FIRST_NAMES,
    LANES,
    LAST_NAMES,
    LINK_CHECKER,
    MESSAGES,
    SUPPRESSED,
    TIMELINES,
    TITLES,
    Company,
    domain_of,
)

SITE = "www.meridian-spaces.example"
WEEKEND = {5: 0.2, 6: 0.1}  # share of a weekday's visits on Saturday and Sunday
SENDS_CONTENT_TYPE = 0.35  # share of page views that say what they are; event rules must supply the rest
SENDS_LANE = 0.3  # the same for the lane, where the path says it too
SENDS_LANE_ALONE = 0.7  # and where the path does not

PERSONAL_KEYS = ("gmail.com", "outlook.com", "yahoo.com")
JUNK_KEYS = ("undefined", "localhost", "(none)", "192.168.0.14", "test")
EXTRAS = (BRANCH, BOUGHT, LINK_CHECKER, *(company for company, _ in SUPPRESSED.values()))

# --- The site ---------------------------------------------------------------------------------------------------------
# By content type; {lane} is the lane the visitor looks at.
PAGES: Mapping[str, tuple[str, ...]] = {
    "other": ("/", "/", "/", "/about", "/careers", "/contact"),
    "service_page": ("/services/{lane}/overview", "/services/{lane}/lisbon", "/services/{lane}/rotterdam"),
    "pricing": ("/pricing",),
    "security": ("/security", "/security/visitor-access"),
    "integrations": ("/integrations", "/integrations/calendar-sync", "/integrations/expense-export"),
    "case_study": ("/case-studies/insurer-leaves-headquarters", "/case-studies/two-hundred-desks-in-six-weeks"),
    "docs": ("/docs/booking-api", "/docs/door-codes", "/docs/invoices", "/docs/floor-plans"),
    "blog": ("/blog/hybrid-work-survey", "/blog/what-a-desk-costs", "/blog/quiet-rooms", "/blog/lease-or-licence"),
    "comparison": ("/compare/licence-vs-lease", "/compare/deskhaven"),
    "request_reservation": ("/request-reservation",),
}
LANE_IN_PATH = frozenset({"service_page"})
LANE_IN_MIND = frozenset({"blog", "pricing", "request_reservation", "case_study", "comparison"})

# What visitors do, in order, leaving after any step. Clicks (`cta:`) and forms happen on the page before them.
JOURNEYS: Mapping[str, tuple[str, ...]] = {
    "glance": ("other", "other"),
    "skim": ("blog",),
    "read": ("other", "blog", "other", "blog"),
    "operate": ("docs", "docs", "other", "docs"),
    "consult": ("other", "docs"),
    "look": ("other", "service_page"),
    "browse": ("other", "service_page", "other", "service_page"),
    "subscribe": ("blog", "cta:newsletter"),
    "evaluate": ("other", "service_page", "case_study", "pricing", "security"),
    "compare": ("comparison", "integrations", "service_page", "pricing"),
    "negotiate": ("pricing", "security", "cta:contact_sales"),
    "hesitate": ("pricing", "cta:request_reservation", "request_reservation", "form_started"),
}
RESERVE = ("service_page", *JOURNEYS["hesitate"], "form_submitted")  # the visit behind a lead request

STEADY = {"glance": 4, "skim": 3, "consult": 3}
PASSING = {"glance": 1, "skim": 1}
IDLE = {"glance": 5, "skim": 3, "read": 1, "subscribe": 0.3}
INTERESTED = {"read": 2, "browse": 4, "operate": 1, "negotiate": 0.1}
EVALUATING = {"glance": 1, "browse": 2, "evaluate": 3, "compare": 2, "negotiate": 0.5}
BUYING = {"evaluate": 3, "compare": 2, "negotiate": 2, "hesitate": 2}


class Phase(NamedTuple):
    """Between two ages in days before the last day, both included: visits on a weekday, and what they are."""

    oldest: int
    newest: int
    visits: float
    journeys: Mapping[str, float]


class Asking(NamedTuple):
    """How many of a profile's companies write to us, and between which ages in days; `tracked` of them with a form that
    PostHog saw."""

    share: float
    newest: int
    oldest: int
    tracked: float = 0.6


class Profile(NamedTuple):
    people: int
    phases: tuple[Phase, ...]
    spread: int = 0  # days by which a company's whole story may lie further back
    asking: Asking = Asking(0, 0, 0)
    sleeps: bool = True  # at night and on weekends


ALWAYS, NOW = 10_000, -10_000  # older than any window, and still going on
PROFILES: Mapping[str, Profile] = {
    "passing": Profile(2, (Phase(ALWAYS, NOW, 0.25, PASSING),)),
    "reading": Profile(3, (Phase(ALWAYS, NOW, 0.22, IDLE),), asking=Asking(0.06, 34, 85)),
    "once": Profile(1, (Phase(3, 0, 0.5, INTERESTED),), spread=56, asking=Asking(0.1, 32, 80, tracked=0)),
    "steady": Profile(4, (Phase(ALWAYS, NOW, 0.38, STEADY),), asking=Asking(0.12, 34, 80)),
    "committed": Profile(9, (Phase(ALWAYS, 40, 0.4, IDLE), Phase(39, NOW, 0.7, EVALUATING)), asking=Asking(0.6, 9, 26)),
    "closing": Profile(
        7,
        (Phase(ALWAYS, 22, 0.3, IDLE), Phase(21, 7, 0.9, EVALUATING), Phase(6, NOW, 0.4, EVALUATING)),
        spread=3,
        asking=Asking(0.4, 8, 15, tracked=0.4),
    ),
    "deciding": Profile(
        5,
        (Phase(ALWAYS, 18, 0.2, IDLE), Phase(17, 7, 0.7, EVALUATING), Phase(6, NOW, 0.25, INTERESTED)),
        spread=6,
        asking=Asking(0.2, 17, 30, tracked=0.4),
    ),
    "surging": Profile(
        5, (Phase(ALWAYS, 10, 0.3, IDLE), Phase(9, NOW, 0.8, INTERESTED)), spread=0, asking=Asking(0.15, 2, 12, 0.3)
    ),
    "exploding": Profile(6, (Phase(ALWAYS, 5, 0.3, IDLE), Phase(4, NOW, 1.4, BUYING)), asking=Asking(0.4, 0, 3)),
    "cooling": Profile(
        5,
        (Phase(ALWAYS, 24, 0.3, IDLE), Phase(23, 14, 1.0, EVALUATING), Phase(13, NOW, 0.15, IDLE)),
        spread=25,
        asking=Asking(0.3, 22, 50),
    ),
    "new": Profile(2, (Phase(1, NOW, 0.6, INTERESTED),), spread=12, asking=Asking(0.1, 0, 2)),
    "silent": Profile(3, (Phase(ALWAYS, 40, 0.6, INTERESTED),), spread=18, asking=Asking(0.15, 45, 80)),
    "crawling": Profile(1, (Phase(ALWAYS, NOW, 2.2, {"skim": 1}),), sleeps=False),
}


# --- The lead requests ------------------------------------------------------------------------------------------------
class Request(NamedTuple):
    """One lead request as a story; `tracked` is false where an ad blocker hid the form from PostHog.

    `status` is how far sales is with it; of spam, `is_honeypot` says whether the form caught it or a person did.
    """

    days_ago: int
    person: str
    title: str
    company: str
    lane: str
    message: str
    tracked: bool = True
    email: str = ""  # where it is not first.last@company
    status: str = "new"
    is_honeypot: bool = False
    request_type: str = "reservation"
    quantity: int | None = None
    location: str = ""
    timeline: str = ""
    budget: str = ""
    has_phone: bool = False


REQUESTS = (
    Request(0, "Imani Castellanos", "Head of Workplace", "Vantage Harbour Logistics", "private_office",
            "Forty desks in Rotterdam from the first of the month, our lease ends sooner than planned.",
            quantity=40, location="Rotterdam", timeline="the first of the month", budget="21,000 a month",
            has_phone=True),
    Request(0, "Cormac Delahunt", "Fleet Manager", "Kingsferry Lines", "private_office",
            "We move our crewing desk ashore. Eight people, two of them at night.", quantity=8, location="Cork",
            timeline="as soon as possible"),
    Request(1, "Tomasz Wielgosz", "Office Manager", "Meadowlark Studios", "coworking",
            "Could twelve of us try a week before we decide?", quantity=12, status="working"),
    Request(1, "Priya Ramanathan", "Practice Director", "Ashdown and Pike", "meeting_rooms",
            "Two hearing rooms, three days a week, with a side door for clients.", tracked=False, has_phone=True),
    Request(2, "Leonie Achterberg", "Procurement Lead", "Northwind Freight", "private_office",
            "Please send the master agreement and your security questionnaire.", request_type="procurement",
            status="working", budget="to be agreed", has_phone=True),
    Request(21, "Leonie Achterberg", "Procurement Lead", "Northwind Freight", "private_office",
            "Which of your houses have loading bays?", request_type="other", status="qualified"),
    Request(5, "Pieter Zandstra", "Site Manager", "Northwind Benelux", "private_office",
            "We will be the ones moving in. May I see the floor before anything is signed?", tracked=False,
            request_type="contact_sales", location="Rotterdam"),
    Request(4, "Marcus Adeyemi", "Chief of Staff", "Halyard Mutual", "private_office",
            "We are leaving our headquarters. Who can walk us through two hundred desks?", status="qualified",
            request_type="contact_sales", quantity=200, timeline="by the summer", has_phone=True),
    Request(11, "Ottilie Hargreave", "Head of Premises", "Halyard Life", "private_office",
            "Since the merger we have a floor too many and a floor too few.", tracked=False, status="working"),
    Request(6, "Sofia Lindqvist", "Events Producer", "Brightwater Press", "event_space",
            "A launch for 150 guests in March, evening, with a stage.", quantity=150, timeline="March"),
    Request(9, "Daniel Okonkwo", "Operations Manager", "Tamarind Software", "coworking",
            "Hot desks in Lisbon for a team that doubles in the spring.", location="Lisbon", status="qualified"),
    Request(17, "Hannah Breitkopf", "Finance Director", "Silverbirch Analytics", "coworking",
            "What would thirty seats cost over two years?", quantity=30, status="disqualified",
            request_type="procurement"),
    Request(6, "Morwenna Tregear", "Contracts Manager", "Pinnacle Scaffold", "private_office",
            "A yard is no place for estimates. Six desks and a room that closes.", quantity=6, status="working"),
    Request(3, "Yusuf Demirhan", "Founder", "Tessellate Robotics", "private_office",
            "A colleague recommended you. We need a lab next to an office.", tracked=False, has_phone=True),
    Request(8, "Grace Whitlock", "Facilities Coordinator", "Corvid Insurance Group", "virtual_office",
            "A business address in three cities, post scanned daily.", tracked=False, quantity=3),
    Request(5, "Nils Abrahamsen", "", "", "coworking",
            "Is there a day pass for one person?", tracked=False, email="nils.invented.demo.visitor@gmail.com",
            request_type="other"),
    Request(33, "Beatriz Montalvo", "People Partner", "Cobalt Fern", "coworking",
            "Looking at options for an offsite and a permanent floor.", status="disqualified"),
    Request(12, "Rupert Fairweather", "Strategy", "Deskhaven", "coworking",
            "Could you send your volume discounts? Asking for a friend.", tracked=False, status="disqualified"),
    Request(2, "Best Ranking", "", "", "", "We put your site on page one in 7 days, guaranteed!!!", tracked=False,
            email="offers@page-one-guaranteed.example", status="spam", is_honeypot=True, request_type="other"),
    Request(15, "Hello There", "", "", "", "Buy 10,000 verified addresses of decision makers.", tracked=False,
            email="sales@ten-thousand-leads.example", status="spam", request_type="other"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DemoLead:
    """A lead request as it came in: the fields by their names in `lead_requests`. `status` is what became of it."""

    submitted_at: datetime
    status: str
    is_honeypot: bool
    work_email: str
    first_name: str
    last_name: str
    title: str
    phone: str
    organization_name: str
    organization_website: str
    lane: str
    request_type: str
    budget: str
    timeline: str
    quantity: int | None
    location: str
    message: str
    consent: bool | None
    page_url: str
    tracking_json: dict[str, str] = field(default_factory=dict)


# --- Telling it -------------------------------------------------------------------------------------------------------
class Person(NamedTuple):
    distinct_id: str
    person_id: str


class Visitor(NamedTuple):
    """Who browses: a person, under the group key their browser sends ('' when it sends none), with a lane in mind."""

    person: Person
    key: str
    lane: str


def demo_events(
    last_day: date, days: int = 90, companies: int = len(DEMO_COMPANIES), seed: int = 7
) -> Iterator[dict[str, Any]]:
    """The events of the `days` UTC days up to `last_day`, company by company: the first `companies` of them, and all
    who filled in the form. Every day has events, whatever the number of companies: scores need a window without a gap.
    """
    requests = list(_requests(companies, seed))
    known: dict[str, list[Person]] = defaultdict(list)
    for request in requests:
        if request.tracked:
            person = _requester(_email(request), seed)
            if person not in known[domain_of(request.company)]:
                known[domain_of(request.company)].append(person)
    for company in (*DEMO_COMPANIES[:companies], *EXTRAS):
        yield from _company_events(company, known[company.domain], last_day, days, seed)
    yield from _strangers_events(last_day, days, seed)
    for request in requests:
        if request.tracked and request.days_ago < days:
            yield from _form_events(request, last_day, seed)


def demo_leads(last_day: date, companies: int = len(DEMO_COMPANIES), seed: int = 7) -> list[DemoLead]:
    """The lead requests of the first `companies`, and those that are told whatever their number; oldest first."""
    return sorted(
        (_lead(request, last_day, seed) for request in _requests(companies, seed)),
        key=lambda lead: (lead.submitted_at, lead.work_email),
    )


def _requests(companies: int, seed: int) -> Iterator[Request]:
    yield from REQUESTS
    for company in DEMO_COMPANIES[:companies]:
        asking = PROFILES[company.profile].asking
        rng = random.Random(f"{seed} request {company.domain}")
        if rng.random() < asking.share:
            yield _request(rng, company, asking)


def _request(rng: random.Random, company: Company, asking: Asking) -> Request:
    lane = company.lane if rng.random() < 0.85 else rng.choice(LANES)
    quantity = rng.choice((4, 8, 12, 20, 35, 60, None, None))
    days_ago = rng.randint(asking.newest, asking.oldest)
    stale = ("working", "qualified", "qualified", "disqualified")
    return Request(
        days_ago,
        f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}",
        rng.choice(TITLES),
        company.name,
        lane,
        rng.choice(MESSAGES[lane]).format(quantity=quantity or "a dozen"),
        tracked=rng.random() < asking.tracked,
        status=rng.choice(stale) if days_ago > 6 else rng.choice(("new", "new", "working")),
        request_type=rng.choice(("reservation", "reservation", "procurement", "contact_sales", "other")),
        quantity=quantity,
        location=rng.choice(CITIES),
        timeline=rng.choice(TIMELINES),
        budget=rng.choice(BUDGETS),
        has_phone=rng.random() < 0.4,
    )


def _company_events(
    company: Company, known: Iterable[Person], last_day: date, days: int, seed: int
) -> Iterator[dict[str, Any]]:
    # A generator of its own for each company: with fewer companies the others stay the same.
    rng = random.Random(f"{seed} {company.domain}")
    profile = PROFILES[company.profile]
    size = rng.choice((0.7, 1.0, 1.0, 1.4))
    # Who wrote to us visits most, and had done so before: the first of the list come most often.
    people = [*known, *(_person(rng) for _ in range(max(1, round(profile.people * size**2))))]
    due = rng.random()
    for day, phase in _calendar(profile, last_day - timedelta(days=rng.randint(0, profile.spread)), last_day, days):
        # Visits come due in a loose rhythm, not by the dice alone: dice make every small account explode now and then.
        rest = WEEKEND.get(day.weekday(), 1.0) if profile.sleeps else 1.0
        due += phase.visits * size * rest * rng.uniform(0.5, 1.5)
        while due >= 1:
            due -= 1
            person = people[int(len(people) * rng.random() ** 1.5)]
            lane = company.lane if rng.random() < 0.75 else rng.choice(LANES)
            hours = (7, 18) if profile.sleeps else (0, 23)
            yield from _visit(rng, Visitor(person, company.domain, lane), day, _pick(rng, phase.journeys), hours)


def _calendar(profile: Profile, told_on: date, last_day: date, days: int) -> Iterator[tuple[date, Phase]]:
    """The days on which a company of this profile may visit, oldest first; its phases end at the day it is told on."""
    for back in range(days - 1, -1, -1):
        day = last_day - timedelta(days=back)
        age = (told_on - day).days
        for phase in profile.phases:
            if phase.newest <= age <= phase.oldest:
                yield day, phase


def _strangers_events(last_day: date, days: int, seed: int) -> Iterator[dict[str, Any]]:
    """Visitors who belong to no account: personal mail, keys that are no domain, and no key at all."""
    rng = random.Random(f"{seed} strangers")
    people = [_person(rng) for _ in range(60)]
    for age in range(days - 1, -1, -1):
        day = last_day - timedelta(days=age)
        keys = [PERSONAL_KEYS[0], *rng.choices((*PERSONAL_KEYS, *JUNK_KEYS, "", "", ""), k=4)]
        for key in keys[: 2 if day.weekday() in WEEKEND else 5]:
            visitor = Visitor(rng.choice(people), key, rng.choice(LANES))
            yield from _visit(rng, visitor, day, JOURNEYS[rng.choice(("glance", "read", "browse"))])


def _form_events(request: Request, last_day: date, seed: int) -> Iterator[dict[str, Any]]:
    """The visit that ended in a lead request: the form's submission is both an event and a row."""
    lead = _lead(request, last_day, seed)
    rng = random.Random(f"{seed} form {lead.work_email} {request.days_ago}")
    visitor = Visitor(_requester(lead.work_email, seed), domain_of(request.company), request.lane)
    at = lead.submitted_at - timedelta(minutes=3 * (len(RESERVE) - 1))
    path = ""
    for step in RESERVE:
        path = _path(rng, step, visitor.lane, path)
        yield _event(rng, visitor, at, step, path)
        at += timedelta(minutes=3)


def _email(request: Request) -> str:
    first, last = request.person.split(" ", 1)
    return request.email or f"{first}.{last}@{domain_of(request.company)}".lower()


def _lead(request: Request, last_day: date, seed: int) -> DemoLead:
    first, last = request.person.split(" ", 1)
    domain = domain_of(request.company) if request.company else ""
    email = _email(request)
    rng = random.Random(f"{seed} lead {email} {request.days_ago}")
    submitted = time(rng.randint(9, 17), rng.randint(0, 59), tzinfo=UTC)
    return DemoLead(
        submitted_at=datetime.combine(last_day - timedelta(days=request.days_ago), submitted),
        status=request.status,
        is_honeypot=request.is_honeypot,
        work_email=email,
        first_name=first,
        last_name=last,
        title=request.title,
        phone=f"+44 20 7946 0{rng.randint(0, 999):03}" if request.has_phone else "",
        organization_name=request.company,
        organization_website=f"https://www.{domain}/" if domain else "",
        lane=request.lane,
        request_type=request.request_type,
        budget=request.budget,
        timeline=request.timeline,
        quantity=request.quantity,
        location=request.location,
        message=request.message,
        consent=rng.choice((True, True, None)),
        page_url=f"https://{SITE}/request-reservation",
        tracking_json={"posthog_distinct_id": _requester(email, seed).distinct_id} if request.tracked else {},
    )


def _visit(
    rng: random.Random, visitor: Visitor, day: date, steps: tuple[str, ...], hours: tuple[int, int] = (7, 18)
) -> Iterator[dict[str, Any]]:
    """One visit, in office hours if nothing else is said: the journey from its first step, left after a random one."""
    at = datetime.combine(day, time(rng.randint(*hours), rng.randint(0, 59), rng.randint(0, 59)), UTC)
    path = ""
    for step in steps[: rng.randint(1, len(steps))]:
        path = _path(rng, step, visitor.lane, path)
        yield _event(rng, visitor, at, step, path)
        at += timedelta(seconds=rng.randint(15, 240))


def _event(rng: random.Random, visitor: Visitor, at: datetime, step: str, path: str) -> dict[str, Any]:
    """One line of an export."""
    properties: dict[str, Any] = {"$pathname": path, "$current_url": f"https://{SITE}{path}"}
    name, _, cta = step.partition(":")
    if cta:
        name, properties["cta_id"] = "cta_click", cta
    elif step in PAGES:
        name = "$pageview" if rng.random() < 0.3 else "page_view"
        if rng.random() < SENDS_CONTENT_TYPE:
            properties["content_type"] = step
    if _sends_lane(rng, step):
        properties["service_lane"] = visitor.lane
    if visitor.key:
        properties["$groups"] = {"company": visitor.key}
    return {
        "uuid": _uuid(rng),
        "event": name,
        "distinct_id": visitor.person.distinct_id,
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "person_id": visitor.person.person_id,
        "properties": properties,
    }


def _path(rng: random.Random, step: str, lane: str, before: str) -> str:
    """The page of a step; a click or a form is on the page it follows."""
    return rng.choice(PAGES[step]).format(lane=lane) if step in PAGES else before


def _sends_lane(rng: random.Random, step: str) -> bool:
    if step in LANE_IN_PATH:
        return rng.random() < SENDS_LANE
    return (step in LANE_IN_MIND or step not in PAGES) and rng.random() < SENDS_LANE_ALONE


def _pick(rng: random.Random, journeys: Mapping[str, float]) -> tuple[str, ...]:
    return JOURNEYS[rng.choices(list(journeys), weights=list(journeys.values()))[0]]


def _person(rng: random.Random) -> Person:
    return Person(distinct_id=_uuid(rng), person_id=_uuid(rng))


def _requester(email: str, seed: int) -> Person:
    return _person(random.Random(f"{seed} person {email}"))


def _uuid(rng: random.Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))
