"""
Sessions of each protocol for test_wire.py: each is a function of a Visit, which gives clients that are
connected, greeted, and logged in where that is needed, in the clear or under TLS.
"""

import base64
import contextlib
import dataclasses
import time

import mails
from ftp_peers import FtpClient, Refused
from mail_servers import PASSWORD
from outside_peers import Implicit, outside_server
from peers import EHLO, OCTETS, RESET, Closed, RawClient
from retrieval_peers import stuffed
from tls_ftp_peers import TlsFtp, TlsFtpClient
from tls_peers import TlsClient, TlsImap, TlsPop3, client_context

IMPLICIT_PORTS = {"smtp": 465, "pop3": 995, "imap": 993, "ftp": 990}
CLIENTS = {"smtp": TlsClient, "pop3": TlsPop3, "imap": TlsImap, "ftp": TlsFtpClient}
FILES = {"empty": b"", "short": b"three words here\r\n", "large": mails.octets(700_000, 8),
         "letter.eml": mails.nested(), "bad.pdf": mails.PROGRAM * 3000, "tiny.pdf": mails.PROGRAM}


@dataclasses.dataclass
class Way:
    """How a client comes: mode of the gateway, family, and TLS ("", "1.2", "1.3"), from the first octet on or not."""

    mode: str = "forward"
    v6: bool = False
    tls: str = ""
    implicit: bool = False

    def __str__(self):
        tls = f"-{'implicit' if self.implicit else 'starttls'}{self.tls}" if self.tls else ""
        return f"{self.mode}-{'v6' if self.v6 else 'v4'}{tls}"


class Visit:
    """What a session has to do with."""

    def __init__(self, gate, way, protocol, server, lab):
        self.gate, self.way, self.protocol, self.server, self.lab = gate, way, protocol, server, lab

    def raw(self, **options):
        """Connected, and nothing more."""
        client = self.gate.client(v6=self.way.v6, cls=CLIENTS[self.protocol] if self.way.tls else None,
                                  **options)
        client.context = client_context(self.way.tls or None)
        if self.way.implicit:
            client.wrap()
        return client

    def client(self, way=None, **options):
        """Ready to work. way: of data connections."""
        client = self.raw(**options)
        getattr(self, "_" + self.protocol)(client)
        if way:
            client.way = way if not self.way.v6 else {"PORT": "EPRT", "PASV": "EPSV"}.get(way, way)
        return client

    @property
    def upgrades(self):
        return self.way.tls and not self.way.implicit

    def _smtp(self, client):
        RawClient.hello(client) if not self.upgrades else client.hello()

    def _pop3(self, client):
        assert client.reply().ok
        if self.upgrades:
            assert client.cmd("STLS").ok
            client.wrap()
        assert client.cmd("USER anna").ok and client.cmd(f"PASS {PASSWORD}").ok

    def _imap(self, client):
        client.greeting()
        if self.upgrades:
            client.did("STARTTLS")
            client.wrap()
        client.did(f"LOGIN anna {PASSWORD}")

    def _ftp(self, client):
        if self.upgrades:
            client.login()
        else:
            FtpClient.login(client)
        if self.way.implicit:
            assert client.cmd("PBSZ 0").code == 200 and client.cmd("PROT P").code == 200
        client.binary()


def server_for(lab, address, way, protocol, certificate, options):
    """A scripted server, behind TLS where the way has it."""
    options = dict(options)
    replies = options.pop("replies", {})
    port = IMPLICIT_PORTS[protocol] if way.implicit else {"smtp": 25, "ftp": 21, "pop3": 110, "imap": 143}[protocol]
    if protocol == "ftp":
        options["files"] = dict(options.get("files", FILES))
        if way.implicit:
            options["script"] = Implicit(certificate.server_context(way.tls))
        server = TlsFtp(lab.server, address, certificate, port=port, version=way.tls or None, **options)
        if way.implicit:
            options["script"].serve = server.serve
    else:
        ehlo = options.pop("ehlo", None)
        server = outside_server(lab.server, address, protocol, certificate, port=port, implicit=way.implicit,
                                version=way.tls or None, **options)
        if ehlo:
            server.ehlo = ehlo if way.implicit else (*ehlo, "STARTTLS")
    server.replies.update(replies)
    server.protocol = protocol
    return server


