#!/usr/bin/env python3
"""Races `recsys` against other runners on the same pipelines of trivial steps.

    tests/bench/runner_vs_peers.py --install DIR          # fetch the peers once, say which cannot be had
    tests/bench/runner_vs_peers.py --peers DIR            # 10, 100 and 1,000 steps, three rounds
    tests/bench/runner_vs_peers.py --peers DIR --sizes 10000 --limit 300 --out runs.jsonl
    tests/bench/runner_vs_peers.py --peers DIR --sizes '' --big                   # a 2 GiB input only
    tests/bench/runner_vs_peers.py --table runs.jsonl more.jsonl                  # the tables again

The pipeline: layers of steps, each reads two outputs of the layer before (the first layer one source
file each), calculates a number from them with what is built into `sh`, and writes it. A step is thus one
`sh` and no other process, and what every file must hold is calculated here a second time: a runner
whose outputs differ by a byte is out of the race.

Phases: `first` run from clean; `no-op` (median of --noops); `dry` run and `graph` with nothing to do;
`edit` of one source; `touch` of one source (same bytes, new time). With --big: 4 steps read one file of
2 GiB; `first`, `no-op`, `touch`. Rounds are interleaved phase by phase (A, B, C, …, again A, B, C, …) so that
noise hits all alike, and medians are shown. A cell is wall seconds / CPU seconds of the whole process
tree; memory is that of the largest process (8 MiB and less cannot be told apart). `overhead` is CPU
milliseconds a step beyond starting it: first run minus a bare `sh` loop that runs the same commands.
A number in brackets: so many outputs were written again although nothing had changed. A runner that
needs more than --limit seconds for a phase is stopped and left out of larger sizes.

Only the standard library is needed. Peers are taken from DIR/bin, DIR or PATH.
"""
import argparse
import collections
import dataclasses
import glob
import json
import math
import os
import pathlib
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

WIDTHS = {10: 2, 100: 10, 1_000: 50, 10_000: 200}
PHASES = ["first", "no-op", "dry", "graph", "edit", "touch"]


@dataclasses.dataclass
class Step:
    """One step. `command` has `{i0}`, `{i1}` … for its inputs and `{out}` for its output."""

    name: str
    inputs: list
    output: str
    command: str

    def line(self, place=lambda port, path: path):
        """The command with each port written as `place(port, path)`; plain paths by default."""
        ports = {f"i{n}": path for n, path in enumerate(self.inputs)} | {"out": self.output}
        line = self.command
        for port, path in ports.items():
            line = line.replace("{" + port + "}", place(port, path))
        return line

    def after(self, makers):
        """Names of the steps that make its inputs."""
        return [makers[path] for path in self.inputs if path in makers]


def layered(n):
    """`n` steps in layers: the steps, and the source files with their contents."""
    width = WIDTHS.get(n, max(2, math.isqrt(n)))
    sources = {f"src/{column}.in": f"{column + 1}\n" for column in range(min(n, width))}
    steps = []
    for number in range(n):
        layer, column = divmod(number, width)
        inputs = [f"src/{column}.in"] if layer == 0 else \
            [f"out/s{(layer - 1) * width + c}.txt" for c in (column, (column + 1) % width)]
        reads = "; ".join(f"read {v} < {{i{k}}}" for k, v in zip(range(len(inputs)), "ab"))
        formula = " + ".join([f"a * 31 + {number}"] + ["b * 17"] * (len(inputs) - 1))
        steps.append(Step(f"s{number}", inputs, f"out/s{number}.txt",
                          f"{reads}; echo $(( ({formula}) % 65521 )) > {{out}}"))
    return steps, sources


def expected(steps, sources):
    """What every output of `layered` must hold, calculated without a shell."""
    values = {path: int(text) for path, text in sources.items()}
    for number, step in enumerate(steps):
        factors = zip((31, 17), step.inputs)
        values[step.output] = (sum(f * values[path] for f, path in factors) + number) % 65521
    return {step.output: f"{values[step.output]}\n".encode() for step in steps}


