"""A model's Markdown as HTML that is safe whatever it says (reliability 22). Pure.

No HTML, no link, no image and no address of any kind comes through: twice over, since the parser makes none and nh3
keeps only the tags named here, without a single attribute.
"""

import re
from collections.abc import Iterable
from html import escape

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

BYTES = 20_000
TAGS = frozenset(
    {"p", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "h3", "hr", "br", "mark"}
)  # fmt: skip
PARSER = MarkdownIt("commonmark", {"html": False}).disable(["link", "image", "autolink", "reference", "html_inline"])
HEADING = "h3"  # the page's own headings are h1 and h2


def to_html(text: str, doubtful: Iterable[str] = ()) -> str:
    """HTML of at most 20 kB of Markdown. `doubtful`: what stands in the text and is marked wherever it does."""
    cut = text.replace("\0", "").encode("utf-8", "ignore")[:BYTES].decode(errors="ignore")
    tokens = [_levelled(token) for token in PARSER.parse(cut)]
    html = PARSER.renderer.render(tokens, PARSER.options, {})
    safe = nh3.clean(html, tags=set(TAGS), attributes={}, strip_comments=True)
    return _marked(safe, doubtful)


def _levelled(token: Token) -> Token:
    if token.type in ("heading_open", "heading_close"):
        token.tag = HEADING
    return token


def _marked(html: str, doubtful: Iterable[str]) -> str:
    """The quotes inside `mark`, in the text between tags only; a figure inside a longer one is another figure."""
    quotes = sorted(
        {escape(quote, quote=False) for quote in doubtful if quote.strip()}, key=lambda quote: (-len(quote), quote)
    )
    if not quotes:
        return html
    named = re.compile(rf"(?<![\w.,])({'|'.join(map(re.escape, quotes))})(?!\w|[.,]\d)", re.IGNORECASE)
    parts = re.split(r"(<[^>]*>)", html)  # nh3 leaves no > inside a tag
    return "".join(part if part.startswith("<") else named.sub(r"<mark>\1</mark>", part) for part in parts)
