"""
Captures that others made, read by "postern read": every one is read, and what the sources expect of it,
what oracle.json derived, and what tshark and tcpflow say of the same octets is found in the records.
SECURITY cases X-001 to X-004; FIELD row L11.
"""

import collections
import fnmatch
import json
import os
import random
import re
import subprocess

import pytest

import capture
import packets as packets_to
import shuffle
import streams
from conftest import GATEWAYS, cases_folder
from read_differences import DAMAGED, DIFFERENT

CASES = cases_folder()
ENTRIES = {e["file"].removeprefix("pcap/"): e for e in json.loads((CASES / "oracle.json").read_text())["pcap"]}
FILES = sorted(str(p.relative_to(CASES / "pcap")) for p in (CASES / "pcap").rglob("*")
               if p.suffix in (".pcap", ".pcapng", ".cap"))
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def run_read(binary, *argv):
    """(exit code, records, messages)"""
    done = subprocess.run([binary, "read", *map(str, argv)], capture_output=True, timeout=300,
                          env={**os.environ, "ASAN_OPTIONS": "exitcode=99", "LSAN_OPTIONS": "exitcode=99"})
    said = done.stderr.decode("utf-8", "replace")
    assert not SANITIZER.search(said), said
    assert done.returncode in (0, 1), f"exit code {done.returncode}: {said}"
    lines = done.stdout.decode("utf-8").split("\n")
    assert lines.pop() == ""
    return done.returncode, [json.loads(line) for line in lines], said


def records_of(name, *options):
    return run_read(GATEWAYS[0], *options, CASES / "pcap" / name)[1]


def test_there_are_captures():
    assert len(FILES) >= 139 and set(ENTRIES) <= set(FILES)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("binary", GATEWAYS)
def test_it_is_read_X_001(binary, name):
    code, records, said = run_read(binary, CASES / "pcap" / name)
    damage = [r["anomaly"] for r in records if r["event_type"] == "anomaly" and r["anomaly"]["type"] == "decode"]
    if name in DAMAGED:
        packet, _ = DAMAGED[name]
        assert [d.get("packet") for d in damage] == [packet]
    else:
        assert code == 0 and said == ""
        assert damage == []
    for record in records:
        assert {"timestamp", "event_type"} <= record.keys(), record
    times = [r["timestamp"] for r in records]
    assert times == sorted(times), "not in the order of time"


# ---- what oracle.json has ----


def host(text):
    address, port = text.rsplit(":", 1)
    return address.strip("[]"), int(port)


class Session:
    """The records of one session, asked for facts; what is not there is in missing."""

    def __init__(self, records, facts):
        ends = (*host(facts["client"]), *host(facts["server"]))
        self.records = [r for r in records if (r.get("src_ip"), r.get("src_port"), r.get("dest_ip"),
                                               r.get("dest_port")) == ends]
        self.facts, self.missing, self.asked = facts, [], 0

    def of(self, kind):
        return [r for r in self.records if r["event_type"] == kind]

    def same(self, what, theirs, ours):
        self.asked += 1
        if theirs != ours:
            self.missing.append(f"{what}: theirs {theirs!r}, ours {ours!r}")

    def among(self, what, theirs, ours):
        self.asked += 1
        if theirs not in ours:
            self.missing.append(f"{what}: theirs {theirs!r} is not among ours {ours!r}"[:600])


def folded(text):
    return " ".join(str(text or "").split())


def bare(path):
    return path.strip().strip("<>")


def about_mail(session, n, mail, record):
    name = f"mail {n}"
    smtp, email = record["smtp"], record.get("email", {})
    session.same(f"{name} from", (mail["envelope_from"] or "").lower(), bare(smtp.get("mail_from", "")).lower())
    if smtp.get("rcpt_left_out"):  # the first hundred are there
        session.same(f"{name} recipients", len(mail["envelope_rcpt"]), len(smtp["rcpt_to"]) + smtp["rcpt_left_out"])
    for recipient in mail["envelope_rcpt"][:100]:
        session.among(f"{name} to", recipient.lower(), [bare(r).lower() for r in smtp.get("rcpt_to", [])])
    session.same(f"{name} via", mail["via"], smtp.get("transfer"))
    session.same(f"{name} size", mail["size"], smtp.get("size"))
    if mail["final_reply"]:
        session.same(f"{name} reply", mail["final_reply"], smtp["replies"][-1]["code"])
    about_message(session, name, mail, email)


