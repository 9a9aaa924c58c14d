#!/usr/bin/python3
"""
The demonstration: a gateway between the Internet and a campus, all of it on this machine.

Three hosts, each a network namespace. Outside: swaks and curl, and a mail server of the world's.
Inside: a real Postfix for campus.example, a second one that relays for everybody, vsftpd, Dovecot, real DNS. Between
them a router with a firewall that drops what it does not know, and on it build/postern. Nobody is
configured to use it: clients speak to the servers' own addresses. Every session prints what was
tried, what the client was told, and the record that the gateway wrote. At the end the gateway is
killed, and started again.

Needs root. Leaves nothing behind. KEEP=1: the lab stays up and this says how to use it.
"""

import os
import re
import shlex
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "net"))

import lab as L  # noqa: E402
import mail_servers  # noqa: E402
import mails  # noqa: E402
import servers  # noqa: E402
from ftp_servers import PASSWORD, USER, FtpServer  # noqa: E402
from gateway import BINARY, Gateway  # noqa: E402
from lab import Lab, LabError, wait_for  # noqa: E402
from peers import FakeServer, knock  # noqa: E402
from tls_peers import Certificate  # noqa: E402
from wire_lab import Wire, by_session, differences, run_read, session_of  # noqa: E402

PERSON = L.INSIDE4 + "40"  # one of our own people
WORLD = L.CLIENT_OTHER     # a mail server outside
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
WIDTH = 118  # longer lines of a record are cut for the eye; the log has all of it
IN_FIRST_LINE = ("event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto",
                 "upstream", "tx_id")
ONCE = ("timestamp", "flow_id", "community_id")  # shown of the first record only, like
COMMON = ("", "EHLO", "QUIT")                    # what servers reply to these
SHOWN = ("tls", "smtp", "ftp_data", "email", "pop3", "imap", "fileinfo", "anomaly")
BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"


def paint(style, text):
    return f"\x1b[{style}m{text}\x1b[0m" if COLOUR else text


class Session:
    """
    One thing that somebody tries.

    argv      swaks or curl with its arguments; {dir} in them is the lab's folder
    expect    start of the reply that the client is to get, or a tuple of them
    stdin     what the program reads
    inside    run it inside, not outside
    """

    def __init__(self, title, argv, expect, stdin=None, inside=False):
        self.title, self.argv, self.expect = title, argv, expect
        self.stdin, self.inside = stdin, inside


def swaks(server, sender, recipient, *more):
    return ["swaks", "--server", server, "--helo", "client.good.example", "--from", sender,
            "--to", recipient, *more]


def curl(server, sender, recipient):
    return ["curl", "-sv", "--noproxy", "*", f"smtp://{server}/client.good.example", "--mail-from",
            sender, "--mail-rcpt", recipient, "-T", "-"]


def ftp(*options, name="report.txt"):
    """A client that knows nothing of the gateway: "-P -" is an active one."""
    return ["curl", "-sv", "--noproxy", "*", "-m", "8", *options,
            f"ftp://{USER}:{PASSWORD}@{L.VSFTPD}/{name}"]


def ftp_tls(way, command):
    """The same under TLS, control and data."""
    script = (f"set ftp:passive-mode {way}; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; "
              f"set ssl:verify-certificate no; set net:timeout 8; set net:max-retries 1; debug 5; "
              f"open -u {USER},{PASSWORD} {L.VSFTPD}; {command}")
    return ["lftp", "-c", script]


def mailbox(url, *options):
    """A client of POP3 or IMAP."""
    scheme, path = url.split(":")
    return ["curl", "-sv", "--noproxy", "*", "-m", "8", "-u", f"otto:{mail_servers.PASSWORD}", *options,
            f"{scheme}://{L.DOVECOT}/{path}"]


ACTIVE, PASSIVE = ("-P", "-"), ("--ftp-pasv",)
GOOD, OTTO, VICTIM = "anna@good.example", "otto@campus.example", "victim@evil.example"
HIDDEN = ("Subject: harmless\r\n\r\nhello\n.\r\nMAIL FROM:<boss@campus.example>\r\n"
          f"RCPT TO:<{OTTO}>\r\nDATA\r\nSubject: SMUGGLED\r\n\r\npay at once\r\n.\r\n")


def disguise(name, recipient):
    return Session(f"A relay attempt in disguise: {name}",
                   swaks(L.OPEN_RELAY, GOOD, recipient), "550 5.7.1")


