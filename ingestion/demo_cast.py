"""Who plays in the demo: the companies, and the people who write to us. All invented, all under `.example`.

Nobody can register a name under `.example`, and the telephone numbers are of the ranges kept for fiction. Pure.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

SHORT_ENOUGH = 14  # letters of a name that its domain writes without a dash
# What a domain leaves out of a company's name.
_LEGAL_FORM = re.compile(r",? (?:GmbH|AG|Ltd|Inc|Oy|Kft|S\.L|S\.p\.A|B\.V|SAS|AB|LLP)\.?$")
_NOT_ASCII = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae"})


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
    "architecture": "meeting_rooms",
    "health": "meeting_rooms",
    "publishing": "event_space",
    "food": "event_space",
    "fashion": "event_space",
    "education": "training_rooms",
    "recruitment": "training_rooms",
    "charity": "training_rooms",
    "consulting": "virtual_office",
    "trade": "virtual_office",
    "energy": "virtual_office",
    "finance": "virtual_office",
}
LANES = tuple(sorted(set(LANE_OF.values())))

COMPANIES_BY_PROFILE: Mapping[str, str] = {
    "committed": """
        Northwind Freight: logistics, Halyard Mutual: insurance, Copperleaf Games: games, Ostrava Legal: law,
        Brightwater Press: publishing, Kestrel Advisory: consulting, Ferrant Aerostructures: engineering,
        Lowland Teachers' College: education""",
    "closing": """
        Dunmarrow Bank: finance, Vesper Clinics Group: health, Ordnung und Licht GmbH: architecture,
        Tallybook: software, Oriel Street Studios: design, Marchbank Reinsurance: insurance, Cascais Conservas: food,
        Harbour & Hale LLP: law, Bergström Kabel AB: manufacturing, The Lantern Trust: charity""",
    "surging": """
        Tamarind Software: software, Fairmead Recruiting: recruitment, Larkspur Foods: food, Quayside Energy: energy,
        Ironbridge Castings: manufacturing, Pellucid Design: design, Juniper Row Academy: education,
        Stonecrop Health: health, Hexaform: software, Brandt Feinmechanik GmbH: manufacturing, Okonjo Brothers: trade,
        Sundial Actuaries: insurance, Little Owl Publishing: publishing, Passo Largo Calçados: fashion,
        Nimbus Orchard Labs: research, Gatwell Removals: logistics, Merrion Tax: consulting,
        Kitebird Interactive: games, Saoirse Wind: energy, Bramhall Conveyancing: law,
        Fenwick Street Charities: charity, Elderflower Care: health""",
    "exploding": """
        Vantage Harbour Logistics: logistics, Meadowlark Studios: games, Ashdown and Pike: law,
        Saltmarsh Trading: trade, Velvet Anchor: fashion, Quantock Cyber: software, Lisle & Ferreira: architecture,
        Bluewren Learning: education, Torvald Marine Cover: insurance""",
    "deciding": """
        Anselm Instruments: manufacturing, Baltic Amber Freight: logistics, Calder Vale Insurance: insurance,
        Doppelpunkt Verlag: publishing, Emberline: software, Fjord & Fell Outfitters: fashion,
        Gilded Fern Catering: food, Huxtable Surveying: engineering, Ilex Pharmacology: research, Jardim Nove: design,
        Kelvedon Payroll: finance, Lockhart Mediation: law, Mirador Arquitectos S.L.: architecture,
        Nordhavn Kraft: energy, Open Door Housing: charity, Pemberley Interim: recruitment,
        Quillon Fencing Supplies: trade, Rookwood School Group: education, Sablefin Robotics: manufacturing,
        Tern Island Games: games, Underhill Physiotherapy: health, Vaskó és Társa Kft: consulting,
        Westering Telematics: software, Xanthe Interiors: design, Yewtree Actuarial: insurance,
        Zinnia Botanicals: trade, Aozora Sekkei: architecture, Bexhill Ferries: logistics""",
    "steady": """
        Greyfriars Underwriting: insurance, Lumen Orchard: software, Candlewick Books: publishing,
        Tidewater Capital: finance, Hollis Structural: engineering, Bluebell Clinics: health,
        Marlow Consulting: consulting, Papercrane Design: design, Oakhurst Kitchens: food,
        Terrace Nine Architects: architecture, Aldous Pumps: manufacturing, Bonnard Traiteur: food,
        Carrick Bookkeeping: finance, Driftwood Surf Hotels: trade, Eastmoor Ambulance Charity: charity,
        Fennel & Rye: food, Gossamer Fabrics: fashion, Hartnell Optical: health, Isola Bella Travel: trade,
        Jessop Tools: manufacturing, Kingfisher Court Chambers: law, Lavender Hill Nursing: health,
        Mortimer Pianos: trade, Neon Heron: design, Orsini Marmi S.p.A.: manufacturing, Pipistrelle Audio: software,
        Quercus Forestry: research, Rampart Security Doors: manufacturing, Sextant Charts: publishing,
        Tollgate Haulage: logistics, Ullswater Boats: trade, Valerian Sleep Labs: research, Wickham Auctions: trade,
        Yellowhammer Radio: publishing, Arkwright Staffing: recruitment, Belvoir Training: education,
        Corrigan Civil: engineering, Delft Blue Tiles B.V.: manufacturing, Esker Renewables: energy,
        Fourth Wall Theatre: publishing, Grange Park Dentists: health, Highfield Tutors: education,
        Inchcolm Wealth: finance, Jackdaw Metals: trade, Kirkstall Lifts: engineering, Lapwing Legal: law,
        Mallow Street Films: publishing, Netherby Grain: food, Ormskirk Labels: manufacturing,
        Pargeter Heritage: architecture""",
    "cooling": """
        Silverbirch Analytics: research, Penhallow Shipping: logistics, Cobalt Fern: software, Wexley Partners: law,
        Amberfield Solar: energy, Rosewood Textiles: fashion, Gantry Works: engineering, Inkwell Learning: education,
        Albion Crane Hire: engineering, Barnacle Bay Seafood: food, Chanterelle Beauty: fashion,
        Dormouse Childcare: education, Ettrick Woollens: fashion, Farthing Loans: finance, Glenmorrow Spirits: food,
        Holmwood Estates: architecture, Ivydene Retirement: health, Jubilee Line Couriers: logistics,
        Kowal i Synowie: manufacturing, Lodestar Navigation: software, Mulberry Harbour Museum: charity,
        Nightjar Security: software, Ostrich & Plume: fashion, Pavilion Tickets: publishing,
        Quarry Bank Cement: manufacturing, Redshank Ecology: research, Sandpiper Homes: architecture,
        Tarragon Bistros: food, Ulverston Gaskets: manufacturing, Viscount Vending: trade, Whitethorn Equine: health,
        Yarmouth Cold Store: logistics, Ambleside Tea: food, Brisk & Able: recruitment, Cygnet Cruises: trade,
        Dunlin Data: software, Everard Brass: manufacturing, Fieldfare Agronomy: research, Gorse Hill Energy: energy,
        Hebden Bicycles: trade, Islay Peat Works: trade, Jorvik Games: games, Kittiwake Apps: software,
        Linnet Lane Nursery: education, Marram Coastal Engineers: engineering, Nuthatch Capital: finance,
        Oystercatcher Media: publishing, Plover Insurance Brokers: insurance, Restharrow Advisory: consulting,
        Skylark Drones: engineering""",
    "new": """
        Fernhill Robotics: manufacturing, Moonraker Apps: software, Cartwright Talent: recruitment,
        Isleworth Imports: trade, Daybreak Dairy: food, Plumline Architects: architecture, Otterbrook Labs: research,
        Hollow Oak Distillers: food, Pixel & Thistle: games, Santana e Filhos: logistics, Cirrus Ledger: finance,
        Bright Acre Solar: energy, Wildgarlic Kitchen: food, Tideline Physio: health, Mossley Conveyors: engineering,
        Firstlight Montessori: education, Rungholt Versicherung AG: insurance, Copse & Common: charity""",
    "silent": """
        Thornbury Glass: manufacturing, Eastgate Notaries: law, Willowmere Care: health, Falconer Maps: software,
        Beacon Street Finance: finance, Hazel and Wren: fashion, Millrace Engineering: engineering,
        Summerfield Seeds: food, Graphite Lane: design, Angel Row Solicitors: law, Bayswater Violins: trade,
        Clementine Childrenswear: fashion, Dalebrook Eggs: food, Eversley Mortgages: finance,
        Frobisher Dredging: engineering, Gable End Roofing: architecture, Hyssop Herbals: health,
        Ingleton Caves: trade, Jarrow Plastics: manufacturing, Kersey Looms: fashion, Laburnum Lettings: architecture,
        Montfort Archives: publishing, Newlyn Nets: manufacturing, Orchard Close Academy: education,
        Pinnacle Scaffold: engineering, Quoit Sports: trade, Rill & Runnel: design,
        Stourbridge Crystal: manufacturing, Tamworth Trailers: logistics, Upton Veterinary: health,
        Ventnor Botanics: research, Weir Cottage Jams: food, Yealm Yacht Brokers: trade, Alderney Lines: logistics,
        Budleigh Salt: trade, Crowhurst Interpreters: consulting, Dovedale Rangers: charity, Exmoor Wool Board: trade,
        Falmouth Rope: manufacturing, Garsdale Signalling: engineering""",
    "reading": """
        Aldergate Insurance: insurance, Birchwood Freight: logistics, Cinderford Steel: manufacturing,
        Dovetail Joinery: manufacturing, Ellison Biotech: research, Foxglove Media: publishing,
        Glasshouse Software: software, Harrowgate Law: law, Indigo Tram: design, Jasper Hill Foods: food,
        Kingsferry Lines: logistics, Lindenbaum Research: research, Mosswood Energy: energy,
        Nettlefold Tools: manufacturing, Opaline Skincare: fashion, Pinecrest Schools: education,
        Quillfeather Press: publishing, Ravensworth Capital: finance, Seabright Ferries: logistics,
        Thistledown Games: games, Acorn Street Credit Union: finance, Bellwether Polling: research,
        Cooper & Vane: consulting, Dandelion Clocks: manufacturing, Edelmann Optik AG: manufacturing,
        Fairisle Knits: fashion, Greenlane Allotments: charity, Hobnob Events: publishing,
        Innisfree Software: software, Jolly Boatman Inns: food, Kestle Mill Flour: food, Lacewing Labs: research,
        Mistral Climatisation SAS: engineering, Nine Elms Framing: design, Oakapple Toys: trade,
        Pebblemill Audio: publishing, Quicksilver Mirrors: trade, Rainford Hydro: energy, Salmon Leap Tours: trade,
        Tumbledown Records: publishing, Umbra Lighting: design, Vellum & Ink: publishing, Woodpigeon Post: logistics,
        Yonder Analytics: software, Ashgrove Hospice: charity, Bluestone Quarries: manufacturing,
        Chalkhill Vineyards: food, Dewdrop Laundry: trade, Elmhurst Fostering: charity, Frostfair Ices: food,
        Goosefoot Theatre School: education, Hopwood Brewing: food, Inverlael Salmon: food,
        Junction Road Motors: trade, Kelmarsh Saddlery: trade, Lanyard & Sons: trade, Minster Yard Law: law,
        Northlight Diagnostics: health, Overstrand Hotels: trade, Porthcurno Cables: engineering""",
    "passing": """
        Umberline Paints: manufacturing, Verity Translations: consulting, Wintergreen Health: health,
        Yarrow Systems: software, Zephyr Cold Chain: logistics, Abbotsleigh Homes: architecture,
        Brackenridge Mining: engineering, Cloverly Dental: health, Drumlin Outdoors: fashion,
        Elmstead Payroll: finance, Firth Marine: engineering, Goldcrest Tutors: education,
        Heathcote Events: publishing, Ivory Gate Music: publishing, Juneberry Cafe: food, Kelpie Diving: trade,
        Longacre Surveyors: architecture, Maplewick Toys: trade, Norbury Metals: manufacturing,
        Osprey Couriers: logistics, Pomelo Payments: finance, Ridgeway Rail: engineering, Sorrel Nurseries: food,
        Tallowbrook Candles: trade, Upland Wool: fashion, Vireo Optics: research, Wharfside Brewing: food,
        Anchorhold Storage: logistics, Beeswing Bakery: food, Cloudberry Travel: trade, Dryad Timber: manufacturing,
        Ecclesfield Cutlery: manufacturing, Fable & Folio: publishing, Guillemot Games: games,
        Hayloft Studios: design, Ilkley Spa: health, Jetty Lane Seafood: food, Knotgrass Consulting: consulting,
        Larch Hill Joinery: manufacturing, Merlin Rooftops: engineering, Nonsuch Palace Hire: trade,
        Olivewood Dental: health, Pike & Perch: food, Quince Cottage Cosmetics: fashion, Rowan Tree Tutors: education,
        Sapwood Furniture: manufacturing, Teasel Brushworks: manufacturing, Ullapool Smokehouse: food,
        Vine Street Barbers: trade, Wren & Rook Notaries: law, Yaffle Signs: design, Zelkova Bonsai: trade,
        Alderman Locks: manufacturing, Bittern Marsh Radio: publishing, Coppice Row Stables: trade""",
    "once": """
        Appledore Kayaks: trade, Bishopsgate Umbrellas: fashion, Corncrake Cider: food, Dipper Plumbing: engineering,
        Ember & Ash Pottery: design, Foundry Lane Gym: health, Gudgeon Angling: trade, Hawfinch Forensics: research,
        Icehouse Cinema: publishing, Jonquil Weddings: trade, Kedge Anchors: manufacturing, Limekiln Yoga: health,
        Magpie Pawn: finance, Nettlebed Mattresses: manufacturing, Oxbow Rafting: trade,
        Parsonage Piano Tuning: trade, Quayle Radio Spares: manufacturing, Rosebay Willow Funerals: trade,
        Snapdragon Nurseries: education, Tansy Dyers: fashion, Urchin Divers: trade, Vetch Agronomists: research,
        Whinchat Podcasts: publishing, Yeoman Pensions: finance, Almond Grove Patisserie: food,
        Brambling Backpacks: fashion, Curlew Conservation: charity, Damson Davey: consulting, Elver Aquaculture: food,
        Fescue Lawns: trade, Goldeneye Opticians: health, Hornbeam Floors: manufacturing, Ironmongery Row: trade,
        Jackstraw Puzzles: games, Kingcup Florists: trade, Lugger Rum: food, Marlpit Ceramics: manufacturing,
        Nutmeg Row Spices: food, Osier Baskets: trade, Puffin Rock Ferries: logistics, Ragwort Films: publishing,
        Sedge Warbler Press: publishing, Turnstone Tiling: engineering, Upwey Springs: food,
        Violet Hour Cocktails: food, Wagtail Walks: trade, Yarrow Cross Vets: health, Alsatia Bail Bonds: law,
        Bluetit Bookings: software, Chiffchaff Choirs: charity""",
}


