"""Figures as a notebook shows them."""

from __future__ import annotations

import base64
from pathlib import Path


class Figures(list[Path]):
    """The files of figures, PNG and SVG; as the last line of a notebook's cell they are shown."""

    def _repr_html_(self) -> str:
        images = (base64.b64encode(path.read_bytes()).decode() for path in self if path.suffix == ".png")
        return "\n".join(f'<img style="max-width: 100%" src="data:image/png;base64,{content}">' for content in images)