WITHOUT_FTP = Session("No gateway yet: an active FTP client, and a firewall that drops",
                      ftp(*ACTIVE), "425")
WITHOUT = Session("No gateway yet: a host inside that relays for everybody",
                  swaks(L.OPEN_RELAY, GOOD, VICTIM), "250 2.0.0")
SESSIONS = [
    Session("The same, with the gateway on the way", swaks(L.OPEN_RELAY, GOOD, VICTIM),
            "550 5.7.1"),
    Session("A good mail, by swaks", swaks(L.MX, GOOD, OTTO, "--header", "Subject: hello"),
            "250 2.0.0"),
    Session("A good mail, by curl", curl(L.MX, "bert@aonly.example", OTTO), "250 2.0.0",
            stdin="Subject: hello again\r\n\r\nbody\r\n"),
    Session("A good mail with a file: its parts are decoded, with digests",
            swaks(L.MX, GOOD, OTTO, "--attach-type", "text/csv", "--attach-name", "prices.csv",
                  "--attach", "apples,3", "--header", "Subject: prices"), "250 2.0.0"),
    Session("A program that calls itself invoice.pdf",
            swaks(L.MX, GOOD, OTTO, "--attach-type", "application/pdf",
                  "--attach-name", "invoice.pdf", "--attach", "@/bin/true"), "550 5.7.1"),
    Session("A sender domain that does not exist",
            swaks(L.MX, "prince@nosuch.example", OTTO), "451 4.1.8"),
    Session("A sender domain that says it never sends mail (null MX)",
            curl(L.MX, "ceo@nullmx.example", OTTO), "550 5.7.27", stdin="Subject: x\r\n\r\nx\r\n"),
    Session("A sender domain whose MX is localhost",
            swaks(L.MX, "x@localhostmx.example", OTTO), "550 5.7.27"),
    Session("A sender domain whose DNS is broken: never a permanent no",
            swaks(L.MX, "x@servfail.example", OTTO), "451 4.4.3"),
    Session("A foreign mail to the mail server", swaks(L.MX, GOOD, VICTIM), "550 5.7.1"),
    disguise("percent", "victim%evil.example@campus.example"),
    disguise("source route", "@campus.example:victim@evil.example"),
    disguise("quoted", '"victim@evil.example"@campus.example'),
    disguise("bang path", "evil.example!victim@campus.example"),
    Session("A second mail smuggled inside the first (LF . CR LF)", curl(L.MX, GOOD, OTTO),
            "550 5.5.2", stdin=HIDDEN),
    Session("A relay attempt inside STARTTLS: the gateway has the server's certificate, and reads on",
            swaks(L.OPEN_RELAY, GOOD, VICTIM, "-tls"), "550 5.7.1"),
    Session("A web browser on the mail port",
            ["curl", "-sv", "--http0.9", "--noproxy", "*", f"http://{L.MX}:25/"],
            ("554 5.5.0", "221 2.7.0")),  # before or after the greeting: a browser speaks first
    Session("The active FTP client again: called from the server's address and port 20",
            ftp(*ACTIVE), "226"),
    Session("A passive FTP client: one hole, for one connection", ftp(*PASSIVE), "226"),
    Session("An upload, active: what was in it, with digest and both connections",
            ftp(*ACTIVE, "-T", "-", name="prices.csv"), "226", stdin="apples,3\n"),
    Session("An active FTP client under TLS, and a server that wants its session resumed: no kernel helper can",
            ftp_tls("no", "get report.txt -o {dir}/fetched.txt"), "226"),
    Session("A program as an upload, and what is called a picture",
            ftp(*PASSIVE, "-T", "/bin/true", name="holiday.jpg"), "552"),
    Session("A message by POP3: its parts, and what the session did", mailbox("pop3:1"), "+OK"),
    Session("One part of a message by IMAP: named, decoded",
            [*mailbox("imap:INBOX", "-X", "FETCH 1 BODYSTRUCTURE"), "--next",
             *mailbox("imap:INBOX;MAILINDEX=1;SECTION=2")[1:]], "A006 OK"),
    Session("A program that is to be stored by IMAP: nothing is", mailbox("imap:INBOX", "-T", "{dir}/program.eml"),
            "A004 NO [CANNOT]"),
    Session("One of our own people sends to the world",
            swaks(WORLD, OTTO, VICTIM, "--local-interface", PERSON), "250 2.0.0", inside=True),
]
AGAIN = Session("The gateway is started again: a good mail", swaks(L.MX, GOOD, OTTO), "250 2.0.0")


