#!/usr/bin/env python3
"""Races our model kernels against the library `implicit`, on the same matrix, round by round in turn.

    python3 -m venv venv && venv/bin/pip install implicit
    cargo bench --bench models --no-run             # prints where the executable is
    venv/bin/python tests/bench/models_vs_implicit.py EXECUTABLE DATA.npz TASK... [--rounds N] [--factors F]

DATA.npz is a CSR matrix users x items as `scipy.sparse.save_npz` writes it. Both sides use --threads threads
(2) and live through the whole race; a round of one is followed by the same round of the other, so that a busy
machine slows both. CPU seconds are those of all threads. The ratio is the median over rounds of theirs / ours.

TASKS (a round of each):
    als            one sweep over users and items, conjugate gradients, 3 steps
    als-cholesky   the same, solved exactly
    fold-in        the vectors of 1,000 users from their items, one call each; the loss is that of all users
                   folded in, each side with its own model after 2 sweeps
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ALPHA, REGULARIZATION = 10.0, 1.0

# Task -> the arguments of our side.
TASKS = {
    "als": ["als"],
    "als-cholesky": ["als", "--solver", "cholesky"],
    "fold-in": ["fold-in"],
}


# ------------------------------------------------------------------ the peer
def read_matrix(path):
    import numpy as np
    import scipy.sparse

    arrays = np.load(path)
    shape = tuple(int(size) for size in arrays["shape"])
    data, indptr = arrays["data"].astype(np.float32), arrays["indptr"].astype(np.int32)
    return scipy.sparse.csr_matrix((data, arrays["indices"].astype(np.int32), indptr), shape=shape)


def peer_als(matrix, options, cholesky=False):
    from implicit.cpu import _als
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(factors=options.factors, regularization=REGULARIZATION, alpha=ALPHA,
                                    iterations=0, use_cg=not cholesky, num_threads=options.threads, random_state=42)
    model.cg_steps = 3
    users = (ALPHA * matrix).tocsr()
    items = users.T.tocsr()
    model.fit(matrix, show_progress=False)

    def sweep():
        model.solver(users, model.user_factors, model.item_factors, REGULARIZATION, num_threads=options.threads)
        model.solver(items, model.item_factors, model.user_factors, REGULARIZATION, num_threads=options.threads)

    def loss():
        factors = (model.user_factors, model.item_factors)
        return {"loss": float(_als.calculate_loss(users, *factors, REGULARIZATION, num_threads=options.threads))}

    sweep()
    return sweep, loss


def peer_fold_in(matrix, options):
    from implicit.cpu import _als
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(factors=options.factors, regularization=REGULARIZATION, alpha=ALPHA,
                                    iterations=2, num_threads=1, random_state=42)
    model.fit(matrix, show_progress=False)
    model.recalculate_user(0, matrix[0])
    rows, done = [matrix[user] for user in range(matrix.shape[0])], 0

    def fold_in():
        nonlocal done
        for user in range(done, done + 1000):
            model.recalculate_user(user % len(rows), rows[user % len(rows)])
        done += 1000

    def loss():
        users = (ALPHA * matrix).tocsr()
        factors = (model.recalculate_user(range(len(rows)), matrix), model.item_factors)
        return {"loss": float(_als.calculate_loss(users, *factors, REGULARIZATION, num_threads=options.threads))}

    return fold_in, lambda: loss() if done else {}


PEERS = {
    "als": peer_als,
    "als-cholesky": lambda matrix, options: peer_als(matrix, options, cholesky=True),
    "fold-in": peer_fold_in,
}


def be_the_peer(options):
    matrix = read_matrix(options.data)
    work, more = PEERS[options.tasks[0]](matrix, options)
    print(json.dumps({"ready": True, **more()}), flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        answer = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        print(json.dumps({**answer, **more()}), flush=True)


# ------------------------------------------------------------------ the race
class Side:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} ended early")
        return json.loads(line)

    def round(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def race(task, options):
    common = [options.data, "--factors", str(options.factors), "--threads", str(options.threads)]
    name, *extra = TASKS[task]
    ours = Side([options.executable, name, *common, *extra])
    theirs = Side([sys.executable, __file__, options.executable, options.data, task, "--peer",
                   "--factors", str(options.factors), "--threads", str(options.threads)])
    rounds = [(ours.round(), theirs.round()) for _ in range(options.rounds)]
    ours.close()
    theirs.close()
    ratio = statistics.median(their["cpu"] / our["cpu"] for our, their in rounds)
    seconds = [statistics.median(side[i]["cpu"] for side in rounds) for i in (0, 1)]
    facts = [", ".join(f"{name} {value:.8g}" for name, value in side.items() if name not in ("cpu", "wall", "sweep"))
             for side in rounds[-1]]
    print(f"| {task} | {options.factors} | {seconds[0]:.4f} | {seconds[1]:.4f} | {ratio:.1f} | {facts[0]} | {facts[1]} |",
          flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("executable", help="the benchmark `models`, built by cargo")
    arguments.add_argument("data", help="CSR matrix, npz")
    arguments.add_argument("tasks", nargs="+", choices=TASKS, metavar="TASK")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--factors", type=int, default=64)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.peer:
        be_the_peer(options)
        return
    print("| task | factors | ours, CPU s | implicit, CPU s | ratio | ours | implicit |")
    print("|---|---|---|---|---|---|---|")
    for task in options.tasks:
        race(task, options)


if __name__ == "__main__":
    main()
