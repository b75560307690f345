"""Pictures inside a page: as SVG where that is small, else as WebP, no larger together than a page can bear."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from lersbench.figures.frame import DPI
from lersbench.report.blocks import Picture

BUDGET = 1_500_000  # characters of all pictures of a page
SMALL = 60_000  # characters up to which a picture stays as it is drawn
WIDTH, LEAST = 1100, 300  # pixels of the others, where there is room, and where there is none
QUALITY = 50  # of WebP; the files beside the page are the ones to print in a thesis
SHOWN = 120 / DPI  # pixels of a page for one of a picture
PATH = re.compile(r'(<path [^<>]*?\bd=")([^"]*)')  # text holds no "<", so no name is taken for a path
NUMBER = re.compile(r"-?\d+\.\d+")
DECLARATION = re.compile(r"^\s*<\?xml.*?\?>\s*(<!DOCTYPE.*?>)?\s*", re.DOTALL)
METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
KEPT = " <>=/:;,.'()-+!?*@"  # what need not be encoded in a data URI between double quotes


def sources(pictures: Sequence[Picture]) -> list[str]:
    """A data URI for each of `pictures`, in their order; none holds a double quote or an ampersand.

    Small drawings stay SVG, with coordinates to a tenth of a point. Others become WebP of one width: WIDTH, or less
    where all pictures together would exceed BUDGET.
    """
    drawings = [vector(one.svg) if one.svg.stat().st_size <= 3 * SMALL else None for one in pictures]
    large = [i for i, drawing in enumerate(drawings) if drawing is None or len(drawing) > SMALL]
    room = BUDGET - sum(len(drawing) for drawing in drawings if drawing and len(drawing) <= SMALL)
    width = WIDTH
    images = {i: raster(pictures[i].png, width) for i in large}
    while (total := sum(map(len, images.values()))) > room and width > LEAST:
        width = max(LEAST, int(width * 0.95 * math.sqrt(max(room, 1) / total)))  # the size goes with the area
        images = {i: raster(pictures[i].png, width) for i in large}
    return [images.get(i) or str(drawing) for i, drawing in enumerate(drawings)]


def vector(path: Path) -> str:
    """A drawing as a data URI, its coordinates rounded to a tenth of a point."""
    text = METADATA.sub("", DECLARATION.sub("", path.read_text(encoding="utf-8")))
    return "data:image/svg+xml," + quote(PATH.sub(_rounded, text), safe=KEPT)


def _rounded(path: re.Match[str]) -> str:
    points = NUMBER.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), path[2])
    return path[1] + " ".join(points.split())


def raster(path: Path, width: int) -> str:
    """A picture as a data URI, no wider than `width` pixels."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "webp", quality=QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()


def size(path: Path) -> tuple[int, int]:
    """Width and height at which a picture is shown, in pixels of a page: letters are then as large as its text."""
    with Image.open(path) as image:
        return round(image.width * SHOWN), round(image.height * SHOWN)
