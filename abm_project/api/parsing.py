"""One strict JSON parser for the whole API: what it lets through, every database takes (reliability 4 to 11)."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20
DIGITS = 30  # of a whole number: no field is longer, and thousands take Python seconds
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class TooLarge(APIException):
    status_code = 413
    default_code = "too_large"
    default_detail = f"The body is larger than {MAX_BYTES:,} bytes."


class LengthRequired(APIException):
    status_code = 411
    default_code = "length_required"
    default_detail = "Send the body with its Content-Length, not in chunks."


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        request = (parser_context or {}).get("request")
        return parse(read_body(stream, request.META if request is not None else {}))


def read_body(stream: IO[bytes], meta: Mapping[str, Any]) -> bytes:
    """The body's bytes, never more than MAX_BYTES. `meta`: of the WSGI request."""
    refuse_encoding(meta)
    refuse_chunks(meta)
    length = str(meta.get("CONTENT_LENGTH") or "")
    if length.isdecimal() and int(length[:20]) > MAX_BYTES:
        raise TooLarge
    raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise TooLarge
    return raw


def refuse_chunks(meta: Mapping[str, Any]) -> None:
    if "chunked" in str(meta.get("HTTP_TRANSFER_ENCODING", "")).lower():
        raise LengthRequired


def refuse_encoding(meta: Mapping[str, Any]) -> None:
    encoding = str(meta.get("HTTP_CONTENT_ENCODING", "")).strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType(encoding, "Send the body as it is, not compressed.")
    kind, _, parameters = str(meta.get("CONTENT_TYPE", "")).partition(";")
    if kind.strip().lower() != "application/json":
        raise UnsupportedMediaType(kind[:100], "Send application/json.")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(charset[1], "Only UTF-8 is understood.")


def parse(raw: bytes) -> Any:
    """The value of a JSON text. ParseError (400), with a code, where it is not strict or no database takes it."""
    text = decoded(raw)
    if not text.strip():
        raise ParseError("The body is empty.", "empty")
    if depth(raw) > MAX_DEPTH:
        raise ParseError(f"The JSON is nested more than {MAX_DEPTH} deep.", "too_deep")
    try:
        value = json.loads(
            text, object_pairs_hook=unique, parse_constant=refuse_constant, parse_float=number, parse_int=whole
        )
    except json.JSONDecodeError as error:
        raise ParseError(
            f"Not JSON: {error.msg} at line {error.lineno}, column {error.colno}.", "parse_error"
        ) from error
    if b"\\u" in raw:  # in UTF-8 there is no half of a character, and JSON has no bare NUL: only escapes make them
        for path, found in texts(value):
            refuse_text(path, found)
    return value


def decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError("The body is not UTF-8.", "not_utf8") from error


def depth(raw: bytes) -> int:
    """How deep arrays and objects are nested at most, counted before anything recursive looks at them."""
    opened = raw.count(b"[") + raw.count(b"{")
    if opened <= MAX_DEPTH:  # as in nearly every body: they cannot be nested deeper than there are
        return opened
    deepest = level = 0
    for byte in _TEXTS.sub(b"", raw):
        if byte in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"]}":
            level -= 1
    return deepest


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ParseError(f"The key {shown(twice)} stands twice in one object.", "duplicate_key")
    return found


def refuse_constant(name: str) -> Any:
    raise ParseError(f"{name} is no JSON.", "parse_error")


def number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ParseError(f"{shown(text)} is too large a number.", "number_too_large")
    return value


def whole(text: str) -> int:
    if len(text) > DIGITS:
        raise ParseError(f"A number has more than {DIGITS} digits.", "number_too_large")
    return int(text)


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a value, keys too, with where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            here = f"{path}.{name}".lstrip(".")
            yield here, name
            yield from texts(inner, here)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{path}.{index}".lstrip("."))


def refuse_text(path: str, text: str) -> None:
    if "\0" in text:
        raise ParseError(f"{shown(path) or 'A text'} contains a NUL character.", "nul_character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ParseError(f"{shown(path) or 'A text'} contains half of a character.", "lone_surrogate") from error


def shown(text: str) -> str:
    """A name out of a hostile body, short and printable."""
    return ascii(text[:100])[1:-1]