def about_message(session, name, facts, email):
    for field in ("subject", "message_id"):
        if facts.get(field):
            session.same(f"{name} {field}", folded(facts[field]), folded(email.get(field)))
    digests = [p.get("sha256") for p in email.get("parts", [])]
    for part in facts.get("parts", []):
        if part.get("sha256"):
            session.among(f"{name} part {part['path']}", part["sha256"], digests)
        if part.get("filename"):
            session.among(f"{name} file", folded(part["filename"]),
                          [folded(p.get("filename")) for p in email.get("parts", [])])


def about_smtp(session):
    facts = session.facts
    records = session.of("smtp")
    begun = [r for r in records if r["smtp"].get("transfer")]
    mails = facts.get("mails", [])
    session.same("mails", len(mails), len(begun))
    for n, (mail, record) in enumerate(zip(mails, begun), 1):
        about_mail(session, n, mail, record)
    said = [c for c in facts.get("commands", []) if isinstance(c, list)]
    hello = [c[0].split(None, 1)[1] for c in said if re.match(r"(?i)(EHLO|HELO) \S", c[0]) and c[1] == 250]
    if hello and records:
        session.among("helo", records[0]["smtp"].get("helo"), hello)
    ours = collections.Counter(x["command"] for r in records for x in r["smtp"]["replies"] if x["command"] in ("MAIL", "RCPT"))
    theirs = collections.Counter(c[0].split()[0].upper() for c in said if c[1] and re.match(r"(?i)(MAIL|RCPT)\b", c[0]))
    for verb in ("MAIL", "RCPT"):
        session.same(f"replies to {verb}", theirs[verb], ours[verb])


def about_ftp(session):
    facts = session.facts
    ours = [(r["ftp"].get("command", "").upper(), [int(c) for c in r["ftp"].get("completion_code", []) if c.isdigit()])
            for r in session.of("ftp") if r["ftp"].get("command")]
    # they cut long verbs, and have an empty one for a line that is none
    theirs = [(c["cmd"].upper() or "?", [int(x) for x in c["codes"]]) for c in facts.get("commands", [])]
    session.same("commands", [c[:30] for c, _ in theirs], [c[:30] for c, _ in ours])
    for i, ((verb, said), (_, heard)) in enumerate(zip(theirs, ours)):
        session.same(f"codes of {i} {verb}", said, heard)
    digests = collections.Counter(r["fileinfo"].get("sha256") for r in session.of("fileinfo"))
    counts = [(r["ftp_data"]["command"], r["ftp_data"].get("octets_out")) for r in session.of("ftp_data")]
    for transfer in facts.get("transfers", []):
        if not transfer.get("sha256") or not transfer.get("complete"):
            continue
        name = f"{transfer['cmd']} {transfer['arg']}"
        session.among(f"{name} octets", (transfer["cmd"].upper(), transfer["size"]), counts)
        if transfer["cmd"].upper() not in ("LIST", "NLST", "MLSD"):
            session.among(name, transfer["sha256"], list(digests))


def about_pop3(session):
    emails = session.of("email")
    whole = [e for e in emails if e["message"]["command"] == "RETR"]
    messages = session.facts.get("messages", [])
    session.same("messages", len(messages), len(whole))
    for n, (facts, record) in enumerate(zip(messages, whole), 1):
        session.same(f"message {n} octets", facts["size"], record["message"]["octets"])
        about_message(session, f"message {n}", facts, record.get("email", {}))
    done = [r for r in session.of("pop3") if "session" in r["pop3"]]
    session.same("sessions", 1, len(done))
    if done:
        # a line of a SASL exchange is no command
        said = [c for c in session.facts.get("commands", []) if not c[0].startswith("(auth)")]
        session.same("commands", len(said), done[0]["pop3"]["session"]["commands"])