class Tool:
    """A runner; subclasses say how its file looks. `{j}` in a command is the number of jobs."""

    names = ()          # what its executable is called; by default the name of the class
    dry = graph = None  # a command line without the executable, or None where it has none
    run = quiet = ""    # `quiet` is what makes a run say as little as it can
    before = ()         # whole command lines that make the folder a project; `{}` is the executable
    peer = True

    def __init__(self, path):
        self.path, self.name = str(path), type(self).__name__.lower()

    def argv(self, what, jobs=2, quiet=False):
        line = getattr(self, what) + (" " + self.quiet if quiet and what == "run" else "")
        return [self.path, *shlex.split(line.replace("{j}", str(jobs)))]

    def prepare(self, folder, steps, limit=120):
        self.write(folder, steps, {step.output: step.name for step in steps})
        for line in self.before:
            measure(["sh", "-c", line.replace("{}", self.path)], folder, limit)

    def write(self, folder, steps, makers):
        raise NotImplementedError

    def version(self):
        try:
            out = subprocess.run([self.path, "--version"], capture_output=True, text=True, timeout=60,
                                 stdin=subprocess.DEVNULL).stdout
        except (OSError, subprocess.TimeoutExpired):
            return "?"
        number = re.search(r"\d+(\.\d+)+", out)
        return number[0] if number else "?"


class Recsys(Tool):
    run, dry, graph = "run pipeline.yaml -j {j}", "run pipeline.yaml --dry-run", "graph pipeline.yaml"
    peer = False

    def write(self, folder, steps, makers):
        rows = ["name: bench", "steps:"]
        for step in steps:
            line = step.line(lambda port, _: f"{{{{ {'outputs' if port == 'out' else 'inputs'}.{port} }}}}")
            inputs = ", ".join(f"i{n}: {path}" for n, path in enumerate(step.inputs))
            rows += [f"  {step.name}:", f"    inputs: {{ {inputs} }}", f"    outputs: {{ out: {step.output} }}",
                     f"    run: {json.dumps(line)}"]
        put(folder, "pipeline.yaml", rows)


class Sh(Tool):
    """The floor: a loop that starts every command and knows nothing."""

    run, peer = "run.sh", False

    def write(self, folder, steps, makers):
        put(folder, "run.sh", [f"sh -c {shlex.quote(step.line())}" for step in steps])

    def version(self):
        return ""


class Ninja(Tool):
    run, quiet, dry, graph = "-j{j}", "--quiet", "-n -v", "-t graph"

    def write(self, folder, steps, makers):
        rows = ["rule sh", "  command = $line"]
        for step in steps:
            line = step.line().replace("$", "$$")
            rows += [f"build {step.output}: sh {' '.join(step.inputs)}", f"  line = {line}"]
        put(folder, "build.ninja", rows)


class Make(Tool):
    run, quiet, dry = "-j{j}", "-s", "-n"

    def write(self, folder, steps, makers):
        rows = [".DELETE_ON_ERROR:", "all: " + " ".join(final(steps))]
        for step in steps:
            rows += [f"{step.output}: {' '.join(step.inputs)}", "\t" + step.line().replace("$", "$$")]
        put(folder, "Makefile", rows)


class Doit(Tool):
    run, quiet, dry = "-n {j}", "-v 0", "list --all --status"

    def write(self, folder, steps, makers):
        tasks = [dict(name=step.name, actions=[step.line().replace("%", "%%")], file_dep=step.inputs,
                      targets=[step.output]) for step in steps]
        put(folder, "tasks.json", [json.dumps(tasks)])
        put(folder, "dodo.py", ["import json", "def task_s():", "    yield from json.load(open('tasks.json'))"])


class Snakemake(Tool):
    run, quiet, dry, graph = "-c{j}", "--quiet all", "-n", "--dag dot --quiet all"

    def write(self, folder, steps, makers):
        rows = ["rule all:", f"    input: {json.dumps(final(steps))}"]
        for step in steps:
            line = step.line().replace("{", "{{").replace("}", "}}")
            rows += [f"rule {step.name}:", f"    input: {json.dumps(step.inputs)}",
                     f"    output: {json.dumps(step.output)}", f"    shell: {json.dumps(line)}"]
        put(folder, "Snakefile", rows)


class Dvc(Tool):
    run, quiet, dry, graph = "repro", "-q", "repro --dry", "dag --dot"
    before = ("{} init -q --no-scm && {} config core.analytics false && {} config core.check_update false",)

    def write(self, folder, steps, makers):
        rows = ["stages:"]
        for step in steps:
            rows += [f"  {step.name}:", f"    cmd: {json.dumps(step.line())}", f"    deps: {json.dumps(step.inputs)}",
                     f"    outs: [{step.output}]"]
        put(folder, "dvc.yaml", rows)


