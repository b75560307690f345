"""The results of a laboratory experiment as they lie on disk, beside what was published."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lersbench.errors import DataError
from lersbench.files import file_digest, read_json
from lersbench.results.statistics import Interval, interval
from lersbench.system.unpack import read_table
from lersbench.words import cleaned, one_line

SOURCE = "doi 10.6814/NCCU202201098"
CELLS = {  # test accuracy in % at length 5
    "RNN": 94.27,
    "BiRNN": 94.25,
    "BayesRNN": 94.08,
    "LSTM": 94.10,
    "BiLSTM": 94.42,
    "BayesLSTM": 94.21,
    "GRU": 94.31,
    "BiGRU": 94.33,
    "BayesGRU": 94.27,
}
LENGTHS = {"streamer": {5: 94.21, 10: 93.96, 15: 93.65}, "basket": {5: 0.0077, 10: 0.0056, 15: 0.0065}}  # %, MSE
EXPLAINED = {2: 61.4, 3: 73.3}  # % of the variance, by principal components
METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}  # pictures of codes in two dimensions
TESTED = {5: 0.33 * 37442, 10: 0.33 * 19906, 15: 0.33 * 11828}  # customers in the published test parts, about


@dataclass
class LabResults:
    """One run: tidy `curves` (label, work, seed, epoch, metric, value), `points` of pictures, run.json as `meta`."""

    path: Path
    curves: pd.DataFrame
    points: pd.DataFrame  # label, method, customer, x, y, streamer; no rows where nothing was drawn
    meta: dict[str, Any]

    @property
    def experiment(self) -> dict[str, Any]:
        return self.meta["experiment"]

    @property
    def scenario(self) -> dict[str, Any]:
        """The same, by the name that the results of a replay have for it."""
        return self.experiment

    @property
    def name(self) -> str:
        return self.experiment["name"]

    @property
    def title(self) -> str:
        return self.experiment["title"]

    @property
    def kind(self) -> str:
        return self.experiment["experiment"]

    @cached_property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The parameters of each setting that has results, in the order of the file."""
        there = set(self.curves["label"])
        return {label: params for label, params in self.meta["settings"].items() if label in there}

    def curve(self, label: str, metric: str) -> pd.Series:
        """Mean over seeds by epoch."""
        rows = self.curves[(self.curves["label"] == label) & (self.curves["metric"] == metric)]
        return rows.groupby("epoch")["value"].mean()

    def finals(self, label: str, metric: str) -> pd.Series:
        """The values after the last epoch, by seed."""
        rows = self.curves[(self.curves["label"] == label) & (self.curves["metric"] == metric)]
        last = rows[rows["epoch"] == rows.groupby("seed")["epoch"].transform("max")]
        return last.set_index("seed")["value"].sort_index()

    def final(self, label: str, metric: str) -> Interval:
        """Mean of the final values and its interval over seeds; the interval is NaN for one seed."""
        bounds = (0.0, 1.0) if metric.endswith("accuracy") else (0.0, math.inf)
        return interval(self.finals(label, metric).to_numpy(), "none", bounds=bounds)


def cell_name(params: dict[str, Any]) -> str:
    """An encoder as the study calls it: "GRU", "BiGRU", "BayesGRU"; with both "BayesBiGRU"."""
    return f"{'Bayes' * params['bayesian']}{'Bi' * params['bidirectional']}{params['cell'].upper()}"


def load(run: str | Path) -> LabResults:
    """Read one run. A missing or broken file in it is a DataError."""
    run = Path(run)
    try:
        meta = cleaned(read_json(run / "run.json"))
        curves = _table(run / "curves.parquet")
        drawn = (run / "points.parquet").is_file()
        for file, content in meta.get("tables", {}).items():
            if file_digest(run / file) != content:
                raise ValueError(f"{file} is not what run.json says")
        points = _table(run / "points.parquet") if drawn else pd.DataFrame(columns=["label", "method"])
    except (OSError, ValueError) as error:  # pyarrow's errors are both of these
        raise DataError(f"{run} does not hold a whole run ({error}); run the experiment again.") from error
    return LabResults(run, curves, points, meta)


def _table(path: Path) -> pd.DataFrame:
    table = read_table(path, str(path)).to_pandas()
    return table.assign(label=table["label"].map(one_line)) if "label" in table else table
