"""README and docs hold what they say: links lead somewhere, blocks of code are code, and commands exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import lersbench
from lersbench import policy
from lersbench.cli import listing
from lersbench.cli.main import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "METHODOLOGY.md", "CONTRIBUTING.md", "CHANGELOG.md", "DECISIONS.md")]
PAGES += sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
FENCE = re.compile(r"^( *)(```+|~~~+)(.*)$")
LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
CHAINED = {"&&", "||", "|", ";", ">", ">>", "2>", "<", "&"}  # a command ends here


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


class Block(NamedTuple):
    language: str
    line: int  # of its first line of text, from 1
    text: str


def parts(page: Path) -> tuple[str, list[Block]]:
    """A page without its blocks of code (their lines are empty), and these blocks."""
    prose: list[str] = []
    blocks: list[Block] = []
    fence, first, inside = None, 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        mark = FENCE.match(line)
        if fence is None and mark:
            fence, first, inside = mark, number + 1, []
        elif fence is not None and mark and mark[2].startswith(fence[2]) and not mark[3].strip():
            blocks.append(Block(fence[3].strip(), first, "\n".join(inside)))
            fence = None
        elif fence is not None:
            inside.append(line)
        prose.append("" if fence is not None or mark else line)
    assert fence is None, f"{name_of(page)}: a block of code that begins in line {first - 1} does not end"
    return "\n".join(prose), blocks


def anchors(page: Path) -> set[str]:
    """What links call the headings of a page: in lower case, blanks as hyphens, no other signs."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", parts(page)[0], re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
        same = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", other) is not None for other in found)
        found.add(f"{name}-{same}" if same else name)
    return found


def broken_links(page: Path) -> Iterator[str]:
    """Relative links of a page that lead nowhere."""
    prose = re.sub(r"`[^`\n]*`", "`code`", parts(page)[0])
    for target in LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            yield f"{target}: there is no {path}"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield f"{target}: {there.name} has no heading '{anchor}'; it has {sorted(anchors(there))}"


def blocks_in(language: str) -> list[tuple[Path, Block]]:
    return [(page, block) for page in PAGES for block in parts(page)[1] if block.language == language]


def commands() -> Iterator[tuple[str, list[str]]]:
    """The words of each command `lersbench` in blocks of code, and where it stands."""
    for page in PAGES:
        for block in parts(page)[1]:
            if block.language not in ("", "sh", "bash", "console"):
                continue
            lines = block.text.replace("\\\n", "  ").splitlines()
            for line in lines:
                found = re.match(r" *(?:\$ )?(?:\S*/|uvx |pipx run )?lersbench (.+)$", line)
                if found:
                    words = shlex.split(found[1], comments=True)
                    ends = [place for place, word in enumerate(words) if word in CHAINED]
                    place = f"{name_of(page)}, block of line {block.line}: {line.strip()}"
                    yield place, words[: ends[0] if ends else None]


def refuse(words: list[str]) -> None:
    """Read a command as the command line does, without running it. Raises click.UsageError for what does not exist."""
    command: click.Command = cli
    context = click.Context(cli, info_name="lersbench")
    while isinstance(command, click.Group):
        options, words, _ = command.make_parser(context).parse_args(list(words))
        if not words:
            return
        name, *words = words
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"No such command '{name}'.", context)
        command, context = found, click.Context(found, info_name=name, parent=context)
    options, rest, _ = command.make_parser(context).parse_args(list(words))
    if rest:
        raise click.UsageError(f"Unexpected arguments {rest}.", context)
    for parameter in command.params:
        given = options.get(parameter.name or "")
        if isinstance(parameter.type, click.Choice) and isinstance(given, str):
            parameter.type.convert(given, parameter, context)
        if parameter.required and not (isinstance(given, str | tuple) and given):
            raise click.MissingParameter(ctx=context, param=parameter)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert not list(broken_links(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_is_more_than_its_title(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").split()) > 3


def test_blocks_of_toml_are_toml() -> None:
    found = blocks_in("toml")
    assert len(found) > 5
    for page, block in found:
        try:
            tomllib.loads(block.text)
        except tomllib.TOMLDecodeError as error:
            pytest.fail(f"{name_of(page)}, block of line {block.line}: {error}")


def test_blocks_of_python_are_python() -> None:
    found = blocks_in("python")
    assert len(found) > 10
    for page, block in found:
        compile("\n" * (block.line - 1) + block.text, name_of(page), "exec")


def test_commands_exist() -> None:
    found = list(commands())
    assert len(found) > 50
    for place, words in found:
        try:
            refuse(words)
        except click.UsageError as error:
            pytest.fail(f"{place}: {error.format_message()}")


@pytest.mark.parametrize(
    "line", ["bnch active", "bench", "bench active --sed 3", "ls policy", "import dsjson", "report a b"]
)
def test_commands_that_do_not_exist_are_refused(line: str) -> None:
    with pytest.raises(click.UsageError):
        refuse(line.split())


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A: title\n[a](#a-title) [b](#b) [c](gone.md) [d](page.md#a-title) [e](https://x.org) `[f](g)`\n")
    assert [fault.partition(":")[0] for fault in broken_links(page)] == ["#b", "gone.md"]


def test_every_need_of_a_policy_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "policies.md").read_text(encoding="utf-8")
    needs = {need for row in listing.policies() for need in row["needs"].split(", ") if need}
    assert needs and needs <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def test_the_list_of_policies_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import policies_page

    source = [(ROOT / "docs" / "reference" / "policies.md").read_text(encoding="utf-8")]
    policies_page.fill(None, "reference/policies", source)
    listed = re.findall(r"^\| `([\w-]+)` \| .+ \| .* \| .* \|$", source[0], re.MULTILINE)
    assert sorted(listed) == sorted(policy.names()) and policies_page.PLACE not in source[0]


def test_every_public_name_is_on_the_page_of_python() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    assert set(lersbench.__all__) <= set(re.findall(r"auto\w+:: lersbench\.(\w+)$", page, re.MULTILINE))


def test_the_citation_names_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [lersbench.__version__]


@pytest.mark.slow
def test_the_site_builds(tmp_path: Path) -> None:
    for package in ("sphinx", "furo", "myst_nb", "sphinx_click"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(tmp_path / "html")]
    done = subprocess.run([*build, "-d", str(tmp_path / "doctrees")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "html" / "reference" / "policies.html").read_text(encoding="utf-8")
    assert "linucb-k" in page
