#!/usr/bin/env python3
"""What `recsys` and other runners do when something changes, breaks or is killed: one table.

    tests/bench/runner_semantics.py --tools recsys              # a check: seconds, exit code 1 if any line fails
    tests/bench/runner_semantics.py --peers DIR                 # everybody, in minutes
    tests/bench/runner_semantics.py --peers DIR --tools recsys,ninja,make

The pipeline has three steps: `prep` leaves out comment lines of a source, `train` makes them upper case,
`eval` counts them. Each one appends its name to a file outside the project, so that what ran is
known without asking the runner. Every behaviour below starts from a new project that has been run once.

A cell is ✓ or ✗ and what the runner did in a few words. DIR is made by `runner_vs_peers.py --install DIR`;
how each runner's file is written and how it is called stands there.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no cache beside the scripts
import runner_vs_peers as race  # noqa: E402

SOURCE = "# first\nalpha\nbeta\ngamma\n"
PREP, MODEL, COUNT = "out/prep.txt", "out/model.txt", "out/eval.txt"
GOOD = "grep -v '^#' {i0} > {out}"
LINES = 16
PATIENCE = 120  # seconds for anything


class Project:
    """A folder with the pipeline, run by one tool."""

    def __init__(self, tool, work, run=True):
        self.tool = tool
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=tool.name + "-", dir=work), "project")
        self.ran_file = self.folder.parent / "ran"
        for name in ("src", "out"):
            (self.folder / name).mkdir(parents=True)
        self.put("src/raw.txt", SOURCE)
        tool.prepare(self.folder, self.steps())
        if run:
            began = time.monotonic()
            code, ran, said = self.run()
            self.seconds = time.monotonic() - began
            if code or ran != ["prep", "train", "eval"]:
                raise RuntimeError(f"first run: exit code {code}, ran {ran}: {said[-300:]}")

    def steps(self, prep=GOOD, train="tr a-z A-Z < {i0} > {out}", evaluate="wc -l < {i0} > {out}"):
        rows = [("prep", "src/raw.txt", PREP, prep), ("train", PREP, MODEL, train), ("eval", MODEL, COUNT, evaluate)]
        return [race.Step(name, [read], made, f"echo {name} >> {self.ran_file}; {command}")
                for name, read, made, command in rows]

    def edit(self, **commands):
        """Writes the pipeline again, with other commands."""
        steps = self.steps(**commands)
        self.tool.write(self.folder, steps, {step.output: step.name for step in steps})

    def put(self, name, text):
        (self.folder / name).write_text(text)

    def get(self, name):
        path = self.folder / name
        return path.read_text() if path.exists() else None

    def run(self, what="run"):
        """Exit code, the steps that ran, what was said. A pause first: no runner has to tell apart two
        edits in one tick of the clock."""
        time.sleep(0.02)
        result = race.measure(self.tool.argv(what), self.folder, PATIENCE)
        return result.get("code", "hangs"), self.ran(), (self.folder.parent / "log").read_text(errors="replace")

    def ran(self):
        """The steps that ran since this was last asked."""
        names = self.ran_file.read_text().split() if self.ran_file.exists() else []
        self.ran_file.unlink(missing_ok=True)
        return [name for name in names if name != "half"]

    def right(self, source=SOURCE):
        """Whether all outputs are what the source makes."""
        kept = "".join(line for line in source.splitlines(True) if not line.startswith("#"))
        return [self.get(name) for name in (PREP, MODEL, COUNT)] == [kept, kept.upper(), f"{kept.count(chr(10))}\n"]

    def listing(self):
        """Every file and folder, with what changes when it is written."""
        stats = {path: path.lstat() for path in [self.folder, *self.folder.rglob("*")]}
        return {str(path.relative_to(self.folder)): (s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
                for path, s in stats.items()}

    def watched(self, what):
        """The steps that ran, and which files and folders were written, in words; ours are named."""
        time.sleep(0.2)
        before = self.listing()
        _, ran, _ = self.run(what)
        after = self.listing()
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        names = "" if self.tool.peer else ": " + ", ".join(changed[:5])
        return ran, f"writes {len(changed)} files{names}" if changed else ""

    def start_slow(self):
        """Starts a run whose `prep` writes for a while; returns in the middle of it."""
        pause = max(0.05, self.seconds / 2)  # an orphan must still write when the next run begins
        numbers = " ".join(str(n + 1) for n in range(LINES))
        self.edit(prep=f": > {{out}}; for i in {numbers}; do echo line$i >> {{out}}; "
                       f"if [ $i = {LINES // 2} ]; then echo half >> {self.ran_file}; fi; sleep {pause:.2f}; done")
        self.put("src/raw.txt", SOURCE + "delta\n")  # for runners that do not notice another command
        process = race.start(self.tool.argv("run"), self.folder)
        deadline = time.monotonic() + PATIENCE
        while not (self.ran_file.exists() and "half" in self.ran_file.read_text()):
            if time.monotonic() > deadline or process.poll() is not None:
                race.kill(race.descendants(process.pid))
                raise RuntimeError("the slow step did not begin")
            time.sleep(0.005)
        return process

    def slow_result(self):
        """What is wrong with the outputs of the slow pipeline, in words, or nothing."""
        lines, count = (self.get(PREP) or "").split(), (self.get(COUNT) or "none").strip()
        if lines != [f"line{n + 1}" for n in range(LINES)]:
            return f"{len(lines)} lines of {LINES}" if len(lines) != LINES else "mixed lines"
        return "" if count == str(LINES) else f"eval says {count}"

    def step_processes(self):
        """Processes that run a command of this project's pipeline."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.ran_file) in path.read_text():
                    found.append(int(path.parent.name))
            except OSError:
                pass  # it ended while we looked
        return found


