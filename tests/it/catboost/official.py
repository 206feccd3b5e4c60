"""The official CatBoost package's half of `tests/it/catboost.rs`.

    official.py check FOLDER    ours_*.json with ours_*.tsv (rows, scores): the package loads the models, predicts
                                the same to 1e-6, has the same importances, and converts them to `.cbm`
    official.py make FOLDER     writes theirs_*.json with theirs_*.tsv: rows with unseen and missing values,
                                and the package's scores
    official.py fixtures FOLDER the same, smaller, for the repository
"""
import json
import pathlib
import sys

import catboost
import numpy as np
import pandas as pd


def check(folder):
    for path in sorted(folder.glob("ours_?.json")):
        rows = pd.read_csv(path.with_suffix(".tsv"), sep="\t", na_values=["NaN"], dtype={"genre": str, "artist": str})
        features = rows.drop(columns="score")
        categories = [name for name in ("genre", "artist") if name in rows]
        floats = {name: np.float32 for name in features if name not in categories}
        pool = catboost.Pool(features.astype(floats), cat_features=categories)
        model = catboost.CatBoost().load_model(str(path), format="json")
        scores = model.predict(pool, prediction_type="RawFormulaVal")
        difference = np.abs(scores - rows["score"]).max()
        assert difference < 1e-6, f"{path}: scores differ by {difference}"
        importances = pd.read_csv(f"{path.parent}/{path.stem}_importances.tsv", sep="\t", header=None)
        theirs = model.get_feature_importance(type="PredictionValuesChange")
        spread = np.abs(theirs - importances[1]).max()
        assert spread < 1e-6, f"{path}: importances differ by {spread}: {theirs} {importances}"
        converted = folder / f"{path.stem}.cbm"
        model.save_model(str(converted))
        again = catboost.CatBoost().load_model(str(converted)).predict(pool, prediction_type="RawFormulaVal")
        assert np.array_equal(scores, again), f"{path}: `.cbm` scores otherwise"
        print(f"{path.name}: {model.tree_count_} trees, scores differ by {difference:.1e}, importances by {spread:.1e}")


# Name → what differs from the default.
KINDS = {
    "min": dict(nan_mode="Min", depth=6),
    "max": dict(nan_mode="Max", depth=8),
    "rmse": dict(nan_mode="Min", depth=3, loss_function="RMSE", boost_from_average=True),
    "softmax": dict(nan_mode="Max", depth=6, loss_function="QuerySoftMax"),
    "deep": dict(depth=10, iterations=10),
    "borders": dict(border_count=1000, depth=6),
    "simple": dict(one_hot_max_size=2, simple_ctr=["Borders", "Buckets", "Counter", "BinarizedTargetMeanValue"],
                   max_ctr_complexity=1),
    "combined": dict(one_hot_max_size=12, max_ctr_complexity=3, depth=6, nan_mode="Max", model_size_reg=0,
                     combinations_ctr=["Borders", "Buckets", "Counter", "BinarizedTargetMeanValue"]),
    "target_borders": dict(one_hot_max_size=1, loss_function="RMSE", depth=6,
                           simple_ctr=["Borders:TargetBorderCount=3", "Buckets:TargetBorderCount=3",
                                       "BinarizedTargetMeanValue:TargetBorderCount=4"]),
}


def make(folder, n_rows=4000, n_scored=4000, iterations=80, kinds=tuple(KINDS)):
    rng = np.random.default_rng(7)
    rows = pd.DataFrame({
        "a": rng.normal(size=n_rows).astype(np.float32),
        "constant": np.float32(1),
        "genre": [f"жанр {value}" for value in rng.integers(0, 40, n_rows)],
        "b": rng.gamma(1, 1e4, n_rows).astype(np.float32),
        "whole": [str(value) for value in rng.integers(-5, 5, n_rows)],
        "two": [f"{value}" for value in rng.integers(0, 2, n_rows)],
    })
    log_odds = np.sin(3 * rows["a"]) + (rows["whole"].astype(int) % 3 == 0) - rows["b"] / 1e4
    log_odds += 2 * ((rows["two"] == "1") & (rows["whole"] == "2")) + 4 * ((rows["genre"].str[-1].astype(int) % 2 == 1) & (rows["a"] > 0))
    labels = (rng.random(n_rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
    rows.loc[rng.random(n_rows) < 0.2, "a"] = np.nan
    scored = rows.copy()
    scored.loc[rng.random(n_rows) < 0.3, "genre"] = "never seen"
    scored.loc[rng.random(n_rows) < 0.1, "two"] = "NaN"
    scored.loc[rng.random(n_rows) < 0.3, "b"] = np.nan
    scored = scored.head(n_scored)
    categories = ["genre", "whole", "two"]
    for number, name in enumerate(kinds):
        parameters = dict(iterations=iterations, loss_function="Logloss", one_hot_max_size=255, verbose=0,
                          random_seed=number, allow_writing_files=False)
        parameters.update(KINDS[name])
        loss = parameters["loss_function"]
        groups = np.repeat(np.arange(n_rows // 20), 20) if loss == "QuerySoftMax" else None
        target = log_odds if loss == "RMSE" else labels
        pool = catboost.Pool(rows, target, cat_features=categories, group_id=groups)
        model = catboost.CatBoost(parameters).fit(pool)
        path = folder / f"theirs_{name}.json"
        model.save_model(str(path), format="json", pool=pool)
        # Indentation, training parameters and texts of categories are half of the file.
        file = json.loads(path.read_text())
        del file["model_info"]
        file["features_info"].pop("cat_features_hash", None)
        path.write_text(json.dumps(file, separators=(",", ":")))
        pool = catboost.Pool(scored, cat_features=categories)
        scores = model.predict(pool, prediction_type="RawFormulaVal")
        scored.assign(score=scores).to_csv(folder / f"theirs_{name}.tsv", sep="\t", index=False, na_rep="nan")
        elements = {e["combination_element"] for ctr in file["features_info"].get("ctrs") or [] for e in ctr["elements"]}
        kinds_of_ctr = {ctr["ctr_type"] for ctr in file["features_info"].get("ctrs") or []}
        print(name, sorted(elements), sorted(kinds_of_ctr))


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "check":
        check(folder)
    elif sys.argv[1] == "make":
        make(folder)
    else:
        make(folder, n_rows=300, n_scored=40, iterations=8, kinds=("max", "simple", "combined"))
