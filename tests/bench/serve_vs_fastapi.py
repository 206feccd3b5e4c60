"""Races `recsys serve` against the usual FastAPI service: same load tool, data, core and question.

    python3 -m venv v && v/bin/pip install fastapi 'uvicorn[standard]' numpy pyarrow    # and Debian's wrk
    v/bin/python tests/bench/serve_vs_fastapi.py [--recsys target/release/recsys] [--seconds 10]

The data are 100,000 users with 100 tracks each. Both servers are held to core 0, the load comes from core 1, so
that both are asked as fast as one core can. Told for each: requests per CPU second of the server (what a busy
machine does not distort), the 99th percentile of the latency at half of the highest load, and memory: resident
pages, and those that are the process's own and not of files that it maps.
`recsys` keeps events, ids, limits, metrics and a log-ready front throughout; FastAPI has a dictionary. The last
race counts events that are durably acknowledged: single ones and hundreds in a request.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

N_USERS, K, N_TRACKS = 100_000, 100, 1_000_000
REST_MS = 3


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


PORT = {name: free_port() for name in ["fastapi", "recsys"]}

APP = """
import numpy as np
from fastapi import FastAPI, HTTPException
n_users, k = {n_users}, {k}
lists = np.load({lists!r})
store = {{user: lists[user].tolist() for user in range(n_users)}}
app = FastAPI()

@app.get('/healthy')
async def healthy():
    return {{'status': 'healthy'}}

@app.post('/recommendations')
async def recommendations(user_id: int, k: int = 100):
    recs = store.get(user_id)
    if recs is None:
        raise HTTPException(404)
    return {{'recs': recs[:k]}}
"""

ASK = """
local n, k, path, pause = 0, 100, "/recommendations", 0
function init(args) k = args[1]; path = args[2]; pause = tonumber(args[3] or 0) end
function delay() return pause end
request = function()
  n = n + 1
  return wrk.format("POST", path .. "user_id=" .. ((n * 7919 + 13) % 100000) .. "&k=" .. k)
end
"""

ADD = """
local n, per_request = 0, 1
function init(args) per_request = tonumber(args[1]) end
request = function()
  n = n + 1
  local user = (n * 7919 + 13) % 100000
  if per_request == 1 then return wrk.format("POST", "/put?user_id=" .. user .. "&track_id=" .. n % 1000000) end
  local items = {}
  for i = 1, per_request do items[i] = (n * per_request + i) % 1000000 end
  local body = '{"user_id":' .. user .. ',"items":[' .. table.concat(items, ",") .. ']}'
  return wrk.format("POST", "/events", {["content-type"] = "application/json"}, body)
