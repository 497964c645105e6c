"""CSV files that a spreadsheet opens as text and never as a formula. Pure."""

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime

_FORMULA_STARTS = tuple("=+-@\t\r\0＝＋－＠")


def escape(value: object) -> object:
    """Text that a spreadsheet would run gets a leading apostrophe; numbers stay numbers, None is empty.

    Leading spaces are looked through, because spreadsheets do. (reliability 23; OWASP "CSV injection")
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    if value.startswith(_FORMULA_STARTS) or value.lstrip(" ").startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def unescape(text: str) -> str:
    """What `escape` was given: our own exports come back as they were. Any other apostrophe stays."""
    bare = text[1:]
    return bare if text.startswith("'") and escape(bare) == text else text


class _Line:
    """A file for csv.writer that hands each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def lines(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """The file, line by line: lists are joined, times are ISO 8601, and nothing is a formula."""
    writer = csv.writer(_Line())
    yield "\ufeff"  # spreadsheets take a file without it for Latin-1 and garble the ×
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([escape(_text(value)) for value in row])


def _text(value: object) -> object:
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return value.isoformat() if isinstance(value, datetime) else value
