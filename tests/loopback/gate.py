"""The gateway on loopback, in forward mode: started, watched, ended, and asked what it wrote down."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
READY = "postern: ready"
SMTP = """
    starttls = pass
    error_delay = 0
    relay { check = off }
    sender_domain { check = off }
"""


def free_port(address):
    with socket.socket() as sock:
        sock.bind((address, 0))
        return sock.getsockname()[1]


class Gateway:
    """
    Forwards a loopback port of its own to the server's. smtp: what stands in "smtp { }"; inside: our
    networks; more: further sections; protocol: what it forwards; server: its address; ftp: what stands in
    "ftp { }". By default every check is off and STARTTLS passes.
    """

    def __init__(self, binary, folder, server_port, smtp=SMTP, inside="192.0.2.0/24",
                 more="", protocol="smtp", server="127.0.0.1", ftp=""):
        # an address that no other test process uses, so that the port is still free when it starts
        pid = os.getpid()
        self.address = (f"127.77.{pid >> 8 & 0xFF}.{pid & 0xFF}", 0)
        self.address = (self.address[0], free_port(self.address[0]))
        self.log = folder / "eve.json"
        self.config = folder / "postern.conf"
        self.config.write_text(
            f'workers = 1\nuser = "nobody"\nlog = "{self.log}"\nstatus = "-"\n'
            f'inside = {{"{inside}"}}\ndrain = 1\n'
            f'forward "case" {{\n    listen = "{self.address[0]}:{self.address[1]}"\n'
            f'    to = "{server}:{server_port}"\n    protocol = {protocol}\n}}\n'
            # data connections: at ports that nobody is given by the kernel
            f"ftp {{\n    data_ports_from = 20000\n    data_ports_to = 24999\n    {ftp}\n}}\n"
            f"smtp {{{smtp}}}\n{more}"
        )
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:exitcode=99"}
        self.process = subprocess.Popen([TOP / binary, "run", "-c", self.config], cwd=folder,
                                        env=env, stderr=subprocess.PIPE, text=True)
        self.errors = []
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self.read_errors, daemon=True)
        self.reader.start()
        if not self.ready.wait(20) or READY not in self.errors:
            self.process.kill()
            raise AssertionError("gateway did not start: " + "\n".join(self.errors))

    def read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))
            if line.startswith(READY):
                self.ready.set()
        self.ready.set()

    def stop(self):
        """Ends it; it must have lived, and end well, without a sanitizer's report."""
        died = self.process.poll()
        if died is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("gateway did not end: " + "\n".join(self.errors)) from None
        self.reader.join(5)
        text = "\n".join(self.errors)
        assert died is None, f"gateway died with {died}: {text}"
        assert code == 0, f"gateway ended with {code}: {text}"
        assert "Sanitizer" not in text and "runtime error" not in text, text
        assert not self.log.exists() or self.log.read_bytes()[-1:] in (b"", b"\n"), "the last record is cut"

    def records(self, kind=None):
        """What was written down so far; every line must be JSON, but for one that is not at its end yet."""
        octets = self.log.read_bytes() if self.log.exists() else b""
        whole = octets[:octets.rfind(b"\n") + 1].decode("utf-8")
        records = [json.loads(line) for line in whole.split("\n")[:-1]]
        return [r for r in records if kind is None or r["event_type"] == kind]

    def wait_flow(self):
        """The record at a session's end; the others of that session stand before it."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            flows = self.records("flow")
            if flows:
                return flows[-1]
            time.sleep(0.02)
        raise AssertionError("no flow record: " + str(self.records()))
