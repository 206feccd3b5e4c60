#!/usr/bin/env python3
"""Boosting here against the official CatBoost and LightGBM: CPU seconds, quality and scoring on the same rows.

    python3 -m venv venv && venv/bin/pip install catboost lightgbm numpy pandas scikit-learn
    cargo bench --no-run        # prints the executable of tests/bench/models
    venv/bin/python tests/bench/boosting_vs_catboost.py EXECUTABLE ltr.npz --learning-rates 0.5 0.15 0.05

The npz holds `train_*` and `test_*`: `numbers` (features × rows, f32, NaN is missing), `categories` (features ×
rows, i64), `labels` (f32, 0 or 1) and `groups` (rows of each group). All sides train on one machine in turn, with the
same learning rate, depth, number of trees and threads; categories are one-hot unless told otherwise. Then each
scores the test rows.
`cpu` is user and system time over all threads, of a whole `fit` or `predict` on data in memory.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np


def auc(labels, scores):
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(labels, scores)


def ndcg(labels, scores, sizes, k=10):
    discounts, total, groups, start = 1 / np.log2(np.arange(2, k + 2)), 0.0, 0, 0
    for size in sizes:
        own = slice(start, start + size)
        start += size
        positives = int(labels[own].sum())
        if positives:
            top = labels[own][np.argsort(-scores[own], kind="stable")[:k]]
            total += (top * discounts[: len(top)]).sum() / discounts[: min(positives, k)].sum()
            groups += 1
    return total / groups


class Clock:
    def __enter__(self):
        self.cpu, self.wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_):
        self.cpu, self.wall = time.process_time() - self.cpu, time.perf_counter() - self.wall


def frame(data, side):
    import pandas as pd

    columns = {f"f{at}": values for at, values in enumerate(data[f"{side}_numbers"])}
    columns.update({f"c{at}": values for at, values in enumerate(data[f"{side}_categories"], 1)})
    return pd.DataFrame(columns)


def catboost(data, rate, options):
    from catboost import CatBoost, Pool

    categories = [f"c{at}" for at in range(1, len(data["train_categories"]) + 1)]
    groups = np.repeat(np.arange(len(data["train_groups"])), data["train_groups"])
    train = Pool(frame(data, "train"), data["train_labels"], cat_features=categories,
                 group_id=groups if options.loss != "Logloss" else None)
    test = Pool(frame(data, "test"), cat_features=categories)
    model = CatBoost(dict(iterations=options.iterations, depth=options.depth, learning_rate=rate, verbose=0,
                          loss_function=options.loss, one_hot_max_size=options.one_hot_max_size, random_seed=options.seed,
                          thread_count=options.threads, allow_writing_files=False))
    with Clock() as training:
        model.fit(train)
    with Clock() as scoring:
        scores = model.predict(test, prediction_type="RawFormulaVal", thread_count=options.threads)
    return training, scoring, scores


def lightgbm(data, rate, options):
    import lightgbm

    rows = {side: np.concatenate([data[f"{side}_numbers"], data[f"{side}_categories"]]).T.astype(np.float32)
            for side in ("train", "test")}
    n_numbers = len(data["train_numbers"])
    parameters = dict(objective="binary" if options.loss == "Logloss" else "lambdarank", learning_rate=rate,
                      num_leaves=31, num_threads=options.threads, min_data_in_leaf=200, verbose=-1,
                      seed=options.seed, deterministic=True, force_row_wise=True)
    with Clock() as training:
        train = lightgbm.Dataset(rows["train"], data["train_labels"], group=data["train_groups"], params=parameters,
                                 categorical_feature=list(range(n_numbers, rows["train"].shape[1])))
        model = lightgbm.train(parameters, train, options.iterations)
    with Clock() as scoring:
        scores = model.predict(rows["test"], num_threads=options.threads, raw_score=True)
    return training, scoring, scores


class Ours:
    def __init__(self, rate, options, folder):
        self.scores = os.path.join(folder, "scores.f64")
        arguments = dict(learning_rate=rate, iterations=options.iterations, depth=options.depth, loss=options.loss,
                         threads=options.threads, seed=options.seed, scores=self.scores,
                         one_hot_max_size=options.one_hot_max_size)
        named = [word for name, value in arguments.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        self.process = subprocess.Popen([options.executable, "boosting", options.data, *named],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()

    def read(self):
        return json.loads(self.process.stdout.readline())

    def round(self):
        clocks = []
        for _ in ("training", "scoring"):
            print("go", file=self.process.stdin, flush=True)
            clocks.append(type("Times", (), self.read()))
        return (*clocks, np.fromfile(self.scores))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("executable", help="the benchmark `models`, built by cargo")
    arguments.add_argument("data", help="rows to train on and to score, npz")
    arguments.add_argument("--learning-rates", type=float, nargs="+", default=[0.5, 0.15, 0.05])
    arguments.add_argument("--iterations", type=int, default=300)
    arguments.add_argument("--depth", type=int, default=6)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--one-hot-max-size", type=int, default=255, help="smaller: target statistics")
    arguments.add_argument("--loss", default="Logloss", choices=["Logloss", "QuerySoftMax"])
    arguments.add_argument("--peers", nargs="*", default=["CatBoost", "LightGBM"])
    options = arguments.parse_args()
    data = dict(np.load(options.data))
    print("| learning rate | trainer | training, CPU s | wall s | scoring, CPU s | AUC | NDCG@10 |")
    print("|---|---|---|---|---|---|---|")
    for rate in options.learning_rates:
        with tempfile.TemporaryDirectory() as folder:
            ours = Ours(rate, options, folder)
            sides = {"ours": ours.round}
            if "CatBoost" in options.peers:
                sides["CatBoost"] = lambda: catboost(data, rate, options)
            if "LightGBM" in options.peers:
                sides["LightGBM"] = lambda: lightgbm(data, rate, options)
            rounds = [{name: side() for name, side in sides.items()} for _ in range(options.rounds)]
            ours.process.stdin.close()
            ours.process.wait()
        for name in sides:
            training, scoring, scores = min((results[name] for results in rounds), key=lambda result: result[0].cpu)
            scoring = min((results[name][1] for results in rounds), key=lambda clock: clock.cpu)
            quality = auc(data["test_labels"], scores), ndcg(data["test_labels"], scores, data["test_groups"])
            print(f"| {rate} | {name} | {training.cpu:.1f} | {training.wall:.1f} | {scoring.cpu:.3f} | "
                  f"{quality[0]:.4f} | {quality[1]:.4f} |", flush=True)


if __name__ == "__main__":
    main()
