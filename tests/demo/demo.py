#!/usr/bin/python3
"""
The demonstration: a gateway between the Internet and a campus, all of it on this machine.

Three network namespaces. Outside: swaks and curl. Inside: a real Postfix for campus.example, a
second one that relays for everybody, real DNS. Between them build/postern in forward mode. Every
session prints what was tried, what the client was told, and the record that the gateway wrote.

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
import servers  # noqa: E402
from gateway import BINARY, Gateway  # noqa: E402
from lab import Lab, LabError, wait_for  # noqa: E402

RELAY_DOOR = L.OUTSIDE4 + "26"  # where the gateway listens for the host that relays for everybody
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
WIDTH = 118  # longer lines of a record are cut for the eye; the log has all of it
IN_FIRST_LINE = ("event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto",
                 "upstream", "tx_id")
BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"


def paint(style, text):
    return f"\x1b[{style}m{text}\x1b[0m" if COLOUR else text


class Session:
    """
    One thing that somebody tries.

    argv      swaks or curl with its arguments; run in the client's namespace
    expect    start of the reply that the client is to get, or a tuple of them
    stdin     what the program reads
    direct    past the gateway: there is no record
    """

    def __init__(self, title, argv, expect, stdin=None, direct=False):
        self.title, self.argv, self.expect = title, argv, expect
        self.stdin, self.direct = stdin, direct


def swaks(server, sender, recipient, *more):
    return ["swaks", "--server", server, "--helo", "client.good.example", "--from", sender,
            "--to", recipient, *more]


def curl(server, sender, recipient):
    return ["curl", "-sv", "--noproxy", "*", f"smtp://{server}/client.good.example", "--mail-from",
            sender, "--mail-rcpt", recipient, "-T", "-"]


GOOD, OTTO, VICTIM = "anna@good.example", "otto@campus.example", "victim@evil.example"
HIDDEN = ("Subject: harmless\r\n\r\nhello\n.\r\nMAIL FROM:<boss@campus.example>\r\n"
          f"RCPT TO:<{OTTO}>\r\nDATA\r\nSubject: SMUGGLED\r\n\r\npay at once\r\n.\r\n")


def disguise(name, recipient):
    return Session(f"A relay attempt in disguise: {name}",
                   swaks(RELAY_DOOR, GOOD, recipient), "550 5.7.1")


SESSIONS = [
    Session("A good mail, by swaks", swaks(L.GATEWAY, GOOD, OTTO, "--header", "Subject: hello"),
            "250 2.0.0"),
    Session("A good mail, by curl", curl(L.GATEWAY, "bert@aonly.example", OTTO), "250 2.0.0",
            stdin="Subject: hello again\r\n\r\nbody\r\n"),
    Session("A sender domain that does not exist",
            swaks(L.GATEWAY, "prince@nosuch.example", OTTO), "451 4.1.8"),
    Session("A sender domain that says it never sends mail (null MX)",
            curl(L.GATEWAY, "ceo@nullmx.example", OTTO), "550 5.7.27", stdin="Subject: x\r\n\r\nx\r\n"),
    Session("A sender domain whose MX is localhost",
            swaks(L.GATEWAY, "x@localhostmx.example", OTTO), "550 5.7.27"),
    Session("A sender domain whose DNS is broken: never a permanent no",
            swaks(L.GATEWAY, "x@servfail.example", OTTO), "451 4.4.3"),
    Session("A foreign mail to the mail server", swaks(L.GATEWAY, GOOD, VICTIM), "550 5.7.1"),
    Session("A host that relays for everybody, without the gateway",
            swaks(L.OPEN_RELAY, GOOD, VICTIM), "250 2.0.0", direct=True),
    Session("The same host through the gateway", swaks(RELAY_DOOR, GOOD, VICTIM), "550 5.7.1"),
    disguise("percent", "victim%evil.example@campus.example"),
    disguise("source route", "@campus.example:victim@evil.example"),
    disguise("quoted", '"victim@evil.example"@campus.example'),
    disguise("bang path", "evil.example!victim@campus.example"),
    Session("A second mail smuggled inside the first (LF . CR LF)", curl(L.GATEWAY, GOOD, OTTO),
            "550 5.5.2", stdin=HIDDEN),
    Session("A web browser on the mail port",
            ["curl", "-sv", "--http0.9", "--noproxy", "*", f"http://{L.GATEWAY}:25/"],
            ("554 5.5.0", "221 2.7.0")),  # before or after the greeting: a browser speaks first
    Session("One of our own people sends to the world",
            swaks(RELAY_DOOR, GOOD, VICTIM, "--local-interface", L.CLIENT_INSIDE), "250 2.0.0"),
]


def told(output):
    """The reply that mattered: the last one before the client said QUIT."""
    replies = []
    for line in output.splitlines():
        if re.match(r"( -> |> )QUIT", line):
            break
        reply = re.match(r"(?:<-|<\*\*|<) *(\d\d\d[ -].*)|(\d\d\d \d\.\d\.\d.*)", line)
        if reply:
            replies.append((reply.group(1) or reply.group(2)).strip())
    return replies[-1] if replies else "(nothing)"


def reply_line(reply):
    words = [reply["command"] or "greeting", reply.get("rcpt", ""), str(reply["code"]),
             reply.get("enhanced", ""), reply.get("text", "")]
    return f"[{reply['source']}] " + " ".join(word for word in words if word)


def decoded(value, indent):
    """A record as indented "key: value" lines; an object that is short takes one line."""
    for key, item in value.items():
        if key == "replies":
            yield f"{indent}replies:"
            yield from (f"{indent}  {reply_line(reply)}" for reply in item)
        elif isinstance(item, dict):
            short = "  ".join(f"{k} {v}" for k, v in item.items())
            if len(short) <= WIDTH - 16 and not any(isinstance(v, (dict, list))
                                                    for v in item.values()):
                yield f"{indent}{key}: {short}"
            else:
                yield f"{indent}{key}:"
                yield from decoded(item, indent + "  ")
        elif isinstance(item, list):
            yield f"{indent}{key}: {', '.join(map(str, item))}"
        else:
            yield f"{indent}{key}: {item}"


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


def run(number, session, lab, gate):
    """Runs one session, prints it; True when the client was told what we promise."""
    seen = len(gate.records())
    done = lab.client.run(*session.argv, input=session.stdin)
    answer = told(done.stdout + "\n" + done.stderr)
    right = answer.startswith(session.expect)
    print()
    print(paint(BOLD, f"{number:2}. {session.title}"))
    print(f"    tried   {shlex.join(session.argv)}")
    style = RED if not right else GREEN if answer[0] == "2" else YELLOW
    print("    told    " + paint(style, answer) + ("" if right else f"  (not {session.expect})"))
    if session.direct:
        return right

    def written():
        records = gate.records()[seen:]
        return records if any(r["event_type"] == "flow" for r in records) else None

    records = wait_for(written, 10, "the record of the session")
    wanted = [r for r in records if r["event_type"] in ("smtp", "anomaly")]
    for record in wanted or records:
        show_record(record)
    return right


def summary(right, campus, sink, began):
    """The closing line; counts what really arrived, by looking into mailbox and sink."""
    delivered = campus.settle()
    smuggled = sum(b"SMUGGLED" in mail for mail in delivered)
    # one went past the gateway to show the danger, one was sent by our own people
    foreign = len(sink.mails)
    good = right == len(SESSIONS) and len(delivered) == 2 and smuggled == 0 and foreign == 2
    line = (f"{right} of {len(SESSIONS)} sessions ended as promised; {len(delivered)} good mails "
            f"delivered, {smuggled} smuggled; the open relay sent {foreign} mails on: one past the "
            f"gateway, one for our own people ({time.monotonic() - began:.0f} s)")
    print()
    print(paint(BOLD + ";" + (GREEN if good else RED), line))
    return good


def set_up(lab):
    print(f"Starting Postfix (two), nsd, unbound and {BINARY.name} in three namespaces ...",
          flush=True)
    lab.gateway.ip(f"addr add {RELAY_DOOR}/24 dev outside")
    servers.Dns(lab)
    campus = servers.campus_mx(lab)
    relay, sink = servers.open_relay(lab)
    gate = Gateway(lab, campus.address, forward={"relay": {
        "listen": f"{RELAY_DOOR}:25", "to": f"{relay.address}:25", "protocol": "smtp"}})
    lab.at_end(gate.stop)
    return campus, sink, gate


def demonstrate(lab):
    began = time.monotonic()
    campus, sink, gate = set_up(lab)
    right = 0
    for number, session in enumerate(SESSIONS, 1):
        right += run(number, session, lab, gate)
    wait_for(lambda: len(sink.mails) >= 2, 10, "the mails that were to leave")
    return summary(right, campus, sink, began), gate


def keep(lab, gate, done):
    """Says how to use the lab, calls done, and holds it up until told to end."""
    for name in ("client", "gateway", "server"):
        wrapper = lab.dir / name
        wrapper.write_text(f'#!/bin/sh\nexec nsenter --net={getattr(lab, name).path} -- "$@"\n')
        wrapper.chmod(0o755)
    print(f"""
The lab stays up. Each of these runs a command in one of the three namespaces:

    {lab.dir}/client  swaks --server {L.GATEWAY} --from {GOOD} --to {OTTO}
    {lab.dir}/gateway ip addr
    {lab.dir}/server  ss -tln

    records         tail -f {gate.log}
    configuration   {gate.file}
    mailbox         {lab.dir}/campus/mail/box
    open relay      {RELAY_DOOR} (through the gateway), {L.OPEN_RELAY} (past it)

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
