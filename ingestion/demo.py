"""A believable quarter at a fictional provider of workspaces: the activity and lead requests that the demo starts with.

Pure and seeded: the same arguments give the same events, in the shape of PostHog batch-export lines, so that the demo
goes through the real import. Every company is invented and lives under `.example`, which nobody can register.

How it is told: a company has a profile, a profile is a few phases ("quiet until three days ago, then …"), a phase has
visits a day and a mix of journeys, and a journey is a row of pages that a visitor follows for a while.
"""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

SITE = "www.meridian-spaces.example"
LANES = ("coworking", "private_office", "meeting_rooms", "event_space", "virtual_office")
WEEKEND = {5: 0.2, 6: 0.1}  # share of a weekday's visits on Saturday and Sunday
SENDS_CONTENT_TYPE = 0.35  # share of page views that say what they are; event rules must supply the rest
SENDS_LANE = 0.3  # the same for the lane, where the path says it too
SENDS_LANE_ALONE = 0.7  # and where the path does not

PERSONAL_KEYS = ("gmail.com", "outlook.com", "yahoo.com")
JUNK_KEYS = ("undefined", "localhost", "(none)", "192.168.0.14", "test")

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
    "read": ("other", "blog", "other", "blog"),
    "operate": ("docs", "docs", "other", "docs"),
    "look": ("other", "service_page"),
    "browse": ("other", "service_page", "other", "service_page"),
    "subscribe": ("blog", "cta:newsletter"),
    "evaluate": ("other", "service_page", "case_study", "pricing", "security"),
    "compare": ("comparison", "integrations", "service_page", "pricing"),
    "negotiate": ("pricing", "security", "cta:contact_sales"),
    "hesitate": ("pricing", "cta:request_reservation", "request_reservation", "form_started"),
}
RESERVE = ("service_page", *JOURNEYS["hesitate"], "form_submitted")  # the visit behind a lead request

IDLE = {"glance": 5, "read": 4, "look": 0.5, "subscribe": 0.3}
INTERESTED = {"read": 2, "browse": 4, "operate": 1, "negotiate": 0.1}
EVALUATING = {"glance": 1, "browse": 2, "evaluate": 3, "compare": 2, "negotiate": 0.5}
BUYING = {"evaluate": 3, "compare": 2, "negotiate": 2, "hesitate": 2}


class Phase(NamedTuple):
    """Between two ages in days before the last day, both included: visits on a weekday, and what they are."""

    oldest: int
    newest: int
    visits: float
    journeys: Mapping[str, float]


class Profile(NamedTuple):
    people: int
    phases: tuple[Phase, ...]


ALWAYS = 10_000  # older than any window
PROFILES: Mapping[str, Profile] = {
    "passing": Profile(2, (Phase(ALWAYS, 0, 0.4, IDLE),)),
    "reading": Profile(4, (Phase(ALWAYS, 0, 0.9, IDLE),)),
    "steady": Profile(4, (Phase(ALWAYS, 0, 0.7, INTERESTED),)),
    "committed": Profile(7, (Phase(ALWAYS, 0, 0.8, EVALUATING),)),
    "surging": Profile(5, (Phase(ALWAYS, 10, 0.4, IDLE), Phase(9, 0, 0.9, INTERESTED))),
    "exploding": Profile(6, (Phase(ALWAYS, 5, 0.4, IDLE), Phase(4, 0, 1.4, BUYING))),
    "cooling": Profile(5, (Phase(ALWAYS, 24, 0.4, IDLE), Phase(23, 14, 1.3, EVALUATING), Phase(13, 0, 0.3, IDLE))),
    "new": Profile(2, (Phase(4, 0, 0.8, INTERESTED),)),
    "silent": Profile(3, (Phase(ALWAYS, 40, 0.8, INTERESTED),)),
}


# --- The companies ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Company:
    name: str
    domain: str
    industry: str
    profile: str

    @property
    def lane(self) -> str:
        """The service its industry mostly asks for."""
        return LANE_OF[self.industry]