class Just(Tool):
    quiet, dry = "-q", "-n"

    def write(self, folder, steps, makers):
        rows = ["all: " + " ".join(makers[path] for path in final(steps))]
        for step in steps:
            rows += [f"{step.name}: {' '.join(step.after(makers))}", "    " + step.line()]
        put(folder, "justfile", rows)


class Task(Tool):
    names, run, quiet, dry = ("task", "go-task"), "-C {j}", "-s", "--dry"

    def write(self, folder, steps, makers):
        rows = ["version: '3'", "tasks:", f"  default: {{ deps: {json.dumps([makers[p] for p in final(steps)])} }}"]
        for step in steps:
            rows += [f"  {step.name}:", f"    deps: {json.dumps(step.after(makers))}", "    run: once",
                     f"    sources: {json.dumps(step.inputs)}", f"    generates: [{step.output}]",
                     f"    cmds: [{json.dumps(step.line())}]"]
        put(folder, "Taskfile.yml", rows)


class Moon(Tool):
    run, quiet, graph = "run root:all --concurrency {j}", "--summary none --quiet", "task-graph --dot"
    before = ("git init -q . && git commit -q --allow-empty -m begin",)

    def write(self, folder, steps, makers):
        put(folder, ".moon/workspace.yml", ["projects:", "  root: '.'", "telemetry: false"])
        put(folder, ".gitignore", [".moon/cache", "out"])
        rows = ["language: 'bash'", "tasks:"]
        for step in steps:
            sources = [path for path in step.inputs if path not in makers]
            rows += [f"  {step.name}:", f"    script: {json.dumps(step.line())}", f"    inputs: {json.dumps(sources)}",
                     f"    outputs: [{step.output}]", "    toolchains: ['system']",
                     f"    deps: {json.dumps(['~:' + name for name in step.after(makers)])}"]
        rows += ["  all:", "    command: 'noop'", f"    deps: {json.dumps(['~:' + makers[p] for p in final(steps)])}"]
        put(folder, "moon.yml", rows)


class Turbo(Tool):
    run, quiet = "run all --concurrency={j} --no-daemon --no-update-notifier", "--output-logs=none"
    dry = "run all --dry=json --no-daemon --no-update-notifier"
    graph = "run all --graph=graph.dot --no-daemon --no-update-notifier"
    before = ("git init -q . && git commit -q --allow-empty -m begin",)

    def write(self, folder, steps, makers):
        package = dict(name="bench", version="1.0.0")
        scripts = {step.name: step.line() for step in steps} | {"all": "true"}
        lock = package | dict(lockfileVersion=3, requires=True, packages={"": package})
        tasks = {"all": dict(dependsOn=[makers[path] for path in final(steps)], cache=False)}
        for step in steps:  # an upstream step enters the hash through `dependsOn`; no inputs would mean all files
            sources = [path for path in step.inputs if path not in makers] or ["turbo.json"]
            tasks[step.name] = dict(dependsOn=step.after(makers), inputs=sources, outputs=[step.output])
        put(folder, "package.json",
            [json.dumps(package | dict(private=True, packageManager="npm@10.0.0", scripts=scripts))])
        put(folder, "package-lock.json", [json.dumps(lock)])
        put(folder, "turbo.json", [json.dumps(dict(tasks=tasks))])
        put(folder, ".gitignore", [".turbo", "node_modules", "out"])


TOOLS = {tool.__name__.lower(): tool for tool in
         (Recsys, Sh, Ninja, Make, Doit, Snakemake, Dvc, Just, Task, Moon, Turbo)}


def final(steps):
    """Outputs that no step reads: what a runner is asked for."""
    read = {path for step in steps for path in step.inputs}
    return [step.output for step in steps if step.output not in read]


def put(folder, name, rows):
    path = pathlib.Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


def find(wanted, peers, recsys):
    """The wanted tools that are there, and the names of those that are not."""
    places = [str(folder) for p in peers for folder in (pathlib.Path(p, "bin"), p)] + os.environ["PATH"].split(":")
    found, missing = [], []
    for name in wanted:
        names = [recsys] if name == "recsys" and recsys else TOOLS[name].names or (name,)
        path = next(filter(None, (shutil.which(n, path=":".join(places)) for n in names)), None)
        found += [TOOLS[name](pathlib.Path(path).absolute())] if path else []
        missing += [] if path else [name]
    return found, missing