def told(output):
    """The reply that mattered: the last one before the client said QUIT."""
    replies = []
    for line in output.splitlines():
        if re.match(r"( -> | ~> |> |---> )(QUIT|\w+ LOGOUT)", line):
            break
        reply = re.match(r"(?:<---|<-|<\*\*|<~\*|<~|<) *((?:\d\d\d[ -]|\+OK|-ERR|A\d+ (?:OK|NO|BAD)).*)|"
                         r"(\d\d\d \d\.\d\.\d.*)", line)
        if reply:
            replies.append((reply.group(1) or reply.group(2)).strip())
    return replies[-1] if replies else "(nothing)"


def reply_line(reply):
    words = [reply["command"] or "greeting", reply.get("rcpt", ""), str(reply["code"]),
             reply.get("enhanced", ""), reply.get("text", "")]
    return f"[{reply['source']}] " + " ".join(word for word in words if word)


def part_line(part):
    words = [part["path"] or "-", part.get("mime_type", "?"), part["encoding"], f"{part['size']} octets"]
    if "sha256" in part:
        words.append("sha256 " + part["sha256"][:12] + "\u2026")
    words += [f"{key} {part[key]}" for key in ("filename", "detected_type", "mismatch") if key in part]
    return "  ".join(words)


def decoded(value, indent):
    """A record as indented "key: value" lines; an object that is short takes one line."""
    for key, item in value.items():
        if key == "replies":
            yield f"{indent}replies:"
            yield from (f"{indent}  {reply_line(reply)}" for reply in item)
        elif key == "parts":
            yield f"{indent}parts:"
            yield from (f"{indent}  {part_line(part)}" for part in item)
        elif isinstance(item, dict):
            short = "  ".join(f"{k} {v}" for k, v in item.items())
            if len(f"{indent}{key}: {short}") <= WIDTH and not any(isinstance(v, (dict, list))
                                                    for v in item.values()):
                yield f"{indent}{key}: {short}"
            else:
                yield f"{indent}{key}:"
                yield from decoded(item, indent + "  ")
        elif isinstance(item, list):
            yield f"{indent}{key}: {', '.join(map(str, item))}"
        else:
            yield f"{indent}{key}: {item}"


def shortened(record):
    """Without what is much the same in every record."""
    shown = {k: v for k, v in record.items() if k not in ONCE}
    if "replies" in shown.get("smtp", {}):
        replies = [r for r in shown["smtp"]["replies"]
                   if r["source"] == "gateway" or r["command"] not in COMMON]
        shown["smtp"] = {**shown["smtp"], "replies": replies}
    return shown


def show_record(record):
    """One record; what every line of a session has in common stands in its first line."""
    way = f"{record['src_ip']}:{record['src_port']} -> {record['dest_ip']}:{record['dest_port']}"
    if "upstream" in record:
        up = record["upstream"]
        way += f" ==> {up['src_ip']}:{up['src_port']} -> {up['dest_ip']}:{up['dest_port']}"
    print(f"    record  {record['event_type']}  {way}")
    shown = {k: v for k, v in record.items() if k not in IN_FIRST_LINE}
    for line in decoded(shown, " " * 12):
        style = YELLOW if "[gateway]" in line or "action refuse" in line else DIM
        print(paint(style, line if len(line) <= WIDTH else line[:WIDTH - 1] + "\u2026"))


