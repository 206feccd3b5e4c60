#!/usr/bin/env python3
"""Lets schemathesis loose on a running service: no answer may be a server error, none may be undescribed.

    python3 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install 'schemathesis>=4.30,<5'
    tests/bench/fuzz_service.py --recsys target/release/recsys --schemathesis /tmp/fuzz/bin/schemathesis

Makes the demo project in a folder of its own, serves it on a free port, and asks every operation of
`/openapi.json` for examples, for the edges of each parameter, for random values, good and bad, and for
sequences of them. Exit code 0 when nothing was found. The seed makes a run repeatable.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A good request may name a genre or a track that the data do not have, or a page that nobody made: refusing
# it is right, so acceptance is not asked for. The service has no resources that requests make and delete.
LEFT_OUT = ["positive_data_acceptance", "use_after_free", "ensure_resource_availability"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recsys", default="recsys")
    parser.add_argument("--schemathesis", default="schemathesis")
    parser.add_argument("--examples", type=int, default=100, help="random requests an operation")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recsys-fuzz-") as folder:
        return fuzz(args, pathlib.Path(folder))


def fuzz(args, project):
    for name in ["pipelines", "configs", "services"]:
        shutil.copytree(ROOT / name, project / name)
    recsys = [str(pathlib.Path(args.recsys).resolve()), "-C", str(project)]
    subprocess.run([*recsys, "run", "pipelines/demo.yaml", "--var", "interactions=30000"], check=True, capture_output=True)
    service = subprocess.Popen([*recsys, "serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        address = next(found[0] for line in service.stdout if (found := re.findall(r"http://[0-9.:]+", line)))
        command = [
            args.schemathesis, "run", f"{address}/openapi.json", "--checks", "all", "--exclude-checks", ",".join(LEFT_OUT),
            "--max-examples", str(args.examples), "--seed", str(args.seed), "--workers", "2",
            "--generation-database", "none", "--continue-on-failure",
        ]
        found = subprocess.run(command, cwd=project).returncode
        if service.poll() is not None:
            sys.exit("the service has ended")
        return found
    finally:
        service.terminate()
        if service.wait(30) != 0:
            sys.exit("the service did not end well")


if __name__ == "__main__":
    sys.exit(main())