def install(folder):
    """Fetches the peers with the ordinary package clients, each into its own corner of `folder`."""
    folder = pathlib.Path(folder).absolute()
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    for tool, package in dict(dvc="dvc", snakemake="snakemake", doit="doit", ninja="ninja", just="rust-just",
                              task="go-task-bin").items():
        corner = folder / "python" / tool
        if not (corner / "bin" / tool).exists():
            subprocess.run([sys.executable, "-m", "venv", corner], check=True)
            subprocess.run([corner / "bin/python", "-m", "pip", "install", "-q", package])
    for tool, package in dict(moon="@moonrepo/cli", turbo="turbo").items():
        if shutil.which("npm"):
            subprocess.run(["npm", "install", "--silent", "--prefix", folder / "npm" / tool, package])
    for name in TOOLS:  # for npm the binary itself, not the script that starts it
        where = [f"python/{name}/bin/{name}", f"npm/{name}/node_modules/@*/*/{name}",
                 f"npm/{name}/node_modules/@*/*/bin/{name}"]
        path = next((p for w in where for p in glob.glob(f"{folder}/{w}")), None)
        if path:
            (folder / "bin" / name).unlink(missing_ok=True)
            (folder / "bin" / name).symlink_to(path)
    found, missing = find([name for name in TOOLS if TOOLS[name].peer], [folder], None)
    for tool in found:
        print(f"{tool.name:10} {tool.version():10} {tool.path}")
    for name in missing:
        print(f"{name:10} could not be had" + (": Debian has it as `make`" if name == "make" else ""))


def environment(home):
    """The caller's, with a home of its own and without reports to anybody."""
    quiet = dict(NO_COLOR="1", CI="1", DO_NOT_TRACK="1", TURBO_TELEMETRY_DISABLED="1", DVC_NO_ANALYTICS="1")
    git = {f"GIT_{who}_{what}": "bench@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return os.environ | quiet | git | dict(
        HOME=str(home), XDG_CACHE_HOME=f"{home}/.cache", XDG_CONFIG_HOME=f"{home}/.config",
        DVC_SITE_CACHE_DIR=f"{home}/.dvc")


def descendants(root):
    """`root` and every process below it, parents first."""
    children = collections.defaultdict(list)
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            children[int(pathlib.Path(path).read_text().rpartition(")")[2].split()[1])].append(int(path.split("/")[2]))
        except OSError:
            pass  # it ended while we looked
    tree = [root]
    for pid in tree:
        tree += children[pid]
    return tree


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


