"""Capture files that the gateway writes ("capture"), and what tshark says of them."""

import os
import pwd
import subprocess
import tempfile
from pathlib import Path

import lab as L

USER = pwd.getpwnam("nobody")


class Captures:
    """A directory for captures: section() is what a configuration says of it."""

    def __init__(self, lab):
        self.dir = Path(tempfile.mkdtemp(prefix="captures", dir=lab.dir))
        os.chmod(self.dir, 0o700)
        os.chown(self.dir, USER.pw_uid, USER.pw_gid)

    def section(self, **settings):
        return {"directory": str(self.dir), **settings}

    def files(self):
        return sorted(p for p in self.dir.iterdir() if p.suffix == ".pcapng")

    def octets(self):
        return b"".join(p.read_bytes() for p in self.files())

    def merged(self):
        """All of them as one file."""
        path = self.dir / "all"
        subprocess.run(["mergecap", "-w", path, *self.files()], check=True, capture_output=True)
        return path

    def tshark(self, *fields, filter=""):
        """A list for each frame that filter holds for: its fields, as texts."""
        argv = ["tshark", "-n", "-r", self.merged(), "-o", "tcp.check_checksum:TRUE",
                "-o", "ip.check_checksum:TRUE", "-Y", filter, "-T", "fields", "-E", "separator=\x1f"]
        for field in fields:
            argv += ["-e", field]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, errors="replace", timeout=60)
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    def column(self, field, filter=""):
        return [values[0] for values in self.tshark(field, filter=filter) if values[0]]

    def stream(self, number, side):
        """The octets of one direction of tcp.stream number; side: 0 of who opened it, 1 of the other."""
        done = subprocess.run(["tshark", "-n", "-r", self.merged(), "-q", "-z", f"follow,tcp,raw,{number}"],
                              check=True, capture_output=True, text=True, timeout=60)
        lines = [line for line in done.stdout.splitlines() if line.strip("\t").strip("0123456789abcdef") == ""]
        return b"".join(bytes.fromhex(line.strip()) for line in lines if line.startswith("\t") == bool(side))

    def wait(self, condition, what="a capture"):
        """Until condition(self) holds: the last flush is near."""
        return L.wait_for(lambda: condition(self), 15, what)

    def sane(self, but="frame.number == 0"):
        """No bad sums, no loss, and nothing malformed but where "but" holds."""
        assert self.column("frame.number", "ip.checksum.status == 0 || tcp.checksum.status == 0 "
                           f"|| (_ws.malformed && !({but})) || tcp.analysis.lost_segment "
                           "|| tcp.analysis.retransmission || tcp.analysis.ack_lost_segment "
                           "|| tcp.analysis.out_of_order") == []
