#!/usr/bin/env python3
"""Peak memory of the step `rank`, training and scoring, on as many candidate rows as asked for.

    python3 -m venv venv && venv/bin/pip install numpy polars
    venv/bin/python tests/bench/rank_memory.py target/release/recsys --rows 14000000 --limit 4096

Made-up tables: each user has 100 candidates out of three base models with lists of 50, about 30 events before the target
period and three candidates chosen in it. All users and all candidates train (`max_train_users: null`,
`negatives_per_user: null`) on 30 features, and all are scored. The step runs alone, from tables; its process is
asked for its resident memory every 20 ms. Exit code 1 when a peak is above `--limit` MiB.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import polars as pl

CANDIDATES = 100  # of each user
MODELS = {"als": (0, 50), "bpr": (25, 75), "item2item": (50, 100)}  # which candidates each proposes
N_ITEMS = 50_000
STRIDE = 487  # keeps the candidates of a user apart: CANDIDATES * STRIDE < N_ITEMS
PIPELINE = """\
name: memory
steps:
  rank:
    uses: rank
    inputs:
      train_events: train.parquet
      target_events: target.parquet
      items: items.parquet
      users: users.parquet
      train_candidates: { als: als.parquet, bpr: bpr.parquet, item2item: item2item.parquet }
      candidates: { als: als.parquet, bpr: bpr.parquet, item2item: item2item.parquet }
    outputs: { report: report.json, recommendations: recommendations.parquet }
    with:
      max_train_users: null
      negatives_per_user: null
      %s
"""


def candidate(users, places):
    """The item at a place of a user's list of candidates."""
    return (users * 7919 + places * STRIDE) % N_ITEMS


def events(users, items, first_day, rng):
    days = (first_day + rng.integers(0, 60, len(users))).astype(np.int32)
    table = pl.DataFrame(
        {
            "user_idx": users.astype(np.uint32),
            "item_idx": items.astype(np.uint32),
            "listen_count": rng.integers(1, 5, len(users)).astype(np.uint32),
            "first_listen": days,
            "last_listen": days,
        }
    )
    table = table.unique(["user_idx", "item_idx"], keep="first").sort("user_idx", "item_idx")
    return table.with_columns(pl.col("first_listen", "last_listen").cast(pl.Date))


def write_tables(folder, n_users):
    rng = np.random.default_rng(0)
    items = np.arange(N_ITEMS)
    pl.DataFrame(
        {
            "item_idx": items.astype(np.uint32),
            "track_id": items + 1_000_000,
            "track_group_id": items // 2 * 2 + 1_000_000,
            "artist_ids": (items // 10)[:, None].tolist(),
            "genre_ids": (items % 60)[:, None].tolist(),
            "genre_name": [f"genre {item % 60}" for item in items],
        }
    ).write_parquet(folder / "items.parquet")
    users = np.arange(n_users)
    pl.DataFrame({"user_idx": users.astype(np.uint32), "user_id": users}).write_parquet(folder / "users.parquet")
    for number, (name, (start, end)) in enumerate(MODELS.items()):
        length = end - start
        rows = np.repeat(users, length)
        # The model's own order of its candidates; a high place is more often among the chosen.
        places = start + (np.tile(np.arange(length), n_users) + rows * number) % length
        ranks = np.tile(np.arange(1, length + 1, dtype=np.uint32), n_users)
        scores = (1 / ranks + rng.random(len(rows)) * 1e-3).astype(np.float32)
        table = {"user_idx": rows.astype(np.uint32), "item_idx": candidate(rows, places).astype(np.uint32)}
        pl.DataFrame(table | {"score": scores, "rank": ranks}).write_parquet(folder / f"{name}.parquet")
    rows = np.repeat(users, 30)
    events(rows, rng.integers(0, N_ITEMS, len(rows)), 19_000, rng).write_parquet(folder / "train.parquet")
    rows = np.repeat(users, 3)
    places = (CANDIDATES * rng.random(len(rows)) ** 2).astype(np.int64)
    events(rows, candidate(rows, places), 19_060, rng).write_parquet(folder / "target.parquet")


def resident(pid):
    """MiB of a process, 0 when it is gone."""
    try:
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0
    return pages * 4096 / 2**20


def measure(recsys, folder):
    """Runs the step; peak MiB and seconds of training and of scoring."""
    peaks, started, begun = {"training": 0, "scoring": 0}, {"training": time.time()}, 0
    with open(folder / "log", "w") as log:
        process = subprocess.Popen([recsys, "run", "pipeline.yaml", "--force"], cwd=folder, stdout=log, stderr=log)
        while process.poll() is None:
            # The importances are written when training is done.
            if "scoring" not in started and time.time() > begun + 0.2:
                begun = time.time()
                if any((folder / "cache").rglob("*importances*")):
                    started["scoring"] = time.time()
            phase = "scoring" if "scoring" in started else "training"
            peaks[phase] = max(peaks[phase], resident(process.pid))
            time.sleep(0.02)
    if process.returncode:
        sys.exit((folder / "log").read_text())
    ends = [started.get("scoring", time.time()), time.time()]
    return peaks, {phase: end - started[phase] for phase, end in zip(started, ends)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recsys", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--rows", type=int, default=14_000_000)
    parser.add_argument("--limit", type=int, default=4096, help="MiB")
    parser.add_argument("--with", dest="parameters", nargs="*", default=["iterations: 20"])
    parser.add_argument("--folder", type=pathlib.Path, help="where the tables lie or shall lie")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True, parents=True)
        if not (folder / "target.parquet").exists():
            write_tables(folder, options.rows // CANDIDATES)
        (folder / "pipeline.yaml").write_text(PIPELINE % "\n      ".join(options.parameters))
        peaks, seconds = measure(options.recsys, folder)
        report = json.loads((folder / "report.json").read_text())["training"]
    for phase, peak in peaks.items():
        print(f"{phase:>8}: peak {peak:,.0f} MiB, {seconds.get(phase, 0):.0f} s")
    print(f"    rows: {report['rows']:,}, positives {report['positives']:,}, trees {report['trees']}")
    sys.exit(max(peaks.values()) > options.limit)


if __name__ == "__main__":
    main()
