"""A world whose names are signed: nsd with a root zone that ldns has signed, unbound before it."""

import subprocess

import lab as L
from lab import Daemon, can_connect
from peers import FakeDns

NSD_PORT, UNBOUND_PORT, BARE_PORT = 5453, 5454, 5455

DIGEST = "ab" * 32
ZONE = """\
$TTL 60
. SOA ns.net.example. hostmaster.net.example. 1 3600 600 86400 60
. NS ns.net.example.
ns.net.example. A {nsd}
dane.example. MX 10 mx.dane.example.
mx.dane.example. A {fake}
_25._tcp.mx.dane.example. TLSA 3 1 1 {digest}
_mta-sts.dane.example. TXT "v=spf1 -all"
sts.example. MX 10 mx.sts.example.
mx.sts.example. A {fake}
_mta-sts.sts.example. TXT "v=STSv1; " "id=20260101T000000;"
both.example. MX 10 mx.plain.example.
both.example. MX 20 mx.dane.example.
plain.example. MX 10 mx.plain.example.
mx.plain.example. A {fake}
elsewhere.example. MX 10 mx.elsewhere.example.
mx.elsewhere.example. A 203.0.113.99
_25._tcp.mx.elsewhere.example. TLSA 3 1 1 {digest}
pkix.example. MX 10 mx.pkix.example.
mx.pkix.example. A {fake}
_25._tcp.mx.pkix.example. TLSA 1 1 1 {digest}
short.example. MX 10 mx.short.example.
mx.short.example. A {fake}
_25._tcp.mx.short.example. TYPE52 \\# 19 03010100000000000000000000000000000000
alone.example. A {fake}
_25._tcp.alone.example. TLSA 2 0 1 {digest}
{reverse}.in-addr.arpa. PTR mx.dane.example.
unsigned.example. NS ns.net.example.
broken.example. NS ns.net.example.
broken.example. DS 12345 13 2 {digest}
"""

# not signed, as most domains are; the second one should be
BELOW = """\
$TTL 60
{name}. SOA ns.net.example. hostmaster.net.example. 1 3600 600 86400 60
{name}. NS ns.net.example.
{name}. MX 10 mx.{name}.
mx.{name}. A {fake}
_25._tcp.mx.{name}. TLSA 3 1 1 {digest}
"""

NSD = """\
server:
  ip-address: {address}@{port}
  username: ""
  chroot: ""
  zonesdir: "{dir}"
  database: ""
  pidfile: "{dir}/nsd.pid"
  xfrdfile: "{dir}/xfrd.state"
  xfrdir: "{dir}"
  zonelistfile: "{dir}/zone.list"
  cookie-secret-file: "{dir}/cookies"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: .
  zonefile: root.zone.signed
zone:
  name: unsigned.example
  zonefile: unsigned.example
zone:
  name: broken.example
  zonefile: broken.example
"""

UNBOUND = """\
server:
  interface: {address}@{port}
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "{dir}"
  pidfile: "{dir}/unbound.pid"
  use-syslog: no
  module-config: "iterator"
  num-threads: 1
  do-daemonize: no
  do-ip6: no
  qname-minimisation: no
  local-zone: "10.in-addr.arpa." transparent
  infra-cache-min-rtt: 50
remote-control:
  control-enable: no
""" + "".join(f"""\
stub-zone:
  name: "{name}"
  stub-addr: {{nsd}}@{NSD_PORT}
""" for name in (".", "unsigned.example", "broken.example"))


class SignedDns:
    """
    resolver   for "resolvers" of a gateway: passes signatures on, and validates nothing itself
    anchors    for "dnssec_anchors": the root's key
    """

    def __init__(self, lab):
        self.lab = lab
        self.dir = lab.folder("signed-dns")
        self.resolver = f"{L.UNBOUND}@{UNBOUND_PORT}"
        self._zones()
        (self.dir / "nsd.conf").write_text(NSD.format(address=L.NSD, port=NSD_PORT, dir=self.dir))
        (self.dir / "unbound.conf").write_text(UNBOUND.format(
            address=L.UNBOUND, port=UNBOUND_PORT, dir=self.dir, nsd=L.NSD))
        for name, address, port in (("nsd", L.NSD, NSD_PORT), ("unbound", L.UNBOUND, UNBOUND_PORT)):
            daemon = Daemon(lab.server, [name, "-d", "-c", self.dir / f"{name}.conf"],
                            self.dir / f"{name}.log")
            lab.at_end(daemon.stop)
            daemon.wait_ready(lambda a=address, p=port: can_connect(lab.server, a, p), name)

    def _zones(self):
        reverse = ".".join(reversed(L.FAKE_TWO.split(".")))
        values = {"nsd": L.NSD, "fake": L.FAKE, "digest": DIGEST, "reverse": reverse}
        (self.dir / "root.zone").write_text(ZONE.format(**values))
        for name in ("unsigned.example", "broken.example"):
            (self.dir / name).write_text(BELOW.format(name=name, **values))
        made = subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "."], cwd=self.dir,
                              check=True, capture_output=True, text=True)
        key = made.stdout.strip()
        subprocess.run(["ldns-signzone", "-o", ".", "root.zone", key], cwd=self.dir, check=True,
                       capture_output=True)
        self.anchors = self.dir / f"{key}.key"
        self.anchors.chmod(0o644)

    @property
    def settings(self):
        """Of a gateway that asks here."""
        return {"resolvers": [self.resolver], "dnssec_anchors": str(self.anchors)}

    def bare(self):
        """A resolver that knows nothing of signatures."""
        return FakeDns(self.lab.server, L.UNBOUND, BARE_PORT, lambda name, kind: (3, []))