# Starts a command and reports what it used. A process of its own, and a small one, because what the
# kernel reports as the largest memory of a child begins with the memory of whoever started it.
STARTER = """
import os, sys, time
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
files = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ, file_actions=files)
_, status, used = os.wait4(pid, 0)
print(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


def start(argv, folder):
    """Starts a command in a session of its own; what it says goes to `<folder>/../log`."""
    home = pathlib.Path(folder).parent
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", STARTER, f"{home}/log", *argv], cwd=folder,
                            env=environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            start_new_session=True)


def measure(argv, folder, limit):
    """Runs a command to its end: wall and CPU seconds, largest resident set in MiB, exit code."""
    process = start(argv, folder)
    try:
        wall, cpu, kib, code = process.communicate(timeout=limit)[0].split()
    except subprocess.TimeoutExpired:
        kill(descendants(process.pid))
        process.communicate()
        return dict(over=limit)
    return dict(wall=round(float(wall), 5), cpu=round(float(cpu), 5), rss=round(int(kib) / 1024, 1), code=int(code))


class Lane:
    """One runner in one round: its folder and what was measured."""

    def __init__(self, tool, work, steps, sources, limit, jobs):
        self.tool, self.limit, self.jobs, self.phases, self.fault = tool, limit, jobs, {}, None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=tool.name + "-", dir=work), "project")
        for folder in ("src", "out"):
            (self.folder / folder).mkdir(parents=True)
        for path, text in sources.items():
            if isinstance(text, pathlib.Path):
                os.link(text, self.folder / path)
            else:
                (self.folder / path).write_text(text)
        tool.prepare(self.folder, steps)

    def phase(self, phase, command):
        if self.fault or getattr(self.tool, command) is None:
            return
        before = self.written()
        result = measure(self.tool.argv(command, self.jobs, quiet=True), self.folder, self.limit)
        result["rewritten"] = len(self.written().items() - before.items())
        self.phases.setdefault(phase, []).append(result)
        if "over" in result:
            self.fault = f"> {self.limit:g} s in {phase}"
        elif result["code"]:
            said = (self.folder.parent / "log").read_text(errors="replace").split("\n")
            self.fault = f"exit code {result['code']} in {phase}: {' '.join(said[-4:])[:300]}"

    def written(self):
        """Which outputs there are, each with what changes when it is written."""
        found = {entry.name: entry.stat() for entry in os.scandir(self.folder / "out")}
        return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}

    def compare(self, phase, truth):
        made = ((path, self.folder / path, want) for path, want in truth.items() if not self.fault)
        wrong = [path for path, file, want in made if not file.exists() or file.read_bytes() != want]
        if wrong:
            self.fault = f"wrong bytes after {phase}: {', '.join(wrong[:3])}"


def race(tools, size, options, work, emit):
    """All rounds of one size; returns the names of the runners that were too slow."""
    slow = set()
    for number in range(options.rounds):
        if isinstance(size, str):
            big, sources = options.big_file, {"big.bin": options.big_file}
            steps = [Step(f"s{n}", ["big.bin"], f"out/s{n}.txt", f"head -c {n + 1}00 {{i0}} > {{out}}")
                     for n in range(4)]
            with open(big, "rb") as file:
                truth = {step.output: file.read((n + 1) * 100) for n, step in enumerate(steps) if not file.seek(0)}
        else:
            steps, sources = layered(size)
            truth = expected(steps, sources)
        def each(lanes, phase, command):
            for lane in lanes:
                lane.phase(phase, command)

        turn = number % len(tools)
        lanes = [Lane(tool, work, steps, sources, options.limit, options.jobs)
                 for tool in tools[turn:] + tools[:turn] if tool.name not in slow]
        each(lanes, "first", "run")
        for lane in lanes:
            lane.compare("first", truth)
        runners = [lane for lane in lanes if lane.tool.name != "sh"]
        time.sleep(0.2)
        for _ in range(options.noops):
            each(runners, "no-op", "run")
        source = next(iter(sources))
        if not isinstance(size, str):
            each(runners, "dry", "dry")
            each(runners, "graph", "graph")
            sources |= {source: "4711\n"}
            truth = expected(steps, sources)
            for lane in runners:
                (lane.folder / source).write_text(sources[source])
            each(runners, "edit", "run")
            for lane in runners:
                lane.compare("edit", truth)
        time.sleep(0.1)  # past every runner's "written this very moment"
        for lane in runners:
            os.utime(lane.folder / source)
        each(runners, "touch", "run")
        for lane in lanes:
            emit(dict(tool=lane.tool.name, version=lane.tool.version(), steps=size, round=number,
                      load=round(os.getloadavg()[0], 2), phases=lane.phases, fault=lane.fault))
            slow |= {lane.tool.name} if lane.fault and lane.fault.startswith(">") else set()
            shutil.rmtree(lane.folder.parent, ignore_errors=True)
    return slow


def make_big(path, gib):
    """A file that no file system can shorten: random blocks, each different."""
    block = bytearray(os.urandom(1 << 20))
    with open(path, "wb") as file:
        for number in range(int(gib * 1024)):
            block[:8] = number.to_bytes(8, "little")
            file.write(block)


def tables(records):
    """Markdown: one table a size, fastest no-op first."""
    groups = collections.defaultdict(lambda: collections.defaultdict(list))
    for record in records:
        groups[record["steps"]][record["tool"]].append(record)
    out = []
    for size, tools in groups.items():
        big = isinstance(size, str)
        phases = [phase for phase in PHASES if not big or phase in ("first", "no-op", "touch")]
        title = size if big else f"{size:,} steps"
        floor = middle(tools.get("sh", []), "first", "cpu")
        out += [f"| {title} | {' | '.join(phases)} | overhead, ms a step | largest process, MiB |",
                "|---" + "|--:" * (len(phases) + 2) + "|"]
        for name in sorted(tools, key=lambda name: middle(tools[name], "no-op", "wall") or math.inf):
            rows = tools[name]
            cells = [cell(rows, phase) for phase in phases]
            first, spent = middle(rows, "first", "cpu"), ""
            if name != "sh" and not big and first is not None and floor is not None:
                spent = f"{(first - floor) / size * 1000:.2f}"
            memory = [m["rss"] for r in rows for ms in r["phases"].values() for m in ms if "rss" in m]
            label = "bare `sh` loop" if name == "sh" else f"{name} {rows[-1]['version']}"
            out.append(f"| {label} | {' | '.join(cells)} | {spent} | {f'{max(memory):.0f}' if memory else ''} |")
        out += [f"\n{name}: {row['fault']}" for name in tools for row in tools[name][:1] if row["fault"]] + [""]
    return "\n".join(out)


def middle(rows, phase, what):
    values = [m[what] for row in rows for m in row["phases"].get(phase, []) if what in m and not m["code"]]
    return statistics.median(values) if values else None


def cell(rows, phase):
    wall, cpu = middle(rows, phase, "wall"), middle(rows, phase, "cpu")
    over = [m["over"] for row in rows for m in row["phases"].get(phase, []) if "over" in m]
    if wall is None:
        return f"> {over[0]:g} s" if over else "failed" if phase in rows[0]["phases"] else ""
    rewritten = middle(rows, phase, "rewritten") if phase in ("no-op", "touch") else 0
    return f"{short(wall)} / {short(cpu)}" + (f" ({rewritten:.0f})" if rewritten else "")


def short(seconds):
    """Three digits, as a person writes them."""
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}" if seconds < 10 else f"{seconds:.0f}"


def common_options(parser):
    parser.add_argument("--peers", action="append", default=[], metavar="DIR", help="where peers are installed")
    built = pathlib.Path(__file__).resolve().parents[2] / "target/release/recsys"
    parser.add_argument("--recsys", default=str(built) if built.exists() else None, metavar="FILE",
                        help="the binary [target/release/recsys, or what PATH has]")
    parser.add_argument("--tools", default=",".join(TOOLS), metavar="A,B", help="the runners to take [all found]")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="steps at a time [2]")
    parser.add_argument("--work", metavar="DIR", help="where to work [a new temporary folder]")


def chosen(options, parser):
    unknown = set(options.tools.split(",")) - set(TOOLS)
    if unknown:
        parser.error(f"unknown tools: {', '.join(sorted(unknown))}; known: {', '.join(TOOLS)}")
    found, missing = find(options.tools.split(","), options.peers, options.recsys)
    if missing:
        print(f"not found: {', '.join(missing)}", file=sys.stderr)
    if not found:
        parser.error("no runner found; name the folder of --install with --peers, the binary with --recsys")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common_options(parser)
    parser.add_argument("--install", metavar="DIR", help="fetch the peers into DIR and stop")
    parser.add_argument("--table", nargs="+", metavar="FILE", help="print the tables of earlier results and stop")
    parser.add_argument("--sizes", default="10,100,1000", help="numbers of steps [10,100,1000]")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="times everything is repeated [3]")
    parser.add_argument("--noops", type=int, default=5, metavar="N", help="no-op runs in a round [5]")
    parser.add_argument("--limit", type=float, default=300, metavar="SECONDS", help="longest time for one phase [300]")
    parser.add_argument("--big", nargs="?", const=2.0, type=float, metavar="GIB", help="also race on one large input")
    parser.add_argument("--out", default="runner_vs_peers.jsonl", metavar="FILE", help="JSON lines are appended here")
    options = parser.parse_args()
    if options.install:
        return install(options.install)
    if options.table:
        return print(tables([json.loads(line) for path in options.table for line in open(path)]))
    tools, records = chosen(options, parser), []

    def emit(record):
        records.append(record)
        with open(options.out, "a") as file:
            file.write(json.dumps(record) + "\n")
        walls = {phase: short(middle([record], phase, "wall") or 0) for phase in record["phases"]}
        print(record["tool"], record["steps"], walls, record["fault"] or "", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="runner-", dir=options.work, ignore_cleanup_errors=True) as work:
        for size in sorted(int(size) for size in options.sizes.split(",") if size):
            slow = race(tools, size, options, work, emit)
            tools = [tool for tool in tools if tool.name not in slow]
        if options.big:
            options.big_file = pathlib.Path(work, "big.bin")
            make_big(options.big_file, options.big)
            race(chosen(options, parser), f"4 steps that read {options.big:g} GiB", options, work, emit)
    print(tables(records))


if __name__ == "__main__":
    main()
