#!/usr/bin/env python3
"""Exchanges models with the official CatBoost package, both ways.

    python3 -m venv venv && venv/bin/pip install catboost
    venv/bin/python tests/bench/catboost_roundtrip.py

1. Models trained here load in the package, predict the same to 1e-6, have the same feature importances,
   and convert to `.cbm`.
2. Models that the package trained and exported to JSON (one-hot categories, missing values low and high, a
   constant feature) predict the same here, for rows with unseen categories too.

The Rust half is `tests/it/catboost.rs`. Exit code 0 when all hold, 1 otherwise.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import catboost
import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = ["a", "genre", "b"]


def rust(folder, test):
    command = ["cargo", "test", "--release", "--test", "it", "--", "--ignored", "--exact", f"catboost::{test}"]
    environment = {**os.environ, "CATBOOST_ROUNDTRIP": str(folder)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def check_ours(folder):
    """Our models, scored by the package."""
    for path in sorted(folder.glob("ours_?.json")):
        rows = pd.read_csv(path.with_suffix(".tsv"), sep="\t", na_values=["NaN"], dtype={"genre": str})
        floats = {"a": np.float32, "b": np.float32}
        pool = catboost.Pool(rows[COLUMNS].astype(floats), cat_features=["genre"])
        model = catboost.CatBoost().load_model(str(path), format="json")
        scores = model.predict(pool, prediction_type="RawFormulaVal")
        difference = np.abs(scores - rows["score"]).max()
        assert difference < 1e-6, f"{path}: scores differ by {difference}"
        importances = pd.read_csv(f"{path.parent}/{path.stem}_importances.tsv", sep="\t", header=None)
        theirs = model.get_feature_importance(type="PredictionValuesChange")
        spread = np.abs(theirs - importances[1]).max()
        assert spread < 1e-6, f"{path}: importances differ by {spread}"
        converted = folder / f"{path.stem}.cbm"
        model.save_model(str(converted))
        again = catboost.CatBoost().load_model(str(converted)).predict(pool, prediction_type="RawFormulaVal")
        assert np.array_equal(scores, again), f"{path}: `.cbm` scores otherwise"
        print(f"{path.name}: {model.tree_count_} trees, scores differ by {difference:.1e}, importances by {spread:.1e}")


def make_theirs(folder):
    """Models of the package, with rows and its scores."""
    rng = np.random.default_rng(7)
    n_rows = 4000
    rows = pd.DataFrame({
        "a": rng.normal(size=n_rows).astype(np.float32),
        "constant": np.float32(1),
        "genre": [f"жанр {value}" for value in rng.integers(0, 40, n_rows)],
        "b": rng.gamma(1, 1e4, n_rows).astype(np.float32),
        "whole": [str(value) for value in rng.integers(-5, 5, n_rows)],
    })
    log_odds = np.sin(3 * rows["a"]) + (rows["whole"].astype(int) % 3 == 0) - rows["b"] / 1e4
    labels = (rng.random(n_rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
    rows.loc[rng.random(n_rows) < 0.2, "a"] = np.nan
    unseen = rows.copy()
    unseen.loc[rng.random(n_rows) < 0.3, "genre"] = "never seen"
    unseen.loc[rng.random(n_rows) < 0.3, "b"] = np.nan
    categories = ["genre", "whole"]
    for number, (nan_mode, depth, loss) in enumerate(
        [("Min", 6, "Logloss"), ("Max", 8, "Logloss"), ("Min", 3, "RMSE"), ("Max", 6, "QuerySoftMax")]
    ):
        groups = np.repeat(np.arange(n_rows // 20), 20) if loss == "QuerySoftMax" else None
        pool = catboost.Pool(rows, labels, cat_features=categories, group_id=groups)
        model = catboost.CatBoost(dict(
            iterations=80, depth=depth, nan_mode=nan_mode, loss_function=loss, one_hot_max_size=255,
            verbose=0, random_seed=number, allow_writing_files=False,
        ))
        model.fit(pool)
        model.save_model(str(folder / f"theirs_{number}.json"), format="json", pool=pool)
        scored = catboost.Pool(unseen, cat_features=categories)
        unseen["score"] = model.predict(scored, prediction_type="RawFormulaVal")
        unseen.to_csv(folder / f"theirs_{number}.tsv", sep="\t", index=False)
        unseen = unseen.drop(columns="score")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rust(folder, "a_model_of_ours_is_written_with_its_rows_and_scores")
        check_ours(folder)
        make_theirs(folder)
        rust(folder, "models_of_the_official_package_score_as_there")
    print("all models agree")


if __name__ == "__main__":
    sys.exit(main())
