#!/usr/bin/env python3
"""NDCG@10 of online recommendations on held-out events: `online: similar` against `online: fold_in`.

    python3 -m venv venv && venv/bin/pip install numpy scipy polars
    venv/bin/python tests/bench/online_quality.py RECSYS PROJECT [--events 3 10 50] [--decay 1 0.9 0.7] [--users N]

PROJECT is a project folder in which `recsys run` has made the artifacts of `pipelines/music.yaml`. For every
setting a real service is started in it without events; each user with something to be found sends the last EVENTS
tracks of the own history (oldest first), then asks for 10 online recommendations. Relevant are the tracks of the
test period that are not in the history, as `evaluate` counts them. The popular tracks are the baseline. Intervals
are 95 % of 1,000 resamples of the users; the difference is paired. The item vectors come from a fit that knew the
users' histories, but nothing of the users enters an answer except the events that they sent.
"""
import argparse
import http.client
import json
import pathlib
import socket
import subprocess
import tempfile
import time

import numpy as np
import polars as pl
import scipy.sparse as sp

K = 10


def ndcg(recommended, relevant):
    gains = [1 / np.log2(rank + 2) for rank, track in enumerate(recommended[:K]) if track in relevant]
    return sum(gains) / sum(1 / np.log2(rank + 2) for rank in range(min(K, len(relevant))))


def held_out(project, n_users):
    """For each test user: the history, oldest first, and the relevant tracks."""
    artifacts = project / "artifacts"
    events = pl.read_parquet(artifacts / "split/history_events.parquet")
    items = pl.read_parquet(artifacts / "preprocess/items.parquet", columns=["item_idx", "track_id"])
    users = pl.read_parquet(artifacts / "preprocess/users.parquet")
    tracks, user_ids = items["track_id"].to_numpy(), users["user_id"].to_numpy()
    when = next(name for name in ["last_listen", "last_at", "last_date", "max_date"] if name in events.columns)
    order = [name for name in ["max_seq", "last_seq", "track_seq"] if name in events.columns]
    histories = events.sort(["user_idx", when, *order, "item_idx"]).group_by("user_idx", maintain_order=True)
    histories = dict(histories.agg("item_idx").iter_rows())
    test = sp.load_npz(artifacts / "split/test_matrix.npz")
    found = []
    for user in range(test.shape[0]):
        history = histories.get(user, [])
        relevant = set(test.indices[test.indptr[user] : test.indptr[user + 1]]) - set(history)
        if relevant and history:
            relevant = {int(tracks[item]) for item in relevant}
            found.append((int(user_ids[user]), [int(tracks[item]) for item in history], relevant))
    if n_users and len(found) > n_users:
        found = [found[at] for at in np.random.default_rng(1).choice(len(found), n_users, replace=False)]
    return found


def answers(program, project, settings, users, n_events):
    """The lists that a fresh service gives, and its CPU seconds while it answered."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        service = {
            "port": port,
            "artifacts": {"model": "artifacts/als/als_model.npz"},
            "blending": {"online_events": n_events, **settings},
            "events": {"path": str(folder / "events.sqlite")},
            "lists_cache": None,
        }
        (folder / "service.yaml").write_text(json.dumps(service))
        server = subprocess.Popen([program, "serve", folder / "service.yaml"], cwd=project,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            connection = None
            for _ in range(1200):
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                    connection.request("GET", "/ready")
                    if connection.getresponse().read() and server.poll() is None:
                        break
                except OSError:
                    time.sleep(0.05)

            def call(method, path, body=None):
                headers = {"content-type": "application/json"} if body else {}
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                assert answer.status == 200, content
                return json.loads(content)

            for user, history, _ in users:
                call("POST", "/events", json.dumps({"user_id": user, "items": history[-n_events:]}))
            stat = pathlib.Path(f"/proc/{server.pid}/stat")
            cpu = lambda: sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:13])) / 100
            before = cpu()
            path = "/recommendations_online?user_id={}&k=500"
            lists = [call("POST", path.format(user))["recommendations"] for user, _, _ in users]
            seconds = cpu() - before
            popular = call("GET", "/top_popular/1000")["recommendations"]
        finally:
            server.terminate()
            server.wait()
    return lists, popular, seconds / len(users)


def interval(values):
    draws = np.random.default_rng(1).integers(0, len(values), (1000, len(values)))
    return np.percentile(values[draws].mean(axis=1), [2.5, 97.5])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("project", type=pathlib.Path)
    parser.add_argument("--events", type=int, nargs="+", default=[3, 10, 50])
    parser.add_argument("--decay", type=float, nargs="+", default=[1.0, 0.9, 0.7])
    parser.add_argument("--users", type=int, default=0)
    arguments = parser.parse_args()
    users = held_out(arguments.project, arguments.users)
    print(f"{len(users)} users with something to be found")
    for n_events in arguments.events:
        for decay in arguments.decay:
            measured = {}
            for online in ["similar", "fold_in"]:
                settings = {"online": online, "recency_decay": decay}
                lists, popular, cpu = answers(arguments.program, arguments.project, settings, users, n_events)
                # Tracks of the older history, which the service has not heard of, are no hits by definition and
                # count as places lost for both; the list is read past them, as a client that knows them would.
                lists = [[t for t in found if t not in set(h)] for found, (_, h, _) in zip(lists, users)]
                measured[online] = np.array([ndcg(found, r) for found, (_, _, r) in zip(lists, users)]), cpu
            base = np.array([ndcg([t for t in popular if t not in set(h)], r) for _, h, r in users])
            for name, (values, cpu) in {**measured, "popular": (base, 0.0)}.items():
                low, high = interval(values)
                print(f"events {n_events:3} decay {decay:.1f} {name:8} NDCG@{K} {values.mean():.4f} ({low:.4f}-{high:.4f})"
                      f"  server {1e6 * cpu:.0f} us/answer", flush=True)
            difference = measured["fold_in"][0] - measured["similar"][0]
            low, high = interval(difference)
            print(f"events {n_events:3} decay {decay:.1f} fold_in - similar {difference.mean():+.4f} ({low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    main()
