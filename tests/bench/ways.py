"""The ways from client to server that are measured: no gateway, what others offer, and Postern.

Each is a context: inside it, the gateway of the lab carries connections that way.
"""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "net"))

from gateway import Gateway  # noqa: E402

PORT = 5000

# Every connection from outside ends at the peer; SYN-ACKs of what servers open do not.
CATCH_ALL = f"""\
table ip peer {{
	chain taken {{
		type filter hook prerouting priority mangle;
		tcp flags & (syn|ack) != syn socket transparent 1 meta mark set 1 accept
		iifname outside tcp flags & (syn|ack) == syn tproxy to 127.0.0.1:{PORT} meta mark set 1 accept
	}}
}}
"""
# What administrators have today: the kernel looks for PORT and 227, and lets that connection by.
HELPER = """\
table ip peer {
	ct helper ftp { type "ftp" protocol tcp; }
	chain helped {
		type filter hook prerouting priority filter;
		tcp dport 21 ct helper set "ftp"
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		iifname outside tcp dport 21 accept
	}
}
"""
HAPROXY = f"""\
global
	nbthread 1
	maxconn 4000
	{{splice}}
defaults
	mode tcp
	timeout connect 10s
	timeout client 1h
	timeout server 1h
	{{option}}
listen all
	bind 127.0.0.1:{PORT} transparent
	source 0.0.0.0 usesrc clientip
	server any *
"""


def early_demux(lab, on):
    """
    What the kernel does by itself for sockets; but where it only forwards, sockets in TIME_WAIT
    that a proxy left with foreign addresses would swallow SYNs.
    """
    lab.gateway.sysctl("ipv4/tcp_early_demux", int(on))


class Way:
    """name: in tables; up(): group is of the gateway's processes alone."""

    def __init__(self, name):
        self.name = name


class Direct(Way):
    """The kernel forwards; nobody looks."""

    @contextlib.contextmanager
    def up(self, lab, group):
        early_demux(lab, False)
        yield None


class Helper(Way):
    """The kernel's FTP helper behind a policy of drop."""

    @contextlib.contextmanager
    def up(self, lab, group):
        early_demux(lab, False)
        lab.gateway.nft(HELPER)
        try:
            yield None
        finally:
            lab.gateway.nft("delete table ip peer")


class Peer(Way):
    """A program that takes every connection from outside at 127.0.0.1:PORT."""

    def argv(self, lab):
        raise NotImplementedError

    @contextlib.contextmanager
    def up(self, lab, group):
        early_demux(lab, True)
        lab.gateway.ip("rule add fwmark 1 lookup 100", "route add local 0.0.0.0/0 dev lo table 100")
        lab.gateway.nft(CATCH_ALL)
        log = open(lab.dir / "peer.log", "ab")
        process = subprocess.Popen(lab.gateway.command(*self.argv(lab)), stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log,
                                   preexec_fn=lambda: group.entry.write_text(str(os.getpid())))
        try:
            time.sleep(0.5)
            if process.poll() is not None:
                raise SystemExit(f"{self.name} ended:\n{Path(log.name).read_text()}")
            yield None
        finally:
            process.terminate()
            process.wait()
            log.close()
            lab.gateway.nft("delete table ip peer")
            lab.gateway.ip("rule del fwmark 1 lookup 100", "route flush table 100")


class BareRelay(Peer):
    def __init__(self, name, build, work):
        super().__init__(name)
        self.program, self.work = build / "bench" / "bare_relay", work

    def argv(self, lab):
        return [self.program, "127.0.0.1", PORT, self.work]


class HAProxy(Peer):
    """As shipped, or with splicing forced."""

    def __init__(self, name, splice):
        super().__init__(name)
        self.splice = splice

    def argv(self, lab):
        file = lab.dir / f"haproxy-{self.splice}.cfg"
        file.write_text(HAPROXY.format(splice="" if self.splice else "nosplice",
                                       option="option splice-response\n\toption splice-request"
                                       if self.splice else ""))
        return ["/usr/sbin/haproxy", "-db", "-f", file]


class Postern(Way):
    """As shipped: transparent, everything looked at and written down; settings are laid over that."""

    def __init__(self, name, build, **settings):
        super().__init__(name)
        self.binary, self.settings = build / "postern", settings

    @contextlib.contextmanager
    def up(self, lab, group):
        gateway = Gateway(lab, mode="tproxy", binary=self.binary, cgroup=group.entry, **self.settings)
        try:
            yield gateway
        finally:
            gateway.stop()
