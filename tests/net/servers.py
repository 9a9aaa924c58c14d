"""Real servers in the server namespace: Postfix (several), Exim, nsd with unbound before it."""

import os
import pwd
import subprocess
import time
import uuid
from pathlib import Path

import lab as L
from lab import ROOT, Daemon, LabError, can_connect, wait_for
from peers import FakeServer, RawClient

POSTFIX_SERVICES = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# What a careless host looks like: every defence that Postfix has against smuggling is off, so
# that a message that gets in shows a hole in the gateway.
POSTFIX_COMMON = """\
compatibility_level = 3.6
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
inet_protocols = all
alias_maps =
alias_database =
local_recipient_maps =
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 10000
smtpd_junk_command_limit = 10000
smtpd_forbid_bare_newline = no
smtpd_forbid_unauth_pipelining = no
in_flow_delay = 0
queue_minfree = 0
message_size_limit = 52428800
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtputf8_enable = yes
biff = no
"""


class Maildir:
    """Where a server puts what it took."""

    def __init__(self, path):
        self.path = Path(path)

    def files(self):
        return sorted((self.path / "new").glob("*")) if (self.path / "new").is_dir() else []

    def messages(self):
        return [path.read_bytes() for path in self.files()]

    def find(self, mark):
        mark = mark if isinstance(mark, bytes) else mark.encode()
        return [octets for octets in self.messages() if mark in octets]

    def wait(self, mark, timeout=15):
        """The first message that contains mark."""
        return wait_for(lambda: self.find(mark), timeout, f"mail with {mark!r}", 0.03)[0]

    def clear(self):
        for path in self.files():
            path.unlink()


class Postfix:
    """One instance with a configuration, queue and data directory of its own."""

    def __init__(self, lab, name, addresses, settings, ready_address=None, tls=False):
        self.lab = lab
        self.address = addresses[0]
        self.dir = lab.folder(name)
        self._folders()
        main = [POSTFIX_COMMON,
                f"queue_directory = {self.dir}/queue",
                f"data_directory = {self.dir}/data",
                f"maillog_file = {self.dir}/mail.log",
                f"maillog_file_prefixes = {self.dir}",
                "inet_interfaces = " + ", ".join(addresses)]
        main += [f"{key} = {value}" for key, value in settings.items()]
        if tls:
            key, certificate = make_certificate(lab)
            main += ["smtpd_tls_security_level = may", f"smtpd_tls_key_file = {key}",
                     f"smtpd_tls_cert_file = {certificate}"]
        (self.dir / "etc/main.cf").write_text("\n".join(main) + "\n")
        (self.dir / "etc/master.cf").write_text("smtp inet n - n - - smtpd\n" + POSTFIX_SERVICES)
        for name in ("main.cf", "master.cf"):
            # Postfix reads a file that is younger than two seconds again and again, to be sure
            os.utime(self.dir / "etc" / name, (time.time() - 60,) * 2)
        self.daemon = Daemon(lab.server, ["/usr/lib/postfix/sbin/master", "-s", "-c",
                                          self.dir / "etc"], self.dir / "stderr")
        lab.at_end(self.daemon.stop)
        self.daemon.wait_ready(lambda: can_connect(lab.server, self.address, 25),
                               f"postfix {name}")

    def _folders(self):
        (self.dir / "etc").mkdir()
        postfix = pwd.getpwnam("postfix")
        queue = self.dir / "queue"
        queue.mkdir()
        for name in ("active bounce corrupt defer deferred flush hold incoming private saved "
                     "trace maildrop public").split():
            (queue / name).mkdir(mode=0o755)
            os.chown(queue / name, postfix.pw_uid, postfix.pw_gid)
        (queue / "pid").mkdir()
        (self.dir / "data").mkdir()
        os.chown(self.dir / "data", postfix.pw_uid, postfix.pw_gid)
        self.box = Maildir(self.dir / "mail/box")
        (self.dir / "mail").mkdir()
        os.chown(self.dir / "mail", postfix.pw_uid, postfix.pw_gid)

    def log(self):
        path = self.dir / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def settle(self):
        """
        Sends a mail of our own straight to the server and waits until it has arrived: what was
        accepted before it has then arrived too.
        """
        mark = f"settle-{uuid.uuid4().hex}"
        with RawClient(self.lab.server, self.address) as client:
            client.hello("probe.campus.example")
            client.envelope("probe@campus.example", "probe@campus.example")
            assert client.data(f"Subject: {mark}\r\n\r\n.\r\n").code == 250
        self.box.wait(mark)
        queues = [self.dir / "queue" / name for name in ("incoming", "active")]
        wait_for(lambda: not any(f for q in queues for f in q.iterdir()), what="empty queue")
        return [m for m in self.box.messages() if b"settle-" not in m]


