"""Interleaved rounds: whatever else the machine does meets all alike, and ratios are taken inside a
round. What is shown is the median, with the slowest and the fastest beside it."""

import contextlib
import io
import json
import statistics

QUIET = 0.25  # of the wall time that others may have worked; a cell above it is marked


@contextlib.contextmanager
def shown(path):
    """What is printed inside is written to a file, too."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        yield
    path.write_text(text.getvalue())
    print(text.getvalue(), end="", flush=True)


class Cell:
    """One way at one workload, over all rounds."""

    def __init__(self):
        self.values, self.cpu, self.disturbed, self.errors = [], [], 0, 0
        self.more = {}  # name: [of each round]

    def add(self, value, cpu, disturbed, errors, **more):
        """value None: the round failed, and keeps its place."""
        self.values.append(value)
        self.cpu.append(cpu)
        self.disturbed += disturbed
        self.errors += errors
        for name, each in more.items():
            self.more.setdefault(name, []).append(each)

    def done(self):
        """Values of the rounds that did not fail."""
        return [value for value in self.values if value is not None]

    def median(self, name=None):
        return statistics.median(self.more[name] if name else self.done())

    def spent(self):
        """Processor time of each; the median."""
        return statistics.median(each for each in self.cpu if each is not None)

    def text(self):
        """Median, slowest and fastest."""
        mark = f" ({self.disturbed} of {len(self.values)} disturbed)" if self.disturbed else ""
        failed = len(self.values) - len(self.done())
        mark += f" ({failed} failed)" if failed else ""
        return f"{self.median():.0f} ({min(self.done()):.0f}-{max(self.done()):.0f}){mark}"


def say(n, way, workload, r):
    """A line of what a round came to, for who waits."""
    value, spent = ("-" if each is None else f"{each:.2f}" for each in (r["value"], r["cpu"]))
    print(f"{n} {way:46} {workload:16} {value:>10} cpu {spent:>8} errors {r['errors']} {r['error']} "
          f"{r.get('left_out', '')}", flush=True)


class Table:
    """cells[workload][way]"""

    def __init__(self, workloads, ways):
        self.cells = {w: {way: Cell() for way in ways} for w in workloads}

    def add(self, workload, way, **what):
        self.cells[workload][way].add(**what)

    def ratio(self, workload, way, to):
        """Median over the rounds; None: one of the two did not do it."""
        ours, theirs = (self.cells[workload][name].values for name in (way, to))
        pairs = [a / b for a, b in zip(ours, theirs) if None not in (a, b)]
        return statistics.median(pairs) if pairs else None

    def text(self, workload, title, unit, cpu_unit, against, percents=(), medians=None):
        """
        against: ways, those that were measured; percents: names of "more", parts of one; medians: names of
        "more", with what they are called.
        """
        medians = medians or {}
        against = [name for name in against if name in self.cells[workload]]
        heads = ["way", f"{unit}, median (min-max)", *(f"of {name}" for name in against), f"CPU {cpu_unit}",
                 *percents, *medians.values(), "errors"]
        lines = [f"\n{title}\n", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for way, cell in self.cells[workload].items():
            if not cell.done():
                continue
            ratios = (self.ratio(workload, way, name) for name in against)
            row = [way, cell.text(), *("-" if r is None else f"{r:.2f}" for r in ratios),
                   f"{cell.spent():.2f}", *(f"{cell.median(name):.0%}" for name in percents),
                   *(f"{cell.median(name):.0f}" for name in medians), str(cell.errors)]
            lines.append(f"| {' | '.join(row)} |")
        return "\n".join(lines)

    def added(self, workload, title, to="direct"):
        """Microseconds, half of the sessions and 99 of 100 of them ("p99"), and how many more than without."""
        heads = ["way", "p50 us, median (min-max)", "p99 us", f"added to {to}: p50", "p99", "CPU us/session",
                 "errors"]
        lines = [f"\n{title}\n", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        least = self.cells[workload].get(to)
        for way, cell in self.cells[workload].items():
            if not cell.done():
                continue
            more = ["-", "-"]
            if least is not None and least.done() and way != to:
                more = [f"{cell.median(name) - least.median(name):.0f}" for name in (None, "p99")]
            row = [way, cell.text(), f"{cell.median('p99'):.0f}", *more, f"{cell.spent():.0f}",
                   str(cell.errors)]
            lines.append(f"| {' | '.join(row)} |")
        return "\n".join(lines)

    def write(self, path, **more):
        """JSON: workloads with their ways, and what more there is to say."""
        path.write_text(json.dumps({w: {way: vars(cell) for way, cell in ways.items()}
                                    for w, ways in self.cells.items()} | more, indent=1) + "\n")
