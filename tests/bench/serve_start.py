#!/usr/bin/env python3
"""How long `recsys serve` takes until it answers, and how much memory it then has, with a full-size release.

    python3 -m venv venv && venv/bin/pip install numpy polars
    venv/bin/python tests/bench/serve_start.py RECSYS FOLDER [--users N] [--k K] [--tracks N] [--starts N]

RECSYS is the program, FOLDER a scratch folder (3 GB with the defaults: 1.4 M users with 100 tracks each, 1 M
tracks with names, 100 similar tracks for each of the 100,000 most popular). The release is made once and kept.
The first start reads Parquet; the later ones map the lists that it left under `lists_cache`. Each start is a new
process: the time is that from exec to the first 200 of `GET /ready`; memory is what the kernel says of the process
then and after 2,000 requests for users at random: RssAnon belongs to it alone, RssFile are pages of files that the
kernel can drop and other processes can share. `--cold` drops the page cache before each start (needs root).
"""
import argparse
import json
import pathlib
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request


def make(folder, n_users, k, n_tracks):
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(1)
    track_ids = rng.permutation(np.arange(1, 3 * n_tracks, 3, dtype=np.int64))
    similar_keys = min(n_tracks, 100_000)
    artifacts = folder / "artifacts"
    for step in ["rank", "similar", "popularity", "preprocess"]:
        (artifacts / step).mkdir(parents=True, exist_ok=True)

    def lists(path, key, keys, track):
        """`k` tracks a key, popular ones more often, falling scores; written a part at a time."""
        parts = []
        for start in range(0, len(keys), 200_000):
            part = keys[start : start + 200_000]
            n = len(part) * k
            skewed = (rng.random(n, dtype=np.float32) ** 3 * (n_tracks - 1)).astype(np.int64)
            scores = np.sort(rng.random((len(part), k), dtype=np.float32), axis=1)[:, ::-1].reshape(-1)
            frame = pl.DataFrame({
                key: np.repeat(part, k),
                track: track_ids[skewed],
                "score": scores,
                "rank": np.tile(np.arange(1, k + 1, dtype=np.uint32), len(part)),
            })
            parts.append(path.with_suffix(f".{start}.part"))
            frame.write_parquet(parts[-1])
        pl.scan_parquet(parts).sink_parquet(path)
        for part in parts:
            part.unlink()

    items = pl.DataFrame({"track_id": track_ids}).with_row_index("item_idx").with_columns(
        track_group_id=pl.col("track_id"),
        artist_ids=pl.concat_list(pl.col("track_id") % 50_000),
        name=pl.format("Track number {}", pl.col("track_id")),
        artist_names=pl.concat_list(pl.format("Artist {}", pl.col("track_id") % 50_000)),
        album_name=pl.format("Album {}", pl.col("track_id") % 150_000),
        genre_name=pl.format("genre {}", pl.col("track_id") % 90),
    )
    items.write_parquet(artifacts / "preprocess/items.parquet")
    top = pl.DataFrame({"track_id": track_ids[:1000], "score": np.arange(1000, 0, -1, dtype=np.float64)})
    top.with_row_index("rank", 1).write_parquet(artifacts / "popularity/top_popular.parquet")
    user_ids = np.sort(rng.choice(10 * n_users, n_users, replace=False)).astype(np.int64)
    lists(artifacts / "similar/similar.parquet", "track_id", track_ids[:similar_keys], "similar_track_id")
    lists(artifacts / "rank/recommendations.parquet", "user_id", user_ids, "track_id")
    return user_ids


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in status)
    return {name: round(int(found[name].split()[0]) / 1024) for name in ["VmHWM", "VmRSS", "RssAnon", "RssFile"]}


def start(program, folder, n_users):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "service.yaml").write_text(f"port: {port}\n")
    began = time.monotonic()
    with open(folder / "server.log", "a") as log:
        server = subprocess.Popen([program, "serve", "service.yaml"], cwd=folder, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            if server.poll() is not None:
                raise SystemExit((folder / "server.log").read_text()[-2000:])
            try:
                with urllib.request.urlopen(f"{url}/ready", timeout=60) as answer:
                    if answer.status == 200:
                        break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.005)
        seconds = time.monotonic() - began
        usage = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
        at_start = memory(server.pid)
        personal = 0
        for _ in range(2000):
            user = random.randrange(10 * n_users)
            with urllib.request.urlopen(f"{url}/recommendations/{user}/100") as answer:
                personal += json.load(answer)["source"] == "personal"
        after = memory(server.pid)
    finally:
        server.terminate()
        server.wait()
    cpu = (int(usage[11]) + int(usage[12])) / 100
    return {"ready_s": round(seconds, 2), "cpu_s": cpu, "at_start_MB": at_start, "after_requests_MB": after,
            "personal_of_2000": personal}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--users", type=int, default=1_400_000)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--starts", type=int, default=4)
    parser.add_argument("--cold", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "artifacts/rank/recommendations.parquet").exists():
        make(folder, arguments.users, arguments.k, arguments.tracks)
    files = sorted((folder / "artifacts").rglob("*.parquet"))
    print(json.dumps({"files_MB": {str(path.name): round(path.stat().st_size / 2**20) for path in files}}))
    shutil.rmtree(folder / "services", ignore_errors=True)
    for number in range(arguments.starts):
        if arguments.cold:
            subprocess.run(["sync"], check=True)
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        result = start(arguments.program.resolve(), folder, arguments.users)
        print(json.dumps({"start": number + 1, **result}), flush=True)


if __name__ == "__main__":
    main()
