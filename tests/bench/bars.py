"""What the figures must reach, as ratios inside one run, and what they reached."""

import json
import statistics

FLOOR, DIGESTING = "bare relay", "bare relay, SHA-256"
# the same with the kernel set as Postern needs it: no bar, but what of a difference is not the program's
FLOOR_AS_OURS, DIGESTING_AS_OURS = (f"{name}, kernel set as for ours" for name in (FLOOR, DIGESTING))
OURS, NO_DIGESTS, UNSEEN = "Postern", "Postern, no digests", "Postern, nothing looked at"
KIB = 1024


class Run:
    """One workload's JSON; a figure that is not in it is None."""

    def __init__(self, path):
        self.made = json.loads(path.read_text()) if path.exists() else {}
        self.remarks = set()  # of the cells that were asked for

    def each(self, workload, way, what="values"):
        cell = self.made.get(workload, {}).get(way, {"values": [], "disturbed": 0, "errors": 0})
        if cell["disturbed"]:
            self.remarks.add(f"{way}: {cell['disturbed']} of {len(cell['values'])} disturbed")
        if cell["errors"]:
            self.remarks.add(f"{way}: {cell['errors']} errors")
        return cell.get(what, [])

    def median(self, workload, way, what="values"):
        found = [each for each in self.each(workload, way, what) if each is not None]
        return statistics.median(found) if found else None

    def ratio(self, workload, way, to, what="values"):
        """Median of the ratios inside each round."""
        both = zip(self.each(workload, way, what), self.each(workload, to, what))
        pairs = [a / b for a, b in both if None not in (a, b) and b]
        return statistics.median(pairs) if pairs else None

    def added(self, workload, way, of, over="direct"):
        """What one adds to a session's median time, as a part of what another adds."""
        rounds = zip(*(self.each(workload, name) for name in (way, of, over)))
        whole = (each for each in rounds if None not in each)
        pairs = [(ours - least) / (theirs - least) for ours, theirs, least in whole if theirs > least]
        return statistics.median(pairs) if pairs else None

    def idle(self, way):
        found = self.made.get("idle", {}).get(way)
        return statistics.median(found) if found else None


class Bar:
    """
    figure, bar, stretch  of the same unit; stretch None: there is none
    least                 whether the figure must be at least, or else at most, that
    """

    def __init__(self, title, figure, bar, stretch=None, least=True):
        self.title, self.figure, self.bar, self.stretch, self.least = title, figure, bar, stretch, least

    def reaches(self, mark):
        return self.figure >= mark if self.least else self.figure <= mark

    def verdict(self):
        if self.figure is None:
            return "not measured"
        if self.bar is not None and not self.reaches(self.bar):
            return "**short**"
        if self.stretch is None:
            return "reached" if self.bar is not None else ""
        return "stretch reached" if self.reaches(self.stretch) else "reached" if self.bar is not None else "short of it"

    def row(self, remarks):
        def text(figure):
            return "-" if figure is None else f"{figure:,.0f}" if figure >= 100 else f"{figure:.2f}"

        sign = "≥" if self.least else "≤"
        marks = ("-" if mark is None else f"{sign} {text(mark)}" for mark in (self.bar, self.stretch))
        return f"| {self.title} | {text(self.figure)} | {' | '.join(marks)} | {'; '.join([self.verdict(), *remarks])} |"


def of_smtp(run):
    yield Bar("SMTP 4 KB, 10 at once: sessions/s of the bare relay", run.ratio("ten", OURS, FLOOR), 0.90, 0.95)
    yield Bar("SMTP 4 KB, 100 at once: sessions/s of the bare relay", run.ratio("hundred", OURS, FLOOR), 0.90, 0.95)
    yield Bar("SMTP 4 KB, 10 at once: sessions/s of HAProxy", run.ratio("ten", OURS, "HAProxy"), 1.0)
    yield Bar("SMTP 4 KB, 10 at once: CPU of the bare relay", run.ratio("ten", OURS, FLOOR, "cpu"), 1.25, 1.10, False)
    yield Bar("SMTP 4 KB, 10 at once: CPU of the bare relay, kernel set as for ours",
              run.ratio("ten", OURS, FLOOR_AS_OURS, "cpu"), None, None, False)
    for workload, title in (("big, one", "one"), ("big, ten", "10 at once")):
        yield Bar(f"SMTP 10 MB, {title}: CPU of the bare relay with SHA-256",
                  run.ratio(workload, OURS, DIGESTING, "cpu"), 1.05, None, False)
        yield Bar(f"SMTP 10 MB, {title}, digests off: CPU of the bare relay",
                  run.ratio(workload, NO_DIGESTS, FLOOR, "cpu"), 1.5, None, False)
        yield Bar(f"SMTP 10 MB, {title}: CPU s/GB", run.median(workload, OURS, "cpu"), None, 1.0, False)


