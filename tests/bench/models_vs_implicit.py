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
    bpr            one epoch of as many samples as there are interactions; `auc` is of interactions held out
    item-knn       one fit, cosine, 20 neighbours; `sum` is that of all similarities kept
    recommend      the best 100 unseen items of 10,000 users, from the same factors
    similar-items  the 10 nearest items of 10,000 items by cosine, from the same factors
    fold-in        the vectors of 1,000 users from their items, one call each; the loss is that of all users
                   folded in, each side with its own model after 2 sweeps
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ALPHA, REGULARIZATION = 10.0, 1.0
# Users or items of a round of retrieval.
QUERIES = 10_000

# Task -> the arguments of our side.
TASKS = {
    "als": ["als"],
    "als-cholesky": ["als", "--solver", "cholesky"],
    "bpr": ["bpr", "--learning-rate", "0.05"],
    "item-knn": ["item-knn", "--neighbours", "20"],
    "recommend": ["recommend"],
    "similar-items": ["similar-items"],
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


def hold_out(matrix):
    """The training matrix without one interaction of fifty, and of those (user, item, an item not the user's)."""
    import numpy as np

    users = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    random = np.arange(1, matrix.nnz + 1, dtype=np.uint32) * np.uint32(2_654_435_761)
    held = random % 50 == 0
    others = ((random.astype(np.uint64) * np.uint64(matrix.shape[1])) >> np.uint64(32)).astype(np.int64)[held]
    of = users[held]
    new = np.asarray(matrix[of, others]).ravel() == 0
    train = matrix.copy()
    train.data[held] = 0
    train.eliminate_zeros()
    return train, (of[new], matrix.indices[held][new], others[new])


def peer_bpr(matrix, options):
    import numpy as np
    from implicit.cpu import bpr

    train, (users, liked, disliked) = hold_out(matrix)
    train.sort_indices()
    model = bpr.BayesianPersonalizedRanking(factors=options.factors, learning_rate=0.05, regularization=0.01,
                                            iterations=0, num_threads=options.threads, random_state=42)
    model.fit(train, show_progress=False)
    rows = np.repeat(np.arange(train.shape[0]), np.diff(train.indptr)).astype(train.indices.dtype)
    random = bpr.RNGVector(options.threads, train.nnz - 1, np.arange(options.threads, dtype=np.int64))
    facts = {}

    def epoch():
        correct, skipped = bpr.bpr_update(random, rows, train.indices, train.indptr, model.user_factors,
                                          model.item_factors, 0.05, 0.01, options.threads, True)
        facts.update(train_auc=correct / (train.nnz - skipped), skipped=skipped / train.nnz)

    def auc():
        x, y = model.user_factors, model.item_factors
        correct = [np.einsum("nf,nf->n", x[users[part]], y[liked[part]] - y[disliked[part]]) > 0
                   for part in np.array_split(np.arange(len(users)), 20)]
        return {**facts, "auc": float(np.concatenate(correct).mean())}

    return epoch, auc


def peer_item_knn(matrix, options):
    import warnings

    from implicit.nearest_neighbours import CosineRecommender

    warnings.simplefilter("ignore")  # of its own conversion of its own matrix

    model = CosineRecommender(K=20, num_threads=options.threads)

    def facts():
        if model.similarity is None:
            return {}
        return {"neighbours": int((model.similarity.data > 0).sum()), "sum": float(model.similarity.data.sum(dtype=float))}

    return lambda: model.fit(matrix, show_progress=False), facts


def factors_file(options):
    """Factors after a few sweeps of the peer, which both sides read; fitted once and kept."""
    folder = os.path.join(tempfile.gettempdir(), "recsys-bench-factors")
    os.makedirs(folder, exist_ok=True)
    name = os.path.splitext(os.path.basename(options.data))[0]
    path = os.path.join(folder, f"{name}-{options.factors}.npz")
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(options.data):
        from implicit.cpu.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(factors=options.factors, regularization=REGULARIZATION, alpha=ALPHA,
                                        iterations=4, num_threads=options.threads, random_state=42)
        model.fit(read_matrix(options.data), show_progress=False)
        model.save(path)
    return path


def peer_retrieval(matrix, options, similar):
    import numpy as np
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares.load(options.model)
    model.num_threads = options.threads
    n_rows = matrix.shape[1 if similar else 0]
    n_queries = min(QUERIES, n_rows)
    queries = np.arange(n_queries) * n_rows // n_queries
    history = matrix[queries]

    def work():
        if similar:
            items, _ = model.similar_items(queries, N=10)
        else:
            items, _ = model.recommend(queries, history, N=100, filter_already_liked_items=True)
        work.lists = items

    def write():
        with open(options.lists, "wb") as file:
            for items in work.lists:
                items = items[items >= 0].astype("<u4")
                file.write(np.uint32(len(items)).tobytes() + items.tobytes())

    work.finish = write
    return work, dict


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
    "bpr": peer_bpr,
    "item-knn": peer_item_knn,
    "recommend": lambda matrix, options: peer_retrieval(matrix, options, similar=False),
    "similar-items": lambda matrix, options: peer_retrieval(matrix, options, similar=True),
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
    if options.lists:
        work.finish()


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


def read_lists(path):
    numbers = memoryview(open(path, "rb").read()).cast("I")
    lists, at = [], 0
    while at < len(numbers):
        lists.append(numbers[at + 1 : at + 1 + numbers[at]].tolist())
        at += 1 + numbers[at]
    return lists


def race(task, options):
    common = ["--factors", str(options.factors), "--threads", str(options.threads)]
    name, *extra = TASKS[task]
    lists = []
    if task in ("recommend", "similar-items"):
        model, lists = factors_file(options), [os.path.join(options.folder, side) for side in ("ours", "theirs")]
        common += ["--model", model]
    ours = Side([options.executable, name, options.data, *common, *extra,
                 *(["--lists", lists[0], "--queries", str(QUERIES)] if lists else [])])
    theirs = Side([sys.executable, __file__, options.executable, options.data, task, "--peer", *common,
                   *(["--lists", lists[1]] if lists else [])])
    rounds = [(ours.round(), theirs.round()) for _ in range(options.rounds)]
    ours.close()
    theirs.close()
    ratio = statistics.median(their["cpu"] / our["cpu"] for our, their in rounds)
    seconds = [statistics.median(side[i]["cpu"] for side in rounds) for i in (0, 1)]
    facts = [", ".join(f"{name} {value:.8g}" for name, value in side.items() if name not in ("cpu", "wall", "sweep"))
             for side in rounds[-1]]
    if lists:
        pairs = list(zip(*map(read_lists, lists), strict=True))
        facts[0] = (f"of {len(pairs)} lists {sum(a != b for a, b in pairs)} in another order, "
                    f"{sum(set(a) != set(b) for a, b in pairs)} with other items")
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
    for hidden in ("--model", "--lists"):
        arguments.add_argument(hidden, help=argparse.SUPPRESS)
    arguments.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.peer:
        be_the_peer(options)
        return
    print("| task | factors | ours, CPU s | implicit, CPU s | ratio | ours | implicit |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as options.folder:
        for task in options.tasks:
            race(task, options)


if __name__ == "__main__":
    main()
