#!/usr/bin/python3
"""Writes the hand-made inputs of fuzz_ftp, fuzz_ftp_hostport and fuzz_ftp_gate to tests/fuzz/corpus.

fuzz_ftp takes records of what happens to a session; here they are put together from conversations:
"C" is what the client sends, "S" what the server sends.
"""

from make_corpus import cut, write

HELLO = ("S", b"220 files.example\r\n")
LOGIN = [HELLO, ("C", b"USER u\r\n"), ("S", b"331 password\r\n"), ("C", b"PASS p\r\n"), ("S", b"230 in\r\n")]
PASV = [("C", b"PASV\r\n"), ("S", b"227 Entering Passive Mode (192,0,2,1,4,0)\r\n")]
EPSV = [("C", b"EPSV\r\n"), ("S", b"229 Entering Extended Passive Mode (|||6446|)\r\n")]
GO = ("S", b"150 here it comes\r\n")
DONE = ("S", b"226 done\r\n")
QUIT = [("C", b"QUIT\r\n"), ("S", b"221 bye\r\n")]

CONVERSATIONS = {
    "login": LOGIN + QUIT,
    "passive": LOGIN + PASV + [("C", b"RETR a\r\n"), GO, DONE] + QUIT,
    "extended-passive": LOGIN + EPSV + [("C", b"LIST -la\r\n"), GO, DONE],
    "active": LOGIN + [("C", b"PORT 192,0,2,10,200,13\r\n"), ("S", b"200 ok\r\n"), ("C", b"STOR a\r\n"), GO, DONE],
    "extended-active": LOGIN
    + [("C", b"EPRT |2|2001:db8::10|51213|\r\n"), ("S", b"200 ok\r\n"), ("C", b"MLSD\r\n"), GO, DONE],
    "abort": LOGIN
    + PASV
    + [("C", b"RETR a\r\n"), GO, ("C", b"\xff\xf4\xff\xf2ABOR\r\n"), ("S", b"426 cut\r\n226 aborted\r\n")],
    "meanwhile": LOGIN
    + [("C", b"STOR a\r\n"), GO, ("C", b"STAT\r\nNOOP\r\nQUIT\r\n")]
    + [("S", b"211-status\r\n more\r\n211 end\r\n226 done\r\n200 ok\r\n221 bye\r\n")],
    "features": [
        HELLO,
        ("C", b"FEAT\r\n"),
        ("S", b"211-Features:\r\n EPRT\r\n AUTH TLS\r\n MLST type*;size*;\r\nnone\r\n211 End\r\n"),
        ("C", b"OPTS UTF8 ON\r\n"),
        ("S", b"200 ok\r\n"),
    ],
    "free-lines": [("S", b"220-a\r\n227 x (1,2,3,4,5,6)\r\n220x\r\n\r\n 220 y\r\n220-z\r\n220 end\r\n")],
    "odd-reply": [("S", b"220-a\nb\r\r\n\0c\xff\xff\xff\xf1\r\n220 hi\n"), ("C", b"PWD\r\n"), ("S", b'257 "/a""b"\r\n')],
    "spoofed-command": LOGIN + [("C", b"NOOP\r\n"), ("S", b"PORT 192,0,2,1,0,22\r\n")],
    "spoofed-reply": LOGIN + [("C", b"227 x (192,0,2,1,4,0)\r\n")],
    "unasked": LOGIN + [("S", b"227 x (192,0,2,1,4,0)\r\n"), ("C", b"CWD a\r\n"), ("S", b"229 x (|||1|)\r\n")],
    "telnet": LOGIN
    + [("C", b"\xff\xfb\x18\xff\xf1\xff\xfd\nNOOP\r\n"), ("S", b"200 ok\r\n")]
    + [("C", b"RE\xff\xf1TR a\r\nRETR a\xff\xffb\r\nRETR a\xff\r\n"), ("C", b"\xff\xfa\x18\x00USER x\r\n")],
    "bare-lf": LOGIN + [("C", b"RETR a\nPORT 1,2,3,4,5,6\r\n")],
    "bare-cr": LOGIN + [("C", b"RETR a\rb\r\n")],
    "nul": LOGIN + [("C", b"RETR a\r\0b\r\n")],
    "blanks": LOGIN + [("C", b"  RETR a\r\nRETR\ta\r\nPORT  192,0,2,1,4,0\r\nPASS   \r\n\r\n")],
    "http": [HELLO, ("C", b"POST / HTTP/1.1\r\nHost: x\r\n\r\nPORT 192,0,2,1,4,0\r\n")],
    "handshake": [HELLO, ("C", b"\x16\x03\x01\0\x05hello")],
    "auth": [HELLO, ("C", b"AUTH TLS\r\n"), ("S", b"234 go\r\n"), ("C", b"\x16\x03\x01"), ("S", b"\x16\x03")],
    "auth-refused": [HELLO, ("C", b"AUTH TLS\r\nUSER u\r\n"), ("S", b"534 no\r\n331 go\r\n")],
    "adat": [HELLO, ("C", b"AUTH GSSAPI\r\n"), ("S", b"334 more\r\n"), ("C", b"ADAT YQ==\r\n"), ("S", b"235 ok\r\n")]
    + [("C", b"ENC x\r\n"), ("S", b"632 y\r\n")],
    "paths": LOGIN
    + [("C", b"CWD /a/b\r\n"), ("S", b"250 ok\r\n"), ("C", b"CWD ../c//d/.\r\n"), ("S", b"250 ok\r\n")]
    + [("C", b"CDUP\r\n"), ("S", b"250 ok\r\n"), ("C", b"PWD\r\n"), ("S", b'257 "/a/c" is it\r\n')],
    "slow-greeting": [("S", b"120 soon\r\n"), ("C", b"USER u\r\n"), HELLO],
}

