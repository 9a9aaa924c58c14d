"""Real POP3 and IMAP servers in the server namespace: Dovecot and Cyrus, each on both families."""

import imaplib
import itertools
import os
import pwd
import subprocess

import lab as L
from lab import ROOT, Daemon, LabError, can_connect

PASSWORD = "secret-of-them-all"

# Everybody who knows the password is a user, with a mailbox of his own.
DOVECOT = """\
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = imap pop3
listen = {addresses}
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 digest-md5 apop scram-sha-1 scram-sha-256
auth_failure_delay = 0
auth_cache_size = 0
default_internal_user = dovecot
default_login_user = dovenull
default_process_limit = 2000
default_client_limit = 8000
mail_max_userip_connections = 0
mail_location = maildir:~/mail
mail_fsync = never
first_valid_uid = 1
mailbox_list_index = no
imap_max_line_length = 65536
passdb {{
  driver = static
  args = password={{PLAIN}}{password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/home/%u
}}
service imap-login {{
  service_count = 0
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  service_count = 0
  inet_listener pop3s {{
    port = 0
  }}
}}
service imap {{
  service_count = 1000
  client_limit = 1
}}
service anvil {{
  client_limit = 9000
}}
service stats {{
  client_limit = 9000
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
protocol pop3 {{
  pop3_uidl_format = %08Xu%08Xv
}}
protocol imap {{
  mail_plugins = zlib imap_zlib
}}
{more}
"""

CYRUS_IMAPD = """\
configdirectory: {dir}/conf
partition-default: {dir}/spool
cyrus_user: {user}
cyrus_group: {group}
servername: cyrus.campus.example
admins: admin
allowplaintext: yes
allowapop: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {dir}/sasldb2
sasl_mech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256
defaultdomain: cyrus.campus.example
autocreate_quota: 0
autocreate_post: yes
unixhierarchysep: yes
altnamespace: no
virtdomains: off
expunge_mode: immediate
delete_mode: immediate
skiplist_unsafe: yes
poptimeout: 60
timeout: 60
maxmessagesize: 0
munge8bit: no
popminpoll: 0
imapidlepoll: 1
{more}
"""
CYRUS_MASTER = """\
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {dir}/imapd.conf -r"
}}
SERVICES {{
  imap4 cmd="{bin}/imapd -C {dir}/imapd.conf -U 1000" listen="{v4}:143" prefork=1 maxchild=400
  imap6 cmd="{bin}/imapd -C {dir}/imapd.conf -U 1000" listen="[{v6}]:143" prefork=0 maxchild=400
  pop4 cmd="{bin}/pop3d -C {dir}/imapd.conf -U 1000" listen="{v4}:110" prefork=1 maxchild=400
  pop6 cmd="{bin}/pop3d -C {dir}/imapd.conf -U 1000" listen="[{v6}]:110" prefork=0 maxchild=400
}}
EVENTS {{
}}
"""


def crlf(octets):
    """Line ends as they are on the wire: a LF alone becomes CR LF."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Account:
    """One user with one mailbox, and what he sees when nobody stands between him and his server."""

    def __init__(self, server, user):
        self.server, self.user, self.password = server, user, PASSWORD

    def imap(self, namespace=None, v6=False):
        """A session straight to the server, logged in."""
        def connect():
            server = self.server.address6 if v6 else self.server.address
            return imaplib.IMAP4(server, 143, timeout=30)

        session = (namespace or self.server.lab.server).call(connect)
        session.login(self.user, self.password)
        return session

    def put(self, messages, mailbox="INBOX"):
        """Messages, as they are on the wire, by APPEND."""
        session = self.imap()
        if mailbox != "INBOX":
            session.create(mailbox)
        for i, message in enumerate(messages):
            date = imaplib.Time2Internaldate(1700000000 + i)
            status, said = session.append(mailbox, None, date, message)
            assert status == "OK", said
        session.logout()
        return self

    def held(self, mailbox="INBOX"):
        """{UID: octets}, as the server gives them without a gateway."""
        session = self.imap()
        assert session.select(f'"{mailbox}"', readonly=True)[0] == "OK"
        found = dict(fetched(session, "1:*", "(UID BODY.PEEK[])"))
        session.logout()
        return found

    def messages(self, mailbox="INBOX"):
        return list(self.held(mailbox).values())


def fetched(session, numbers, items):
    """[(UID, octets)] of imaplib's answer to a UID FETCH with one literal for each message."""
    status, data = session.uid("FETCH", numbers, items)
    assert status == "OK", data
    for entry in data:
        if isinstance(entry, tuple):
            words = entry[0].split()
            yield int(words[words.index(b"(UID") + 1 if b"(UID" in words else
                            words.index(b"UID") + 1]), entry[1]