# name: (protocol, function, options of the server, settings of the gateway)
SESSIONS = {}
# {name: {pattern of a difference: why}}: where the gateway kept something from the client, or had sent what
# the client did not take any more
APART = {}


def session(protocol, server=None, apart=None, **settings):
    def add(function):
        name = f"{protocol}-{function.__name__}"
        SESSIONS[name] = (protocol, function, server or {}, settings)
        APART[name] = apart or {}
        return function

    return add


def wire(message):
    """As SMTP sends a message."""
    return stuffed(message if message.endswith(b"\r\n") or not message else message + b"\r\n")


# ---- SMTP ----


@session("smtp")
def one_mail(v):
    with v.client() as c:
        c.envelope("anna@good.example", "otto@campus.example", "emma@campus.example")
        assert c.data(wire(mails.plain("one"))).code == 250
        assert c.cmd("QUIT").code == 221


@session("smtp")
def mails_of_every_shape(v):
    with v.client() as c:
        for message in (*mails.TAME, mails.large(300_000), b"Subject: header only\r\n", b"", mails.plain("dot", b"x\r\n.")):
            c.envelope()
            assert c.data(wire(message)).code == 250
        assert c.cmd("QUIT").code == 221


@session("smtp")
def octet_by_octet(v):
    with v.client() as c:
        c.send(b"MAIL FROM:<anna@good.example>\r\n", OCTETS)
        c.reply()
        c.send(b"RCPT TO:<otto@campus.example>\r\n", 7)
        c.reply()
        assert c.data(wire(mails.with_file("octets")), OCTETS).code == 250
        c.cmd("QUIT")


@session("smtp")
def pipelined(v):
    with v.client() as c:
        for i in range(3):
            c.send(b"RSET\r\nMAIL FROM:<anna@good.example> SIZE=500\r\nRCPT TO:<otto@campus.example>\r\n"
                   b"RCPT TO:<r@evil.example>\r\nRCPT TO:<emma@campus.example>\r\nDATA\r\n")
            assert [c.reply().code for _ in range(6)] == [250, 250, 250, 550, 250, 354]
            c.send(wire(mails.plain(f"pipelined {i}")) + b"NOOP\r\n")
            assert [c.reply().code for _ in range(2)] == [250, 250]
        c.send(b"NOOP\r\nQUIT\r\n")
        c.rest()


@session("smtp")
def in_chunks(v):
    message = mails.nested("chunks")
    with v.client() as c:
        for cuts in ((len(message),), (1, 1000), (100, 100, 100)):
            c.envelope()
            at = 0
            for n in cuts:
                c.send(b"BDAT %d\r\n" % n + message[at:at + n])
                assert c.reply().code == 250
                at += n
            rest = message[at:]
            c.send(b"BDAT %d LAST\r\n" % len(rest) + rest)
            assert c.reply().code == 250
        c.envelope()
        c.send(b"BDAT 3\r\nabcRSET\r\n")
        c.reply(), c.reply()
        c.cmd("QUIT")


@session("smtp")
def relaying_denied(v):
    with v.client() as c:
        assert c.cmd("MAIL FROM:<anna@good.example>").code == 250
        for bad in ("r@evil.example", "r%evil.example@campus.example", "evil.example!r@campus.example",
                    "@campus.example:r@evil.example", '"r@evil.example"@campus.example'):
            assert c.cmd(f"RCPT TO:<{bad}>").code in (501, 550, 553), bad
        assert c.cmd("RCPT TO:<otto@campus.example>").code == 250
        assert c.data(wire(mails.plain("after refusals"))).code == 250
        assert c.cmd("MAIL FROM:<anna@good.example>").code == 250
        assert c.cmd("RCPT TO:<r@evil.example>").code == 550
        assert c.cmd("DATA").code in (503, 554)
        c.cmd("QUIT")


