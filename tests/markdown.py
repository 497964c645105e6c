"""Tables of our own Markdown, for tests that hold the documents to the code."""

from pathlib import Path


def table(page: Path, heading: str) -> list[dict[str, str]]:
    """The first table under a heading, a row as {column: cell}; a cell that is all code loses its backticks."""
    lines = iter(page.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line.startswith("#") and line.lstrip("# ") == heading:
            break
    else:
        raise LookupError(f"{page.name} has no heading {heading!r}")
    head: list[str] = []
    rows = []
    for line in lines:
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").replace("\\|", "\0").split("|")]
            cells = [plain(cell.replace("\0", "|")) for cell in cells]
            if not head:
                head = cells
            elif set("".join(cells)) - set("-: "):
                rows.append(dict(zip(head, cells, strict=True)))
        elif head or line.startswith("#"):
            break
    if not rows:
        raise LookupError(f"{page.name} has no table under {heading!r}")
    return rows


def plain(cell: str) -> str:
    return cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == "`" and "`" not in cell[1:-1] else cell
