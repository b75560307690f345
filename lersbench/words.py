"""Names are text: what comes from data or from a user, fit to be shown on a terminal, in a figure, a page or a table.

`shown` makes unprintable characters visible, `one_line` makes one line of a text as well, `cleaned` all texts of a JSON
value. `markdown` and `defused` keep what they mean in Markdown and in a spreadsheet from being carried out; HTML has
`html.escape`, and figures are drawn with `text.parse_math` off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lersbench.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

DEEPEST = 32  # tables and lists inside each other that a file of ours may have
# Control characters, line separators, characters that turn the direction of writing, halves of characters, and what
# XML forbids.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
LAYOUT = "\n\t"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet calculate a cell
BEGINS_BLOCK = re.compile(r"(#|>|[-+=]|\[|\||\d+[.)])")  # at the start of a line of Markdown
MARKUP = re.compile(
    r"`[\w./ -]+`"  # code of ours, such as a file name: kept
    r"|[\\`*<$]"
    r"|(?<!\w)_|_(?!\w)"  # inside a word an underline is one
    r"|~(?! )|&(?=#?\w+;)"
    r"|(?<=\])[(\[:]"  # [a](b), [a][b], [a]: b
)
LABEL = re.compile(rf"{MARKUP.pattern}|[\[\]]")


# To be seen -----------------------------------------------------------------------------------------------------------
def shown(text: str) -> str:
    """`text` for a terminal: lines and tabs stay, all else that does not print becomes `\\x1b` and the like."""
    return UNPRINTABLE.sub(lambda match: match[0] if match[0] in LAYOUT else _visible(match[0]), text)


def one_line(text: str) -> str:
    """`text` on one line, which a name has to be: line breaks and tabs become blanks."""
    return UNPRINTABLE.sub(lambda match: " " if match[0] in "\r\n\t" else _visible(match[0]), text.strip())


def cleaned(value: Any) -> Any:
    """A JSON value with all its texts, keys included, on one line each."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {cleaned(key): cleaned(part) for key, part in value.items()}
    return [cleaned(part) for part in value] if isinstance(value, list) else value


def _visible(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


# To be read by a program ----------------------------------------------------------------------------------------------
def markdown(text: str) -> str:
    """A line of Markdown that shows `text` as it is: no heading, list, link, HTML, emphasis or mathematics."""
    line = markdown_cell(text)
    begins = BEGINS_BLOCK.match(line)
    return line if begins is None else f"{line[: begins.end() - 1]}\\{line[begins.end() - 1 :]}"


def markdown_cell(text: str) -> str:
    """The same inside a line, such as a cell of a table, bars aside; code in backquotes stays."""
    return MARKUP.sub(lambda match: match[0] if len(match[0]) > 1 else f"\\{match[0]}", one_line(text))


def markdown_label(text: str) -> str:
    """The same as the text of a link: none of its brackets ends it."""
    return LABEL.sub(lambda match: match[0] if len(match[0]) > 1 else f"\\{match[0]}", one_line(text))


def defused(table: pd.DataFrame) -> pd.DataFrame:
    """`table` for CSV: an apostrophe before every text that a spreadsheet would calculate. Numbers stay."""
    return table.map(lambda cell: f"'{cell}" if isinstance(cell, str) and _calculates(cell) else cell)


def _calculates(cell: str) -> bool:
    if not cell.startswith(FORMULA) or cell == "-":  # "-" is how a missing value is shown
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False


# To be refused --------------------------------------------------------------------------------------------------------
def check(content: Any, where: str) -> None:
    """Raise a ConfigError that names the key of a text with unprintable characters, or of what is nested too deeply.

    `content` is what a TOML file holds; a text of several lines may be a `description` only.
    """
    for path, value in _texts(content, ()):
        key = ".".join(path)
        if len(path) > DEEPEST:
            raise ConfigError(f"{where}: '{shown(key[:40])}...' is nested more than {DEEPEST} deep.")
        allowed = "\r\n\t" if "description" in path else ""
        wrong = next((match[0] for match in UNPRINTABLE.finditer(str(value)) if match[0] not in allowed), None)
        if wrong is not None:
            problem = f"'{shown(key)}' holds {_visible(wrong)}; names are one line of characters that print"
            raise ConfigError(f"{where}: {problem}.")


def _texts(content: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All texts and keys of a TOML value with their paths, and one that is too deep."""
    if isinstance(content, str) or len(path) > DEEPEST:
        yield path, content if isinstance(content, str) else ""
    elif isinstance(content, dict):
        for key, value in content.items():
            yield (*path, key), key
            yield from _texts(value, (*path, key))
    elif isinstance(content, list):
        for number, value in enumerate(content, 1):
            yield from _texts(value, (*path, str(number)))