@session("smtp", smtp={"relay": {"check": "report"}})
def relaying_reported(v):
    with v.client() as c:
        c.envelope("anna@good.example", "r@evil.example")
        assert c.data(wire(mails.plain("reported"))).code == 250
        c.cmd("QUIT")


@session("smtp", server={"ehlo": (*EHLO, "AUTH PLAIN LOGIN")})
def authenticated(v):
    secret = base64.b64encode(b"\0anna\0" + PASSWORD.encode()).decode()
    with v.client() as c:
        assert c.cmd(f"AUTH PLAIN {secret}").code == 235
        c.envelope("anna@campus.example", "far@evil.example")
        assert c.data(wire(mails.plain("submitted"))).code == 250
        c.cmd("QUIT")
    assert PASSWORD not in str(v.gate.records())


@session("smtp", server={"ehlo": (*EHLO, "AUTH PLAIN LOGIN"), "replies": {
    "AUTH": lambda c, line: (c.send(b"334 VXNlcm5hbWU6\r\n"), c.line(), c.send(b"334 UGFzc3dvcmQ6\r\n"),
                             c.line(), b"535 5.7.8 no\r\n")[-1]}})
def authentication_refused(v):
    with v.client() as c:
        assert c.cmd("AUTH LOGIN").code == 334
        assert c.cmd(base64.b64encode(b"anna")).code == 334
        assert c.cmd(base64.b64encode(b"wrong")).code == 535
        c.cmd("MAIL FROM:<anna@good.example>")
        assert c.cmd("RCPT TO:<far@evil.example>").code == 550
        c.cmd("QUIT")


@session("smtp", server={"replies": {
    "MAIL": lambda c, line: b"450-4.7.1 later\r\n450 4.7.1 please\r\n" if b"grey" in line else None,
    "RCPT": lambda c, line: b"550 5.1.1 nobody\r\n" if b"nobody" in line else None,
    ".": lambda c, line: b"554 5.6.0 not this\r\n" if len(c.commands) > 8 else None}})
def refused_by_the_server(v):
    with v.client() as c:
        assert c.cmd("MAIL FROM:<grey@good.example>").code == 450
        assert c.cmd("MAIL FROM:<anna@good.example>").code == 250
        assert c.cmd("RCPT TO:<nobody@campus.example>").code == 550
        assert c.cmd("RCPT TO:<otto@campus.example>").code == 250
        assert c.data(wire(mails.plain("first"))).code in (250, 554)
        c.envelope()
        assert c.data(wire(mails.plain("second"))).code == 554
        c.cmd("QUIT")


@session("smtp", server={"replies": {"DATA": b"421 4.3.2 down\r\n"}})
def server_goes_down(v):
    with v.client() as c:
        c.envelope()
        assert c.cmd("DATA").code == 421
        with contextlib.suppress(Closed, OSError):
            c.cmd("QUIT")


@session("smtp", content={"mismatch": "enforce"},
         apart={"smtp: record 1: smtp.mail_from: gateway None, *": "a MAIL that the gateway took no more: it had no server"})
def refused_content(v):
    with v.client() as c:
        c.envelope()
        assert c.data(wire(mails.program())).code == 550
        with contextlib.suppress(Closed, OSError):
            assert c.cmd("MAIL FROM:<anna@good.example>").code == 421


@session("smtp", content={"mismatch": "report"})
def reported_content(v):
    with v.client() as c:
        c.envelope()
        assert c.data(wire(mails.program())).code == 250
        c.cmd("QUIT")


