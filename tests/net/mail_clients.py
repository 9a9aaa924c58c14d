"""
Real clients of POP3 and IMAP: curl, fetchmail, getmail, mbsync, offlineimap, mutt, and Python's poplib
and imaplib. Each fetches all that is in a mailbox, in its own way.
"""

import collections
import contextlib
import imaplib
import os
import poplib
import re
import shlex
import shutil

from mail_servers import fetched

INDEXED = 60  # messages that curl fetches: one argument for each


def unix(octets):
    """Line ends as most programs store them."""
    return octets.replace(b"\r\n", b"\n")


def same(octets):
    return octets


def differing(got, held):
    """[(how many times too often among got, octets, subject)] of each message that is not the same in both."""
    count = collections.Counter(got)
    count.subtract(held)
    return [(n, len(octets), re.findall(rb"Subject: (.*)", octets[:500])) for octets, n in count.items() if n]


class Program:
    """
    fetch() gives what it fetched from a mailbox, message by message; folder: an empty one that
    everybody may look into.

    stored   what becomes of a message that this program fetched: its line ends, mostly
    """

    stored = staticmethod(unix)
    protocols = ("pop3", "imap")

    def __init__(self, protocol, *options):
        assert protocol in self.protocols
        self.protocol, self.options = protocol, options
        self.name = "-".join([type(self).__name__.lower(), protocol, *options])

    def commands(self, address, account, folder, n):
        """[argv]"""
        raise NotImplementedError

    def fetch(self, namespace, address, account, folder, n):
        """n: how many there are. Gives (messages, what it printed)."""
        (folder / "got").mkdir(exist_ok=True)
        told = ""
        for argv in self.commands(address, account, folder, n):
            done = namespace.run(*argv, cwd=folder, timeout=120, stdin=-3,
                                 env={**os.environ, "HOME": str(folder), "TERM": "vt100",
                                      "FETCHMAILHOME": str(folder)})
            told += f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
        return self.collected(folder), told

    def collected(self, folder):
        files = [path for path in sorted((folder / "got").rglob("[!.]*")) if path.is_file()]
        return [path.read_bytes() for path in files if path.parent.name in ("got", "cur", "new")]


def at(address):
    return f"[{address}]" if ":" in address else address


class Curl(Program):
    stored = staticmethod(same)

    def commands(self, address, account, folder, n):
        login = ["--login-options", f"AUTH={self.options[0]}"] if self.options else []
        for first in range(1, n + 1, INDEXED):
            numbers = range(first, min(first + INDEXED, n + 1))
            path = "INBOX;MAILINDEX=" if self.protocol == "imap" else ""
            each = [(f"{self.protocol}://{at(address)}/{path}{i}", f"{folder}/got/{i:06}")
                    for i in numbers]
            yield ["curl", "-sS", "--noproxy", "*", "-m", "100", "-u",
                   f"{account.user}:{account.password}", *login,
                   *(word for url, name in each for word in (url, "-o", name))]


class Fetchmail(Program):
    def commands(self, address, account, folder, n):
        mda = folder / "mda"
        mda.write_text(f'#!/bin/sh\nexec cat >"$(mktemp {folder}/got/XXXXXXXX)"\n')
        mda.chmod(0o755)
        rc = folder / "fetchmailrc"
        rc.write_text(f"""\
set no bouncemail
set invisible
poll "{address}" protocol {self.protocol.upper()} auth {self.options[0] if self.options else "password"}
  timeout 60 user "{account.user}" password "{account.password}" sslproto ""
  mda "{mda}" fetchall keep no rewrite no dropstatus
""")
        rc.chmod(0o600)
        yield ["fetchmail", "-f", rc, "--nodetach", "-v", "--pidfile", folder / "pid"]


class Getmail(Program):
    def commands(self, address, account, folder, n):
        for name in ("cur", "new", "tmp"):
            (folder / "got" / name).mkdir(exist_ok=True)
            shutil.chown(folder / "got" / name, "nobody")  # it delivers nothing as root
        shutil.chown(folder / "got", "nobody")
        kind = {"pop3": "SimplePOP3Retriever", "imap": "SimpleIMAPRetriever"}[self.protocol]
        (folder / "getmailrc").write_text(f"""\
[retriever]
type = {kind}
server = {address}
username = {account.user}
password = {account.password}
timeout = 5
{'use_peek = true' if self.protocol == "imap" else ""}
[destination]
type = Maildir
path = {folder}/got/
user = nobody
[options]
read_all = true
delivered_to = false
received = false
verbose = 2
{'delete = true' if "delete" in self.options else ""}
""")
        yield ["getmail", "--getmaildir", folder, "--rcfile", "getmailrc"]

    def fetch(self, namespace, address, account, folder, n):
        """It waits in vain for a child of its own that ends too early: then it is run again."""
        for attempt in range(5):
            shutil.rmtree(folder / "got", ignore_errors=True)
            got, told = super().fetch(namespace, address, account, folder, n)
            if "waiting child pid" not in told:
                break
        return got, told

    def collected(self, folder):
        """Without what it always puts into a header."""
        own = rb"^(Return-Path: <unknown>|X-getmail-retrieved-from-mailbox: INBOX)\n"
        return [re.sub(own, b"", octets, count=2, flags=re.MULTILINE)
                for octets in super().collected(folder)]