HOSTPORT = {
    "port": b"192,0,2,10,200,13",
    "port-wrap": b"448,256,258,266,200,13",
    "port-zero": b"192,000,002,010,200,013",
    "port-long": b"192,0,2,10,200,13,99",
    "eprt": b"|1|192.0.2.10|51213|",
    "eprt-v6": b"|2|2001:db8::10|51213|",
    "eprt-mapped": b"|2|::ffff:203.0.113.5|80|",
    "eprt-delimiter": b"!1!192.0.2.10!51213!",
    "eprt-family": b"|3|x|51213|",
    "epsv-all": b"ALL",
    "epsv": b"2",
    "227": b"Entering Passive Mode (192,0,2,1,4,0).",
    "227-bare": b"Entering Passive Mode 192,0,2,1,4,0",
    "227-twice": b"(a) (192,0,2,1,4,0) (1,2,3,4,5,6)",
    "229": b"Entering Extended Passive Mode (|||6446|)",
    "229-address": b"x (|1|203.0.113.5|51213|) (!!!1!)",
}

# fuzz_ftp_gate: enum act, and the rows of its tables that are used here.
CLIENT, SERVER, _, _, LINE, REPLY, SERVE, DATA, DRAIN, TICK, PEER, SECRET, LOGIN = range(13)
USER, PASV_, EPSV_, EPSV_ALL, PORT, EPRT, BOUNCE, RETR, STOR, STOU, APPE, LIST = range(12)
REST, ABOR, SYNCH, STAT, NOOP, QUIT_ = 14, 15, 16, 17, 18, 19
FOREIGN, LOW, GONE, TRANSFERRED, REFUSED, CUT, BYE, NO = 2, 3, 15, 7, 13, 14, 15, 18
LISTENING, OPEN, OCTETS, END, THROUGH, BREAKS, FAILS, INTRUDER = range(8)
AT_SERVER = 8  # with one of those: the server's leg

ANSWERED = [(SERVE, 0)]
PASSIVE = [(LOGIN, 0), (LINE, PASV_), *ANSWERED, (DATA, LISTENING)]
ACTIVE = [(LOGIN, 0), (LINE, PORT), *ANSWERED]
BOTH_OPEN = [(DATA, OPEN), (DATA, OPEN | AT_SERVER)]
SERVER_OPEN = [(DATA, OPEN | AT_SERVER)]
FLOWS = [(DATA, OCTETS), (DATA, OCTETS | 16), (DATA, OCTETS | 32)]
WHOLE = [*FLOWS, (DATA, END), (REPLY, TRANSFERRED), (DATA, THROUGH)]
DOWN = [(LINE, RETR), *SERVER_OPEN, *ANSWERED, (DATA, OPEN)]
UP = [(LINE, STOR), *SERVER_OPEN, *ANSWERED, (DATA, OPEN)]

