"""Sphinx: the documentation site (`make docs`)."""

from __future__ import annotations

import lersbench

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
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
linkcheck_ignore = [r"https?://localhost"]
