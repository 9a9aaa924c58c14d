"""The gateway under test: its configuration, its process, its records."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import lab as L
from lab import ROOT, LabError, wait_for
from peers import RawClient

BINARY = Path(os.environ.get("POSTERN", ROOT / "build/postern"))
SANITIZED = ROOT / "build/san/postern"
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def render(settings, indent=""):
    """A nested dict as a configuration: dicts are sections, lists are lists, the rest values."""
    lines = []
    for key, value in settings.items():
        if key == "forward":
            for name, row in value.items():
                lines += [f'{indent}forward "{name}" {{', render(row, indent + "    "), indent + "}"]
        elif isinstance(value, dict):
            lines += [f"{indent}{key} {{", render(value, indent + "    "), indent + "}"]
        elif isinstance(value, list):
            lines.append(f"{indent}{key} = {{" + ", ".join(f'"{v}"' for v in value) + "}")
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


class Gateway:
    """
    build/postern (or $POSTERN) in forward mode between the client and one server.

    to        the server: (address, port), or an address with port 25
    to6       the same by IPv6; the gateway then listens on GATEWAY6 too
    nofile    a limit of descriptors for the process
    binary    another build
    settings  laid over the configuration below, section by section
    """

    def __init__(self, lab, to, to6=None, nofile=None, binary=BINARY, **settings):
        self.lab = lab
        self.binary = binary
        number = sum(1 for p in lab.dir.glob("gateway*.conf"))
        self.file = lab.dir / f"gateway{number}.conf"
        self.log = lab.dir / f"gateway{number}.json"
        self.stderr_path = lab.dir / f"gateway{number}.stderr"
        forwards = {}
        for name, listen, server in (("mx", L.GATEWAY, to), ("mx6", L.GATEWAY6, to6)):
            if server:
                server = server if isinstance(server, tuple) else (server, 25)
                forwards[name] = {"listen": endpoint(listen, 25), "to": endpoint(*server),
                                  "protocol": "smtp"}
        base = {
            "workers": 1, "user": "nobody", "log": str(self.log), "drain": 1,
            "inside": ["10.0.0.0/8", "fd00::/8"], "resolvers": [L.UNBOUND],
            "intercept": {"mode": "off"},
            "forward": forwards,
            "smtp": {"error_delay": 0,
                     "relay": {"local_domains": ["campus.example", ".campus.example"]}},
        }
        self.file.write_text(render(merged(base, settings)) + "\n")
        self._start(nofile)

    def _start(self, nofile):
        if not self.binary.exists():
            build = "make SAN=1" if self.binary == SANITIZED else "make"
            raise LabError(f"{self.binary} is not there; run: {build}")
        limit = ["prlimit", f"--nofile={nofile}:{nofile}", "--"] if nofile else []
        command = self.lab.gateway.command(*limit, self.binary, "run", "-c", self.file)
        env = {**os.environ, "ASAN_OPTIONS": "exitcode=99", "LSAN_OPTIONS": "exitcode=99",
               "UBSAN_OPTIONS": "print_stacktrace=1"}
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=stderr, env=env, start_new_session=True)

        def ready():
            if self.process.poll() is not None:
                raise LabError(f"the gateway ended with {self.process.returncode}:\n{self.stderr}"
                               f"\n{self.file.read_text()}")
            return "postern: ready" in self.stderr

        try:
            wait_for(ready, 20, "postern: ready")
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self):
        return self.process.pid

    @property
    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def memory(self, what="VmHWM"):
        """Octets of resident memory: the most it ever was (VmHWM) or now (VmRSS)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+) kB", status).group(1)) * 1024

    def grew(self, since):
        """
        Octets of resident memory above "since" at the highest point. Under a sanitizer 0: what it
        keeps of freed memory, on purpose, says nothing about the gateway.
        """
        if b"__asan_init" in self.binary.read_bytes():
            return 0
        return self.memory() - since

    def cpu(self):
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def client(self, source=None, v6=False, **options):
        """A RawClient connected to the gateway; outside unless source says otherwise."""
        return RawClient(self.lab.client, L.GATEWAY6 if v6 else L.GATEWAY, 25,
                         source or (L.CLIENT6 if v6 else L.CLIENT), **options)

    def records(self, event_type=None):
        """Every record so far. A line that is no JSON object is a fault of the gateway."""
        octets = self.log.read_bytes() if self.log.exists() else b""
        whole = octets[:octets.rfind(b"\n") + 1].decode("utf-8")  # strict: records are UTF-8
        records = [json.loads(line) for line in whole.split("\n")[:-1]]
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

    def anomalies(self):
        return {r["anomaly"]["event"] for r in self.records("anomaly")}

    def kill(self):
        """kill -9, for tests of sudden death."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends it as an administrator would and holds it to what it promises."""
        if self.process.returncode is not None:
            return  # killed by the test
        self.process.terminate()
        try:
            code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway does not end:\n{self.stderr}") from None
        assert not SANITIZER.search(self.stderr), self.stderr
        assert code == 0, f"exit code {code}:\n{self.stderr}"
        for record in self.records():
            assert {"timestamp", "event_type"} <= record.keys(), record
