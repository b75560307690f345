"""Pages in a real browser, for tests: Debian's Chromium through Playwright, and axe-core for accessibility.

`axe.min.js` is axe-core 4.14.1 as Deque publishes it (MPL-2.0, notice in the file); it is no part of the package.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).with_name("axe.min.js")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def started() -> Iterator[Any]:
    """A headless Chromium; the test is skipped, with the reason, where there is none or no Playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="pages are not tried: no playwright (extra 'browser')")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("pages are not tried: no Chromium on the path (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Any, path: Path, hash_: str = "", size: tuple[int, int] = (1400, 900), **options: Any
) -> Iterator[Any]:
    """The page at `path` in a window of its own; an error in a script of the page fails the test."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"file://{path}{hash_}")
    yield page
    context.close()
    assert errors == []


def violations(page: Any) -> list[str]:
    """What axe-core calls serious or critical, a line each."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} ({one['nodes'][0]['failureSummary'][:200]})"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