def campus_mx(lab):
    """The ordinary MX: takes mail for campus.example into one Maildir, relays for nobody."""
    uid, gid = pwd.getpwnam("postfix")[2:4]
    return Postfix(lab, "campus", [L.MX, L.MX6], {
        "myhostname": "mx.campus.example",
        "mydestination": "",
        "mynetworks": "127.0.0.0/8",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        "virtual_mailbox_domains": "campus.example, xn--mnchen-3ya.example",
        "virtual_mailbox_maps": "static:box/",
        "virtual_mailbox_base": "$queue_directory/../mail",
        "virtual_minimum_uid": "1",
        "virtual_uid_maps": f"static:{uid}",
        "virtual_gid_maps": f"static:{gid}",
    }, tls=True)


def open_relay(lab):
    """A host that nobody administers: relays for everybody, to the sink. Gives (postfix, sink)."""
    sink = FakeServer(lab.server, L.SINK, 25)
    lab.at_end(sink.close)
    relay = Postfix(lab, "relay", [L.OPEN_RELAY, L.OPEN_RELAY6], {
        "myhostname": "relay.campus.example",
        "mydestination": "relay.campus.example, campus.example",
        "mynetworks": "0.0.0.0/0 [::]/0",
        "smtpd_relay_restrictions": "permit_mynetworks, reject",
        "allow_percent_hack": "yes",
        "swap_bangpath": "yes",
        "allow_untrusted_routing": "yes",
        "default_transport": f"smtp:[{L.SINK}]",
        "local_transport": f"smtp:[{L.SINK}]",
        "relay_transport": f"smtp:[{L.SINK}]",
        "smtp_destination_recipient_limit": "1",
    }, tls=True)
    return relay, sink


EXIM_CONFIGURATION = """\
primary_hostname = exim.campus.example
exim_user = mail
exim_group = mail
keep_environment = LD_LIBRARY_PATH
spool_directory = {dir}/spool
log_file_path = {dir}/log/%s
daemon_smtp_ports = 25
local_interfaces = {addresses}
pid_file_path = {dir}/exim.pid
host_lookup =
rfc1413_query_timeout = 0s
deliver_drop_privilege = true
smtp_enforce_sync = false
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
tls_advertise_hosts =
domainlist local_domains = campus.example
acl_smtp_rcpt = check_rcpt
begin acl
check_rcpt:
  accept domains = +local_domains
  deny message = relay not permitted
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = {dir}/mail/box
  maildir_format
  delivery_date_add
  envelope_to_add
  return_path_add
  user = mail
"""


class Exim:
    """Exim, unpacked and not installed: its package would replace Postfix."""

    unpacked = ROOT / "build/lab/exim"

    def __init__(self, lab):
        self.lab = lab
        self.address = L.EXIM
        binary = self.unpacked / "usr/sbin/exim4"
        if not binary.exists():
            raise LabError(f"{binary} is not there; run: make deps-lab")
        self.dir = lab.folder("exim")
        mail = pwd.getpwnam("mail")
        for name in ("spool", "log", "mail"):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, mail.pw_uid, mail.pw_gid)
        self.box = Maildir(self.dir / "mail/box")
        configuration = self.dir / "exim.conf"
        addresses = f"<; {L.EXIM} ; {L.EXIM6}"
        configuration.write_text(EXIM_CONFIGURATION.format(dir=self.dir, addresses=addresses))
        # the binary insists on a user that its package would have made
        (self.dir / "passwd").write_text(Path("/etc/passwd").read_text() + f"Debian-exim:x:"
                                         f"{mail.pw_uid}:{mail.pw_gid}::/:/usr/sbin/nologin\n")
        (self.dir / "group").write_text(Path("/etc/group").read_text() +
                                        f"Debian-exim:x:{mail.pw_gid}:\n")
        libraries = self.unpacked / "usr/lib" / f"{os.uname().machine}-linux-gnu"
        self.daemon = Daemon(
            lab.server, [binary, "-C", configuration, "-bdf"], self.dir / "stderr",
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
            before=f"mount --bind {self.dir}/passwd /etc/passwd && "
                   f"mount --bind {self.dir}/group /etc/group")
        lab.at_end(self.daemon.stop)
        self.daemon.wait_ready(lambda: can_connect(lab.server, self.address, 25), "exim")