# The behaviours: each returns whether it is as it should be, and what happened in words.


def words(ran):
    return f"runs {'+'.join(ran)}" if len(ran) < 3 else "runs all" if len(ran) == 3 else f"runs {len(ran)} steps"


def no_op(new):
    project = new()
    ran, changed = project.watched("run")
    return not ran and not changed, words(ran) if ran else changed or "writes nothing"


def touch(new):
    project = new()
    time.sleep(0.1)
    os.utime(project.folder / "src/raw.txt")
    _, ran, _ = project.run()
    return not ran, words(ran) if ran else "skips"


def same_bytes(new):
    project = new()
    project.put("src/raw.txt", SOURCE.replace("first", "second"))
    _, ran, _ = project.run()
    return ran == ["prep"] and project.right(), words(ran) if ran else "not noticed"


def reverted(new):
    project = new()
    other = SOURCE + "delta\n"
    project.put("src/raw.txt", other)
    project.run()
    if not project.right(other):
        return False, "edit not followed"
    project.put("src/raw.txt", SOURCE)
    _, ran, _ = project.run()
    return not ran and project.right(), "restored" if not ran and project.right() else words(ran) if ran else "WRONG"


def deleted(new):
    project = new()
    (project.folder / MODEL).unlink()
    _, ran, _ = project.run()
    if not project.right():
        return False, "not restored"
    return not ran, words(ran) if ran else "restored"


def tampered(new, tamper, may_run=True):
    """Every byte right again, the file named; at most what made it has run, unless the bytes are kept elsewhere."""
    project = new()
    path = project.folder / MODEL
    os.chmod(path, 0o644)
    time.sleep(0.1)
    tamper(path)
    _, ran, said = project.run()
    if not project.right():
        return False, "kept" if not ran else f"kept, {words(ran)}"
    # Of a peer it is enough that it says which step it looked after.
    named = MODEL in said or (project.tool.peer and "train" in said)
    done = (words(ran) if ran else "restored") + ("" if named else ", silent")
    return named and "prep" not in ran and (may_run or not ran), done