@session("smtp")
def commands_of_every_kind(v):
    with v.client() as c:
        for line in ("HELO again.good.example", "NOOP", "VRFY anna", "EXPN list", "HELP", "XYZZY", "RCPT TO:<a@b>",
                     "DATA", "MAIL FROM:anna", "MAIL FROM:<>", "RCPT TO:<otto@campus.example> X=Y", "RSET",
                     "MAIL FROM:<anna@good.example> BODY=8BITMIME", "RCPT TO:<otto@campus.example> NOTIFY=NEVER",
                     "EHLO new.good.example", "RCPT TO:<otto@campus.example>"):
            c.cmd(line)
        c.cmd("QUIT")


@session("smtp")
def smuggling(v):
    with v.client() as c:
        c.envelope()
        with contextlib.suppress(Closed, OSError):
            c.data(b"Subject: x\r\n\r\nx\n.\r\nMAIL FROM:<a@good.example>\r\nRCPT TO:<b@campus.example>\r\nDATA\r\n.\r\n")
            c.cmd("NOOP")


@session("smtp")
def cut_in_a_message(v):
    for how in ("close", "reset"):
        with v.client() as c:
            c.envelope()
            c.cmd("DATA")
            c.send(wire(mails.with_file("cut"))[:-20])
            time.sleep(0.1)
            getattr(c, how)()
    with v.client() as c:
        c.cmd("MAIL FROM:<anna@good.example>")


@session("smtp", smtp={"starttls": "pass"})
def starttls_refused(v):
    with v.raw() as c:
        RawClient.hello(c)
        if not v.way.tls:
            c.cmd("STARTTLS now")
        c.envelope()
        assert c.data(wire(mails.plain("clear"))).code == 250
        c.cmd("QUIT")


# ---- FTP ----

DATA_WAYS = ("PORT", "EPRT", "PASV", "EPSV")


@session("ftp")
def every_transfer(v):
    for way in DATA_WAYS:
        with v.client(way) as c:
            for command in ("LIST", "NLST", "MLSD"):
                c.get(command)
            for name in ("empty", "short", "large", "letter.eml"):
                assert c.get(f"RETR {name}") == FILES[name]
            assert c.put(f"STOR up.{way}", FILES["large"]).code == 226
            assert c.put(f"STOR letter.{way}", mails.with_file()).code == 226
            assert c.put(f"APPE up.{way}", b"more").code == 226
            assert c.put("STOU", b"unique").code == 226
            assert c.put("STOR nothing", b"").code == 226
            c.quit()


@session("ftp")
def ftp_commands(v):
    with v.client() as c:
        for line in ("PWD", "CWD /pub", "SYST", "FEAT", "HELP", "STAT", "SIZE short", "MDTM short", "MLST short",
                     "TYPE A", "NOOP", "XYZZY hello", "SITE CHMOD 600 short", "RNFR a", "RNTO b", "DELE nothing",
                     "MKD new", "RMD new", "CDUP", "REST 5", "REST x", "OPTS UTF8 ON", "PORT 1,2,3", "ALLO 5"):
            c.cmd(line)
        c.send("NOOP\r\nPWD\r\nNOOP\r\n")
        for _ in range(3):
            c.reply()
        c.quit()


@session("ftp")
def resumed(v):
    with v.client("EPSV") as c:
        assert c.cmd("REST 100000").code == 350
        assert c.get("RETR large") == FILES["large"][100_000:]
        assert c.cmd("REST 4").code == 350
        assert c.put("STOR short", b"again").code == 226
        c.quit()


@session("ftp")
def refused_transfers(v):
    for way in DATA_WAYS:
        with v.client(way) as c:
            assert c.cmd("RETR short").code in (425, 503)
            for command in ("RETR not-there", "RETR"):
                with contextlib.suppress(Refused):
                    c.begin(command)[0].close()
            c.quit()


@session("ftp")
def bounces(v):
    with v.client() as c:
        for line in ("PORT 10,25,0,29,100,100", "EPRT |1|10.25.0.29|25700|", "PORT 198,51,100,2,0,25", "EPRT |3|x|1|"):
            c.cmd(line)
        c.quit()