class Demo:
    """The lab with its servers, the gateway once it runs, and how many sessions went as promised."""

    def __init__(self, lab):
        self.lab, self.gate, self.wire = lab, None, None
        self.began = time.monotonic()
        self.number = self.right = self.shown = 0
        self.keys = lab.dir / "keys.log"
        print(f"""Three hosts, each a network namespace of this machine:
    outside   {L.CLIENT}, who tries things, and {WORLD}, a scripted mail server of the world's
    router    its firewall drops all but mail and FTP's control connections, and what carries the two
              marks of the gateway
    inside    {L.MX}, a Postfix for campus.example, {L.OPEN_RELAY}, one that relays for everybody, and
              {L.VSFTPD}, vsftpd, and {L.DOVECOT}, Dovecot with the mailboxes
DNS is real too (nsd, unbound); its names are made up. Starting them ...""", flush=True)
        lab.server.ip(f"addr add {PERSON}/24 dev eth0")
        servers.Dns(lab)
        self.campus = servers.campus_mx(lab)
        self.relay, self.sink = servers.open_relay(lab)
        self.files = FtpServer(lab, "vsftpd", ["connect_timeout=2"])
        self.files.put("report.txt", b"All is well.\n" * 1000)
        self.mailboxes = mail_servers.Dovecot(lab)
        self.otto = mail_servers.Account(self.mailboxes, "otto").put([mails.with_file("prices")])
        (lab.dir / "program.eml").write_bytes(mails.program())
        self.world = FakeServer(lab.client, WORLD, 25)
        lab.at_end(self.world.close)
        lab.firewall()

    def title(self, text):
        self.number += 1
        print()
        print(paint(BOLD, f"{self.number:2}. {text}"))

    def judge(self, what, answer, right, promised):
        """Prints one answer, and whether it was the one that we promise."""
        self.right += right
        no = answer[0] in "45-" or " NO " in answer or answer.endswith("refused")
        style = RED if not right else YELLOW if no else GREEN
        print(f"    {what:7} " + paint(style, answer) + ("" if right else f"  (not {promised})"))

    def run(self, session):
        """Runs one session and prints it, with what the gateway wrote, where there is one."""
        seen = len(self.gate.records()) if self.gate else 0
        host = self.lab.server if session.inside else self.lab.client
        argv = [word.replace("{dir}", str(self.lab.dir)) for word in session.argv]
        done = host.run(*argv, input=session.stdin)
        answer = told(done.stdout + "\n" + done.stderr)
        self.title(session.title)
        print(f"    tried   {shlex.join(argv)}")
        self.judge("told", answer, answer.startswith(session.expect), session.expect)
        if not self.gate:
            return

        def written():
            records = self.gate.records()[seen:]
            return records if any(r["event_type"] == "flow" for r in records) else None

        records = wait_for(written, 10, "the record of the session")
        wanted = [r for r in records if r["event_type"] in SHOWN]
        for record in wanted or records:
            show_record(record if not self.shown else shortened(record))
            self.shown += 1
            if self.shown == 1:
                print(paint(DIM, "    (shorter from here on; the log has all of it, as JSON)"))

    def start(self):
        self.wire = Wire(self.lab.client, self.lab.dir / "outside.pcap")
        self.lab.at_end(self.wire.kill)
        self.gate = Gateway(self.lab, L.MX, mode="tproxy", workers=2,
                            content={"mismatch": "enforce"}, tls={"key_log": str(self.keys)},
                            certificate={"campus": Certificate(self.lab, "campus.example").section})
        self.lab.at_end(self.gate.stop)
        print(f"\nOn the router {BINARY.name} runs now, with two workers. No client and no server was "
              "told of it. It has a "
              "certificate for the servers inside, and ends TLS that asks for it.", flush=True)

    def addresses(self):
        """What each end takes the other for, from the server's own log and from curl's."""
        done = self.lab.client.run(*curl(L.MX, GOOD, OTTO), input="Subject: who\r\n\r\nx\r\n")
        peer = re.search(r"Connected to (\S+)", done.stderr)
        seen = re.findall(r"connect from unknown\[([^]]*)\]", self.campus.log())
        self.title("Both ends see each other, and nobody in between")
        self.judge("client", f"is connected to {peer.group(1) if peer else 'nobody'}, says curl",
                   bool(peer) and peer.group(1) == L.MX, L.MX)
        self.judge("server", f"was connected from {seen[-1] if seen else 'nowhere'}, says its log",
                   seen[-1:] == [L.CLIENT], L.CLIENT)

    def captured(self):
        """What tcpdump has recorded outside, read by the same eyes: the gateway's own records, or not."""
        self.wire.stop()
        read, _ = run_read("-c", self.gate.file, "--keylog", self.keys, "--resolve", self.wire.path,
                           namespace=self.lab.gateway)
        gateway, wire = by_session(self.gate.records()), by_session(read)
        # one client spoke ahead: what the server greeted it with, the gateway has kept to itself
        apart = {session_of(r) for r in self.gate.records()
                 if r["event_type"] == "flow" and r["flow"]["reason"] == "client_ahead"}
        both = (gateway.keys() & wire.keys()) - apart
        same = sum(not any(differences(gateway[s].get(kind, []), wire[s].get(kind, []))
                           for kind in gateway[s].keys() | wire[s].keys()) for s in both)
        self.title("Somebody has recorded the wire outside all the while: postern read has the same to say")
        print(f"    tried   postern read -c {self.gate.file.name} --keylog {self.keys.name} {self.wire.path.name}")
        self.judge("said", f"{same} of {len(both)} sessions have the gateway's own records, field by field",
                   same == len(both) >= MANY, "all of them")

    def death(self):
        """Killed with -9: what stands in the way now, and what comes of a connect."""
        self.gate.kill()
        self.title("The gateway is killed with -9: the port is closed, from that moment on")
        for family, server in (("IPv4", L.MX), ("IPv6", L.MX6)):
            told_now = knock(self.lab.client, server)
            self.judge(family, f"{server} port 25: {told_now}", told_now == "refused", "refused")
        tables = self.lab.gateway.output("nft", "list", "tables").split("\n")
        print(paint(DIM, "    tables  " + ", ".join(t.removeprefix("table ") for t in tables if t)
                    + "  (what is left: the router's own, and the guard)"))
        self.gate.start()

    def summary(self):
        """The closing line; counts what really arrived, by looking into mailbox and sink."""
        delivered = self.campus.settle()
        smuggled = sum(b"SMUGGLED" in mail for mail in delivered)
        foreign, sent = len(self.sink.mails), len(self.world.mails)
        stored = len(self.otto.messages()) - 1
        good = (self.right == PROMISES and len(delivered) == 5 and smuggled == 0 and foreign == 1
                and sent == 1 and stored == 0)
        line = (f"{self.right} of {PROMISES} promises kept; {len(delivered)} good mails delivered, "
                f"{smuggled} smuggled; the open relay sent {foreign} on, before there was a gateway; "
                f"the world got {sent} of our own; {stored} programs stored ({time.monotonic() - self.began:.0f} s)")
        print()
        print(paint(BOLD + ";" + (GREEN if good else RED), line))
        if os.environ.get("KEEP") != "1":
            print("All of it is taken down again; \"make demo KEEP=1\" leaves it up to be tried.")
        return good


