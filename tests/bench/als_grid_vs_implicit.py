#!/usr/bin/env python3
"""Compares the ALS of recsys with the library `implicit` over a grid of settings, on one split of real data.

    python3 -m venv venv && venv/bin/pip install implicit
    venv/bin/python tests/bench/als_grid_vs_implicit.py target/release/recsys RAW_DIR --strategy leave_last_n

RAW_DIR holds `tracks.parquet`, `catalog_names.parquet` and `interactions.parquet`. The pipeline runs once until
`split`; then both libraries are fitted on the same matrix for every setting and seed, and the same function
measures both: NDCG@10 of users with a history, items new to the user only, the ideal of min(k, relevant items).
That function is first checked against our `evaluate` (to 1e-6), for ALS and popularity.

`--period target` fits on train and measures on the target period: settings are chosen there, so that the test
period stays a test. Exit code 1 when the best of ours is below the best of implicit, or ours is below on
average at the same settings, by more than the 95 % interval over users.
"""
import argparse
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares

from als_vs_implicit import read_matrix, weigh

K = 10
ROOT = pathlib.Path(__file__).resolve().parents[2]
PERIODS = {  # the step that is fitted, its model, the matrix it is fitted on, the matrix it is measured on
    "test": ("als", "artifacts/als/als_model.npz", "history", "test"),
    "target": ("als_train", "artifacts/als_train/model.npz", "train", "target"),
}
KEYS = ("factors", "alpha", "regularization", "weighting")


class Protocol:
    """NDCG@k over users who have a history and an item in the period that is new to them."""

    def __init__(self, history, period):
        self.history = history
        self.relevant = {}
        for user in np.flatnonzero((np.diff(history.indptr) > 0) & (np.diff(period.indptr) > 0)):
            new = np.setdiff1d(period[user].indices, history[user].indices)
            if len(new):
                self.relevant[int(user)] = new
        self.users = np.array(list(self.relevant))
        self.discounts = 1 / np.log2(np.arange(2, K + 2))

    def ndcg(self, scores):
        """One value per user; `scores` has a row for each of `self.users`. Ties go to the smaller index."""
        values = np.zeros(len(self.users))
        scores = np.array(scores, dtype=np.float64)
        for row, user in enumerate(self.users):
            scores[row, self.history[user].indices] = -np.inf
            top = np.argsort(-scores[row], kind="stable")[:K]
            relevant = self.relevant[user]
            ideal = self.discounts[: min(K, len(relevant))].sum()
            values[row] = self.discounts[np.isin(top, relevant)].sum() / ideal
        return values

    def of_factors(self, users, items):
        return self.ndcg(users[self.users] @ items.T)

    def of_popularity(self):
        counts = np.diff(self.history.tocsc().indptr)
        return self.ndcg(np.broadcast_to(counts, (len(self.users), len(counts))))


class Recsys:
    """A temporary project in which the binary runs."""

    def __init__(self, options, folder):
        self.folder = pathlib.Path(folder)
        shutil.copytree(ROOT / "pipelines", self.folder / "pipelines")
        self.command = [
            str(pathlib.Path(options.binary).resolve()), "-C", folder, "run", f"pipelines/{options.pipeline}.yaml",
            "--set", f"split.strategy={options.strategy}",
        ]
        if options.raw != "-":
            self.command += ["--var", f"raw={pathlib.Path(options.raw).resolve()}"]
        for value in options.set:
            self.command += ["--set", value]

    def run(self, *arguments):
        finished = subprocess.run([*self.command, *arguments], capture_output=True, text=True)
        if finished.returncode != 0:
            sys.exit(f"{' '.join(self.command)} {' '.join(arguments)}\n{finished.stderr}")

    def matrix(self, name):
        return read_matrix(self.folder / f"artifacts/split/{name}_matrix.npz")

    def settings(self, step, point, seed, iterations):
        values = {**point, "seed": seed, "iterations": iterations}
        return [word for key, value in values.items() for word in ("--set", f"{step}.{key}={value}")]

    def factors(self, model):
        with np.load(self.folder / model) as arrays:
            return arrays["user_factors"], arrays["item_factors"]


def check_protocol(recsys, point, iterations):
    """Our `evaluate` must find what this file finds."""
    recsys.run("--until", "evaluate", *recsys.settings("als", point, 0, iterations))
    report = json.loads((recsys.folder / "artifacts/evaluate/report.json").read_text())["models"]
    protocol = Protocol(recsys.matrix("history"), recsys.matrix("test"))
    found = {
        "als": protocol.of_factors(*recsys.factors(PERIODS["test"][1])).mean(),
        "popularity": protocol.of_popularity().mean(),
    }
    for name, value in found.items():
        expected = report[name]["metrics"]["ndcg@10"]["value"]
        assert abs(value - expected) < 1e-6, f"NDCG@10 of {name}: evaluate says {expected}, this script {value}"
    print(f"checked: evaluate finds the same NDCG@{K} of " + " and ".join(f"{n} ({v:.4f})" for n, v in found.items()))


