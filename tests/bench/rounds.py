"""Interleaved rounds: whatever else the machine does meets all alike, and ratios are taken inside a
round. What is shown is the median, with the slowest and the fastest beside it."""

import json
import statistics

QUIET = 0.25  # of the wall time that others may have worked; a cell above it is marked


class Cell:
    """One way at one workload, over all rounds."""

    def __init__(self):
        self.values, self.cpu, self.disturbed, self.errors = [], [], 0, 0

    def add(self, value, cpu, disturbed, errors):
        self.values.append(value)
        self.cpu.append(cpu)
        self.disturbed += disturbed
        self.errors += errors


class Table:
    """cells[workload][way]"""

    def __init__(self, workloads, ways):
        self.cells = {w: {way: Cell() for way in ways} for w in workloads}

    def add(self, workload, way, **what):
        self.cells[workload][way].add(**what)

    def ratio(self, workload, way, to):
        """Median over the rounds; None: one of the two did not do it."""
        ours, theirs = (self.cells[workload][name].values for name in (way, to))
        pairs = [a / b for a, b in zip(ours, theirs) if a and b]
        return statistics.median(pairs) if pairs else None

    def text(self, workload, title, unit, cpu_unit, against):
        lines = [f"\n{title}\n", f"| way | {unit}, median (min-max) | "
                 + " | ".join(f"of {name}" for name in against) + f" | CPU {cpu_unit} | errors |",
                 "|---|---|" + "---|" * len(against) + "---|---|"]
        for way, cell in self.cells[workload].items():
            if not cell.values:
                continue
            ratios = (self.ratio(workload, way, name) for name in against)
            mark = f" ({cell.disturbed} disturbed)" if cell.disturbed else ""
            lines.append(
                f"| {way} | {statistics.median(cell.values):.0f} ({min(cell.values):.0f}-"
                f"{max(cell.values):.0f}){mark} | "
                + " | ".join("-" if r is None else f"{r:.2f}" for r in ratios)
                + f" | {statistics.median(cell.cpu):.2f} | {cell.errors} |")
        return "\n".join(lines)

    def write(self, path):
        path.write_text(json.dumps({w: {way: vars(cell) for way, cell in ways.items()}
                                    for w, ways in self.cells.items()}, indent=1) + "\n")