def replaced(new):
    def tamper(path):
        path.unlink()
        path.write_text("tampered\n")
    return tampered(new, tamper, may_run=False)


def overwritten(new):
    return tampered(new, lambda path: path.write_text("tampered\n"))


def disguised(new):
    def tamper(path):
        stat = path.stat()
        path.write_text(path.read_text().swapcase())
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return tampered(new, tamper)


def command(new):
    project = new()
    project.edit(train="tr a-z A-Z < {i0} | rev > {out}")
    _, ran, _ = project.run()
    good = ran == ["train", "eval"] and project.get(MODEL) == "AHPLA\nATEB\nAMMAG\n"
    return good, words(ran) if ran else "not noticed"


def failing(new):
    project = new()
    project.edit(prep="echo partial > {out}; exit 3")
    project.put("src/raw.txt", SOURCE + "delta\n")
    code, ran, _ = project.run()
    kept, left = project.right(), project.get(PREP)
    again, then, _ = project.run()
    project.edit()
    project.put("src/raw.txt", SOURCE)
    mended, _, _ = project.run()
    if not code or "train" in ran + then:
        return False, "USES the partial file"
    did = "kept" if kept else "removed" if left is None else "partial file left"
    if not again:
        return False, did + ", then says all is well"
    if mended or not project.right():
        return False, "does not recover"
    return kept, did


def killed_group(new):
    project = new()
    process = project.start_slow()
    race.kill(race.descendants(process.pid))
    process.wait()
    return after_kill(project)


def killed_alone(new):
    project = new()
    process = project.start_slow()
    steps = {pid for step in project.step_processes() for pid in race.descendants(step)}
    race.kill([pid for pid in race.descendants(process.pid) if pid not in steps])
    process.wait()
    return after_kill(project)


def after_kill(project):
    """The next run must do it right, at once and when whatever was left over has ended."""
    project.ran()
    code, ran, _ = project.run()
    deadline = time.monotonic() + PATIENCE
    while project.step_processes() and time.monotonic() < deadline:
        time.sleep(0.02)
    wrong = project.slow_result()
    if code:
        return False, "hangs" if code == "hangs" else "refuses" if not ran else f"fails, {words(ran)}"
    if wrong:
        return False, f"WRONG: {wrong}"
    code, _, _ = project.run()
    wrong = project.slow_result() or ("exit code" if code else "")
    return not wrong, f"afterwards {wrong}" if wrong else "correct"


def second(new):
    project = new()
    first = project.start_slow()
    code = race.measure(project.tool.argv("run"), project.folder, PATIENCE).get("code", "hangs")
    first_code = int(first.communicate()[0].split()[-1])
    ran, wrong = project.ran(), project.slow_result()
    twice = [name for name in dict.fromkeys(ran) if ran.count(name) > 1]
    did = f"{words(twice)} twice" if twice else "refuses" if code else "the first fails" if first_code else "waits"
    return not (code or first_code or wrong or twice), did + (f", WRONG: {wrong}" if wrong else "")


def dry_writes(new):
    faults = []
    for state, project in dry_states(new):
        ran, changed = project.watched("dry")
        if ran or changed:
            faults.append(f"{words(ran) if ran else changed} ({state})")
    return not faults, faults[0] if faults else "writes nothing"


def dry_names(new):
    unsure = False
    for state, project in dry_states(new):
        code, _, said = project.run("dry")
        surely, perhaps = named(project.tool.name, said)
        _, ran, _ = project.run()
        unsure |= bool(perhaps)
        if code:
            return False, f"{state}: exit code {code}"
        if not surely <= set(ran) <= surely | perhaps:
            listed = "+".join(sorted(surely)) or "nothing"
            return False, f"{state}: names {listed}, {words(ran) if ran else 'runs nothing'}"
    return True, "exact, or says maybe" if unsure else "exact"


