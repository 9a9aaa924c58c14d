#!/usr/bin/python3
"""Writes the hand-made inputs of fuzz_retrieval_seen to tests/fuzz/corpus: the conversations of
fuzz_pop3 and fuzz_imap, as they are, with a hole, from their middle on, and under a strict policy.
"""

import make_imap_corpus
import make_pop3_corpus
from make_corpus import write
from make_ftp_corpus import records

IMAP, JOINED, STRICT = 1, 2, 4
HOLE = {"C": b"\6\5", "S": b"\7\5"}


def with_hole(conversation):
    """Five octets less in the middle of the last thing that is said."""
    who, octets = conversation[-1]
    at = len(octets) // 2
    return (records(conversation[:-1] + [(who, octets[:at])]) + HOLE[who]
            + records([(who, octets[at + 5:])]))


def main():
    inputs = {}
    for protocol, option, module in (("pop3", 0, make_pop3_corpus), ("imap", IMAP, make_imap_corpus)):
        for name, said in module.CONVERSATIONS.items():
            said = list(said)
            name = f"{protocol}-{name}"
            inputs[name] = bytes([option, 0]) + records(said)
            inputs[name + "-strict"] = bytes([option | STRICT, 0]) + records(said)
            inputs[name + "-hole"] = bytes([option, 0]) + with_hole(said)
            inputs[name + "-joined"] = bytes([option | JOINED, 0]) + records(said[len(said) // 2:])
    write("retrieval_seen", inputs)


if __name__ == "__main__":
    main()
