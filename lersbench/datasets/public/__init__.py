"""Logs that others have published, in the layout in which they publish them: each becomes a log of ours.

A module has TITLE, LICENCE, ATTRIBUTION, TRIED (was it ever run on the real files?) and
`build(out, *, name, overwrite, **options) -> Log`. Its options, of which `path` is the user's file or folder, are in
`options`. The module is imported when it is used.
"""

from __future__ import annotations

from typing import NamedTuple

from lersbench.datasets.options import OpenBanditOptions
from lersbench.datasets.public import options

NOT_TRIED = "Not tried on the real files: none could be got here. It follows the published layout."


class Format(NamedTuple):
    """A public format: its module, its options, and what PATH is, in words for the command line."""

    module: str
    options: type
    help: str


FORMATS: dict[str, Format] = {
    name: Format(f"lersbench.datasets.{module}", kind, help)
    for name, module, kind, help in (
        (
            "criteo-counterfactual",
            "public.criteo",
            options.Criteo,
            "Criteo counterfactual test-bed: PATH is the unpacked file, or the folder of its parts.",
        ),
        (
            "dsjson",
            "public.dsjson",
            options.DsJson,
            "Decision service JSON (Vowpal Wabbit): PATH is a file of JSON lines, or a folder of them.",
        ),
        (
            "kuailive",
            "public.kuailive",
            options.KuaiLive,
            "KuaiLive: PATH is the folder with room.csv, click.csv and negative.csv.",
        ),
        (
            "kuairand",
            "public.kuairand",
            options.KuaiRand,
            "KuaiRand: PATH is the folder KuaiRand-Pure or KuaiRand-1K.",
        ),
        (
            "mind",
            "public.mind",
            options.Mind,
            "MIND news: PATH is the folder with behaviors.tsv and news.tsv.",
        ),
        (
            "movielens",
            "public.movielens",
            options.MovieLens,
            "MovieLens 100K, 1M, 10M, 25M or latest: PATH is the folder with u.data, ratings.dat or ratings.csv.",
        ),
        (
            "open-bandit",
            "openbandit",
            OpenBanditOptions,
            "Open Bandit (ZOZOTOWN): PATH is the folder with random/ and bts/, of the full or the small version.",
        ),
        (
            "ranklens",
            "public.ranklens",
            options.Files,
            "RankLens: PATH is the folder dataset of its repository, with ranking.jsonl.gz and metadata.jsonl.gz.",
        ),
        (
            "twitch",
            "public.twitch",
            options.OnAir,
            "Twitch (LiveRec): PATH is 100k.csv, or the folder with it.",
        ),
        (
            "yahoo-r6",
            "public.yahoo",
            options.Files,
            "Yahoo! R6A or R6B: PATH is a file ydata-fp-td-clicks-*.gz, or the folder of one of the two.",
        ),
    )
}