def of_box(name):
    def bars(run):
        yield Bar(f"{name} 20 x 100 KB: of the bare relay with SHA-256", run.ratio("letter", OURS, DIGESTING), 0.95)
        yield Bar(f"{name} 20 x 100 KB, digests off: of the bare relay", run.ratio("letter", NO_DIGESTS, FLOOR), 0.85)
        yield Bar(f"{name} 20 x 100 KB, digests off: of the bare relay, kernel set as for ours",
                  run.ratio("letter", NO_DIGESTS, FLOOR_AS_OURS), None)
        yield Bar(f"{name} 20 x 100 KB: of direct", run.ratio("letter", OURS, "direct"), None, 0.40)
    return bars


def of_ftp(run):
    yield Bar("FTP 1 GiB passive, nothing looked at: of direct", run.ratio("passive", UNSEEN, "direct"), 0.95)
    yield Bar("FTP 1 GiB active to passive, nothing looked at: of direct",
              run.ratio("active", UNSEEN, "direct"), 0.65)
    yield Bar("FTP 1 GiB passive: of the bare relay with SHA-256", run.ratio("passive", OURS, DIGESTING), 0.95)
    yield Bar("FTP 1 GiB passive: of the bare relay with SHA-256, kernel set as for ours",
              run.ratio("passive", OURS, DIGESTING_AS_OURS), None)
    yield Bar("FTP 1 GiB passive: of direct", run.ratio("passive", OURS, "direct"), None, 0.33)
    yield Bar("FTP sessions of 1 KB: sessions/s of the bare relay", run.ratio("sessions", OURS, FLOOR), 0.85, 0.95)
    yield Bar("FTP sessions of 1 KB: sessions/s of the bare relay with SHA-256, kernel set as for ours",
              run.ratio("sessions", OURS, DIGESTING_AS_OURS), None)


def of_all(name, workload, what="one session"):
    """The bar of 186 us is what HAProxy added to a session of SMTP without a message."""
    def bars(run):
        yield Bar(f"{name}, {what}: added p50, of what HAProxy adds", run.added(workload, OURS, "HAProxy"), 1.0,
                  None, False)
        idle = run.idle(OURS)
        yield Bar(f"{name}, idle session: KiB of user memory", idle and idle / KIB, 3.6, 2.0, False)
    return bars


def of_mime(run):
    for way, bars in (("GMime of a copy", (6, 8, 3.5)), ("GMime", (None, None, None))):
        yield Bar(f"MIME, a base64 message of 50 MB: times {way}", run.ratio("big", "Postern, tree", f"{way}, tree"), *bars[:2])
        yield Bar(f"MIME, a base64 message of 50 MB, SHA-256: times {way}",
                  run.ratio("big", "Postern, SHA-256", f"{way}, SHA-256"), bars[2])


def of_captures(run):
    yield Bar("captures: of tcpflow", run.ratio("capture", "postern read", "tcpflow"), 1.0)
    yield Bar("captures: MB/s", run.median("capture", "postern read"), None, 700)


BARS = {
    "smtp": [of_smtp, of_all("SMTP", "short", "one session without a message")],
    "pop3": [of_box("POP3"), of_all("POP3", "latency")],
    "imap": [of_box("IMAP"), of_all("IMAP", "latency")],
    "ftp": [of_ftp, of_all("FTP", "latency")],
    "mime": [of_mime],
    "captures": [of_captures],
}


def rows_of(folder, name):
    run = Run(folder / f"{name}.json")
    for bars in BARS.get(name, ()):
        for bar in bars(run):
            yield bar.row(sorted(run.remarks))
            run.remarks = set()


def table(folder, workloads):
    """Markdown, of the JSON files in a folder."""
    rows = [row for name in workloads for row in rows_of(folder, name)]
    if not rows:
        return ""
    return "\n".join(["| what | measured | bar | stretch | |", "|---" * 5 + "|", *rows])