class MailServer:
    """What both have in common. account() makes a user who has nothing yet."""

    def __init__(self, lab, name, addresses):
        self.lab, self.name = lab, name
        self.address, self.address6 = addresses
        self.dir = lab.folder(name)
        self._numbers = itertools.count(1)

    def _start(self, argv, **options):
        self.daemon = Daemon(self.lab.server, argv, self.dir / "stderr", **options)
        self.lab.at_end(self.daemon.stop)
        for address in (self.address, self.address6):
            for port in (110, 143):
                self.daemon.wait_ready(lambda a=address, p=port: can_connect(self.lab.server, a, p),
                                       f"{self.name}, port {port}")

    def account(self, messages=()):
        account = Account(self, f"user{next(self._numbers)}")
        self._make(account)
        return self._fill(account, messages) if messages else account

    def _make(self, account):
        pass

    def _fill(self, account, messages):
        return account.put(messages)


WITH_TLS = """
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
service imap-login {{
  inet_listener imaps {{
    port = 993
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3s {{
    port = 995
    ssl = yes
  }}
}}
"""


class Dovecot(MailServer):
    """certificate: it speaks TLS too, by STARTTLS and STLS and from the first octet on."""

    def __init__(self, lab, name="dovecot", addresses=(L.DOVECOT, L.DOVECOT6), certificate=None):
        super().__init__(lab, name, addresses)
        more = WITH_TLS.format(chain=certificate.chain, key=certificate.key) if certificate else ""
        self.uid, self.gid = pwd.getpwnam("mail")[2:4]
        for name in ("run", "state", "home"):
            (self.dir / name).mkdir()
        os.chown(self.dir / "home", self.uid, self.gid)
        (self.dir / "dovecot.conf").write_text(DOVECOT.format(
            dir=self.dir, addresses=f"{self.address}, {self.address6}", password=PASSWORD,
            uid=self.uid, gid=self.gid, more=more))
        self._start(["dovecot", "-F", "-c", self.dir / "dovecot.conf"])

    def _fill(self, account, messages):
        """Files in his Maildir, whatever is in them."""
        home = self.dir / "home" / account.user
        for name in ("", "mail", "mail/cur", "mail/new", "mail/tmp"):
            (home / name).mkdir(exist_ok=True)
            os.chown(home / name, self.uid, self.gid)
        for i, message in enumerate(messages):
            path = home / "mail/cur" / f"{1700000000 + i}.M{i}.lab:2,"
            path.write_bytes(message)
            os.chown(path, self.uid, self.gid)
        return account

    def log(self):
        return (self.dir / "log").read_text(errors="replace")


class Cyrus(MailServer):
    """Unpacked and not installed: its package would replace Dovecot."""

    unpacked = ROOT / "build/lab/cyrus"

    def __init__(self, lab, more=""):
        super().__init__(lab, "cyrus", (L.CYRUS, L.CYRUS6))
        binaries = self.unpacked / "usr/lib/cyrus/bin"
        if not (binaries / "master").exists():
            raise LabError(f"{binaries}/master is not there; run: make deps-lab")
        libraries = self.unpacked / "usr/lib" / f"{os.uname().machine}-linux-gnu"
        self.env = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
        self.uid, self.gid = pwd.getpwnam("mail")[2:4]
        for name in ("conf", "spool", "conf/db", "conf/socket", "conf/proc", "conf/log", "conf/msg",
                     "conf/lock", "conf/ptclient"):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, self.uid, self.gid)
        os.chown(self.dir, self.uid, self.gid)
        (self.dir / "imapd.conf").write_text(CYRUS_IMAPD.format(
            dir=self.dir, user="mail", group="mail", more=more))
        (self.dir / "cyrus.conf").write_text(CYRUS_MASTER.format(
            dir=self.dir, bin=binaries, v4=self.address, v6=self.address6))
        self._password("admin")
        self._start([binaries / "master", "-C", self.dir / "imapd.conf", "-M", self.dir / "cyrus.conf",
                     "-D", "-p", self.dir / "pid"], env=self.env)

    def _password(self, user):
        database = self.dir / "sasldb2"
        subprocess.run([self.unpacked / "usr/sbin/saslpasswd2", "-p", "-c", "-f", database, "-u",
                        "cyrus.campus.example", user],
                       input=PASSWORD, text=True, check=True, env=self.env, capture_output=True)
        os.chown(database, self.uid, self.gid)

    def _make(self, account):
        self._password(account.user)

