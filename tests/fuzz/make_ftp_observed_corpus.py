#!/usr/bin/python3
"""Writes the hand-made inputs of fuzz_ftp_observed to tests/fuzz/corpus."""

from make_corpus import write

# enum act, and the rows of its tables that are used here
LINE, REPLY, DATA, PEER, GAP, UNHEARD, TLS = range(4, 11)
USER, PASS, PASV, EPSV, EPSV_ALL, PORT, EPRT, BOUNCE, RETR, STOR, STOU, APPE, LIST, REST, ABOR = range(15)
NOOP, QUIT, CWD, PWD, AUTH, PROT, MANY, ALL_AT_ONCE, CR = 17, 18, 20, 21, 23, 24, 27, 28, 29
READY, AT, FOREIGN, LOW, AT_PORT, OK, GO, DONE, FINE, HERE, PASSWORD, IN = range(12)
NO, CUT, BYE, DENIED, LEFT, TLS_GO, NAMED, BOTH, CUT_TWICE, SPOOFED = 13, 14, 15, 17, 18, 19, 21, 22, 23, 24
OCTETS, END = 3, 4  # to the oldest connection; the first of all acts opens it

LOGIN = [(REPLY, READY), (LINE, USER), (REPLY, PASSWORD), (LINE, PASS), (REPLY, IN)]
PASSIVE = [*LOGIN, (LINE, PASV), (REPLY, AT)]
ACTIVE = [*LOGIN, (LINE, PORT), (REPLY, OK)]
OPEN, SENT, ENDS = [(DATA, 0)], [(DATA, OCTETS)], [(DATA, END), (DATA, END)]

ACTS = {
    "download": [*PASSIVE, *OPEN, (LINE, RETR), (REPLY, GO), *SENT, *ENDS, (REPLY, DONE), (LINE, QUIT), (REPLY, LEFT)],
    "done-ahead": [*PASSIVE, (LINE, RETR), (REPLY, BOTH), *OPEN, *SENT, *ENDS],
    "data-ahead": [*ACTIVE, (LINE, STOR), *OPEN, *SENT, *ENDS, (REPLY, GO), (REPLY, DONE)],
    "parked": [*PASSIVE, (LINE, RETR), (REPLY, BOTH), (LINE, EPSV), (REPLY, AT_PORT), (LINE, APPE), (REPLY, BOTH)]
    + [*OPEN, (DATA, 8), *SENT, (DATA, 11), *ENDS, (DATA, 12)],
    "many-parked": [*LOGIN, *[(LINE, PASV), (REPLY, AT), (LINE, LIST), (REPLY, BOTH)] * 10],
    "named": [*PASSIVE, *OPEN, (LINE, STOU), (REPLY, NAMED), *SENT, *ENDS, (REPLY, DONE)],
    "again": [*PASSIVE, *OPEN, (LINE, RETR), (REPLY, GO), *SENT, *ENDS, (REPLY, DONE), (LINE, RETR), (REPLY, GO), *OPEN],
    "no-agreement": [*LOGIN, (LINE, RETR), *OPEN, (REPLY, GO), *SENT, *ENDS, (REPLY, DONE), (LINE, STOR), (REPLY, NO)],
    "rest": [*PASSIVE, (LINE, REST), (REPLY, 12), (LINE, STOR), (REPLY, GO), *OPEN, *SENT, (DATA, 6), (REPLY, CUT)],
    "abort": [*PASSIVE, *OPEN, (LINE, RETR), (REPLY, GO), *SENT, (LINE, ABOR), (REPLY, CUT_TWICE), (DATA, 6)],
    "abort-once": [*PASSIVE, *OPEN, (LINE, RETR), (REPLY, GO), (LINE, ABOR), (REPLY, DONE), (LINE, PWD), (REPLY, HERE)],
    "bounce": [*LOGIN, (LINE, BOUNCE), (REPLY, OK), (LINE, RETR), (REPLY, GO), *OPEN, *SENT, *ENDS, (REPLY, DONE)],
    "foreign": [*LOGIN, (LINE, PASV), (REPLY, FOREIGN), (LINE, LIST), (DATA, 7), (REPLY, NO)],
    "low": [*LOGIN, (LINE, PASV), (REPLY, LOW), (LINE, RETR), (REPLY, DENIED)],
    "epsv-all": [*LOGIN, (LINE, EPSV_ALL), (REPLY, OK), (LINE, PASV), (REPLY, DENIED), (LINE, EPSV), (REPLY, AT_PORT)],
    "at-once": [*LOGIN, (LINE, ALL_AT_ONCE), (REPLY, AT), (REPLY, BOTH), (REPLY, AT), (REPLY, BOTH), (REPLY, LEFT)],
    "unanswered": [*LOGIN, (LINE, PASV), (LINE, ALL_AT_ONCE), (PEER, 0)],
    "tls": [(REPLY, READY), (LINE, AUTH), (REPLY, TLS_GO), (TLS, 1), *PASSIVE[1:], (LINE, PROT), (REPLY, OK), (REPLY, OK)]
    + [(LINE, RETR), *OPEN, (REPLY, GO), *SENT, *ENDS, (REPLY, DONE)],
    "tls-cut": [(REPLY, READY), (LINE, AUTH), (REPLY, TLS_GO), (TLS, 0), (LINE, NOOP)],
    "unheard": [(LINE, USER), (LINE, PASS), (UNHEARD, 0), (LINE, CWD), (LINE, PORT), (LINE, RETR), *OPEN, *SENT, *ENDS],
    "gap": [*PASSIVE, (LINE, RETR), (GAP, 1), (REPLY, GO), *OPEN],
    "out-of-step": [*LOGIN, (LINE, CR), (REPLY, DENIED), (LINE, NOOP), (REPLY, OK)],
    "spoofed": [*LOGIN, (LINE, NOOP), (REPLY, SPOOFED), (LINE, NOOP)],
    "bye": [*PASSIVE, *OPEN, (LINE, RETR), (REPLY, GO), *SENT, (REPLY, BYE), (LINE, NOOP), (REPLY, OK)],
    "gone": [*PASSIVE, *OPEN, (LINE, RETR), (REPLY, GO), (PEER, 3), (PEER, 2), *SENT],
}
# Options under which each of them is worth a try: see enum option.
OPTIONS = {"": 1, "-content": 1 | 2, "-read-only": 1 | 4, "-joined": 1 | 8, "-small": 16, "-no-pairs": 1 | 32}

if __name__ == "__main__":
    write(
        "ftp_observed",
        {
            name + suffix: bytes([options]) + b"".join(bytes(act) for act in acts)
            for name, acts in ACTS.items()
            for suffix, options in OPTIONS.items()
        },
    )