def domain_of(name: str) -> str:
    plain = _LEGAL_FORM.sub("", name).lower().replace("'", "").translate(_NOT_ASCII)
    ascii_only = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", ascii_only)
    return f"{('' if sum(map(len, words)) <= SHORT_ENOUGH else '-').join(words)}.example"


def _all_companies() -> tuple[Company, ...]:
    """Every company, the profiles dealt out evenly, so that the first ten show about the same mix as all."""
    placed: list[tuple[float, Company]] = []
    for profile, text in COMPANIES_BY_PROFILE.items():
        rows = [row.strip().split(": ") for row in text.split(",")]
        for index, (name, industry) in enumerate(rows):
            placed.append(((index + 0.5) / len(rows), Company(name, domain_of(name), industry, profile)))
    return tuple(company for _, company in sorted(placed, key=lambda place: (place[0], place[1].domain)))


DEMO_COMPANIES = _all_companies()


def company_named(name: str, industry: str, profile: str) -> Company:
    return Company(name, domain_of(name), industry, profile)


# A second domain of an account, to be made an alias; one that was an account of its own, to be merged; and those who
# read our pages but are not to be called, by why.
BRANCH, BRANCH_OF = company_named("Northwind Benelux", "logistics", "steady"), "northwind-freight.example"
BOUGHT, BOUGHT_BY = company_named("Halyard Life", "insurance", "deciding"), "halyardmutual.example"
SUPPRESSED: Mapping[str, tuple[Company, str]] = {
    "competitor": (company_named("Deskhaven", "trade", "committed"), "A rival reading our prices."),
    "customer": (company_named("Perennial Health Alliance", "health", "committed"), "Two floors since last spring."),
    "agency": (company_named("Bright and Early Media", "publishing", "surging"), "Writes our advertisements."),
    "bot": (company_named("Crawlwright Index", "software", "crawling"), "Reads every page, every hour."),
}
COMPETITOR = SUPPRESSED["competitor"][0]
LINK_CHECKER = company_named("Linkhound Monitoring", "software", "crawling")  # nobody has suppressed it yet


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# --- People -----------------------------------------------------------------------------------------------------------
FIRST_NAMES = _words("""
    Adaeze Agnieszka Alasdair Amara Anouk Arjun Astrid Beatrix Benedek Bronagh Camila Casper Chidi Dagny Dilara Dorota
    Eilidh Elif Emeka Esteban Fenna Fiachra Florian Gabriela Giulia Greta Hamza Hanae Henrike Ines Ingrid Ivo Jakub
    Jarek Joana Kenji Khadija Laila Leopold Liesbeth Lorcan Ludmila Mairead Malik Marisol Matteo Mireille Nadia Nkechi
    Nuno Odile Oluwaseun Oskar Padma Paloma Petra Quentin Rafael Rasmus Renske Roisin Rohan Saskia Sefa Signe Silvia
    Stellan Sunniva Tadeusz Tamsin Teodora Tove Ulrike Umut Valentina Viktor Wanjiru Wiebke Xavier Yasmin Yuki Zofia
    """)