@session("ftp", ftp={"deny": ["DELE", "SITE"]})
def denied_commands(v):
    with v.client() as c:
        for line in ("DELE short", "SITE HELP", "DELE", "SIZE short"):
            c.cmd(line)
        c.quit()


@session("ftp", content={"mismatch": "enforce"})
def refused_uploads(v):
    for way in ("PORT", "EPSV"):
        with v.client(way) as c:
            for name in ("tiny.pdf", "bad.pdf"):
                data, _ = c.begin(f"STOR up-{name}")
                with data, contextlib.suppress(OSError):
                    data.send(FILES[name])
                assert c.reply().code == 552
            assert c.put("STOR good", b"good").code == 226
            c.quit()


KEPT = "the end of what was refused is not on the client's side of the gateway"


@session("ftp", content={"mismatch": "enforce"},
         apart={"ftp_data: record * ftp_data.outcome: gateway 'refused', wire 'cut'": KEPT,
                "ftp_data: record * ftp_data.reason: gateway 'content', wire *": KEPT,
                "ftp_data: record * verdict.*: gateway *, wire None": KEPT,
                "fileinfo: *": KEPT})
def refused_downloads(v):
    for way in ("PORT", "EPSV"):
        with v.client(way) as c:
            for name in ("tiny.pdf", "bad.pdf"):
                data, _ = c.begin(f"RETR {name}")
                with data, contextlib.suppress(*RESET, Closed):
                    while data.sock.recv(65536):
                        pass
                assert c.reply().code == 550
            c.quit()


@session("ftp", content={"mismatch": "report"})
def reported_files(v):
    with v.client("EPSV") as c:
        assert c.get("RETR bad.pdf") == FILES["bad.pdf"]
        assert c.put("STOR up.pdf", FILES["bad.pdf"]).code == 226
        c.quit()


# more than all the buffers on the way: a gateway that has written everything ahead of the reset has seen it whole
@session("ftp", server={"files": {"large": mails.octets(16 << 20, 9)}})
def cut_transfers(v):
    for way in ("PORT", "PASV"):
        with v.client(way) as c:
            data, _ = c.begin("STOR half")
            data.send(FILES["large"][:200_000])
            time.sleep(0.1)
            data.reset()
            c.reply()
            data, _ = c.begin("RETR large")
            data.exactly(1000)
            data.reset()
            c.reply()
            c.quit()


@session("ftp", server={"transfer": lambda c, data, verb, name: (data.send(FILES["large"][:100_000]), c.line(),
                                                                b"426 aborted\r\n226 abort done\r\n")[-1]},
         apart={"fileinfo: *": "octets behind an ABOR, which the gateway did not wait for, and which were on the wire"})
def abor(v):
    with v.client("EPSV") as c:
        data, _ = c.begin("RETR large")
        data.exactly(1000)
        c.send(b"ABOR\r\n")
        with data, contextlib.suppress(*RESET, Closed, TimeoutError):
            data.rest(5)
        c.reply()
        c.reply()
        c.quit()


@session("ftp", server={"replies": {"PASS": b"530 wrong\r\n", "USER": b"331-say\r\n331 it\r\n"}})
def ftp_login_refused(v):
    if v.way.tls:
        return one_refused_login_under_tls(v)
    with v.raw() as c:
        c.reply()
        c.cmd("USER anna")
        assert c.cmd(f"PASS {PASSWORD}").code == 530
        c.cmd("CWD /")
        c.quit()


def one_refused_login_under_tls(v):
    with v.raw() as c:
        c.reply()
        if v.upgrades:
            c.auth()
        c.cmd("USER anna")
        assert c.cmd(f"PASS {PASSWORD}").code == 530
        c.quit()


# ---- POP3 ----


@session("pop3", server={"messages": mails.WILD})
def every_message(v):
    with v.client() as c:
        c.cmd("STAT")
        c.lines("LIST"), c.lines("UIDL")
        c.cmd("LIST 2"), c.cmd("UIDL 3"), c.lines("CAPA")
        for i in range(1, len(mails.WILD) + 1):
            c.retr(i)
        c.cmd("TOP 8 2"), c.content()
        for line in ("DELE 1", "DELE 2", "RSET", "DELE 3", "NOOP", "RETR 99", "XYZZY", "DELE", "LIST x"):
            c.cmd(line)
        c.quit()