LANE_OF: Mapping[str, str] = {
    "logistics": "private_office",
    "insurance": "private_office",
    "manufacturing": "private_office",
    "engineering": "private_office",
    "software": "coworking",
    "design": "coworking",
    "research": "coworking",
    "games": "coworking",
    "law": "meeting_rooms",
    "recruitment": "meeting_rooms",
    "architecture": "meeting_rooms",
    "health": "meeting_rooms",
    "publishing": "event_space",
    "food": "event_space",
    "fashion": "event_space",
    "education": "event_space",
    "consulting": "virtual_office",
    "trade": "virtual_office",
    "energy": "virtual_office",
    "finance": "virtual_office",
}

COMPANIES_BY_PROFILE: Mapping[str, str] = {
    "committed": """
        Northwind Freight: logistics, Halyard Mutual: insurance, Copperleaf Games: games, Ostrava Legal: law,
        Brightwater Press: publishing, Kestrel Advisory: consulting""",
    "surging": """
        Tamarind Software: software, Fairmead Recruiting: recruitment, Larkspur Foods: food, Quayside Energy: energy,
        Ironbridge Castings: manufacturing, Pellucid Design: design, Juniper Row Academy: education,
        Stonecrop Health: health""",
    "exploding": """
        Vantage Harbour Logistics: logistics, Meadowlark Studios: games, Ashdown and Pike: law,
        Saltmarsh Trading: trade, Velvet Anchor: fashion""",
    "steady": """
        Greyfriars Underwriting: insurance, Lumen Orchard: software, Candlewick Books: publishing,
        Tidewater Capital: finance, Hollis Structural: engineering, Bluebell Clinics: health,
        Marlow Consulting: consulting, Papercrane Design: design, Oakhurst Kitchens: food,
        Terrace Nine Architects: architecture""",
    "cooling": """
        Silverbirch Analytics: research, Penhallow Shipping: logistics, Cobalt Fern: software,
        Wexley Partners: law, Amberfield Solar: energy, Rosewood Textiles: fashion, Gantry Works: engineering,
        Inkwell Learning: education""",
    "new": """
        Fernhill Robotics: manufacturing, Moonraker Apps: software, Cartwright Talent: recruitment,
        Isleworth Imports: trade, Daybreak Dairy: food, Plumline Architects: architecture, Otterbrook Labs: research""",
    "silent": """
        Thornbury Glass: manufacturing, Eastgate Notaries: law, Willowmere Care: health, Falconer Maps: software,
        Beacon Street Finance: finance, Hazel and Wren: fashion, Millrace Engineering: engineering,
        Summerfield Seeds: food, Graphite Lane: design""",
    "reading": """
        Aldergate Insurance: insurance, Birchwood Freight: logistics, Cinderford Steel: manufacturing,
        Dovetail Joinery: manufacturing, Ellison Biotech: research, Foxglove Media: publishing,
        Glasshouse Software: software, Harrowgate Law: law, Indigo Tram: design, Jasper Hill Foods: food,
        Kingsferry Lines: logistics, Lindenbaum Research: research, Mosswood Energy: energy,
        Nettlefold Tools: manufacturing, Opaline Skincare: fashion, Pinecrest Schools: education,
        Quillfeather Press: publishing, Ravensworth Capital: finance, Seabright Ferries: logistics,
        Thistledown Games: games""",
    "passing": """
        Umberline Paints: manufacturing, Verity Translations: consulting, Wintergreen Health: health,
        Yarrow Systems: software, Zephyr Cold Chain: logistics, Abbotsleigh Homes: architecture,
        Brackenridge Mining: engineering, Cloverly Dental: health, Drumlin Outdoors: fashion,
        Elmstead Payroll: finance, Firth Marine: engineering, Goldcrest Tutors: education,
        Heathcote Events: publishing, Ivory Gate Music: publishing, Juneberry Cafe: food,
        Kelpie Diving: trade, Longacre Surveyors: architecture, Maplewick Toys: trade, Norbury Metals: manufacturing,
        Osprey Couriers: logistics, Pomelo Payments: finance, Ridgeway Rail: engineering, Sorrel Nurseries: food,
        Tallowbrook Candles: trade, Upland Wool: fashion, Vireo Optics: research, Wharfside Brewing: food""",
}


