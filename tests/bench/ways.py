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

import lab as L  # noqa: E402
from gateway import Gateway  # noqa: E402

PORT = 5000
SERVER = L.MX
SESSIONS_MAX = 9_000
FILES = 20_000  # that a process may have open

# No connection goes by a program that should have taken it, as tproxy would have it where nobody listens.
NONE_BY = """\
	chain forward {
		type filter hook forward priority filter;
		tcp flags & (syn|ack) == syn drop
	}
"""
# Every connection from outside ends at the peer; SYN-ACKs of what servers open do not.
CATCH_ALL = f"""\
table ip peer {{
	chain taken {{
		type filter hook prerouting priority mangle;
		tcp flags & (syn|ack) != syn socket transparent 1 meta mark set 1 accept
		iifname outside tcp flags & (syn|ack) == syn tproxy to 127.0.0.1:{PORT} meta mark set 1 accept
	}}
{NONE_BY}
}}
"""
# Ours look for translated addresses, as a stateful firewall does; with it the kernel tracks connections.
TRACKED = """\
table ip peer {
	chain tracked {
		type filter hook prerouting priority filter;
		ct state established,related accept
	}
}
"""
# The servers' answers to connections that a program made in a client's name.
ANSWERS = f"""\
table ip peer {{
	chain taken {{
		type filter hook prerouting priority mangle;
		meta l4proto tcp socket transparent 1 meta mark set 1 accept
	}}
{NONE_BY}
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
	maxconn {{sessions}}
	{{splice}}
defaults
	mode tcp
	timeout connect 10s
	timeout client 1h
	timeout server 1h
	{{option}}
listen all
	bind 127.0.0.1:{PORT} transparent {{bind}}
	source 0.0.0.0 usesrc clientip
	server any * {{server}}
"""


# nginx accepts no connection that is for somebody else: clients call the gateway.
NGINX = """\
user root;
worker_processes 1;
worker_rlimit_nofile {files};
daemon off;
pid {pid};
error_log stderr warn;
load_module /usr/lib/nginx/modules/ngx_{module}_module.so;
events {{ worker_connections {files}; }}
{body}
"""
NGINX_STREAM = f"""\
stream {{{{
	proxy_timeout 1h;
	proxy_bind $remote_addr transparent;
	server {{{{ listen {L.GATEWAY}:25; proxy_pass {SERVER}:25; }}}}
	server {{{{ listen {L.GATEWAY}:110; proxy_pass {SERVER}:110; }}}}
	server {{{{ listen {L.GATEWAY}:143; proxy_pass {SERVER}:143; }}}}
}}}}
"""
# Its mail module speaks TLS to clients alone: for both legs it is this. TLS 1.3 is in Debian's own nginx.conf,
# and not in this version's defaults.
NGINX_STREAM_TLS = f"""\
stream {{{{
	proxy_timeout 1h;
	proxy_bind $remote_addr transparent;
	ssl_certificate {{chain}};
	ssl_certificate_key {{key}};
	ssl_protocols TLSv1.2 TLSv1.3;
	proxy_ssl on;
	proxy_ssl_protocols TLSv1.2 TLSv1.3;
	server {{{{ listen {L.GATEWAY}:465 ssl; proxy_pass {SERVER}:465; }}}}
	server {{{{ listen {L.GATEWAY}:993 ssl; proxy_pass {SERVER}:993; }}}}
	server {{{{ listen {L.GATEWAY}:995 ssl; proxy_pass {SERVER}:995; }}}}
}}}}
"""
# It asks somebody whether the password is right, and which server it is: itself.
NGINX_MAIL = f"""\
http {{{{
	access_log off;
	keepalive_requests 1000000;
	server {{{{
		listen 127.0.0.1:8080;
		location / {{{{
			add_header Auth-Status OK;
			add_header Auth-Server {SERVER};
			add_header Auth-Port $http_auth_protocol_port;
			return 204;
		}}}}
	}}}}
	map $http_auth_protocol $http_auth_protocol_port {{{{ smtp 25; pop3 110; imap 143; }}}}
}}}}
mail {{{{
	{{buffers}}
	proxy_timeout 1h;
	timeout 1h;
	server_name proxy.example;
	auth_http 127.0.0.1:8080/;
	server {{{{ listen {L.GATEWAY}:25; protocol smtp; smtp_auth none; xclient off; }}}}
	server {{{{ listen {L.GATEWAY}:110; protocol pop3; pop3_auth plain; }}}}
	server {{{{ listen {L.GATEWAY}:143; protocol imap; imap_auth plain; }}}}
}}}}
"""

FTP_PROXY_MAX = 512  # it takes a larger number for this one
FTP_PROXY = f"""\
[-Global-]
ServerType standalone
Listen {L.GATEWAY}
Port 21
DestinationAddress {SERVER}
DestinationPort 21
DestinationTransferMode client
ForkLimit 100000000
MaxClients {FTP_PROXY_MAX}
User root
Group root
"""


def early_demux(lab, on):
    """
    What the kernel does by itself for sockets; but where it only forwards, sockets in TIME_WAIT
    that a proxy left with foreign addresses would swallow SYNs.
    """
    lab.gateway.sysctl("ipv4/tcp_early_demux", int(on))