def fit_implicit(matrix, point, seed, iterations, threads):
    model = AlternatingLeastSquares(
        factors=point["factors"], alpha=point["alpha"], regularization=point["regularization"],
        iterations=iterations, random_state=seed, num_threads=threads,
    )
    model.fit(weigh(matrix, point["weighting"]), show_progress=False)
    return model.user_factors, model.item_factors


def interval(differences):
    """Mean and half of the 95 % interval over users."""
    return differences.mean(), 1.96 * differences.std(ddof=1) / np.sqrt(len(differences))


def label(point):
    return " ".join(f"{key} {point[key]}" for key in KEYS)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("binary", help="the program recsys")
    arguments.add_argument("raw", help="folder of the three raw files; - for a pipeline that needs none")
    arguments.add_argument("--strategy", choices=["time", "leave_last_n"], default="time")
    arguments.add_argument("--period", choices=list(PERIODS), default="test", help="where NDCG is measured")
    arguments.add_argument("--pipeline", default="music", help="a file of pipelines/, without .yaml")
    arguments.add_argument("--factors", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    arguments.add_argument("--alpha", type=float, nargs="+", default=[1, 5, 20, 40])
    arguments.add_argument("--regularization", type=float, nargs="+", default=[0.01, 1, 10])
    arguments.add_argument("--weighting", nargs="+", default=["linear"])
    arguments.add_argument("--iterations", type=int, default=15)
    arguments.add_argument("--seeds", type=int, default=1, help="seeds that each setting is averaged over")
    arguments.add_argument("--threads", type=int, default=1, help="threads of implicit")
    arguments.add_argument("--set", nargs="*", metavar="STEP.PARAMETER=VALUE", help="parameters of other steps", default=[
        "preprocess.max_track_seq_quantile=null", "preprocess.drop_without_artist=false",
        "preprocess.drop_without_genre=false",
    ])
    arguments.add_argument("--json", help="writes the values of every setting there")
    options = arguments.parse_args()
    grid = [dict(zip(KEYS, values)) for values in itertools.product(
        options.factors, options.alpha, options.regularization, options.weighting)]

    with tempfile.TemporaryDirectory() as folder:
        recsys = Recsys(options, folder)
        check_protocol(recsys, grid[0], options.iterations)
        step, model, history, period = PERIODS[options.period]
        recsys.run("--until", step)
        matrix = recsys.matrix(history)
        protocol = Protocol(matrix, recsys.matrix(period))
        print(f"{matrix.shape[0]} users x {matrix.shape[1]} items, {matrix.nnz} interactions, measured on the "
              f"{period} period of {options.strategy}: {len(protocol.users)} users; "
              f"{len(grid)} settings, {options.seeds} seeds", flush=True)

        ours = np.zeros((len(grid), options.seeds, len(protocol.users)))
        theirs = np.zeros_like(ours)
        for row, point in enumerate(grid):
            for seed in range(options.seeds):
                recsys.run("--only", step, *recsys.settings(step, point, seed, options.iterations))
                ours[row, seed] = protocol.of_factors(*recsys.factors(model))
                theirs[row, seed] = protocol.of_factors(
                    *fit_implicit(matrix, point, seed, options.iterations, options.threads))
        popularity = protocol.of_popularity().mean()

    best_ours, best_theirs = ours.mean(axis=(1, 2)).argmax(), theirs.mean(axis=(1, 2)).argmax()
    print(f"\n{'':<20}{'NDCG@10':>9}{'over popularity':>17}   setting")
    print(f"{'popularity':<20}{popularity:>9.4f}")
    for name, values, best in (("recsys, best", ours, best_ours), ("implicit, best", theirs, best_theirs)):
        value = values[best].mean()
        print(f"{name:<20}{value:>9.4f}{value / popularity:>16.2f}x   {label(grid[best])}")
    spread = np.mean([values.mean(axis=2).std(axis=1, ddof=1).mean() for values in (ours, theirs)]) \
        if options.seeds > 1 else float("nan")
    print(f"standard deviation of one run over seeds: {spread:.4f}")

    differences = {
        "best against best": ours[best_ours].mean(axis=0) - theirs[best_theirs].mean(axis=0),
        "same settings, mean": (ours - theirs).mean(axis=(0, 1)),
    }
    worse = False
    for name, values in differences.items():
        mean, half = interval(values)
        worse |= mean + half < 0
        print(f"recsys - implicit, {name}: {mean:+.4f} ± {half:.4f} (95 % over users)")
    if options.json:
        rows = [{**point, "recsys": float(o.mean()), "implicit": float(t.mean())}
                for point, o, t in zip(grid, ours, theirs)]
        pathlib.Path(options.json).write_text(json.dumps({"popularity": float(popularity), "points": rows}, indent=1))
    print("FAIL  recsys is worse than implicit" if worse else "ok    recsys is no worse than implicit")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