LAST_NAMES = _words("""
    Abernethy Achterhof Adebayo-Hill Almqvist Andrade Balogh Bannerjee Baranski Bellweather Brankovic Castelnau
    Chakravarty Clutterbuck Coelho Dabrowska Delacroix-Bell Demir Dunmore Eriksrud Falkenrath Fernandes Fitzwarren
    Galbraith Gyllenstam Haddad Halvorsen Hashimoto Heidelmann Ibekwe Iversen Jankauskas Jindal Kapoor Karlsdottir
    Kiplagat Kowalczuk Laframboise Lindgard Lovelock MacAskill Marchetti Mbeki-Ross Molina Montague Moreau Nakagawa
    Nwachukwu Okafor Oyelaran Paszek Penrose Pettersen Quiroga Rahimi Ravensdale Reinholt Sandoval Schoonhoven
    Sepulveda Shirvani Sokolov Szabo Tanaka Tennyson-Roe Thorvald Uzun Vandermeer Varga Vasconcelos Villanueva
    Wachira Wetherby Wojtowicz Yamamoto Yildirim Zapata Zielinska
    """)
TITLES = (
    "Head of Workplace", "Office Manager", "Facilities Director", "Chief of Staff", "People Partner",
    "Head of Real Estate", "Procurement Lead", "Operations Manager", "Finance Director", "Managing Partner",
    "Founder", "Executive Assistant", "Learning and Development Lead", "Events Manager", "IT Manager", "",
)  # fmt: skip
CITIES = ("Lisbon", "Rotterdam", "Leeds", "Gdańsk", "Gothenburg", "Lyon", "Porto", "Cork", "Hamburg", "")
BUDGETS = ("about 4,000 a month", "20–25k for the quarter", "to be agreed", "under 900 a month", "", "", "")
NOTES = (
    "Called, left a message with reception.", "Sent the price list and two dates for a visit.",
    "Walked them through the second floor. They want it in writing.", "",
)  # fmt: skip
TIMELINES = ("within six weeks", "from January", "as soon as possible", "next financial year", "", "")

