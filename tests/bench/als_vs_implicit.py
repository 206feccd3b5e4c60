#!/usr/bin/env python3
"""Compares an ALS model of recsys with the library `implicit` on the same matrix and parameters.

    python3 -m venv venv && venv/bin/pip install implicit
    recsys run PIPELINE                     # a pipeline with `split` and `als`
    OPENBLAS_NUM_THREADS=1 venv/bin/python tests/bench/als_vs_implicit.py \\
        artifacts/split/train_matrix.npz artifacts/als/model.npz

The parameters are read from the model file. Three things are checked:

1. `implicit.cpu.als.AlternatingLeastSquares.load` opens the file;
2. implicit's own `calculate_loss` gives our factors the loss of implicit's factors, within --tolerance;
3. the two models recommend the same items as far as two runs of implicit with different seeds do
   (the objective has many equally good minima, so the lists of two seeds differ).

Exit code 0 when all hold, 1 otherwise.
"""
import argparse
import sys
import time

import numpy as np
import scipy.sparse
from implicit.cpu import _als
from implicit.cpu.als import AlternatingLeastSquares


def read_matrix(path):
    arrays = np.load(path)
    shape = tuple(int(size) for size in arrays["shape"])
    indptr = arrays["indptr"].astype(np.int32)
    return scipy.sparse.csr_matrix((arrays["data"].astype(np.float32), arrays["indices"], indptr), shape=shape)


def weigh(counts, weighting):
    """The weights of recsys (src/models/weighting.rs), without alpha."""
    weights = counts.copy()
    if weighting == "log":
        weights.data = np.log1p(weights.data)
    elif weighting == "binary":
        weights.data[:] = 1
    elif weighting == "bm25":
        k1, b, n_items = 100.0, 0.8, counts.shape[1]
        lengths = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()
        n_user = np.diff(counts.indptr)
        idf = np.repeat(np.log(1 + (n_items - n_user + 0.5) / (n_user + 0.5)), n_user)
        norm = 1 - b + b * lengths[counts.indices] / lengths.mean()
        weights.data = (counts.data * (k1 + 1) / (k1 * norm + counts.data) * idf).astype(np.float32)
    elif weighting != "linear":
        sys.exit(f"unknown weighting {weighting!r}")
    return weights


def top_items(model, counts, users, n):
    return model.recommend(users, counts[users], N=n, filter_already_liked_items=True)[0]


def overlap(a, b):
    return float(np.mean([len(np.intersect1d(x, y)) / len(x) for x, y in zip(a, b)]))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("matrix", help="the matrix the model was fitted on (CSR, npz)")
    arguments.add_argument("model", help="als_model.npz of recsys")
    arguments.add_argument("--top", type=int, default=10, help="length of the lists that are compared")
    arguments.add_argument("--users", type=int, default=5000, help="users whose lists are compared")
    arguments.add_argument("--threads", type=int, default=0, help="threads of implicit, 0 for all")
    arguments.add_argument("--tolerance", type=float, default=0.005, help="relative difference of the losses")
    options = arguments.parse_args()

    counts = read_matrix(options.matrix)
    ours = AlternatingLeastSquares.load(options.model)
    weighting = getattr(ours, "weighting", "linear")
    weights = weigh(counts, weighting)
    confidences = (ours.alpha * weights).astype(np.float32)
    print(
        f"{counts.shape[0]} users x {counts.shape[1]} items, {counts.nnz} interactions; factors {ours.factors}, "
        f"iterations {ours.iterations}, regularization {ours.regularization}, alpha {ours.alpha}, "
        f"weighting {weighting}, {'cg, ' + str(ours.cg_steps) + ' steps' if ours.use_cg else 'cholesky'}"
    )

    def fit(seed):
        model = AlternatingLeastSquares(
            factors=ours.factors,
            regularization=ours.regularization,
            alpha=ours.alpha,
            iterations=ours.iterations,
            use_cg=ours.use_cg,
            num_threads=options.threads,
            random_state=seed,
        )
        model.cg_steps = ours.cg_steps
        start = time.process_time()
        model.fit(weights, show_progress=False)
        return model, (time.process_time() - start) / ours.iterations

    theirs, seconds = fit(42)
    other, _ = fit(43)

    def loss(model):
        return float(
            _als.calculate_loss(
                confidences, model.user_factors, model.item_factors, ours.regularization, num_threads=options.threads
            )
        )

    losses = {"recsys": loss(ours), "implicit, seed 42": loss(theirs), "implicit, seed 43": loss(other)}
    active = np.flatnonzero(np.diff(counts.indptr))
    users = np.sort(np.random.default_rng(0).choice(active, min(options.users, len(active)), replace=False))
    lists = {name: top_items(model, counts, users, options.top) for name, model in
             zip(losses, (ours, theirs, other))}
    reference = lists["implicit, seed 42"]

    print(f"\n{'model':<20}{'loss':>14}{f'top-{options.top} overlap':>20}   (with implicit, seed 42)")
    for name, value in losses.items():
        print(f"{name:<20}{value:>14.8f}{overlap(lists[name], reference):>20.4f}")
    print(f"\nimplicit takes {seconds:.4f} CPU seconds an iteration here")

    best, worst = min(list(losses.values())[1:]), max(list(losses.values())[1:])
    difference = max(losses["recsys"] / worst - 1, 1 - losses["recsys"] / best, 0.0)
    expected = overlap(lists["implicit, seed 43"], reference)
    found = overlap(lists["recsys"], reference)
    checks = [
        ("implicit loads the file", ours.item_factors.shape == (counts.shape[1], ours.factors)),
        (f"the loss is implicit's within {options.tolerance}", difference <= options.tolerance),
        ("the lists agree as those of two seeds do", found >= expected - 0.05),
    ]
    for text, holds in checks:
        print(f"{'ok  ' if holds else 'FAIL'}  {text}")
    return 0 if all(holds for _, holds in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