GATE = {
    "passive-down": PASSIVE + DOWN + WHOLE + [(LINE, QUIT_), *ANSWERED],
    "passive-up": PASSIVE + UP + WHOLE,
    "active-down": ACTIVE + DOWN + WHOLE,
    "active-up": ACTIVE + UP + WHOLE,
    "listing": [(LOGIN, 0), (LINE, EPSV_), *ANSWERED, (DATA, LISTENING), (DATA, OPEN), (LINE, LIST)]
    + [*SERVER_OPEN, *ANSWERED, *WHOLE],
    "eprt": [(LOGIN, 0), (LINE, EPRT), *ANSWERED, *UP, *WHOLE],
    "stou": [*PASSIVE, (LINE, STOU), *SERVER_OPEN, *ANSWERED, (DATA, OPEN), *WHOLE],
    "both-refused": [(LOGIN, 0), (LINE, PORT), (REPLY, 16), (REPLY, 16), (DATA, LISTENING | AT_SERVER), (REPLY, 5)]
    + [(LINE, RETR), *ANSWERED, *BOTH_OPEN, *WHOLE],
    "abort": PASSIVE + DOWN + FLOWS + [(LINE, SYNCH), (REPLY, CUT), (REPLY, TRANSFERRED)],
    "abort-late": PASSIVE + DOWN + FLOWS + [(REPLY, TRANSFERRED), (LINE, ABOR), (DATA, END), (DATA, THROUGH)],
    "cut": PASSIVE + UP + FLOWS + [(DATA, BREAKS), (REPLY, TRANSFERRED)],
    "cut-after": PASSIVE + DOWN + FLOWS + [(REPLY, TRANSFERRED), (DATA, BREAKS | AT_SERVER)],
    "unreachable": ACTIVE + [(LINE, RETR), (DATA, OPEN | AT_SERVER), *ANSWERED, (DATA, FAILS), (REPLY, CUT)],
    "server-unreachable": ACTIVE + [(LINE, RETR), (DATA, FAILS | AT_SERVER), (TICK, 3), (REPLY, REFUSED)],
    "refused": PASSIVE + [(LINE, RETR), (REPLY, NO), (DATA, FAILS)],
    "meanwhile": PASSIVE + DOWN + [(LINE, NOOP), (LINE, STAT), (LINE, QUIT_), (REPLY, 5), *WHOLE, (REPLY, 19)],
    "intruder": PASSIVE + [(DATA, INTRUDER), (DATA, FAILS), (LINE, RETR)],
    "foreign": [(LOGIN, 0), (LINE, PORT), (REPLY, FOREIGN), (LINE, RETR)],
    "low-port": [(LOGIN, 0), (LINE, PORT), (REPLY, LOW)],
    "bounce": [(LOGIN, 0), (LINE, BOUNCE), (LINE, RETR)],
    "client-goes": PASSIVE + UP + FLOWS + [(PEER, 0)],
    "server-goes": PASSIVE + UP + FLOWS + [(PEER, 3)],
    "server-goes-behind-226": PASSIVE + DOWN + FLOWS + [(REPLY, TRANSFERRED), (PEER, 1), (DATA, END), (DATA, THROUGH)],
    "bye": PASSIVE + UP + FLOWS + [(REPLY, BYE)],
    "rest": [(LOGIN, 0), (LINE, REST), *ANSWERED, (LINE, PASV_), *ANSWERED, (DATA, LISTENING), *UP, *WHOLE],
    "secret": [*ANSWERED, (LINE, USER), *ANSWERED, (SECRET, 0), *ANSWERED],
    "tls": [*ANSWERED, (LINE, 28), *ANSWERED, (LINE, 29), (REPLY, 0)],
    "many": [(LOGIN, 0), (LINE, 36), *ANSWERED, (DATA, LISTENING), *ANSWERED, *BOTH_OPEN, *WHOLE, *ANSWERED],
    "features": [(LOGIN, 0), (LINE, 26), (REPLY, 21), (LINE, 23), (REPLY, 8), (LINE, 25), (REPLY, 9)],
}
# Options under which each of them is worth a try: see enum option.
GATE_OPTIONS = {"": 0, "-inspected": 4, "-content": 4 | 8 | 16, "-tproxy": 2, "-same": 1, "-same-tproxy": 3, "-tls": 128}


def gate_inputs():
    plain = {name: bytes(sum(acts, ())) for name, acts in GATE.items()}
    return {n + o: v.to_bytes(2, "little") + acts for n, acts in plain.items() for o, v in GATE_OPTIONS.items()}


def records(conversation):
    """1: from the server; what is longer than a record can hold is cut."""
    out = b""
    for who, octets in conversation:
        for piece in cut(octets):
            out += bytes([1 if who == "S" else 0, len(piece)]) + piece
    return out


def main():
    ftp = {k: b"\0\0" + records(c) for k, c in CONVERSATIONS.items()}
    for key in ("passive", "active", "meanwhile"):  # a gate that does things of its own
        ftp["gate-" + key] = b"\2\x2a" + records(CONVERSATIONS[key])
    # (5 << 1): the octets 40 times
    ftp["long-command"] = b"\1\0" + records([HELLO]) + b"\x0a\x08" + 8 * b"x" + b"\0\2\r\n"
    ftp["endless"] = b"\1\0" + records([HELLO]) + b"\x0a\x10" + 16 * b"x" + b"\0\2\r\n"
    ftp["long-reply"] = b"\1\0" + b"\x0b\x06" + b"220-0\r\n"[:6] + b"\1\2\r\n"
    ftp["many-commands"] = b"\0\0" + records([HELLO]) + b"\x0a\x06NOOP\r\n" + b"\x0b\x08200 ok\r\n"
    write("ftp", ftp)
    write("ftp_hostport", HOSTPORT)
    write("ftp_gate", gate_inputs())


if __name__ == "__main__":
    main()