# What people write, by the service they ask for.
MESSAGES: Mapping[str, tuple[str, ...]] = {
    "private_office": (
        "Our lease ends and nobody wants another ten years. What do you have on one floor?",
        "We need lockable rooms for two teams who must not share a printer.",
        "Can the walls move? We are {quantity} now and twice that by summer.",
        "Please send floor plans and the notice period.",
    ),
    "coworking": (
        "A few of us would use desks two days a week. Is that a membership or a day rate?",
        "Half the team has moved away from headquarters. Do passes work in every city?",
        "Is there somewhere quiet for calls, and does the coffee cost extra?",
        "We would start with {quantity} memberships and see.",
    ),
    "meeting_rooms": (
        "A room for {quantity} every other Thursday, with a screen that works.",
        "Our clients arrive by train: which of your rooms is nearest to the station?",
        "Interviews over three days. Can reception keep candidates from meeting each other?",
        "We need a boardroom at a day's notice, a few times a year.",
    ),
    "event_space": (
        "A product evening for {quantity} guests. Can we bring our own caterer?",
        "Is the roof terrace step-free, and what happens if it rains?",
        "We would like to hold the annual meeting with you, stage and streaming included.",
        "A press breakfast, early, with light enough for photographs.",
    ),
    "training_rooms": (
        "Two courses in parallel, {quantity} people each, tables that can be pushed together.",
        "Do the rooms have machines, or do people bring their own?",
        "A standing booking for the spring term, evenings only.",
        "Assessment centre for graduates: five small rooms and one large.",
    ),
    "virtual_office": (
        "We need a business address before the bank will open an account.",
        "Post scanned the same day, and somebody who answers the telephone in our name.",
        "Can a registered office be in one city and the meeting rooms in another?",
        "Three directors abroad, one address. What papers do you need?",
    ),
}
