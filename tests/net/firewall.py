"""The firewall under test without the gateway: what holds its tables."""

import itertools
import signal
import subprocess

from lab import ROOT, LabError

HOLDER = ROOT / "build/net/firewall_holder"


class Holder:
    """build/net/firewall_holder in a namespace; ask() gives the answer to a command."""

    def __init__(self, namespace, config):
        if not HOLDER.exists():
            raise LabError(f"{HOLDER} is not there; run: make helpers")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *namespace.command(HOLDER, config)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.first = self.process.stdout.readline().strip()

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def ask_all(self, commands, at_once=200):
        """Many commands, each of which is to be done."""
        commands = iter(commands)
        while lines := list(itertools.islice(commands, at_once)):
            self.process.stdin.write("\n".join(lines) + "\n")
            self.process.stdin.flush()
            for line in lines:
                answer = self.process.stdout.readline().strip()
                assert answer == "done", (line, answer)

    def error(self):
        """What it said when it could not start, with its exit code."""
        _, stderr = self.process.communicate()
        return self.process.returncode, stderr

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
