"""mail_load against mail_sink: what passes, what a gateway costs meanwhile, and that it went its way."""

import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "net"))

import cpu  # noqa: E402
import lab as L  # noqa: E402
import rounds  # noqa: E402
import ways  # noqa: E402

PORTS = {"smtp": 25, "pop3": 110, "imap": 143}
TLS_PORTS = {"smtp": 465, "pop3": 995, "imap": 993}
COUNTS = 7  # the port where mail_sink tells what it served
LIMITS = {"sessions": ways.SESSIONS_MAX, "sessions_per_client": ways.SESSIONS_MAX,
          "pending_connects_per_client": ways.SESSIONS_MAX, "tls_handshakes_per_minute": 0}

# nobody answers questions for names here; a gateway asks once for a domain of senders, and then knows
SMTP = {"sender_domain": {"exempt": ["example.org"]}}


def clear_ways(build, buffers, **settings):
    """Every way in the clear; buffers: large ones of nginx mail; settings: of every Postern."""
    def postern(name, **more):
        return ways.Postern(name, build, limits=LIMITS, nofile=ways.FILES, **settings, **more)

    return [
        ways.Direct("direct"),
        ways.HAProxy("HAProxy", splice=False),
        ways.Nginx("nginx stream", "stream"),
        ways.Nginx("nginx mail", "mail"),
        ways.Nginx("nginx mail, 64 KB buffers", "mail", buffers),
        ways.BareRelay("bare relay", build, "copy"),
        ways.BareRelay("bare relay, SHA-256", build, "sha256"),
        postern("Postern"),
        postern("Postern, no digests", mime={"digests": []}),
        postern("Postern, nothing looked at", mime={"inspect": False}),
    ]


class NotHeld(Exception):
    """A way has not as many sessions as were asked for."""