def about_imap(session):
    emails = session.of("email")
    fetched = [e for e in emails if e["message"]["command"] == "FETCH"]
    # header fields alone are no part of a message, and have no record
    for n, literal in enumerate(x for x in session.facts.get("fetched", []) if "HEADER" not in x["section"]):
        session.among(f"literal {n} octets", literal["size"], [e["message"]["octets"] for e in fetched])
        if literal["section"] in ("BODY[]", "RFC822"):
            about_message(session, f"literal {n}", literal, next(
                (e.get("email", {}) for e in fetched if e["message"]["octets"] == literal["size"]), {}))
    for n, literal in enumerate(session.facts.get("appended", [])):
        session.among(f"appended {n}", literal["size"], [e["message"]["octets"] for e in emails
                                                         if e["message"]["command"] == "APPEND"])
    session.same("sessions", 1, len([r for r in session.of("imap") if "session" in r["imap"]]))


ABOUT = {"smtp": about_smtp, "ftp": about_ftp, "pop3": about_pop3, "imap": about_imap}
WITH_FACTS = [name for name, e in ENTRIES.items() if any(s["proto"] in ABOUT for s in e.get("derived") or [])]


def judged(name, missing):
    """Each disagreement has its reason, and each reason its disagreement."""
    reasons = DIFFERENT.get(name, {})
    left = [line for line in missing if not any(fnmatch.fnmatch(line, pattern) for pattern in reasons)]
    idle = [pattern for pattern in reasons if not any(fnmatch.fnmatch(line, pattern) for line in missing)]
    assert not left, "\n".join(left)
    assert not idle, f"no such disagreement any more: {idle}"


@pytest.mark.parametrize("name", WITH_FACTS)
def test_what_is_expected_is_found_L11(name):
    records = records_of(name)
    missing, asked = [], 0
    for facts in ENTRIES[name]["derived"]:
        if facts["proto"] not in ABOUT:
            continue
        if facts.get("note") == "server side only":
            assert not [r for r in records if r["event_type"] in ("smtp", "email", "fileinfo")]
            asked += 1
            continue
        session = Session(records, facts)
        prefix = f"stream {facts['stream']}"
        if not session.records:
            missing.append(f"{prefix} has no record")
            continue
        ABOUT[facts["proto"]](session)
        missing += [f"{prefix} {line}" for line in session.missing]
        asked += session.asked
    judged(name, missing)
    assert asked or missing


def test_with_its_key_log_T13():
    """The capture's own dialogue behind STARTTLS."""
    name = "peafowl/imap-ssl.pcapng"
    keys = CASES / "pcap/peafowl/imap-ssl.keylog"
    opaque, opened = records_of(name), records_of(name, "--keylog", keys)
    assert [r["flow"]["opaque"] for r in opaque if r["event_type"] == "flow"] == [True]
    assert [r["flow"]["opaque"] for r in opened if r["event_type"] == "flow"] == [False]
    sessions = [r["imap"]["session"] for r in opened if r["event_type"] == "imap" and "session" in r["imap"]]
    assert len(sessions) == 1 and sessions[0]["commands"] > 2
    tls = [r["tls"] for r in opened if r["event_type"] == "tls"]
    assert len(tls) == 1 and tls[0]["version"] == "TLS 1.2" and tls[0]["subject"]


# ---- what the sources themselves expect ----


def upstream(kind):
    return [(name, i) for name, e in ENTRIES.items() for i, u in enumerate(e.get("upstream") or []) if u["kind"] == kind]


@pytest.mark.parametrize("name,i", upstream("zeek smtp.log"))
def test_what_zeek_saw_of_mail(name, i):
    rows, records = ENTRIES[name]["upstream"][i]["rows"], [r for r in records_of(name) if r["event_type"] == "smtp"]
    missing = []
    for row in rows:
        ours = [r for r in records if r["src_ip"] == row["id.orig_h"] and str(r["src_port"]) == row["id.orig_p"]]
        name_of = f"zeek {row['id.orig_p']}/{row['trans_depth']}"
        if row.get("mailfrom") and row["mailfrom"].lower() not in [bare(r["smtp"]["mail_from"]).lower() for r in ours]:
            missing.append(f"{name_of} from {row['mailfrom']}")
        if row.get("subject") and folded(row["subject"]) not in [folded(r.get("email", {}).get("subject")) for r in ours]:
            missing.append(f"{name_of} subject {row['subject']}")
    judged(name + " (zeek smtp.log)", missing)