def dry_states(new):
    """Projects in which something is to be done, or nothing."""
    yield "never run", new(run=False)
    yield "no change", new()
    project = new()
    project.edit(evaluate="wc -c < {i0} > {out}")
    yield "command edited", project
    project = new()
    project.put("src/raw.txt", SOURCE + "delta\n")
    yield "source edited", project
    project = new()
    project.put("src/raw.txt", SOURCE.replace("first", "second"))
    yield "comment edited", project
    project = new()
    (project.folder / MODEL).unlink()
    yield "output deleted", project


def named(tool, said):
    """The steps that a dry run names: those that will run, and those that perhaps will."""
    if tool == "turbo":
        tasks = json.loads(said[said.index("{"):])["tasks"]
        return {task["task"] for task in tasks if task["cache"]["status"] == "MISS"} - {"all"}, set()
    patterns = dict(recsys=r"^RUN\s+(\w+)", snakemake=r"^(?:local)?rule (\w+):", dvc=r"Running stage '(\w+)'",
                    doit=r"^R\s+s:(\w+)")
    surely = set(re.findall(patterns.get(tool, r"echo (\w+) >>"), said, re.MULTILINE)) - {"all"}
    return surely, set(re.findall(r"^MAYBE\s+(\w+)", said, re.MULTILINE)) if tool == "recsys" else set()


BEHAVIOURS = {
    "a run with nothing to do": no_op,
    "an input touched": touch,
    "an edit that makes the same bytes stops there": same_bytes,
    "a reverted edit": reverted,
    "an output deleted": deleted,
    "an output replaced by hand": replaced,
    "an output written into": overwritten,
    "the same, size and time put back": disguised,
    "a command edited": command,
    "a step fails: its last good output": failing,
    "kill -9 of everything, run again": killed_group,
    "kill -9 of the runner alone, run again at once": killed_alone,
    "a second runner at the same time": second,
    "a dry run": dry_writes,
    "what a dry run names, and what then runs": dry_names,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    race.common_options(parser)
    parser.add_argument("--only", default="", metavar="TEXT", help="behaviours whose name contains this")
    parser.add_argument("--out", metavar="FILE", help="the same as JSON")
    options = parser.parse_args()
    tools = [tool for tool in race.chosen(options, parser) if tool.name != "sh"]
    results = {text: {} for text in BEHAVIOURS if options.only in text}
    with tempfile.TemporaryDirectory(prefix="semantics-", dir=options.work, ignore_cleanup_errors=True) as work:
        for tool in tools:
            for text in results:
                results[text][tool.name] = judge(tool, text, work)
                ok, did = results[text][tool.name]
                print(f"{tool.name:10} {'ok  ' if ok else 'FAIL' if ok is False else '-   '} {text}: {did}",
                      file=sys.stderr, flush=True)
    print("| | " + " | ".join(tool.name for tool in tools) + " |\n|---" + "|---" * len(tools) + "|")
    for text, cells in results.items():
        marks = (("✓ " if ok else "✗ " if ok is False else "") + did for ok, did in cells.values())
        print(f"| {text} | {' | '.join(marks)} |")
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps(results, indent=1) + "\n")
    failed = [text for text, cells in results.items() if "recsys" in cells and not cells["recsys"][0]]
    if "recsys" in [tool.name for tool in tools]:
        print(f"\nrecsys: {len(results) - len(failed)} passed, {len(failed)} failed", file=sys.stderr)
    return 1 if failed else 0


def judge(tool, text, work):
    """One behaviour of one tool, whose folders are then removed."""
    if "a dry run" in text and not tool.dry:
        return None, "has none"
    projects = []

    def new(**options):
        projects.append(Project(tool, work, **options))
        return projects[-1]

    try:
        return BEHAVIOURS[text](new)
    except Exception as fault:  # whatever a peer does must not end the race
        return False, f"fails: {' '.join(str(fault).split())[:120]}"
    finally:
        for project in projects:
            race.kill(project.step_processes())
            shutil.rmtree(project.folder.parent, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