ZONE = """\
$TTL 60
. SOA ns.good.example. hostmaster.good.example. 1 3600 600 86400 60
. NS ns.good.example.
ns.good.example. A {nsd}
good.example. MX 10 mx.good.example.
mx.good.example. A 203.0.113.25
aonly.example. A 203.0.113.26
aaaaonly.example. AAAA 2001:db8:200::26
empty.example. TXT "neither MX nor an address"
nullmx.example. MX 0 .
localhostmx.example. MX 10 localhost.
loopbackmx.example. MX 10 mx.loopbackmx.example.
mx.loopbackmx.example. A 127.0.0.1
zeromx.example. MX 10 mx.zeromx.example.
mx.zeromx.example. A 0.0.0.0
loopback6mx.example. MX 10 mx.loopback6mx.example.
mx.loopback6mx.example. AAAA ::1
ipmx.example. MX 10 203.0.113.25.
privatemx.example. MX 10 mx.privatemx.example.
mx.privatemx.example. A 192.168.7.25
deadmx.example. MX 10 gone.deadmx.example.
cname.example. CNAME good.example.
loop1.example. CNAME loop2.example.
loop2.example. CNAME loop1.example.
campus.example. MX 10 mx.campus.example.
mx.campus.example. A {mx}
mx.campus.example. AAAA {mx6}
relay.campus.example. A {relay}
dept.example. MX 10 relay.campus.example.
hosted.example. MX 20 mx.good.example.
hosted.example. MX 30 fake.hosted.example.
fake.hosted.example. A {fake}
onlya.campus.example. A {relay}
evil.example. MX 10 mx.evil.example.
mx.evil.example. A 203.0.113.66
smug.example. A 203.0.113.67
xn--mnchen-3ya.example. MX 10 mx.good.example.
big.example. A 203.0.113.68
{big}
"""

NSD_CONFIGURATION = """\
server:
  ip-address: {address}
  port: 53
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
  zonefile: root.zone
zone:
  name: servfail.example
  zonefile: there-is-no-such-file.zone
"""

UNBOUND_CONFIGURATION = """\
server:
  interface: {address}
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
  outgoing-range: 200
  infra-cache-min-rtt: 50
remote-control:
  control-enable: no
stub-zone:
  name: "."
  stub-addr: {nsd}
stub-zone:
  name: "servfail.example"
  stub-addr: {nsd}
stub-zone:
  name: "slow.example"
  stub-addr: {silent}
"""


class Dns:
    """nsd with our zones, unbound before it, and an address that takes questions and is silent."""

    def __init__(self, lab):
        self.dir = lab.folder("dns")
        big = "\n".join(f"big.example. MX {i} mx{i}.big.example.\nmx{i}.big.example. A 203.0.113.9"
                        for i in range(1, 61))
        (self.dir / "root.zone").write_text(ZONE.format(
            nsd=L.NSD, mx=L.MX, mx6=L.MX6, relay=L.OPEN_RELAY, fake=L.FAKE, big=big))
        nsd = self.dir / "nsd.conf"
        nsd.write_text(NSD_CONFIGURATION.format(address=L.NSD, dir=self.dir))
        unbound = self.dir / "unbound.conf"
        unbound.write_text(UNBOUND_CONFIGURATION.format(
            address=L.UNBOUND, dir=self.dir, nsd=L.NSD, silent=L.SILENT_DNS))
        self.silent = lab.server.udp()
        lab.at_end(self.silent.close)
        self.silent.bind((L.SILENT_DNS, 53))
        for name, argv, address in (("nsd", ["nsd", "-d", "-c", nsd], L.NSD),
                                    ("unbound", ["unbound", "-d", "-c", unbound], L.UNBOUND)):
            daemon = Daemon(lab.server, argv, self.dir / f"{name}.log")
            lab.at_end(daemon.stop)
            daemon.wait_ready(lambda a=address: can_connect(lab.server, a, 53), name)


def make_certificate(lab):
    """A key and a self-signed certificate; made once per lab."""
    key, certificate = lab.dir / "key.pem", lab.dir / "cert.pem"
    if not key.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=mx.campus.example", "-keyout", str(key), "-out", str(certificate)],
                       check=True, capture_output=True)
    return key, certificate
