"""What a log of new customers would say: intervals and differences whose error covers orders and customers alike.

A replay has two chances in it: the seed (the order of arrival and the policy's draws), and the customers of the log.
Rewards and rounds are added up by seed and by block of customers; blocks are the same for all contenders and seeds, and
empty ones are dropped. A value R = sum X / sum N is a ratio of sums; with e_sb = (X_sb - R N_sb) / (sum N / (S B)) for
S seeds and B blocks, the mean of e is 0 and

    v_s = sum_s (row mean)^2 / (S (S - 1))            error of the seeds,
    v_u = sum_b (column mean)^2 / (B (B - 1))         error of the customers,
    v_e = sum_sb residual^2 / ((S - 1) (B - 1) S B)   what both of these hold, residual = e - row mean - column mean,

so that v = max(v_s + v_u - v_e, v_s, v_u) is the variance of R over both: the two-way layout of random effects. Owen
(2007, Annals of Applied Statistics 1(2), pigeonhole bootstrap) and Cameron, Gelbach and Miller (2011, Journal of
Business and Economic Statistics 29(2), two-way clusters) have the same three parts. Degrees of freedom are those of
Satterthwaite (1946, Biometrics Bulletin 2(6)), v^2 / (v_s^2 / df_s + v_u^2 / (B - 1) + v_e^2 / ((S - 1) (B - 1))), at
least min(df_s, B - 1); df_s is S - 1, or what the seeds of a family lend (`separation.spreads`).

One seed has neither v_s nor v_e. v = v_u then holds the error of the customers and the residual, but not what the order
does to all customers at once, such as a policy that locks in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lersbench.errors import DataError
from lersbench.results.separation import Separation, p_of
from lersbench.results.statistics import ROUNDING

LEAST_BLOCKS = 3  # blocks of customers that an error needs
MANY = 20  # seeds from which on two different values tell how far a mean over them spreads


class Sums(NamedTuple):
    """One contender: rewards and rounds (or positions shown) by seed and block, both (S, B)."""

    paid: np.ndarray
    rounds: np.ndarray


class Parts(NamedTuple):
    """Errors of a mean as variances, or of all pairs of means (n, n), with the degrees of freedom of their sum."""

    total: np.ndarray  # over new seeds and new customers
    df: np.ndarray
    seeds: np.ndarray  # over new seeds on these customers
    customers: np.ndarray  # over new customers, for these seeds


class Crowd(NamedTuple):
    """n contenders on the same B blocks of customers."""

    columns: np.ndarray  # (n, B): column means of e
    paid: np.ndarray  # (n, B): rewards a seed in each block
    seeds: np.ndarray  # (n,): v_s by the contender's own seeds; NaN for one seed
    seeds_df: np.ndarray
    residual: np.ndarray  # (n,): v_e; 0 for one seed
    residual_df: np.ndarray


def crowd(sums: Sequence[Sums]) -> Crowd:
    """Take the sums of contenders apart, each (S, B) with its own S >= 1 and the same B. See the head of this file.

    A contender that has no round at all is NaN throughout. Raises DataError where the blocks differ, or fewer than
    three of them hold a round.
    """
    shapes = {np.shape(part)[1:] for one in sums for part in one}
    if len(shapes) != 1 or any(np.shape(one.paid) != np.shape(one.rounds) for one in sums):
        raise DataError(f"sums by block of the shapes {sorted(map(str, shapes))}: contenders must share their blocks.")
    filled = np.sum([np.abs(one.rounds).sum(axis=0) for one in sums], axis=0) > 0
    if filled.sum() < LEAST_BLOCKS:
        raise DataError(f"{int(filled.sum())} blocks of customers hold rounds; an error needs {LEAST_BLOCKS} or more.")
    return Crowd(*map(np.array, zip(*(_apart(one, filled) for one in sums), strict=True)))


def _apart(one: Sums, filled: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float, float, float]:
    """The row of one contender in a `Crowd`."""
    x, n = (np.asarray(part, dtype=np.float64)[:, filled] for part in one)
    (seeds, blocks), paid = x.shape, x.mean(axis=0)
    if not n.sum() > 0:
        return np.full(blocks, np.nan), paid, np.nan, seeds - 1, np.nan, np.nan
    e = (x - x.sum() / n.sum() * n) / (n.sum() / n.size)
    rows, columns = e.mean(axis=1), e.mean(axis=0)
    if seeds == 1:
        return columns, paid, np.nan, 0, 0.0, 1
    residual = e - rows[:, None] - columns[None, :]
    spare = (seeds - 1) * (blocks - 1)
    return (
        columns,
        paid,
        float((rows**2).sum()) / (seeds * (seeds - 1)),
        seeds - 1,
        float((residual**2).sum()) / (spare * seeds * blocks),
        spare,
    )


def errors(people: Crowd, seeds: np.ndarray | None = None, seeds_df: np.ndarray | None = None) -> Parts:
    """The errors of each contender of `people`, all (n,).

    `seeds` (n,) and `seeds_df` (n,): variances over seeds that stand in the place of each contender's own, such as
    moderated ones. One that is NaN, of one seed, counts as 0.
    """
    blocks = people.columns.shape[1]
    v_s, df_s = (people.seeds, people.seeds_df) if seeds is None or seeds_df is None else (seeds, seeds_df)
    v_u = (people.columns**2).sum(axis=1) / (blocks * (blocks - 1))
    return _total(v_s, df_s, v_u, blocks - 1, people.residual, people.residual**2 / people.residual_df)


def differences(people: Crowd, seeds: Separation) -> Parts:
    """The errors of all differences of two contenders of `people`, (n, n), whose seeds are `seeds`.

    Two policies that share customers: v_s and its degrees of freedom are those of the pair of seeds (independent and
    moderated, or paired); v_u is that of the differences of column means, block by block, so what a block of good
    customers adds to both cancels; v_e is the sum of both.
    """
    blocks = people.columns.shape[1]
    v_u = np.stack([((row - people.columns) ** 2).sum(axis=1) for row in people.columns]) / (blocks * (blocks - 1))
    own, shares = people.residual, people.residual**2 / people.residual_df
    v_e, share_e = own[:, None] + own[None, :], shares[:, None] + shares[None, :]
    return _total(seeds.variance, seeds.df, v_u, blocks - 1, v_e, share_e)


def contrast(
    people: Crowd, pair: tuple[int, int], weights: tuple[float, float], v_s: float, df_s: float
) -> tuple[float, float]:
    """Variance and degrees of freedom of a weighted sum of the means of two contenders of `people`, whose error over
    seeds is `v_s` with `df_s` degrees of freedom."""
    blocks = people.columns.shape[1]
    v_u = (sum(w * people.columns[i] for i, w in zip(pair, weights, strict=True)) ** 2).sum() / (blocks * (blocks - 1))
    own = [w * w * people.residual[i] for i, w in zip(pair, weights, strict=True)]
    share_e = sum(v * v / people.residual_df[i] for i, v in zip(pair, own, strict=True))
    found = _total(np.array(v_s), np.array(df_s), np.array(v_u), blocks - 1, np.array(sum(own)), np.array(share_e))
    return float(found.total), float(found.df)


def _total(
    v_s: np.ndarray, df_s: np.ndarray, v_u: np.ndarray, df_u: float, v_e: np.ndarray, share_e: np.ndarray
) -> Parts:
    """max(v_s + v_u - v_e, v_s, v_u) with Satterthwaite's degrees of freedom; `share_e` is v_e^2 over those of v_e."""
    ran = np.isfinite(v_s)
    v_s, df_s = np.where(ran, v_s, 0.0), np.where(ran & (df_s > 0), df_s, np.inf)
    total = np.maximum(v_s + v_u - v_e, np.maximum(v_s, v_u))
    with np.errstate(invalid="ignore", divide="ignore"):
        df = total**2 / (v_s**2 / df_s + v_u**2 / df_u + share_e)
    return Parts(total, np.maximum(df, np.minimum(df_s, df_u)), v_s, v_u)


def separate(people: Crowd, seeds: Separation) -> Separation:
    """The pairs of `people` as `seeds` has them, but over new seeds and new customers.

    A pair is tested where the seeds of both tell how far they spread, and two that draw nothing are too, by their
    customers. Of MANY seeds two different values tell it as well: most of the error is that of the customers. Where
    only k blocks were paid differently, p is at least 2^(1 - k), what the sign test has at best: one customer in a
    thousand shows nothing, whatever its t.
    """
    parts, known = differences(people, seeds), seeds.spread.known | (people.seeds_df >= MANY - 1)
    own = errors(people, seeds.spread.variance, seeds.spread.df)
    spread = seeds.spread._replace(variance=own.total, df=own.df)
    same = ROUNDING * np.abs(people.paid).max()
    differ = np.stack([(np.abs(row - people.paid) > same).sum(axis=1) for row in people.paid])
    p = np.maximum(
        p_of(seeds.mean, parts.total, parts.df, known[:, None] & known[None, :]), 0.5 ** (differ - 1.0)
    )  # NaN stays
    return Separation(p, seeds.mean, parts.total, parts.df, spread, seeds.still)