end
"""


def make_data(folder):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.Generator(np.random.PCG64(3))
    # Each list is a window of a shuffled catalogue: no track twice.
    order = draw.permutation(N_TRACKS).astype(np.int64)
    starts = draw.integers(0, N_TRACKS - K, N_USERS)
    lists = order[starts[:, None] + np.arange(K)]
    scores = np.sort(draw.random((N_USERS, K), dtype=np.float32), axis=1)[:, ::-1]
    np.save(folder / "lists.npy", lists)

    def write(name, **columns):
        path = folder / "artifacts" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)

    ranks = np.tile(np.arange(1, K + 1, dtype=np.uint32), N_USERS)
    users = np.repeat(np.arange(N_USERS, dtype=np.int64), K)
    write("rank/recommendations", user_id=users, track_id=lists.ravel(), score=scores.ravel(), rank=ranks)
    write("preprocess/items", track_id=np.arange(N_TRACKS, dtype=np.int64))
    n_similar, per_track = 100_000, 50
    begins = draw.integers(0, N_TRACKS - per_track, n_similar)
    write(
        "similar/similar",
        track_id=np.repeat(np.arange(n_similar, dtype=np.int64), per_track),
        similar_track_id=order[begins[:, None] + np.arange(per_track)].ravel(),
        score=np.tile(np.linspace(1, 0.1, per_track, dtype=np.float32), n_similar),
        rank=np.tile(np.arange(1, per_track + 1, dtype=np.uint32), n_similar),
    )
    top = np.arange(1000, dtype=np.int64)
    write("popularity/top_popular", track_id=top, score=(1000 - top).astype(np.float64), rank=(top + 1).astype(np.uint32))
    (folder / "app.py").write_text(APP.format(n_users=N_USERS, k=K, lists=str(folder / "lists.npy")))
    (folder / "ask.lua").write_text(ASK)
    (folder / "add.lua").write_text(ADD)


class Server:
    def __init__(self, name, command, folder):
        self.port = PORT[name]
        self.process = subprocess.Popen(["taskset", "-c", "0", *command], cwd=folder, stdout=subprocess.DEVNULL)
        for _ in range(600):
            if self.process.poll() is not None:
                sys.exit(f"{name} ended with {self.process.returncode}")
            try:
                path = "/ready" if name == "recsys" else "/healthy"
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}").read()
                return
            except OSError:
                time.sleep(0.2)
        sys.exit(f"{name} does not answer")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self):
        """All resident pages, and those of them that are the process's own, not those of mapped files."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return {name: int(re.search(rf"{field}:\s+(\d+)", status)[1]) // 1024
                for name, field in [("rss_mb", "VmRSS"), ("own_mb", "RssAnon")]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def wrk(server, folder, script, connections, seconds, *arguments):
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script]
    command += [f"http://127.0.0.1:{server.port}", "--", *map(str, arguments)]
    before = server.cpu_seconds()
    text = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    cpu = server.cpu_seconds() - before
    requests = int(re.search(r"(\d+) requests in", text)[1])
    return {
        "per_cpu_second": round(requests / cpu),
        "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "p50_ms": milliseconds(re.search(r"(?m)^ +50% +(\S+)", text)[1]),
        "p99_ms": milliseconds(re.search(r"(?m)^ +99% +(\S+)", text)[1]),
        "errors": int((re.search(r"Non-2xx or 3xx responses: (\d+)", text) or [0, 0])[1]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    parser.add_argument("--recsys", default=f"{target}/release/recsys")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", choices=["fastapi", "recsys"])
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed (Debian: wrk)")
    recsys = str(Path(arguments.recsys).resolve())
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder)
        (folder / "service.yaml").write_text(
            f"port: {PORT['recsys']}\nartifacts: {{ recommendations: artifacts/rank/recommendations.parquet }}\n"
        )
        commands = {
            "fastapi": [sys.executable, "-m", "uvicorn", "app:app", "--port", str(PORT["fastapi"]), "--no-access-log",
                        "--log-level", "warning"],
            "recsys": [recsys, "serve", "service.yaml"],
        }
        questions = {"fastapi": {"ids": "/recommendations?"},
                     "recsys": {"ids": "/recommendations?items=false&", "items": "/recommendations?"}}
        for server_name in [arguments.only] if arguments.only else commands:
            with Server(server_name, commands[server_name], folder) as server:
                for question, path in questions[server_name].items():
                    wrk(server, folder, "ask.lua", arguments.connections, 2, K, path)
                    full = wrk(server, folder, "ask.lua", arguments.connections, arguments.seconds, K, path)
                    # Half of that: as many connections as ask so often when each rests between two requests.
                    connections = max(1, round(full["per_second"] / 2 * REST_MS / 1e3))
                    half = wrk(server, folder, "ask.lua", connections, arguments.seconds, K, path, REST_MS)
                    results[f"{server_name} {question}"] = {
                        **full, "half_load_per_second": half["per_second"], "half_load_p99_ms": half["p99_ms"],
                        **server.memory_mb(),
                    }
                if server_name == "recsys":
                    for per_request, connections in [(1, 512), (100, 32)]:
                        added = wrk(server, folder, "add.lua", connections, arguments.seconds, per_request)
                        added["events_per_second"] = added["per_second"] * per_request
                        results[f"recsys events, {per_request} in a request"] = added
    for what, result in results.items():
        print(f"{what}: {json.dumps(result)}")
    base = results.get("fastapi ids")
    if base:
        for what in [what for what in results if what.startswith("recsys") and "events" not in what]:
            ratio = results[what]["per_cpu_second"] / base["per_cpu_second"]
            rss, own = (results[what][name] / base[name] for name in ["rss_mb", "own_mb"])
            print(f"{what}: {ratio:.1f} times the requests per CPU second, {rss:.2f} of the resident memory, "
                  f"{own:.2f} of the memory of its own")


if __name__ == "__main__":
    main()
