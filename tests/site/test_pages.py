"""The pages of a site in a real browser: readable by everybody, and nothing in a name is carried out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lersbench.site import write
from tests.site.test_site import BETTER, FEW, HOSTILE, NEW, NEWEST, OLD, run
from tests.support import browser as browsers
from tests.support import fake_evaluation, fake_lab

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsers.started() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    results = folder / "results"
    run(results / "active" / OLD)
    run(results / "active" / NEW, BETTER, versions={HOSTILE[0]: HOSTILE[1]})
    broken = run(results / "active" / NEWEST)
    (broken / "summary.parquet").write_bytes(b"cut short")
    named = {label: (f"p{i}", {}, "bandit", 0.2 + 0.1 * i) for i, label in enumerate(HOSTILE)}
    run(results / HOSTILE[1].replace("/", "") / OLD, {**FEW, **named})
    fake_lab.make(results / "toy-cells" / OLD)
    fake_evaluation.make(results / "shop" / OLD)
    write.write(results, folder / "site", lambda line: None)
    return folder / "site"


@pytest.mark.parametrize("name", ["index.html", f"active/{OLD}-to-{NEW}.html"])
@pytest.mark.parametrize("size", [(1400, 900), (380, 700)])
def test_a_page_is_readable_by_everybody(name: str, size: tuple[int, int], browser: Any, site: Path) -> None:
    with browsers.opened(browser, site / name, size=size) as page:
        assert browsers.violations(page) == []
        assert page.evaluate("window.hacked") is None
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, "a wide table scrolls by itself, not the page"


def test_the_index_leads_to_a_comparison(browser: Any, site: Path) -> None:
    with browsers.opened(browser, site / "index.html") as page:
        page.click(f"text=active: {OLD} to {NEW}")
        assert page.title() == "Active customers: what changed"
        assert "moved by more than chance" in page.inner_text("main")
