"""Network namespaces and processes for tests: nothing of the host is used or changed.

A namespace is held by an open descriptor of this process, not by a name under /run/netns, and
daemons run in PID namespaces that die with it. So nothing is left behind even after kill -9.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """The laboratory itself does not work; says nothing about the gateway."""


def wait_for(condition, timeout=10.0, what="condition", interval=0.01):
    """Calls condition until it returns something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(interval)


def _in_thread(function):
    """Runs function in a thread of its own: setns and unshare change only the calling thread."""
    result = []

    def run():
        try:
            result.append((function(), None))
        except BaseException as error:  # handed to the caller, whatever it is
            result.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = result[0]
    if error is not None:
        raise error
    return value


# Whoever looks up a name must not ask a resolver that this namespace cannot reach, and wait.
OWN_ETC = """\
for f in hosts resolv.conf nsswitch.conf; do
	[ ! -e "/etc/$f" ] || mount --bind "$0/$f" "/etc/$f"
done
"""


class Namespace:
    """
    One network namespace, alive as long as close() was not called.

    etc    folder with the files of OWN_ETC, which take the place of the host's
    """

    def __init__(self, label, etc):
        self.label = label
        self.etc = etc

        def make():
            if _libc.unshare(CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET): needs root")
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        self.fd = _in_thread(make)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        self.ip("link set lo up")

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def call(self, function):
        """Calls function in a thread that is in this namespace; its sockets stay here."""

        def run():
            if _libc.setns(self.fd, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            return function()

        return _in_thread(run)

    def command(self, *argv):
        """argv, to be run in this namespace."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, argv)]

    def run(self, *argv, timeout=30, **options):
        """Runs to the end; gives a CompletedProcess with text output."""
        own = ["unshare", "--mount", "--", "sh", "-c", OWN_ETC + 'exec "$@"', self.etc]
        return subprocess.run(self.command(*own, *argv), capture_output=True, text=True,
                              timeout=timeout, errors="replace", **options)

    def output(self, *argv):
        """What a command says that looks up no names; it must end well."""
        done = subprocess.run(self.command(*argv), capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise LabError(f"{argv} in {self.label}: {done.stderr.strip()}")
        return done.stdout

    def nft(self, rules):
        """Rules for nft(8), in one transaction."""
        done = subprocess.run(self.command("nft", "-f", "-"), input=rules, capture_output=True,
                              text=True, timeout=30)
        if done.returncode != 0:
            raise LabError(f"nft in {self.label}: {done.stderr.strip()}\n{rules}")

    def ip(self, *lines):
        """Lines for ip(8), in one go."""
        done = subprocess.run(self.command("ip", "-batch", "-"), input="\n".join(lines) + "\n",
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise LabError(f"ip in {self.label}: {done.stderr.strip()}\n" + "\n".join(lines))

    def sysctl(self, name, value):
        """/proc/sys/net shows the namespace of the thread that opens it."""
        path = Path("/proc/sys/net") / name
        self.call(lambda: path.write_text(str(value)))

    def tcp(self, family=socket.AF_INET):
        return self.call(lambda: socket.socket(family, socket.SOCK_STREAM))

    def udp(self, family=socket.AF_INET):
        return self.call(lambda: socket.socket(family, socket.SOCK_DGRAM))


class Daemon:
    """A process that ends with this one, with all that it starts."""

    def __init__(self, namespace, argv, log, env=None, before=""):
        self.log = Path(log)
        unshare = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--pid", "--mount", "--fork",
                   "--kill-child=SIGKILL", "--mount-proc", "--"]
        # A shell is the first process of the PID namespace: the kernel forgets the signal of a
        # parent's death when a process changes its user, as daemons do.
        script = "set -e\n" + OWN_ETC + before + '\n"$@" & wait $!'
        inner = ["sh", "-c", script, namespace.etc, *argv]
        # nsenter first: --mount-proc hides this process, and with it the path of the namespace
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(namespace.command(*unshare, *inner), stdout=out,
                                            stderr=out, stdin=subprocess.DEVNULL, env=env)

    def alive(self):
        return self.process.poll() is None

    def wait_ready(self, condition, what, timeout=20):
        """Waits for condition; a daemon that ended says why."""

        def ready():
            if not self.alive():
                raise LabError(f"{what} ended at once:\n{self.tail()}")
            return condition()

        try:
            wait_for(ready, timeout, what)
        except TimeoutError as error:
            raise LabError(f"{error}\n{self.tail()}") from None

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self):
        if self.alive():
            self.process.kill()
        self.process.wait()


def can_connect(namespace, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    probe = namespace.tcp(family)
    probe.settimeout(1)
    try:
        return probe.connect_ex((address, port)) == 0
    finally:
        probe.close()


# client (outside)  --  gateway  --  server (inside), routed, so that "direct" works too
OUTSIDE4, OUTSIDE6 = "198.51.100.", "2001:db8:100::"
INSIDE4, INSIDE6 = "10.25.0.", "fd00:25::"

CLIENT = OUTSIDE4 + "2"         # a client outside
CLIENT_OTHER = OUTSIDE4 + "3"   # another one
CLIENT6 = OUTSIDE6 + "2"
CLIENT_INSIDE = "10.26.0.2"     # the same host with an address that is ours
GATEWAY = OUTSIDE4 + "1"
GATEWAY6 = OUTSIDE6 + "1"
MX, MX6 = INSIDE4 + "25", INSIDE6 + "25"                 # Postfix for campus.example
OPEN_RELAY, OPEN_RELAY6 = INSIDE4 + "26", INSIDE6 + "26" # Postfix that relays for everybody
EXIM, EXIM6 = INSIDE4 + "27", INSIDE6 + "27"
FAKE, FAKE6 = INSIDE4 + "28", INSIDE6 + "28"             # scripted servers
FAKE_TWO, FAKE6_TWO = INSIDE4 + "30", INSIDE6 + "30"
VSFTPD, VSFTPD6 = INSIDE4 + "61", INSIDE6 + "61"         # FTP servers
PUREFTPD, PUREFTPD6 = INSIDE4 + "62", INSIDE6 + "62"
PROFTPD, PROFTPD6 = INSIDE4 + "63", INSIDE6 + "63"
DOVECOT, DOVECOT6 = INSIDE4 + "71", INSIDE6 + "71"       # POP3 and IMAP servers
CYRUS, CYRUS6 = INSIDE4 + "72", INSIDE6 + "72"
TLS_DOVECOT, TLS_DOVECOT6 = INSIDE4 + "73", INSIDE6 + "73"
SINK = INSIDE4 + "29"           # where the open relay sends everything
UNBOUND, NSD = INSIDE4 + "53", INSIDE4 + "54"
SILENT_DNS = INSIDE4 + "55"     # takes questions, never answers
NOBODY_THERE = INSIDE4 + "66"   # frames go to no card: connects time out
DEAD4 = "10.66."                # a network of which the same is true

# Hosts choose their ports by secrets of their own; namespaces share one kernel's. Client and gateway
# would call a server from the same port at the same moment, and connection tracking, which then
# cannot tell the two connections from each other, would drop a SYN: a second is lost.
GATEWAY_PORTS = "10000 29999"

# the second network on either side of a Perimeter
OUTSIDE4_TWO, OUTSIDE6_TWO = "203.0.113.", "2001:db8:113::"
INSIDE4_TWO, INSIDE6_TWO = "10.27.0.", "fd00:27::"
CLIENT_TWO, CLIENT6_TWO = OUTSIDE4_TWO + "2", OUTSIDE6_TWO + "2"
SERVER_TWO, SERVER6_TWO = INSIDE4_TWO + "25", INSIDE6_TWO + "25"
PUBLIC, PUBLIC6 = OUTSIDE4 + "10", OUTSIDE6 + "10"  # where the world finds the MX after DNAT

# What an administrator has already, and the two lines that postern.conf(5) asks for.
FIREWALL = """\
table inet firewall {{
	chain input {{
		type filter hook input priority filter; policy drop;
		iifname lo accept
		ct state established,related accept
		meta l4proto {{ icmp, ipv6-icmp }} accept
		{taken}
	}}
	chain forward {{
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		meta l4proto {{ icmp, ipv6-icmp }} accept
		{forwarded}
		{passing}
	}}
	chain output {{
		type filter hook output priority filter; policy drop;
		oifname lo accept
		ct state established,related accept
		meta l4proto {{ icmp, ipv6-icmp }} accept
		meta l4proto {{ tcp, udp }} th dport 53 accept
		{passing}
		{sending}
	}}
}}
"""
TAKEN = "meta mark and 0x03000000 == 0x01000000 accept"
PASSING = "meta mark and 0x03000000 == 0x02000000 accept"
DNAT = f"""\
table inet translation {{
	chain prerouting {{
		type nat hook prerouting priority dstnat;
		ip daddr {PUBLIC} tcp dport 25 dnat ip to {MX}
		ip6 daddr {PUBLIC6} tcp dport 25 dnat ip6 to {MX6}
		ip daddr {PUBLIC} tcp dport 21 dnat ip to {VSFTPD}
		ip6 daddr {PUBLIC6} tcp dport 21 dnat ip6 to {VSFTPD6}
	}}
}}
"""
MASQUERADE = """\
table inet behind {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		oifname "outside*" ip saddr 10.0.0.0/8 masquerade
		oifname "outside*" ip6 saddr fd00::/8 masquerade
	}
}
"""


class Lab:
    """Three namespaces with addresses, a folder, and a list of what must be ended."""

    def __init__(self):
        if os.geteuid() != 0:
            raise LabError("network namespaces need root; run this as root")
        self._ends = []
        self.dir = Path(tempfile.mkdtemp(prefix="postern-lab-"))
        self._ends.append(lambda: shutil.rmtree(self.dir, ignore_errors=True))
        self.dir.chmod(0o755)  # daemons run as users of their own
        try:
            self._network()
        except BaseException:
            self.close()
            raise

    def _network(self):
        etc = self._etc()
        for label in ("client", "gateway", "server"):
            namespace = Namespace(label, etc)
            setattr(self, label, namespace)
            self.at_end(namespace.close)
        for namespace in (self.client, self.gateway, self.server):
            # addresses are made by hand and never collide
            namespace.sysctl("ipv6/conf/default/accept_dad", 0)
            namespace.sysctl("ipv6/conf/all/accept_dad", 0)
            # no peer listens on one of the gateway's ports for data connections
            namespace.sysctl("ipv4/ip_local_port_range", "45000 60999")
        self.gateway.sysctl("ipv4/ip_local_port_range", GATEWAY_PORTS)
        self.gateway.ip(f"link add outside type veth peer name eth0 netns {self.client.path}",
                        f"link add inside type veth peer name eth0 netns {self.server.path}",
                        f"addr add {GATEWAY}/24 dev outside",
                        f"addr add {GATEWAY6}/64 dev outside nodad",
                        f"addr add {INSIDE4}1/24 dev inside",
                        f"addr add {INSIDE6}1/64 dev inside nodad",
                        "link set outside up", "link set inside up",
                        f"route add {CLIENT_INSIDE}/32 via {CLIENT}",
                        f"neigh add {NOBODY_THERE} lladdr 02:00:00:00:00:66 dev inside",
                        f"route add {DEAD4}0.0/16 via {NOBODY_THERE} dev inside")
        self.client.ip(f"addr add {CLIENT}/24 dev eth0", f"addr add {CLIENT_OTHER}/24 dev eth0",
                       f"addr add {CLIENT6}/64 dev eth0 nodad",
                       f"addr add {OUTSIDE6}3/64 dev eth0 nodad",
                       f"addr add {CLIENT_INSIDE}/32 dev eth0", "link set eth0 up",
                       f"route add default via {GATEWAY}", f"route add default via {GATEWAY6}")
        servers4 = [f"addr add {a}/24 dev eth0" for a in
                    (MX, OPEN_RELAY, EXIM, FAKE, FAKE_TWO, SINK, UNBOUND, NSD, SILENT_DNS, VSFTPD,
                     PUREFTPD, PROFTPD, DOVECOT, CYRUS, TLS_DOVECOT)]
        servers6 = [f"addr add {a}/64 dev eth0 nodad" for a in
                    (MX6, OPEN_RELAY6, EXIM6, FAKE6, FAKE6_TWO, VSFTPD6, PUREFTPD6, PROFTPD6,
                     DOVECOT6, CYRUS6, TLS_DOVECOT6)]
        self.server.ip(*servers4, *servers6, "link set eth0 up",
                       f"route add default via {INSIDE4}1", f"route add default via {INSIDE6}1")
        self.gateway.sysctl("ipv4/ip_forward", 1)
        self.gateway.sysctl("ipv6/conf/all/forwarding", 1)

    def no_firewall(self):
        self.gateway.nft("".join(f"table inet {name}\ndelete table inet {name}\n"
                                 for name in ("firewall", "translation", "behind")))

    def firewall(self, forwards_mail=True, dnat=False, masquerade=False, taken=TAKEN,
                 passing=PASSING, sending=""):
        """
        Gives the gateway the firewall of an administrator, which drops what it does not know.

        forwards_mail  the administrator lets mail, FTP's control and names through; else only what the gateway has marked
        taken          the rule that lets intercepted sessions come in; "": the administrator's
                       firewall does not know of the gateway
        passing        the rule that lets out, and by, what the gateway marks
        sending        one more rule for what goes out of the gateway itself
        """
        self.no_firewall()
        forwarded = "tcp dport { 21, 25, 110, 143, 587 } accept; udp dport 53 accept" if forwards_mail else ""
        self.gateway.nft(FIREWALL.format(forwarded=forwarded, taken=taken, passing=passing,
                                         sending=sending)
                         + (DNAT if dnat else "") + (MASQUERADE if masquerade else ""))

    def _etc(self):
        etc = self.folder("etc")
        (etc / "hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n::1 localhost\n")
        (etc / "resolv.conf").write_text(f"nameserver {UNBOUND}\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        return etc

    def at_end(self, function):
        """To be called at close(), last one first."""
        self._ends.append(function)

    def folder(self, name):
        path = self.dir / name
        path.mkdir()
        path.chmod(0o755)
        return path

    def close(self):
        while self._ends:
            try:
                self._ends.pop()()
            except Exception as error:  # one that fails must not keep the others from ending
                print(f"lab: {error}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Perimeter(Lab):
    """
    The gateway where it belongs: a firewall of somebody else's that drops what it does not know,
    strict reverse paths, and two networks on either side ("client_two", "server_two").
    """

    def _network(self):
        super()._network()
        for label in ("client_two", "server_two"):
            namespace = Namespace(label, self.dir / "etc")
            setattr(self, label, namespace)
            self.at_end(namespace.close)
        gateway4, gateway6 = OUTSIDE4_TWO + "1", OUTSIDE6_TWO + "1"
        inside4, inside6 = INSIDE4_TWO + "1", INSIDE6_TWO + "1"
        for device, namespace in (("outside_two", self.client_two), ("inside_two", self.server_two)):
            self.gateway.ip(f"link add {device} type veth peer name eth0 netns {namespace.path}")
        self.gateway.ip(f"addr add {gateway4}/24 dev outside_two",
                        f"addr add {gateway6}/64 dev outside_two nodad",
                        f"addr add {inside4}/24 dev inside_two",
                        f"addr add {inside6}/64 dev inside_two nodad",
                        f"addr add {PUBLIC}/24 dev outside",
                        f"addr add {PUBLIC6}/64 dev outside nodad",
                        "link set outside_two up", "link set inside_two up")
        for namespace, four, six, via4, via6 in (
                (self.client_two, CLIENT_TWO, CLIENT6_TWO, gateway4, gateway6),
                (self.server_two, SERVER_TWO, SERVER6_TWO, inside4, inside6)):
            namespace.ip(f"addr add {four}/24 dev eth0", f"addr add {six}/64 dev eth0 nodad",
                         "link set eth0 up", f"route add default via {via4}",
                         f"route add default via {via6}")
        for device in ("all", "outside", "inside", "outside_two", "inside_two"):
            self.gateway.sysctl(f"ipv4/conf/{device}/rp_filter", 1)
        self.firewall()


def end_by_signal():
    """SIGTERM ends like Ctrl-C, so that "finally" and "with" do their work."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