class Bench:
    """
    groups  cpu.Group of "gateway", "client", "server"
    tls     None: sessions are in the clear; (version, "full" or "resumed"): under TLS from the first octet on
    """

    def __init__(self, lab, build, groups):
        self.lab, self.build, self.groups = lab, build, groups

    def clocks(self):
        ours = {name: group.seconds() for name, group in self.groups.items()}
        return ours["gateway"], cpu.busy() - sum(ours.values()), time.monotonic()

    def argv(self, way, protocol, mailbox, messages, *how, tls=None):
        to = f"{way.address}:{(TLS_PORTS if tls else PORTS)[protocol]}"
        argv = ["prlimit", f"--nofile={ways.FILES}", "--", self.build / "bench" / "mail_load", protocol, to,
                mailbox, messages, *how, *((way.certificate.chain, *tls) if tls else ())]
        return [str(a) for a in self.lab.client.command(*argv)]

    def served(self):
        """What the server has counted so far."""
        with self.lab.server.tcp() as sock:
            sock.settimeout(10)
            sock.connect((ways.SERVER, COUNTS))
            return json.loads(sock.makefile().readline())

    def load(self, way, protocol, mailbox, messages, at_once, seconds, tls=None):
        """One run of mail_load: what it said, the processor time of the gateway, what the server served."""
        served, before = self.served(), self.clocks()
        done = subprocess.run(
            ["timeout", "60", *self.argv(way, protocol, mailbox, messages, at_once, seconds, tls=tls)],
            capture_output=True, text=True,
            preexec_fn=lambda: self.groups["client"].entry.write_text(str(os.getpid())))
        gateway, others, wall = (b - a for a, b in zip(before, self.clocks()))
        served = {name: n - served[name] for name, n in self.served().items()}
        said = {"sessions": 0, "resumed": 0, "errors": 1, "error": done.stderr.strip() or "timeout", "octets": 0,
                "seconds": wall, "p50": 0, "p99": 0} if done.returncode else json.loads(done.stdout)
        arrived(way, said, served, messages, tls)
        return said | {"cpu": gateway, "disturbed": others > rounds.QUIET * wall, "served": served}

    def octets(self, *what, **how):
        """MB/s, and seconds of the gateway for a GB."""
        r = self.load(*what, **how)
        return r | {"value": r["octets"] / r["seconds"] / 1e6, "cpu": r["cpu"] / max(1, r["octets"]) * 1e9}

    def sessions(self, *what, **how):
        """Sessions a second, and microseconds of the gateway for each."""
        r = self.load(*what, **how)
        return r | {"value": r["sessions"] / r["seconds"], "cpu": r["cpu"] / max(1, r["sessions"]) * 1e6}

    def messages(self, *what, **how):
        """Messages a second, and microseconds of the gateway for each; a session that fails has none."""
        r = self.load(*what, **how)
        n = r["sessions"] * what[3]
        return r | {"value": n / r["seconds"], "cpu": r["cpu"] / max(1, n) * 1e6}

    def latency(self, *what, **how):
        """Microseconds that half of the sessions took at most, and microseconds of the gateway for each."""
        r = self.load(*what, **how)
        return r | {"value": r["p50"], "cpu": r["cpu"] / max(1, r["sessions"]) * 1e6}

    def memory(self):
        """Octets that the processes of the gateway have for themselves."""
        found = 0
        for pid in self.groups["gateway"].entry.read_text().split():
            with contextlib.suppress(OSError):
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                found += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE).group(1)) * 1024
        return found

    @contextlib.contextmanager
    def held(self, way, protocol, n, tls=None):
        """Inside, n sessions wait."""
        process = subprocess.Popen(self.argv(way, protocol, "text-1024", 1, "idle", n, tls=tls),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            said = json.loads(process.stdout.readline())
            if said["held"] != n:
                raise NotHeld(f"{way.name}: {said['held']} of {n} sessions: {said['error']}")
            yield
        finally:
            process.stdin.close()
            process.wait()

    def idle(self, way, protocol, n, tls=None):
        """User octets of one session: what n more cost than a third of them, when all that is made once is there."""
        with self.held(way, protocol, n // 3, tls):
            time.sleep(1)
            before = self.memory()
            with self.held(way, protocol, n, tls):
                time.sleep(1)
                return (self.memory() - before) / n

    def idle_of(self, all_ways, protocol, n, times, tls=None):
        """{way: [octets of a session]}; each time by new processes. A peer that does not hold them is said to."""
        found = {}
        for way in all_ways if n else ():
            try:
                for _ in range(times):
                    with way.up(self.lab, self.groups["gateway"]):
                        found.setdefault(way.name, []).append(self.idle(way, protocol, n, tls))
                print(f"idle {way.name:28} {statistics.median(found[way.name]):8.0f} octets", flush=True)
            except NotHeld as fault:
                if isinstance(way, ways.Postern):
                    raise SystemExit(str(fault)) from None
                found.pop(way.name, None)
                print(f"idle {fault}; left out", flush=True)
        return found


def arrived(way, said, served, messages, tls):
    """
    What the client had came from the server, of which the gateway's certificate, if any, says who carried it:
    mail_load compares every octet that comes, mail_sink every one that is sent.
    """
    shaken = served["full"] + served["resumed"]
    if said["error"] == "certificate" or served["different"] or served["sessions"] < said["sessions"] or \
            served["messages"] < said["sessions"] * messages or (tls and shaken < said["sessions"]):
        raise SystemExit(f"{way.name}: the client says {said}, the server {served}")


def went_through(gateway, way, sessions, tls_sessions=0):
    """The records say so."""
    if gateway is None:
        return
    time.sleep(0.3)
    seen = len(gateway.records("flow"))
    intercepted = sum(r["tls"]["action"] == "intercepted" for r in gateway.records("tls"))
    if seen < sessions or intercepted < tls_sessions:
        raise SystemExit(f"{way.name}: {sessions} sessions, {tls_sessions} of them under TLS; in its records "
                         f"{seen}, {intercepted} intercepted")


def show_idle(idle, title):
    if not idle:
        return
    print(f"\n{title}\n\n| way | octets of user memory each, median (min-max) |\n|---|---|")
    for way, each in idle.items():
        print(f"| {way} | {statistics.median(each):.0f} ({min(each):.0f}-{max(each):.0f}) |")


@contextlib.contextmanager
def bench(build, certificate_of=None):
    """A Bench whose server runs; certificate_of: makes the server's certificate, given the lab."""
    L.end_by_signal()
    groups = {name: cpu.Group(name) for name in ("gateway", "client", "server")}
    try:
        with L.Lab() as lab:
            for namespace in (lab.client, lab.server):
                namespace.sysctl("ipv4/tcp_tw_reuse", 1)
            certificate = certificate_of(lab) if certificate_of else None
            argv = [build / "bench" / "mail_sink", ways.SERVER,
                    *((certificate.chain, certificate.key) if certificate else ())]
            server = L.Daemon(lab.server, ["prlimit", f"--nofile={ways.FILES}", "--", *map(str, argv)],
                              lab.dir / "sink.log", before=f'echo 0 >"{groups["server"].entry}"')
            try:
                server.wait_ready(lambda: L.can_connect(lab.server, ways.SERVER, COUNTS), "mail_sink")
                found = Bench(lab, build, groups)
                found.certificate = certificate
                yield found
            finally:
                server.stop()  # else its group could not be taken away
    finally:
        for group in groups.values():
            group.close()
