"""Messages of others: every one is parsed, and read as its collection, or Python's email package, reads it.

M-041: the trees of mime4j, MimeKit and others. Where a reading differs, mime_differences.py says why.
"""

import collections
import email.policy
import json
import time

import pytest

import messages
from conftest import GATEWAYS, cases_folder
from gate import TOP
from mime_differences import DIFFERENCES

CASES = cases_folder()
FOLDER = CASES / "mime"
FILES = sorted(str(p) for p in FOLDER.rglob("*") if p.is_file())
ORACLE = [e for e in json.loads((CASES / "oracle.json").read_text())["mime"] if "python" in e]
SETS = sorted({e["set"] for e in ORACLE})
BROKEN = [e for e in ORACLE if e["set"] == "mime-is-broken"]
SECONDS = {False: 20, True: 200}  # for all files; a sanitizer is slow


@pytest.fixture(scope="module", params=GATEWAYS)
def said(request):
    start = time.monotonic()
    found = messages.read(TOP / request.param, FILES, 400)
    assert time.monotonic() - start < SECONDS["san" in request.param]
    return found


@pytest.fixture(scope="module")
def plain():
    return messages.read(TOP / GATEWAYS[0], FILES, 400)


def test_every_file(said):
    assert len(FILES) > 1500
    assert list(said) == FILES
    for file, records in said.items():
        assert records, file
        assert all(r["status"] == "PARSE_DONE" and r["parts"] for r in records), file


def test_sanitized_says_the_same(said, plain):
    assert said == plain


def test_one_by_one(plain, tmp_path):
    """A message means the same alone, by standard input, and among others."""
    for file in FILES[::50]:
        assert messages.read(TOP / GATEWAYS[0], [file], 20)[file] == plain[file]


# ---- trees of others ----


def name_of(entry):
    return (entry.get("upstream") or {}).get("test_id") or entry["file"].removeprefix("mime/")


def record_of(plain, entry):
    return plain[str(CASES / entry["file"])][entry.get("mbox_index", 0)]


def opinions(entry):
    """(who, parts)"""
    for who in ("python", "upstream"):
        parts = entry.get(who, {}).get("parts")
        if isinstance(parts, list) and parts and isinstance(parts[0], dict):
            yield who, list(messages.of_oracle(parts, FOLDER))
    if entry["kind"] == "message":
        octets = (CASES / entry["file"]).read_bytes()
        for policy in ("compat32", "default"):
            try:
                yield policy, messages.of_python(octets, getattr(email.policy, policy))
            except messages.Unread:
                continue  # a Python of another version may read it: the collection's did


def found_nothing(mine, theirs):
    """They take a multipart for one text; ours has what they miss."""
    return len(theirs) == 1 and len(mine) > 1 and theirs[0].type.startswith("multipart/")


def disagreements(plain, entries):
    """{name: (words, who)} of what no rule explains."""
    left = collections.defaultdict(lambda: (set(), set()))
    count = 0
    for entry in entries:
        record = record_of(plain, entry)
        mine = list(messages.ours(record))
        for who, theirs in opinions(entry):
            count += 1
            words = messages.differences(mine, theirs)
            if words and not found_nothing(mine, theirs) and not messages.is_among_readings(record, theirs):
                left[name_of(entry)][0].update(words)
                left[name_of(entry)][1].add(who)
    return count, left


KNOWN = collections.defaultdict(set)
for _, differs, names in DIFFERENCES:
    for one in names:
        KNOWN[one] |= differs


@pytest.mark.parametrize("of", SETS)
def test_M_041_trees(plain, of):
    entries = [e for e in ORACLE if e["set"] == of]
    count, left = disagreements(plain, entries)
    known = {name: KNOWN[name] for name in {name_of(e) for e in entries} & KNOWN.keys()}
    print(f"{len(entries)} messages, {count} opinions, {len(left)} disagreements with a reason")
    assert {name: (words, who) for name, (words, who) in left.items() if words != known.get(name)} == {}
    assert known.keys() - left.keys() == set(), "these agree now"