@pytest.mark.parametrize("name,i", upstream("zeek ftp.log"))
def test_what_zeek_saw_of_files(name, i):
    rows, records = ENTRIES[name]["upstream"][i]["rows"], [r for r in records_of(name) if r["event_type"] == "ftp"]
    missing = []
    for row in rows:
        ours = {(r["ftp"].get("command", "").upper()) for r in records if str(r["src_port"]) == row["id.orig_p"]}
        if row.get("command") not in (None, "-", "<init>") and row["command"].upper() not in ours:
            missing.append(f"zeek {row['id.orig_p']} {row['command']}")
    judged(name + " (zeek ftp.log)", missing)


# ---- the same packets in another order, twice, cut anew, or missing ----


def in_raw_ip(name):
    """
    The IP packets of a capture, without the padding of short frames; None of one that is damaged, or of a
    link layer that capture.py has not.
    """
    try:
        found = [capture.network_layer(*f) for f in capture.frames((CASES / "pcap" / name).read_bytes())]
    except capture.Corrupt:
        return None
    return [p[:length_of(p)] for p in found if len(p) >= 20]


def length_of(packet):
    if packet[0] >> 4 == 6:
        return 40 + int.from_bytes(packet[4:6], "big")
    return int.from_bytes(packet[2:4], "big") or len(packet)


@pytest.fixture(scope="module")
def straight():
    return {}


def read_packets(tmp_path, packets):
    path = tmp_path / "edited.pcap"
    path.write_bytes(packets_to.pcap(packets, link=101))
    return run_read(GATEWAYS[0], path)[1]


TWO_COPIES = "copies of the same octets differ: how often that is said depends on how often they are there"
# Of these what is said of segments is not compared: it depends on which there are, and when.
ODD_SEGMENTS = {
    "pcapplusplus/Smtp.pcap": TWO_COPIES,
    "suricata-verify/smtp-bug-5981/input.pcap": TWO_COPIES,
    "suricata-verify/smtp-bug-5989/input.pcap": TWO_COPIES,
    "suricata-verify/smtp-long-DATA-line/input.pcap": TWO_COPIES,
    "zeek/smtp__smtp-many-addresses/smtp-many-addresses.pcap":
        "its sender goes beyond the window: how far depends on which segment comes first",
}


def compared(name, records):
    return [r for r in records if name not in ODD_SEGMENTS or r.get("anomaly", {}).get("type") != "stream"]


def said(records, event):
    return [r for r in records if r.get("anomaly", {}).get("event") == event]


CONFLICT = "stream_overlap_different_data"
SHUFFLED = [name for name in WITH_FACTS if in_raw_ip(name)]


@pytest.mark.parametrize("how", shuffle.HARMLESS)
@pytest.mark.parametrize("name", SHUFFLED)
def test_what_a_receiver_puts_in_order_again(tmp_path, straight, name, how):
    packets = in_raw_ip(name)
    if name not in straight:
        straight[name] = read_packets(tmp_path, packets)
    edited, there = read_packets(tmp_path, shuffle.HARMLESS[how](packets, random.Random(name))), straight[name]
    if len(said(edited, "stream_gap")) > len(said(there, "stream_gap")):
        # an acknowledgement came ahead of what it is of: that is said
        assert not shuffle.whole_files(edited) - shuffle.whole_files(there)
    elif ODD_SEGMENTS.get(name) == TWO_COPIES and how in ("runs shuffled", "all at once"):
        # two copies differ, and another one comes first: that is said, too
        assert said(edited, CONFLICT)
    else:
        assert shuffle.facts(compared(name, edited)) == shuffle.facts(compared(name, there))


@pytest.mark.parametrize("how", shuffle.HARMFUL)
@pytest.mark.parametrize("name", SHUFFLED)
def test_what_nobody_can_X_003(tmp_path, straight, name, how):
    packets = in_raw_ip(name)
    if name not in straight:
        straight[name] = read_packets(tmp_path, packets)
    edited = read_packets(tmp_path, shuffle.HARMFUL[how](packets, random.Random(name)))
    ours, theirs = shuffle.whole_files(edited), shuffle.whole_files(straight[name])
    assert ours <= theirs, "other octets than those that were said"
    assert ours == theirs or shuffle.breaks(edited)


