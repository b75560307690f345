"""`python -m benchmarks.offpolicy`: off-policy sums of one policy beside NumPy formulas on the same rows, as Markdown.

Ours is one `add` of all rows: IPS, SNIPS, the sums of Cressie-Read and gamma, clipped forms, errors by user, and all
diagnostics of the weights. Beside it stand the same figures from whole columns in NumPy, the six sums alone, and IPS
and SNIPS as the Open Bandit Pipeline computes them, from the chances of all arms (n, K, 1). Numbers are checked to be
equal to 1e-10. Times are those of one thread's processor, the least of `REPEATS`, in ns a row; weights are given,
except to the last, whose formulas begin at the chances. Compilation is apart.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

from lersbench.offpolicy import sums as streamed  # noqa: E402
from lersbench.offpolicy.diagnostics import diagnose  # noqa: E402

ROWS, ARMS, USERS, CHUNK, REPEATS = 1_000_000, 34, 100_000, 20_000, 5


class Rows(NamedTuple):
    w: np.ndarray
    r: np.ndarray
    p: np.ndarray
    bucket: np.ndarray
    action: np.ndarray


def softmax_rows(n: int = ROWS, seed: int = 0) -> Rows:
    """A softmax logger of as many different propensities as rows; the target takes every arm alike."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, ARMS)).astype(np.float32)
    p = np.exp(scores)
    p /= p.sum(1, keepdims=True)
    action = np.minimum((p.cumsum(1) < rng.random((n, 1))).sum(1), ARMS - 1)
    return _rows(rng, action, p[np.arange(n), action].astype(np.float64))


def epsilon_rows(n: int = ROWS, seed: int = 1) -> Rows:
    """An epsilon-greedy logger of two propensities."""
    rng = np.random.default_rng(seed)
    greedy = rng.random(n) < 0.9
    action = np.where(greedy, 0, rng.integers(0, ARMS, n))
    return _rows(rng, action, np.where(action == 0, 0.9 + 0.1 / ARMS, 0.1 / ARMS))


def _rows(rng: np.random.Generator, action: np.ndarray, p: np.ndarray) -> Rows:
    n = len(p)
    r = (rng.random(n) < 0.05).astype(np.float64)
    bucket = streamed.buckets_of(rng.integers(0, USERS, n), n)
    return Rows(1 / ARMS / p, r, p, bucket, action)


def ours(rows: Rows, extra: np.ndarray | None = None, parts: np.ndarray | None = None) -> streamed.Sums:
    """One pass, in chunks as a log is read; `extra` (n,) doubly robust values, `parts` (n, S) slices, if any."""
    out = streamed.new_sums(streamed.Settings(slices=0 if parts is None else int(parts.max()) + 1))
    for first in range(0, len(rows.w), CHUNK):
        some = slice(first, first + CHUNK)
        more = None if extra is None else extra[some], None if parts is None else parts[some]
        streamed.add(out, rows.w[some], rows.r[some], rows.p[some], rows.bucket[some], *more)
    return out


def numpy_six(rows: Rows) -> tuple[float, ...]:
    """The six sums as well as NumPy does them."""
    w, r = rows.w, rows.r
    v = w * r
    return float(w.sum()), float(w @ w), float(v.sum()), float(w @ v), float(v @ v), float(r.sum())


def numpy_all(rows: Rows) -> dict[str, Any]:
    """Everything that `ours` keeps, from whole columns: sums by bucket and cell, the largest weights, thin mass."""
    w, r, p, bucket, _ = rows
    v = w * r
    cell = np.searchsorted([streamed.edge(k) for k in range(2, streamed.CELLS)], w, side="right") + 1
    top = np.sort(np.partition(w, -streamed.TOP)[-streamed.TOP :])[::-1]
    return {
        "six": numpy_six(rows),
        "buckets": np.stack([np.bincount(bucket, x, streamed.BUCKETS) for x in (w, v)], axis=1),
        "clipped": np.stack([np.bincount(cell, x, streamed.CELLS) for x in (w, w * w, v, w * v, v * v, r)], axis=1),
        "top": top,
        "propensities": np.unique(p),
        "thin": w[p < 1 / (len(w) * v.sum() / w.sum())].sum(),
    }


def pipeline(rows: Rows, action_dist: np.ndarray) -> tuple[float, float]:
    """IPS and SNIPS by the formulas of the Open Bandit Pipeline, from `action_dist` (n, K, 1)."""
    n = len(rows.w)
    weight = action_dist[np.arange(n), rows.action, np.zeros(n, int)] / rows.p
    return float((rows.r * weight).mean()), float((rows.r * weight / weight.mean()).mean())


def check(rows: Rows) -> None:
    """Raise AssertionError where ours is not what the formulas say, to 1e-10."""
    sums, wanted = ours(rows), numpy_all(rows)
    six = streamed.six(sums)
    np.testing.assert_allclose(six[1:], wanted["six"], rtol=1e-10)
    np.testing.assert_allclose(sums.buckets[:, :2], wanted["buckets"], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(streamed.by_cell(sums)[:, :6], wanted["clipped"], rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(streamed.top_weights(sums)[:, 0], wanted["top"])
    values = pipeline(rows, np.full((len(rows.w), ARMS, 1), 1 / ARMS))
    np.testing.assert_allclose((six.r1 / six.n, six.r1 / six.s1), values, rtol=1e-10)
    assert diagnose(sums).ess > 0


def nanoseconds(action: Callable[..., Any], *args: Any) -> float:
    """The least processor time of some calls, a row."""
    times = []
    for _ in range(REPEATS):
        start = time.thread_time()
        action(*args)
        times.append(time.thread_time() - start)
    return min(times) / len(args[0].w) * 1e9


def table() -> None:
    print("| logger | figures | ns a row | as a multiple of ours |")
    print("| --- | --- | --- | --- |")
    for name, rows in (("softmax", softmax_rows()), ("epsilon-greedy", epsilon_rows())):
        check(rows)
        own = nanoseconds(ours, rows)
        dist = np.full((len(rows.w), ARMS, 1), 1 / ARMS)
        parts = np.column_stack([rows.action % 3, 3 + rows.action % 7])
        for what, taken in (
            ("lersbench: all", own),
            ("lersbench: all, with doubly robust values", nanoseconds(ours, rows, rows.r)),
            ("lersbench: all, with two slicings", nanoseconds(ours, rows, None, parts)),
            ("NumPy: all", nanoseconds(numpy_all, rows)),
            ("NumPy: the six sums", nanoseconds(numpy_six, rows)),
            (f"Open Bandit Pipeline's formulas: IPS and SNIPS, K = {ARMS}", nanoseconds(pipeline, rows, dist)),
        ):
            print(f"| {name} | {what} | {taken:.1f} | {taken / own:.2f} |", flush=True)


if __name__ == "__main__":
    table()