@session("pop3", server={"messages": mails.TAME})
def pipelined_retrieval(v):
    with v.client() as c:
        c.send(b"".join(b"RETR %d\r\n" % i for i in range(1, 8)) + b"NOOP\r\nTOP 9 0\r\n")
        for _ in range(7):
            assert c.reply().ok
            c.content()
        assert c.reply().ok and c.reply().ok
        c.content()
        c.quit()


@session("pop3", server={"messages": mails.TAME})
def left_without_quit(v):
    for leave in ("close", "reset"):
        with v.client() as c:
            c.retr(1)
            c.cmd("DELE 1")
            c.retr(11)
            getattr(c, leave)()


SENT = "what the gateway had sent, and the client did not take any more"


@session("pop3", server={"messages": [mails.large(8_000_000)]},
         apart={"email: record * message.octets: *": SENT, "email: record * email.parts*: *": SENT,
                "fileinfo: record * fileinfo.size: *": SENT, "pop3: record * pop3.session.retrieved_octets: *": SENT})
def left_within_a_message_of_pop3(v):
    with v.client() as c:
        c.send(b"RETR 1\r\n")
        c.until(b"Subject")
        c.reset()


@session("pop3", server={"messages": mails.TAME})
def logins_of_pop3(v):
    for lines in (["APOP anna c4c9334bac560ecc979e58001b3e22fb"],
                  ["AUTH PLAIN " + base64.b64encode(b"\0anna\0" + PASSWORD.encode()).decode()],
                  ["RETR 1", "USER", "PASS x", "USER anna", f"PASS {PASSWORD}", "STAT"]):
        with v.raw() as c:
            c.reply()
            if v.upgrades:
                assert c.cmd("STLS").ok
                c.wrap()
            for line in lines:
                c.cmd(line)
            with contextlib.suppress(Closed):
                c.cmd("QUIT")


@session("pop3", server={"messages": [mails.plain(), mails.program()]}, content={"mismatch": "report"})
def reported_message_of_pop3(v):
    with v.client() as c:
        c.retr(1), c.retr(2)
        c.quit()


@session("pop3", server={"messages": [mails.plain(), mails.program()]}, content={"mismatch": "enforce"},
         pop3={"refused_message": "cut"}, apart={"email: record 1 *": KEPT, "fileinfo: record 0 *": KEPT,
                                                 "pop3: record * pop3.session.*": KEPT})
def cut_message_of_pop3(v):
    with v.client() as c:
        c.retr(1)
        with contextlib.suppress(Closed, OSError):
            c.retr(2)


# ---- IMAP ----

LETTER = mails.nested("by parts")


@session("imap", server={"messages": mails.WILD})
def every_message_of_imap(v):
    with v.client() as c:
        c.did("CAPABILITY")
        c.select()
        assert len(c.fetch("1:*", "BODY.PEEK[]")) == len(mails.WILD)
        c.fetch("1:3", "(FLAGS RFC822)", uid=True)
        for line in ("STORE 1 +FLAGS (\\Deleted)", "SEARCH ALL", "EXPUNGE", "NOOP", "COPY 1 Trash", "UID MOVE 2 Trash",
                     "STATUS INBOX (MESSAGES)", "LIST \"\" *", "EXAMINE INBOX", "CLOSE", "XYZZY", "FETCH"):
            c.cmd(line)
        c.logout()