class Mbsync(Program):
    protocols = ("imap",)

    def commands(self, address, account, folder, n):
        (folder / "mbsyncrc").write_text(f"""\
IMAPStore far
Host {address}
User {account.user}
Pass {account.password}
SSLType None
AuthMechs {self.options[0] if self.options else "LOGIN"}

MaildirStore near
Path {folder}/
Inbox {folder}/got

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync Pull Push
SyncState {folder}/
""")
        yield ["mbsync", "-c", folder / "mbsyncrc", "-V", "all"]

    def collected(self, folder):
        return [re.sub(rb"^X-TUID: .*\n", b"", octets, count=1, flags=re.MULTILINE)
                for octets in super().collected(folder)]


class Offlineimap(Program):
    protocols = ("imap",)

    def commands(self, address, account, folder, n):
        (folder / "offlineimaprc").write_text(f"""\
[general]
accounts = one
metadata = {folder}/meta
[Account one]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {folder}/got
[Repository far]
type = IMAP
remotehost = {address}
remoteuser = {account.user}
remotepass = {account.password}
ssl = no
starttls = no
readonly = True
folderfilter = lambda name: name == 'INBOX'
""")
        yield ["offlineimap", "-o", "-u", "basic", "-c", folder / "offlineimaprc"]


class Mutt(Program):
    def commands(self, address, account, folder, n):
        scheme = "pop" if self.protocol == "pop3" else "imap"
        (folder / "muttrc").write_text(f"""\
set ssl_starttls=no ssl_force_tls=no
set {scheme}_user="{account.user}" {scheme}_pass="{account.password}"
set folder={folder} mbox_type=Maildir confirmappend=no confirmcreate=no quit=yes delete=no wait_key=no
set read_inc=0 net_inc=0 sleep_time=0 pop_delete=no move=no mail_check=600
unset header_cache
""")
        keys = f'push "<tag-pattern>~A<enter><tag-prefix><copy-message>{folder}/got/box<enter><exit>"'
        mutt = ["mutt", "-n", "-F", f"{folder}/muttrc", "-f", f"{scheme}://{at(address)}/", "-e", keys]
        yield ["script", "-qec", shlex.join(mutt), "/dev/null"]

    def collected(self, folder):
        return [re.sub(rb"^(Status|Lines|Content-Length): .*\n", b"", octets, flags=re.MULTILINE)
                for octets in super().collected(folder)]


class Poplib(Program):
    """It gives lines without their ends, and takes a LF alone for one."""

    protocols = ("pop3",)

    def fetch(self, namespace, address, account, folder, n):
        def work():
            session = poplib.POP3(address, 110, timeout=30)
            if "apop" in self.options:
                session.apop(account.user, account.password)
            else:
                session.user(account.user)
                session.pass_(account.password)
            assert session.stat()[0] == n
            with contextlib.closing(session):
                return [b"".join(line + b"\n" for line in session.retr(i)[1]) for i in range(1, n + 1)]

        return namespace.call(work), ""


class Imaplib(Program):
    stored = staticmethod(same)
    protocols = ("imap",)

    def fetch(self, namespace, address, account, folder, n):
        def work():
            with imaplib.IMAP4(address, 143, timeout=30) as session:
                if "cram" in self.options:
                    session.login_cram_md5(account.user, account.password)
                elif "plain" in self.options:
                    text = f"\0{account.user}\0{account.password}".encode()
                    session.authenticate("PLAIN", lambda _: text)
                else:
                    session.login(account.user, account.password)
                assert session.select("INBOX")[0] == "OK"
                return [octets for _, octets in fetched(session, "1:*", "(UID BODY.PEEK[])")]

        return namespace.call(work), ""


ALL = [Curl("pop3"), Curl("imap"), Fetchmail("pop3"), Fetchmail("imap"), Getmail("pop3"),
       Getmail("imap"), Mutt("pop3"), Mutt("imap"), Mbsync("imap"), Offlineimap("imap"),
       Poplib("pop3"), Imaplib("imap")]
MECHANISMS = [*(Curl(protocol, m) for protocol in ("pop3", "imap")
                for m in ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5")),
              Curl("pop3", "+APOP"), Poplib("pop3", "apop"), Imaplib("imap", "cram"),
              Imaplib("imap", "plain"), Mbsync("imap", "SCRAM-SHA-256"), Mbsync("imap", "CRAM-MD5"),
              Fetchmail("imap", "cram-md5")]
# curl takes no challenge without a realm, which is Dovecot's
LOGINS = [(server, program) for server in ("dovecot", "cyrus") for program in MECHANISMS
          if server != "dovecot" or "DIGEST-MD5" not in program.options]


def program_name(program):
    return program if isinstance(program, str) else program.name