def domain_of(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()) + ".example"


def _all_companies() -> tuple[Company, ...]:
    """Every company, the profiles dealt out evenly, so that the first ten show about the same mix as all."""
    placed: list[tuple[float, Company]] = []
    for profile, text in COMPANIES_BY_PROFILE.items():
        rows = [row.strip().split(": ") for row in text.split(",")]
        for index, (name, industry) in enumerate(rows):
            placed.append(((index + 0.5) / len(rows), Company(name, domain_of(name), industry, profile)))
    return tuple(company for _, company in sorted(placed, key=lambda place: (place[0], place[1].domain)))


DEMO_COMPANIES = _all_companies()
# A second domain of an account, to be made an alias, and a rival reading our prices, to be suppressed.
BRANCH = Company("Northwind Benelux", "northwind-benelux.example", "logistics", "steady")
BRANCH_OF = "northwind-freight.example"
COMPETITOR = Company("Deskhaven", "deskhaven.example", "trade", "committed")


# --- The lead requests ------------------------------------------------------------------------------------------------
class Request(NamedTuple):
    """One lead request as a story; `tracked` is false where an ad blocker hid the form from PostHog."""

    days_ago: int
    person: str
    title: str
    company: str
    lane: str
    message: str
    tracked: bool = True
    email: str = ""  # where it is not first.last@company


