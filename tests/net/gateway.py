"""The gateway under test: its configuration, its processes, its records."""

import ctypes
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import lab as L
from lab import ROOT, LabError, wait_for
from ftp_peers import FtpClient
from peers import RawClient
from retrieval_peers import ImapClient, Pop3Client

BINARY = Path(os.environ.get("POSTERN", ROOT / "build/postern"))
SANITIZED = ROOT / "build/san/postern"
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def pidfd_getfd(pid, fd):
    """A copy of another process's descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    copy = libc.syscall(438, pidfd, fd, 0)
    os.close(pidfd)
    if copy < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return copy


# sections with a name, of which there may be many
TITLED = {"forward", "certificate", "client_certificate", "tls_rule", "capture"}


def render(settings, indent=""):
    """A nested dict as a configuration: dicts are sections, lists are lists, the rest values."""
    lines = []
    for key, value in settings.items():
        if key in TITLED and isinstance(value, dict):
            for name, row in value.items():
                lines += [f'{indent}{key} "{name}" {{', render(row, indent + "    "), indent + "}"]
        elif isinstance(value, dict):
            lines += [f"{indent}{key} {{", render(value, indent + "    "), indent + "}"]
        elif isinstance(value, list):
            items = (str(v) if isinstance(v, int) else f'"{v}"' for v in value)
            lines.append(f"{indent}{key} = {{" + ", ".join(items) + "}")
        elif isinstance(value, bool):
            lines.append(f"{indent}{key} = {'yes' if value else 'no'}")
        elif isinstance(value, int):
            lines.append(f"{indent}{key} = {value}")
        else:
            lines.append(f'{indent}{key} = "{value}"')
    return "\n".join(lines)


def merged(base, more):
    out = dict(base)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


PORTS = {"smtp": 25, "ftp": 21, "pop3": 110, "imap": 143}
CLIENTS = {"smtp": RawClient, "ftp": FtpClient, "pop3": Pop3Client, "imap": ImapClient}
BLOCKED, INTERCEPTED = "inet postern_guard", "inet postern"  # the gateway's two tables


class Process:
    """One process, as /proc shows it. What has ended has no memory, no descriptors and no children."""

    def __init__(self, pid):
        self.pid = pid
        self.argv = self._read("cmdline").split("\0")
        self.role = self.argv[1] if len(self.argv) > 1 else ""

    def _read(self, name):
        try:
            return Path(f"/proc/{self.pid}/{name}").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def alive(self):
        state = self._read("stat").rsplit(")", 1)[-1].split()
        return bool(state) and state[0] != "Z"

    def children(self):
        """Those that have not ended."""
        pids = self._read(f"task/{self.pid}/children").split()
        return [one for one in map(Process, map(int, pids)) if one.alive()]

    def status(self):
        """/proc/PID/status as a dict of texts."""
        return dict(re.findall(r"^(\w+):[ \t]*(.*)$", self._read("status"), re.MULTILINE))

    def memory(self, what="VmHWM"):
        return int(self.status().get(what, "0 kB").split()[0]) * 1024

    def own_memory(self, what="Pss"):
        """
        Octets that the process has for itself: what it shares is counted in shares. "Pss_Anon": without
        the pages of files, whose shares change with every other process that has the same libraries.
        """
        found = re.search(rf"^{what}:\s+(\d+) kB", self._read("smaps_rollup"), re.MULTILINE)
        return int(found.group(1)) * 1024 if found else 0

    def cpu(self):
        fields = self._read("stat").rsplit(")", 1)[-1].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        """{number: what it is}"""
        found = {}
        try:
            for name in os.listdir(f"/proc/{self.pid}/fd"):
                found[int(name)] = os.readlink(f"/proc/{self.pid}/fd/{name}")
        except (FileNotFoundError, ProcessLookupError):
            pass  # closed, or ended, while we looked
        return found

    def signal(self, number):
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def __eq__(self, other):
        return self.pid == other.pid

    def __hash__(self):
        return hash(self.pid)

    def __repr__(self):
        return f"<{self.role or 'ended'} {self.pid}>"


class Gateway:
    """
    build/postern (or $POSTERN) between the client and a server.

    to         the server: (address, port), or an address with the protocol's port. Transparent:
               what client() connects to; None: nothing
    to6        the same by IPv6; in forward mode the gateway then listens on GATEWAY6 too
    mode       "forward": one server behind an address of the gateway; "tproxy", "redirect":
               transparent, for every server
    protocol   "smtp", "ftp", "pop3", "imap": what the server speaks
    nofile     a limit of descriptors for each process
    binary     another build
    namespace  where it runs, if not in the lab's "gateway"
    env        more of the environment
    cgroup     the file cgroup.procs of the group that its processes are in
    ready      False: does not wait until it can be connected to
    settings   laid over the configuration below, section by section
    """

    def __init__(self, lab, to=None, to6=None, mode="forward", protocol="smtp", nofile=None,
                 binary=BINARY, namespace=None, env=None, cgroup=None, ready=True, **settings):
        self.lab = lab
        self.cgroup = cgroup
        self.protocol, self.port = protocol, PORTS[protocol]
        self.mode = mode
        self.binary = binary
        self.namespace = namespace or lab.gateway
        self.nofile = nofile
        self.env = env or {}
        self.to, self.to6 = (self._server(to), self._server(to6))
        number = sum(1 for p in lab.dir.glob("gateway*.conf"))
        self.file = lab.dir / f"gateway{number}.conf"
        self.log = lab.dir / f"gateway{number}" / "eve.json"  # a folder of its own: an xferlog is beside it
        self.log.parent.mkdir()
        self.socket = lab.dir / f"gateway{number}.sock"
        self.cut_lines = 0
        self.stderr_path = lab.dir / f"gateway{number}.stderr"
        self.configure(**settings)
        self.start(ready)

    def _server(self, to):
        return to if to is None or isinstance(to, tuple) else (to, self.port)

    @property
    def transparent(self):
        return self.mode != "forward"

    def configure(self, **settings):
        """Writes the configuration; a gateway that runs does not know of it before reload()."""
        base = {
            "workers": 1, "user": "nobody", "log": str(self.log), "drain": 1,
            "status": str(self.socket),
            "inside": ["10.0.0.0/8", "fd00::/8"], "resolvers": [L.UNBOUND],
            "smtp": {"error_delay": 0,
                     "relay": {"local_domains": ["campus.example", ".campus.example"]}},
        }
        servers = [server for server in (self.to, self.to6) if server]
        if self.transparent:
            base["intercept"] = {"mode": self.mode}
            spoken = base.setdefault(self.protocol, {})
            usual = {25, 587} if self.protocol == "smtp" else {self.port}
            spoken["ports"] = sorted({*usual, *(port for _, port in servers)})
        else:
            base["intercept"] = {"mode": "off"}
            base["forward"] = {
                name: {"listen": endpoint(listen, self.port), "to": endpoint(*server),
                       "protocol": self.protocol}
                for name, listen, server in (("mx", L.GATEWAY, self.to), ("mx6", L.GATEWAY6, self.to6))
                if server}
        self.settings = merged(base, settings)
        self.file.write_text(render(self.settings) + "\n")

    def command(self, *argv):
        """The binary with argv, to be run where this gateway runs."""
        limit = ["prlimit", f"--nofile={self.nofile}:{self.nofile}", "--"] if self.nofile else []
        return self.namespace.command(*limit, self.binary, *argv)

    def start(self, ready=True):
        """Starts it, also once more after kill() or stop()."""
        if not self.binary.exists():
            build = "make SAN=1" if self.binary == SANITIZED else "make"
            raise LabError(f"{self.binary} is not there; run: {build}")
        env = {**os.environ, "ASAN_OPTIONS": "exitcode=99", "LSAN_OPTIONS": "exitcode=99",
               "UBSAN_OPTIONS": "print_stacktrace=1", **self.env}
        enter = ["sh", "-c", 'echo 0 >"$0" && exec "$@"', self.cgroup] if self.cgroup else []
        argv = [*enter, "setpriv", "--pdeathsig", "KILL", "--", *self.command("run", "-c", self.file)]
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=env,
                                            stdout=subprocess.DEVNULL, stderr=stderr,
                                            start_new_session=True)
        self.clean = False  # nothing is left of it
        if ready:
            self.wait_ready()

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise LabError(f"the gateway ended with {self.process.returncode}:\n{self.stderr}"
                               f"\n{self.file.read_text()}")
            return "postern: ready" in self.stderr

        try:
            wait_for(ready, 20, "postern: ready")
        except BaseException:
            self.kill()
            self._after_death()
            raise

    @property
    def pid(self):
        return self.process.pid

    @property
    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def supervisor(self):
        return Process(self.pid)

    def of_role(self, role):
        return sorted((p for p in self.supervisor().children() if p.role == role),
                      key=lambda process: process.pid)

    def workers(self):
        """Those that run, older generations included; the oldest first."""
        return self.of_role("worker")

    def logger(self):
        return wait_for(lambda: self.of_role("logger"), what="the logger")[0]

    def processes(self):
        return [self.supervisor(), *self.supervisor().children()]

    def kill_worker(self, i=0, number=signal.SIGKILL):
        """Ends one worker as a crash would; gives what it was."""
        worker = self.workers()[i]
        worker.signal(number)
        wait_for(lambda: not worker.alive(), what="death of a worker", interval=0.001)
        return worker

    def owner(self, client):
        """The worker that has the connection of client, a RawClient; None: none has it yet."""
        port = client.sock.getsockname()[1]
        table = ""
        for name in ("tcp", "tcp6"):
            table += Path(f"/proc/{self.pid}/net/{name}").read_text()
        # sl, local, remote, state, ...; 01: established
        rows = [line.split() for line in table.splitlines()]
        inodes = {f"socket:[{r[9]}]" for r in rows
                  if r[3] == "01" and r[2].endswith(f":{port:04X}")}
        return next((w for w in self.workers() if inodes & set(w.descriptors().values())), None)

    def reload(self):
        """SIGHUP, and waits until a new generation serves; the one before it may still drain."""
        before = self.stderr.count("postern: reloaded")
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.stderr.count("postern: reloaded") > before, 20, "postern: reloaded")

    def memory(self, what="VmHWM"):
        """Octets of resident memory of the workers: the most it ever was (VmHWM) or now (VmRSS)."""
        return sum(process.memory(what) for process in self.workers())

    def grew(self, since):
        """
        Octets of resident memory above "since" at the highest point. Under a sanitizer 0: what it
        keeps of freed memory, on purpose, says nothing about the gateway.
        """
        if b"__asan_init" in self.binary.read_bytes():
            return 0
        return self.memory() - since

    def cpu(self):
        """Seconds of processor time of all processes so far."""
        return sum(process.cpu() for process in self.processes())

    def client(self, source=None, v6=False, to=None, namespace=None, cls=None, **options):
        """
        A client of the protocol that is connected to the gateway, or through it to the server where it is
        transparent (to: to another one); outside unless source says otherwise. cls: another kind of client.
        """
        if not self.transparent:
            address, port = (L.GATEWAY6 if v6 else L.GATEWAY), self.port
        else:
            address, port = self._server(to) or (self.to6 if v6 else self.to)
        if source is None and namespace is None:
            source = L.CLIENT6 if v6 or ":" in address else L.CLIENT
        return (cls or CLIENTS[self.protocol])(namespace or self.lab.client, address, port, source, **options)

    def _settled(self):
        """The log, once nothing has come for some milliseconds: its writer gathers lines that long."""
        octets, end = b"", time.monotonic() + 0.5
        while True:
            before, octets = len(octets), self.log.read_bytes() if self.log.exists() else b""
            if len(octets) == before or time.monotonic() > end:
                return octets
            time.sleep(0.02)

    def records(self, event_type=None):
        """
        Every record so far. A line that is no JSON object is a fault of the gateway, but for one that
        was being written when its logger was killed: cut_lines says how many there may be.
        """
        octets = self._settled()
        whole = octets[:octets.rfind(b"\n") + 1].decode("utf-8")  # strict: records are UTF-8
        records, cut = [], 0
        for line in whole.split("\n")[:-1]:
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                cut += 1
                if cut > self.cut_lines:
                    raise
        return [r for r in records if event_type in (None, r["event_type"])]

    def record(self, event_type, condition=lambda record: True, timeout=10):
        """Waits for the first record of that type for which condition is true."""

        def found():
            return next((r for r in self.records(event_type) if condition(r)), None)

        try:
            return wait_for(found, timeout, f"record {event_type}", 0.02)
        except TimeoutError as error:
            have = "\n".join(map(json.dumps, self.records()))
            raise AssertionError(f"{error}; there are:\n{have}") from None

    def flow(self, timeout=10):
        """The record of the end of the first session."""
        return self.record("flow", timeout=timeout)

    def anomaly(self, *names, timeout=5):
        """Waits for the record of one of these; gives its name."""
        return self.record("anomaly", lambda r: r["anomaly"]["event"] in names or not names,
                           timeout)["anomaly"]["event"]

    def anomalies(self):
        return {r["anomaly"]["event"] for r in self.records("anomaly")}

    def kill(self):
        """kill -9, for tests of sudden death; waits for the others, which it takes along."""
        others = self.supervisor().children()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.cut_lines += 1  # the logger goes with it
        self.process.wait()
        wait_for(lambda: not any(p.alive() for p in others), 5, "the end of all processes", 0.001)

    def tables(self):
        """The tables of packet filter rules where this gateway runs."""
        text = self.namespace.output("nft", "list", "tables")
        return {line.removeprefix("table ").strip() for line in text.splitlines()}

    def release(self):
        """postern release; gives the CompletedProcess."""
        return subprocess.run(self.command("release"), capture_output=True, text=True, timeout=30)

    def _policy_routes(self):
        """What is left of the way that leads intercepted packets to the gateway."""
        table = str(self.settings["intercept"].get("route_table", 25025))
        left = []
        for family in ("-4", "-6"):
            rules = self.namespace.output("ip", family, "rule").splitlines()
            left += [rule for rule in rules if f"lookup {table}" in rule]
            routes = self.namespace.output("ip", family, "route", "show", "table", "all")
            left += [route for route in routes.splitlines() if f"table {table}" in route]
        return left

    def _firewall_is_as_promised(self):
        blocks = self.settings["intercept"].get("on_exit", "block") == "block"
        tables = self.tables()
        assert INTERCEPTED not in tables, tables
        assert (BLOCKED in tables) == blocks, tables
        assert not self._policy_routes(), self._policy_routes()
        done = self.release()
        assert done.returncode == 0 and not done.stderr, done
        assert BLOCKED not in self.tables()

    def stop(self, keep_guard=False):
        """
        Ends it as an administrator would and holds it to what it promises; then takes the guard
        away, unless keep_guard, so that the next test finds the wire as it was.
        """
        if self.process.returncode is not None:
            self._after_death()
            return
        self.clean = not keep_guard
        self.process.terminate()
        try:
            code = self.process.wait(15 + self.settings["drain"])
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway does not end:\n{self.stderr}") from None
        assert not SANITIZER.search(self.stderr), self.stderr
        assert code == 0, f"exit code {code}:\n{self.stderr}"
        for record in self.records():
            assert {"timestamp", "event_type"} <= record.keys(), record
        if self.transparent and not keep_guard:
            self._firewall_is_as_promised()

    def _after_death(self):
        """Killed by the test, or ended by it: what a dead gateway leaves is no fault, and goes."""
        if not self.transparent or self.clean:
            return
        self.release()
        table = str(self.settings["intercept"].get("route_table", 25025))
        for family in ("-4", "-6"):
            while self.namespace.run("ip", family, "rule", "del", "lookup", table).returncode == 0:
                pass
            self.namespace.run("ip", family, "route", "flush", "table", table)
