"""Cells of a CSV file that a spreadsheet opens as text and never as a formula. Pure."""

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