PROMISES = len(SESSIONS) + 8  # before and after them: three sessions, two addresses, a capture, two closed ports
MANY = 20  # sessions, of those that come from outside


def demonstrate(lab):
    demo = Demo(lab)
    demo.run(WITHOUT_FTP)
    demo.run(WITHOUT)
    wait_for(lambda: demo.sink.mails, 10, "the mail of the open relay")
    demo.start()
    for session in SESSIONS:
        demo.run(session)
    demo.addresses()
    demo.captured()
    demo.death()
    demo.run(AGAIN)
    return demo.summary(), demo.gate


def keep(lab, gate, done):
    """Says how to use the lab, calls done, and holds it up until told to end."""
    for name in ("client", "gateway", "server"):
        wrapper = lab.dir / name
        wrapper.write_text(f'#!/bin/sh\nexec nsenter --net={getattr(lab, name).path} -- "$@"\n')
        wrapper.chmod(0o755)
    print(f"""
The lab stays up. Each of these runs a command in one of the three namespaces:

    {lab.dir}/client  swaks --server {L.MX} --from {GOOD} --to {OTTO}
    {lab.dir}/gateway nft list ruleset
    {lab.dir}/server  ss -tln

    records         tail -f {gate.log}
    configuration   {gate.file}
    mailbox         {lab.dir}/campus/mail/box
    open relay      {L.OPEN_RELAY}

Take it down with: kill {os.getpid()}""", flush=True)
    done()
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):  # whoever waits for the end of our output must not wait for us
        os.dup2(quiet, fd)
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass


def in_background(work):
    """
    Runs work(done) in a child that may outlive us; our exit code is what it gives to done().
    Everything in the lab ends with the process that made it: that must be the child.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        os.setsid()

        def done(code):
            os.write(theirs, bytes([code]))

        try:
            work(done)
        finally:
            os._exit(0)
    os.close(theirs)
    code = os.read(ours, 1)
    return code[0] if code else 1


def demo(done=None):
    L.end_by_signal()
    try:
        with Lab() as lab:
            good, gate = demonstrate(lab)
            code = 0 if good else 1
            if done:
                keep(lab, gate, lambda: done(code))
            gate.stop()
            return code
    except (LabError, TimeoutError, AssertionError) as error:
        print(f"demo: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
    if done:
        done(1)
    return 1


def main():
    if os.geteuid() != 0:
        sys.exit("demo: needs root, for network namespaces; try: sudo make demo")
    if not BINARY.exists():
        sys.exit(f"demo: {BINARY} is not there; try: make")
    sys.exit(in_background(demo) if os.environ.get("KEEP") == "1" else demo())


if __name__ == "__main__":
    main()