def parts_of(c, line):
    """What a server would give for parts of LETTER; only what the tests here ask for."""
    def item(name, octets):
        return b"* 1 FETCH (UID 1 %s {%d}\r\n%s)\r\n<tag> OK done\r\n" % (name, len(octets), octets)

    head, _, body = LETTER.partition(b"\r\n\r\n")
    first = body.split(b"--=-outer\r\n")[1]
    table = {b"BODY[HEADER]": head + b"\r\n\r\n", b"BODY[TEXT]": body, b"BODY[1]": first,
             b"BODY[1.MIME]": first.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
             b"BODY[HEADER.FIELDS (SUBJECT FROM)]": b"Subject: by parts\r\n\r\n"}
    for name, octets in table.items():
        if name in line.replace(b".PEEK", b""):
            return item(name, octets)
    return None


@session("imap", server={"messages": [LETTER], "replies": {"FETCH": parts_of}})
def by_parts(v):
    with v.client() as c:
        c.select()
        for section in ("HEADER", "TEXT", "1", "1.MIME", "HEADER.FIELDS (SUBJECT FROM)", ""):
            c.fetch("1", f"BODY.PEEK[{section}]")
        for at in range(0, len(LETTER), 1500):
            c.fetch("1", f"BODY.PEEK[]<{at}.1500>")
        c.fetch("1", "BODY.PEEK[]<5000.100>")
        c.logout()


@session("imap")
def appended(v):
    with v.client() as c:
        for message in (mails.plain(), mails.nested(), mails.large(100_000)):
            assert c.append(message).ok
            assert c.append(message, "Sent", plus=True, options="(\\Seen) ").ok
        c.logout()


@session("imap", content={"mismatch": "enforce"})
def refused_append(v):
    with v.client() as c:
        with contextlib.suppress(Closed, OSError):
            assert not c.append(mails.program()).ok
            assert c.append(mails.plain()).ok
            c.logout()


@session("imap", server={"messages": mails.TAME})
def idle_and_literals(v):
    with v.client() as c:
        c.select()
        c.send(b"i1 IDLE\r\n")
        assert c.tagged("i1").tag == "+"
        time.sleep(0.05)
        c.send(b"DONE\r\n")
        assert c.tagged("i1").ok
        c.send(b"l1 SELECT {5}\r\n")
        assert c.tagged("l1").tag == "+"
        c.send(b"INBOX\r\n")
        assert c.tagged("l1").ok
        c.send(b"l2 SEARCH SUBJECT {5+}\r\nplain BODY {3+}\r\nabc\r\nl3 NOOP\r\nl4 FETCH 1:4 (RFC822)\r\n")
        for tag in ("l2", "l3", "l4"):
            assert c.tagged(tag).ok
        c.logout()


@session("imap", server={"replies": {"LOGIN": lambda c, line: b"<tag> NO [AUTHENTICATIONFAILED] no\r\n"
                                     if b"wrong" in line else None}})
def logins_of_imap(v):
    secret = base64.b64encode(b"\0anna\0" + PASSWORD.encode()).decode()
    for lines in ([f"LOGIN anna {PASSWORD}"], ["LOGIN anna wrong", f"AUTHENTICATE PLAIN {secret}", "SELECT INBOX"],
                  ["SELECT INBOX", f'LOGIN "anna" "{PASSWORD}"']):
        with v.raw() as c:
            c.greeting()
            if v.upgrades:
                c.did("STARTTLS")
                c.wrap()
            for line in lines:
                c.cmd(line)
            c.logout()


@session("imap", server={"messages": mails.TAME})
def left_without_logout(v):
    for leave in ("close", "reset"):
        with v.client() as c:
            c.select()
            c.fetch("1", "BODY[]")
            c.fetch("11", "BODY[]")
            getattr(c, leave)()


@session("imap", server={"messages": [mails.large(8_000_000)]},
         apart={"email: record * message.octets: *": SENT, "email: record * email.parts*: *": SENT,
                "fileinfo: record * fileinfo.size: *": SENT, "imap: record * imap.session.fetched_octets: *": SENT})
def left_within_a_message_of_imap(v):
    with v.client() as c:
        c.select()
        c.send(b"z FETCH 1 BODY[]\r\n")
        c.until(b"Subject")
        c.reset()