class Way:
    """
    name         in tables
    address      what clients call
    at_once      sessions that it can hold at most, where that is less than SESSIONS_MAX; None: it is not
    data         what an FTP client says for a data connection
    certificate  of TLS: what clients must see, or its issuer; None: sessions are in the clear
    up()         group is of the gateway's processes alone
    """

    address = SERVER
    at_once = None
    data = {"passive": "EPSV", "active": "EPRT"}

    def __init__(self, name, certificate=None):
        self.name, self.certificate = name, certificate


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

    rules = CATCH_ALL
    demux = True  # tcp_early_demux, as the kernel has it by itself

    def argv(self, lab):
        raise NotImplementedError

    @contextlib.contextmanager
    def up(self, lab, group):
        early_demux(lab, self.demux)
        lab.gateway.ip("rule add fwmark 1 lookup 100", "route add local 0.0.0.0/0 dev lo table 100")
        lab.gateway.nft(self.rules)
        log = open(lab.dir / "peer.log", "ab")
        files = ["prlimit", f"--nofile={FILES}", "--"]
        process = subprocess.Popen(lab.gateway.command(*files, *self.argv(lab)), stdin=subprocess.DEVNULL,
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
    """
    as_ours: the kernel tracks connections beside it, and finds no socket ahead of the routes, as beside Postern
    (tcp_early_demux, see docs/firewall.md); with a certificate, the servers', TLS passes through it
    """

    def __init__(self, name, build, work, as_ours=False, certificate=None):
        super().__init__(name, certificate)
        self.program, self.work = build / "bench" / "bare_relay", work
        if as_ours:
            self.rules, self.demux = CATCH_ALL + TRACKED, False

    def argv(self, lab):
        return [self.program, "127.0.0.1", PORT, self.work]


class HAProxy(Peer):
    """
    As shipped, or with splicing forced; with a certificate TLS is on both legs; reuse: it resumes its
    sessions with servers.
    """

    def __init__(self, name, splice, certificate=None, reuse=True):
        super().__init__(name, certificate)
        self.splice, self.reuse = splice, reuse

    def tls(self, lab):
        """Of "bind", and of "server"."""
        if not self.certificate:
            return "", ""
        both = lab.dir / "haproxy.pem"
        both.write_text(self.certificate.chain.read_text() + self.certificate.key.read_text())
        return f"ssl crt {both}", "ssl verify none" + ("" if self.reuse else " no-ssl-reuse")

    def argv(self, lab):
        file = lab.dir / f"haproxy-{self.splice}.cfg"
        bind, server = self.tls(lab)
        file.write_text(HAPROXY.format(bind=bind, server=server, splice="" if self.splice else "nosplice",
                                       # pipes are descriptors too
                                       sessions=SESSIONS_MAX // 2 if self.splice else SESSIONS_MAX,
                                       option="option splice-response\n\toption splice-request"
                                       if self.splice else ""))
        return ["/usr/sbin/haproxy", "-db", "-f", file]


class Nginx(Peer):
    """module: "stream" or "mail"; buffers: directives of the mail proxy; with a certificate TLS is on both legs."""

    address = L.GATEWAY
    rules = ANSWERS

    def __init__(self, name, module, buffers="", certificate=None):
        super().__init__(name, certificate)
        self.module, self.buffers = module, buffers

    def body(self):
        if self.certificate:
            return NGINX_STREAM_TLS.format(chain=self.certificate.chain, key=self.certificate.key)
        return (NGINX_MAIL if self.module == "mail" else NGINX_STREAM).format(buffers=self.buffers)

    def argv(self, lab):
        file = lab.dir / "nginx.cfg"
        body = self.body()
        file.write_text(NGINX.format(files=FILES, pid=lab.dir / "nginx.pid",
                                     module=self.module, body=body))
        return ["/usr/sbin/nginx", "-c", file]


class FtpProxy(Peer):
    """
    SuSE's: a process for each session, which takes part in data connections of both modes and looks at none.
    Clients call the gateway; it knows neither EPSV nor EPRT.
    """

    address = L.GATEWAY
    at_once = FTP_PROXY_MAX
    rules = ANSWERS
    data = {"passive": "PASV", "active": "PORT"}

    def argv(self, lab):
        file = lab.dir / "ftp-proxy.conf"
        file.write_text(FTP_PROXY)
        return ["/usr/sbin/ftp-proxy", "-n", "-f", file]


class Sslsplit(Peer):
    """TLS on both legs, with certificates that it makes and its authority signs; key: of all of them."""

    def __init__(self, name, authority, key):
        super().__init__(name, authority)
        self.key = key

    def argv(self, lab):
        return ["/usr/bin/sslsplit", "-k", self.certificate.key, "-c", self.certificate.chain, "-K", self.key,
                "-u", "root", "ssl", "127.0.0.1", PORT, "tproxy"]


class Postern(Way):
    """
    As shipped: transparent, everything looked at and written down; settings are laid over that. With a
    certificate it stands inside TLS; trust: the servers' issuer.
    """

    def __init__(self, name, build, certificate=None, trust=None, **settings):
        super().__init__(name, certificate)
        self.binary, self.settings = build / "postern", settings
        mime = settings.get("mime", {})
        self.inspects = mime.get("inspect", True)
        self.digests = self.inspects and mime.get("digests") != []
        if certificate:
            self.settings |= {"certificate": {"mx": certificate.section}, "tls": {"trust": str(trust.chain)},
                              "smtp": self.settings.get("smtp", {}) | {"tls_ports": [465]},
                              "imap": {"tls_ports": [993]}, "pop3": {"tls_ports": [995]}}

    @contextlib.contextmanager
    def up(self, lab, group):
        gateway = Gateway(lab, mode="tproxy", binary=self.binary, cgroup=group.entry, **self.settings)
        try:
            yield gateway
        finally:
            gateway.stop()
