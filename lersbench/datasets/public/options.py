"""The options of the public formats. Light to import: the command line makes its flags from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lersbench.options import OptionSet, option


@dataclass(frozen=True, kw_only=True)
class Written(OptionSet):
    """What every import has, beside the options of its format."""

    name: str | None = option(None, help="Name of the log; that of the format by default.")
    overwrite: bool = option(False, help="Replace a log that is there already.")


@dataclass(frozen=True, kw_only=True)
class Files(OptionSet):
    """A format without options of its own: `path` is the user's file or folder."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Mind(Files):
    """MIND."""

    first_of_doubled: bool = option(
        False, help="Where an impression lists an article twice, keep one, clicked if either was."
    )


@dataclass(frozen=True, kw_only=True)
class KuaiRand(Files):
    """KuaiRand. `context`, `item_features`: widths after PCA, 0 keeps every standardised feature."""

    log: Literal["random", "standard"] = option("random", help="The videos put in at random, or the usual ones.")
    outcome: Literal[
        "is_click", "long_view", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "is_profile_enter"
    ] = option("is_click", help="Which column counts as the click.")
    longest_watch: float = option(
        600.0, least=0, open=True, help="Longest watch time in seconds; longer ones are cut to it."
    )
    pool: int = option(7583, least=1, help="Videos from which a random one was drawn.")
    context: int = option(20, least=0, help="Width of the users' features after PCA; 0 keeps all.")
    item_features: int = option(8, least=0, help="Width of the videos' features after PCA; 0 keeps all.")


@dataclass(frozen=True, kw_only=True)
class DsJson(Files):
    """Decision service JSON."""

    item: Literal["tag", "features", "place"] = option(
        "tag", help="What separates actions: their _tag, all they say, or only their place in the list."
    )
    context: int = option(32, least=1, help="Width into which shared features are hashed.")
    features: int = option(32, least=1, help="Width into which an action's features are hashed.")
    click_above: float | None = option(
        None, help="A reward above this is a click. By default there are clicks only where all rewards are 0 or 1."
    )
    reward_low: float | None = option(None, help="The least that a reward (minus the cost) can be, where it is known.")
    reward_high: float | None = option(None, help="The most that it can be.")
    licence: str = option("", help="Licence of the data, kept with the log.")
    attribution: str = option("", help="Who has to be named with the data.")


@dataclass(frozen=True, kw_only=True)
class Criteo(Files):
    """Criteo counterfactual."""

    slots: int = option(
        1, least=0, help="Keep banners of so many products; 0 keeps all, without propensities (see docs/formats.md)."
    )
    context: int = option(32, least=1, help="Width into which the features of the display are hashed.")
    features: int = option(32, least=1, help="Width into which a product's features are hashed.")


@dataclass(frozen=True, kw_only=True)
class MovieLens(Files):
    """MovieLens."""

    like: float = option(4.0, least=0.5, most=5.0, help="A rating of at least this is a like (reward 1).")
    candidates: int = option(10, least=2, help="Rated movies of one user offered together, at most.")


@dataclass(frozen=True, kw_only=True)
class OnAir(Files):
    """Live streams.

    Attributes:
        candidates: how many streamers a round offers, at most: the chosen one and others drawn uniformly from those
            on air; 0 offers all that are on air.
        rounds: keep only so many rounds, the first in time; 0 keeps all.
        seed: of the draw.
    """

    candidates: int = option(40, least=0, help="Streamers on offer, at most, drawn from those on air; 0: all of them.")
    rounds: int = option(0, least=0, help="Keep the first so many rounds; 0: all.")
    seed: int = option(0, least=0, help="Of the draw.")


@dataclass(frozen=True, kw_only=True)
class KuaiLive(OnAir):
    """KuaiLive. `feedback`: "choice", a round a click, its reward 1 for the streamer clicked and 0 for the others on
    offer; "shown", a round an impression, with the one room shown and whether it was clicked."""

    feedback: Literal["choice", "shown"] = option(
        "choice", help="A round a click among those on air, or a round an impression (click.csv and negative.csv)."
    )
    longest_watch: float = option(
        7200.0, least=0, open=True, help="Of 'shown': longest watch time in seconds; longer ones are cut to it."
    )
    context: int = option(20, least=0, help="Width of what user.csv says of a user after PCA; 0 keeps all.")
