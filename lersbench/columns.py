"""The names of the columns of a run's files.

`summary.parquet` holds the last value of each metric in each seed, a value a row. `curves.parquet` holds what the seeds
of a contender came to after some rounds, a row a metric and round: how many seeds, their mean, their standard deviation
(of values, and of the means of halves where each half of a log was played twice) and quantiles. Of fewer than FEW seeds
it has each one too, in rows that name the `seed` and hold its value as `mean`. `customers.parquet` holds the sums that
rates are made of, by block of users, a row a contender and seed: see `engine.blocks`.

`variant` and `policy` are labels, the keys of a case and of a policy's entry in the scenario, made to be shown. What
they stand for has columns of its own: the log (its label among the scenario's logs, "" where there is one), the
feedback regime and the slate size of the case; the name of the policy and its parameters, as JSON.
"""

from __future__ import annotations

CASE = ("variant", "log", "feedback", "slate")
CONTENDER = ("policy", "name", "params")
SUMMARY = (*CASE, *CONTENDER, "seed", "metric", "value")
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
OVER_SEEDS = ("seeds", "mean", "sd", "sd_of_halves", *QUANTILES)
CURVES = (*CASE, *CONTENDER, "metric", "round", "seed", *OVER_SEEDS)
CUSTOMERS = (*CASE, *CONTENDER, "seed")  # and lists of sums
TEXTS = ("variant", "log", "feedback", *CONTENDER, "metric")
COUNTS = ("slate", "seed", "round", "seeds")
DRAWS = 2  # runs of each random half of a log: a half's means are over them
FEW = 5  # of fewer seeds each is kept