def test_every_reason_is_used():
    assert KNOWN.keys() - {name_of(e) for e in ORACLE} == set()


def spine(tree):
    """[(type, types of its children or None)]: {"multipart/mixed": {"multipart/related": ["text/plain"]}}"""
    while isinstance(tree, dict):
        ((kind, tree),) = tree.items()
        yield kind, tree if isinstance(tree, list) else None


def test_zbateson_types(plain):
    """What they say of the types of parts; files within a text are its children to both of us."""
    checked = 0
    for entry in (e for e in ORACLE if isinstance((e.get("upstream") or {}).get("parts"), dict)):
        parts = record_of(plain, entry)["parts"]
        for kind, children in spine(entry["upstream"]["parts"]):
            top = next(p for p in parts if p["mime_type"] == kind)
            above = top["path"] + "." if top["path"] else ""
            under = [p["mime_type"] for p in parts
                     if p is not top and p["path"].startswith(above) and "." not in p["path"].removeprefix(above)]
            assert children is None or under == children, entry["file"]
            checked += 1
    assert checked > 5


def attachments_of(record):
    return [p for p in record["parts"] if "sha256" in p]


def test_php_attachments(plain):
    checked = 0
    for entry in (e for e in ORACLE if "attachments" in (e.get("upstream") or {})
                  and e["set"] == "php-mime-mail-parser"):
        record = record_of(plain, entry)
        for a in entry["upstream"]["attachments"]:
            same = [p for p in attachments_of(record) if p.get("filename", "") == a["filename"]]
            assert same or not a["filename"] or a["filename"].startswith("noname"), (entry["file"], a["filename"])
            if same and a.get("size") is not None:
                assert a["size"] in {p["size"] for p in same}, entry["file"]
                checked += 1
    assert checked > 10


# ---- mime-is-broken: an attachment that is hidden from who reads a message otherwise ----


HARMLESS = {"mime_invalid_address"}  # every message of the set is from "me"

# Neither found, nor said to be odd.
UNSEEN = {
    "multipart-miss:anydef-singlepart-b64h-basic-base64-mixedlen": "no type at all: a text to every program",
    "multipart-basic-singlepart-binhex40": "recognised and named: the encoding is mac-binhex40, the type found its own",
}


def oddities(record):
    return {a["event"] for p in record["parts"] for a in p.get("anomalies", [])} - HARMLESS


def is_found(record, expected):
    names = {n for p in record["parts"] for n in (p.get("filename"), *p.get("names", []))}
    return expected["filename"] in names and any(p.get("sha256") == expected["sha256"] for p in record["parts"])


def test_hidden_content(plain):
    """Found with its digest, or the message is said to be odd, so that a policy can refuse it."""
    counts = collections.Counter()
    unseen = set()
    for entry in BROKEN:
        expected = entry["upstream"].get("expected_attachment")
        if not expected:
            continue
        record = record_of(plain, entry)
        found = is_found(record, expected)
        counts["found" if found else "odd" if oddities(record) else "unseen"] += 1
        counts["found by Python"] += entry["upstream"]["python_finds_payload"]
        if not found and not oddities(record):
            unseen.add(name_of(entry))
        if int(entry["upstream"]["validity"]) >= 2:
            assert found, f"valid, and not found: {name_of(entry)}"
    print(dict(counts))
    assert unseen == set(UNSEEN)


def test_hidden_content_that_python_finds(plain):
    """What another program shows, we must show, or say that it may be there."""
    for entry in BROKEN:
        if entry["upstream"].get("python_finds_payload"):
            record = record_of(plain, entry)
            assert is_found(record, entry["upstream"]["expected_attachment"]) or oddities(record), name_of(entry)


def test_hidden_names(plain):
    """The worst name that some program would show is listed, or the message is said to be odd."""
    for entry in BROKEN:
        for name in entry["upstream"].get("python_filenames") or []:
            record = record_of(plain, entry)
            names = {n for p in record["parts"] for n in (p.get("filename"), *p.get("names", []))}
            assert name in names or oddities(record), (name_of(entry), name, names)
