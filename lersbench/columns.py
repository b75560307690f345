"""The names of the columns of a run's files, `curves.parquet` and `summary.parquet`; both hold a value a row.

`variant` and `policy` are labels, the keys of a case and of a policy's entry in the scenario, made to be shown. What
they stand for has columns of its own: the log (its label among the scenario's logs, "" where there is one), the
feedback regime and the slate size of the case; the name of the policy and its parameters, as JSON.
"""

from __future__ import annotations

CASE = ("variant", "log", "feedback", "slate")
CONTENDER = ("policy", "name", "params")
SUMMARY = (*CASE, *CONTENDER, "seed", "metric", "value")
CURVES = (*SUMMARY, "round")
TEXTS = ("variant", "log", "feedback", *CONTENDER, "metric")
COUNTS = ("slate", "seed", "round")