# ---- second opinions ----


def tshark(path, *fields, filter):
    """Rows of fields; a field that stands more than once in a packet is a list of all."""
    argv = ["tshark", "-n", "-r", path, "-Y", filter, "-T", "fields", "-E", "separator=\x1f", "-E", "aggregator=\x1e"]
    done = subprocess.run([*argv, *(x for f in fields for x in ("-e", f))], capture_output=True, timeout=120)
    return [line.split("\x1f") for line in done.stdout.decode("utf-8", "replace").splitlines() if line]


@pytest.mark.parametrize("name", WITH_FACTS)
def test_what_tshark_says(name):
    """Subjects of mails, and commands of FTP, of the same file; on the ports that it knows."""
    path, records = CASES / "pcap" / name, records_of(name)
    missing = []
    emails = [folded(r.get("email", {}).get("subject")) for r in records]
    for (subject,) in tshark(path, "imf.subject", filter="smtp && imf.subject"):
        # an encoded word is decoded by us, and not by tshark
        if "=?" not in subject and folded(subject) not in emails:
            missing.append(f"tshark subject {folded(subject)}")
    ours = collections.Counter((r["src_port"], r["ftp"].get("command", "").upper()) for r in records
                               if r["event_type"] == "ftp")
    theirs = collections.Counter((int(port.split("\x1e")[0]), verb.upper()) for port, verbs in
                                 tshark(path, "tcp.srcport", "ftp.request.command", filter="ftp.request.command && !tcp.analysis.retransmission")
                                 for verb in verbs.split("\x1e"))
    for (port, verb), n in theirs.items():
        if ours[port, verb] < n:
            missing.append(f"tshark {port} {verb}: {n}, ours {ours[port, verb]}")
    judged(name + " (tshark)", missing)


@pytest.mark.parametrize("name", WITH_FACTS)
def test_what_tcpflow_says(name, tmp_path):
    """The octets of each stream: those that the flow records count, of connections that are whole."""
    packets = in_raw_ip(name)
    path = CASES / "pcap" / name
    if packets:  # tcpflow takes the padding of frames for octets of their streams
        path = tmp_path / "trimmed.pcap"
        path.write_bytes(packets_to.pcap([packets_to.ethernet(p) for p in packets]))
    flows = tmp_path / "flows"
    flows.mkdir()
    subprocess.run(["tcpflow", "-q", "-r", path, "-o", flows, "-T", "%A_%a_%B_%b_%#"], capture_output=True, timeout=120)
    sizes = collections.Counter()
    for file in flows.iterdir():
        found = re.fullmatch(r"([\d.]+)_(\d+)_([\d.]+)_(\d+)_\d+", file.name)
        if found:
            a, p, b, q = found.groups()
            sizes[clean(a), int(p), clean(b), int(q)] += file.stat().st_size
    missing = []
    for flow in (r for r in records_of(name) if r["event_type"] == "flow"):
        ends = (flow["src_ip"], flow["src_port"]), (flow["dest_ip"], flow["dest_port"])
        if ":" in ends[0][0]:
            continue  # tcpflow's names of IPv6 hosts are cut
        for side, (a, b) in (("toserver", ends), ("toclient", ends[::-1])):
            ours, theirs = flow["flow"][f"bytes_{side}"], sizes[(*a, *b)]
            if ours != theirs:
                missing.append(f"tcpflow {a[0]}:{a[1]} {side}: theirs {theirs}, ours {ours}")
    judged(name + " (tcpflow)", missing)


@pytest.mark.parametrize("name", FILES)
def test_the_streams_are_those_of_tcpflow(name, tmp_path):
    """Octet for octet, of every connection of every capture."""
    path, packets = CASES / "pcap" / name, in_raw_ip(name)
    if name in DAMAGED:
        return  # test_it_is_read_X_001 has it
    if packets:
        path = tmp_path / "trimmed.pcap"
        path.write_bytes(packets_to.pcap([packets_to.ethernet(p) for p in packets]))
    found, odd, _ = streams.differences(path, tmp_path)
    judged(name + " (streams)", streams.unexcused(found, odd))


def clean(address):
    return ".".join(str(int(part)) for part in address.split("."))
