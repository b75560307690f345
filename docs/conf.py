"""Sphinx: the documentation site (`make docs`)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import lersbench

sys.path.insert(0, str(Path(__file__).parent))
import policies_page

project = "lersbench"
copyright = "2026, the lersbench authors"
release = version = lersbench.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
html_theme = "furo"
html_title = "lersbench"
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # a test runs the notebooks; a page shows their code
nb_merge_streams = True
default_role = "code"  # of docstrings: what stands between backticks is code
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
linkcheck_ignore = [r"https?://localhost"]


def to_pages(app: Any, name: str, source: list[str]) -> None:
    """Links to files of the repository that are pages here go to these pages. Changes `source`."""
    up = "../" * name.count("/")  # of a page in a folder of docs/
    text = re.sub(r"\]\((?:\.\./)+(METHODOLOGY|DECISIONS)\.md", lambda to: f"]({up}{to[1].lower()}.md", source[0])
    source[0] = re.sub(r"\[([^\]]+)\]\((?:\.\./)+notebooks/([\w-]+)\.ipynb\)", r"{doc}`\1 </notebooks/\2>`", text)


def as_text(app: Any, context: Any, lines: list[str]) -> None:
    """Help of a command is text, not reStructuredText: a star is a star, and backticks are code. Changes `lines`."""
    lines[:] = [re.sub(r"`([^`]+)`", r"``\1``", line.replace("*", "\\*")) for line in lines]


def setup(app: Any) -> None:
    app.connect("source-read", policies_page.fill)
    app.connect("env-get-outdated", policies_page.outdated)
    app.connect("source-read", to_pages)
    app.connect("sphinx-click-process-description", as_text)