REQUESTS = (
    Request(0, "Imani Castellanos", "Head of Workplace", "Vantage Harbour Logistics", "private_office",
            "Forty desks in Rotterdam from the first of the month, our lease ends sooner than planned."),
    Request(1, "Tomasz Wielgosz", "Office Manager", "Meadowlark Studios", "coworking",
            "Could twelve of us try a week before we decide?"),
    Request(1, "Priya Ramanathan", "Practice Director", "Ashdown and Pike", "meeting_rooms",
            "Two hearing rooms, three days a week, with a side door for clients.", tracked=False),
    Request(2, "Leonie Achterberg", "Procurement Lead", "Northwind Freight", "private_office",
            "Please send the master agreement and your security questionnaire."),
    Request(4, "Marcus Adeyemi", "Chief of Staff", "Halyard Mutual", "private_office",
            "We are leaving our headquarters. Who can walk us through two hundred desks?"),
    Request(6, "Sofia Lindqvist", "Events Producer", "Brightwater Press", "event_space",
            "A launch for 150 guests in March, evening, with a stage."),
    Request(9, "Daniel Okonkwo", "Operations Manager", "Tamarind Software", "coworking",
            "Hot desks in Lisbon for a team that doubles in the spring."),
    Request(17, "Hannah Breitkopf", "Finance Director", "Silverbirch Analytics", "coworking",
            "What would thirty seats cost over two years?"),
    Request(3, "Yusuf Demirhan", "Founder", "Tessellate Robotics", "private_office",
            "A colleague recommended you. We need a lab next to an office.", tracked=False),
    Request(8, "Grace Whitlock", "Facilities Coordinator", "Corvid Insurance Group", "virtual_office",
            "A business address in three cities, post scanned daily.", tracked=False),
    Request(5, "Nils Abrahamsen", "", "", "coworking",
            "Is there a day pass for one person?", tracked=False, email="nils.invented.demo.visitor@gmail.com"),
    Request(33, "Beatriz Montalvo", "People Partner", "Cobalt Fern", "coworking",
            "Looking at options for an offsite and a permanent floor."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DemoLead:
    """A row of `lead_requests`, the fields by their names there."""

    submitted_at: datetime
    work_email: str
    first_name: str
    last_name: str
    title: str
    organization_name: str
    organization_website: str
    lane: str
    message: str
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


def demo_events(last_day: date, days: int = 90, companies: int = 100, seed: int = 7) -> Iterator[dict[str, Any]]:
    """The events of the `days` UTC days up to `last_day`, company by company: the first `companies` of them, and all
    who filled in the form. Every day has events, whatever the number of companies: scores need a window without a gap.
    """
    for company in (*DEMO_COMPANIES[:companies], BRANCH, COMPETITOR):
        yield from _company_events(company, last_day, days, seed)
    yield from _strangers_events(last_day, days, seed)
    for request in REQUESTS:
        if request.tracked and request.days_ago < days:
            yield from _form_events(request, last_day, seed)


def demo_leads(last_day: date, seed: int = 7) -> list[DemoLead]:
    return [_lead(request, last_day, seed) for request in REQUESTS]


def _company_events(company: Company, last_day: date, days: int, seed: int) -> Iterator[dict[str, Any]]:
    # A generator of its own for each company: with fewer companies the others stay the same.
    rng = random.Random(f"{seed} {company.domain}")
    profile = PROFILES[company.profile]
    people = [_person(rng) for _ in range(profile.people)]
    due = rng.random()
    for day, phase in _calendar(profile, last_day, days):
        # Visits come due in a loose rhythm, not by the dice alone: dice make every small account explode now and then.
        due += phase.visits * WEEKEND.get(day.weekday(), 1.0) * rng.uniform(0.3, 1.7)
        while due >= 1:
            due -= 1
            # The first of the list come most often: every account has its champion.
            person = people[int(len(people) * rng.random() ** 1.5)]
            lane = company.lane if rng.random() < 0.75 else rng.choice(LANES)
            yield from _visit(rng, Visitor(person, company.domain, lane), day, _pick(rng, phase.journeys))


def _calendar(profile: Profile, last_day: date, days: int) -> Iterator[tuple[date, Phase]]:
    """The days on which a company of this profile may visit, oldest first."""
    for age in range(days - 1, -1, -1):
        for phase in profile.phases:
            if phase.newest <= age <= phase.oldest:
                yield last_day - timedelta(days=age), phase


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
    rng = random.Random(f"{seed} form {lead.work_email}")
    visitor = Visitor(_requester(lead.work_email, seed), domain_of(request.company), request.lane)
    at = lead.submitted_at - timedelta(minutes=3 * (len(RESERVE) - 1))
    path = ""
    for step in RESERVE:
        path = _path(rng, step, visitor.lane, path)
        yield _event(rng, visitor, at, step, path)
        at += timedelta(minutes=3)


def _lead(request: Request, last_day: date, seed: int) -> DemoLead:
    first, last = request.person.split(" ", 1)
    domain = domain_of(request.company) if request.company else ""
    email = request.email or f"{first}.{last}@{domain}".lower()
    rng = random.Random(f"{seed} lead {email}")
    submitted = time(rng.randint(9, 17), rng.randint(0, 59), tzinfo=UTC)
    return DemoLead(
        submitted_at=datetime.combine(last_day - timedelta(days=request.days_ago), submitted),
        work_email=email,
        first_name=first,
        last_name=last,
        title=request.title,
        organization_name=request.company,
        organization_website=f"https://www.{domain}/" if domain else "",
        lane=request.lane,
        message=request.message,
        tracking_json={"posthog_distinct_id": _requester(email, seed).distinct_id} if request.tracked else {},
    )


def _visit(rng: random.Random, visitor: Visitor, day: date, steps: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """One visit in office hours: the journey from its first step, left after a random one."""
    at = datetime.combine(day, time(rng.randint(7, 18), rng.randint(0, 59), rng.randint(0, 59)), UTC)
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
