"""The tables of the firewall in the kernel: text and netlink give the same, and who may do what."""

import json
import re
import subprocess
import time

import pytest

from firewall import HOLDER, Holder
from gateway import BINARY, render
from lab import Namespace, wait_for

TABLE, GUARD = "table inet postern", "table inet postern_guard"


@pytest.fixture
def etc(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    for name in ("hosts", "resolv.conf", "nsswitch.conf"):
        (folder / name).write_text("")
    return folder


@pytest.fixture
def spaces(etc):
    """Makes namespaces that forward, and takes them away."""
    made = []

    def make(label="box"):
        namespace = Namespace(label, etc)
        namespace.sysctl("ipv4/ip_forward", 1)
        namespace.sysctl("ipv6/conf/all/forwarding", 1)
        made.append(namespace)
        return namespace

    yield make
    for namespace in made:
        namespace.close()


@pytest.fixture
def config(tmp_path):
    """Writes a configuration: settings of intercept, or whole sections."""
    count = iter(range(100))

    def write(smtp=None, **intercept):
        path = tmp_path / f"postern{next(count)}.conf"
        settings = {"inside": ["10.0.0.0/8"], "user": "nobody",
                    "intercept": {"mode": "tproxy", **intercept}}
        if smtp:
            settings["smtp"] = smtp
        path.write_text(render(settings) + "\n")
        return path

    return write


@pytest.fixture
def hold():
    holders = []

    def start(namespace, path, ready=True):
        holder = Holder(namespace, path)
        holders.append(holder)
        if ready:
            assert holder.first == "ready", holder.error()
        return holder

    yield start
    for holder in holders:
        holder.close()


def nft(namespace, *words, check=True):
    done = namespace.run("nft", *words)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def tables(namespace):
    return set(nft(namespace, "list", "tables").splitlines())


def bytecode(namespace, table):
    """What the kernel has, expression by expression and element by element, without handles."""
    text = nft(namespace, "--debug=netlink", "list", "table", "inet", table)
    text = re.sub(r"(?m)^(inet \S+ \S+)( \d+)+ *$", r"\1", text)
    debug = text[:text.index("\ntable inet ")].splitlines()
    chains = re.findall(r"chain \S+ \{\n\s+type .*", text)
    # elements of a hash come in any order
    return ([line for line in debug if not line.startswith("\telement")] + chains,
            sorted(line for line in debug if line.startswith("\telement")))


MANY = ["10.0.0.0/9", "10.128.0.0/9", "192.0.2.1", "0.0.0.0/8", "255.255.255.0/24",
        "fd00::/8", "2001:db8::1", "ffff::/16"]
MANY += [f"172.16.{i // 128}.{i % 128 * 2}" for i in range(1500)]

VARIANTS = {
    "plain": {},
    "devices": {"devices": ["eth0", "a-long-name.123"]},
    "bypass": {"bypass": MANY, "bypass_servers": ["198.51.100.0/24", "::/0"]},
    "bypass4": {"bypass_servers": ["0.0.0.0/0"]},
    "no guard": {"on_exit": "bypass"},
    "marks": {"mark": "0x1", "own_mark": "0x80000000", "mark_mask": "0xf000000f",
              "listen_from": 1024},
    "ports": {"smtp": {"ports": [25, 465, 587, 2525]}},
}


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_text_and_netlink_give_the_same(spaces, config, hold, mode, variant):
    """D4: the text of check --rules and the batch make the same of the kernel."""
    path = config(mode=mode, **VARIANTS[variant])
    by_text, by_netlink = spaces("text"), spaces("netlink")
    rules = subprocess.run([BINARY, "check", "--rules", "-c", path], capture_output=True,
                           text=True)
    assert rules.returncode == 0, rules.stderr
    loaded = by_text.run("nft", "-f", "-", input=rules.stdout)
    assert loaded.returncode == 0, loaded.stderr
    hold(by_netlink, path)
    assert tables(by_text) == tables(by_netlink)
    for name in ["postern"] + ([] if variant == "no guard" else ["postern_guard"]):
        want, have = bytecode(by_text, name), bytecode(by_netlink, name)
        assert have[0] == want[0]
        assert have[1] == want[1]
        assert len(want[0]) > 10 and len(want[1]) > 1
    assert (GUARD in tables(by_text)) == (variant != "no guard")


def test_text_loads_twice(spaces, config):
    box = spaces()
    text = subprocess.run([BINARY, "check", "--rules", "-c", config()], capture_output=True,
                          text=True).stdout
    for _ in range(2):
        done = box.run("nft", "-f", "-", input=text)
        assert done.returncode == 0, done.stderr
    assert nft(box, "list", "table", "inet", "postern_guard").count("reject") == 1


def test_check_needs_no_root(config):
    path = config()
    path.parent.chmod(0o755)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BINARY,
                           "check", "--rules", "-c", "-"], capture_output=True, text=True,
                          stdin=path.open())
    assert done.returncode == 0 and "tproxy ip to 127.0.0.1:30001" in done.stdout


def test_off_has_no_rules(config):
    done = subprocess.run([BINARY, "check", "--rules", "-c", config(mode="off")],
                          capture_output=True, text=True)
    assert done.returncode == 0
    assert all(line.startswith("#") for line in done.stdout.splitlines()) and done.stdout


def test_owner(spaces, config, hold):
    """A-001, A-002: the first table goes with its owner; the guard stays; foreign ones too."""
    box = spaces()
    nft(box, "add", "table", "inet", "other")
    nft(box, "add", "table", "ip", "postern")  # of that name, in another family
    foreign = {"table inet other", "table ip postern"}
    holder = hold(box, config())
    assert tables(box) == foreign | {TABLE, GUARD}
    assert "flags owner" in nft(box, "list", "table", "inet", "postern")
    for command in (["delete", "table", "inet", "postern"],
                    ["add", "rule", "inet", "postern", "intercept", "accept"],
                    ["flush", "table", "inet", "postern"]):
        assert box.run("nft", *command).returncode != 0
    holder.kill()
    wait_for(lambda: tables(box) == foreign | {GUARD}, 2, "the owner's table to go")
    holder = hold(box, config())
    assert tables(box) == foreign | {TABLE, GUARD}
    assert holder.ask("stop") == "done"
    assert tables(box) == foreign | {GUARD}


def test_flush_is_mended(spaces, config, hold):
    """A-004: somebody else's flush leaves the interception; the guard is put back, and told."""
    box = spaces()
    holder = hold(box, config(devices=["eth0"]))
    before = bytecode(box, "postern_guard")
    holder.ask("watch")
    assert holder.ask("wait", 0) == "silent"
    nft(box, "flush", "ruleset")
    assert tables(box) == {TABLE}
    assert holder.ask("wait", 1) == "ready"
    assert holder.ask("news") == "mended table inet postern_guard is missing; mended"
    assert tables(box) == {TABLE, GUARD} and bytecode(box, "postern_guard") == before
    assert holder.ask("watch") == "intact"


CHANGES = {
    "a rule more": ("add rule inet postern_guard guard counter",
                    "chain guard, rule 4 was put there by somebody else"),
    "a rule first": ("insert rule inet postern_guard guard accept", "chain guard, rule 1"),
    "rules gone": ("flush chain inet postern_guard guard", "chain guard, rule 1 is missing"),
    "an element more": ("add element inet postern_guard intercepted { 26 }",
                        "set intercepted, element 0x001a was put there by somebody else"),
    "an element less": ("delete element inet postern_guard intercepted { 25 }",
                        "set intercepted, element 0x0019 is missing"),
    "a set more": ("add set inet postern_guard more { type inet_service; }",
                   "set more was put there by somebody else"),
    "a chain more": ("add chain inet postern_guard more", "chain more"),
    "a policy": ("chain inet postern_guard guard { policy drop; }", "chain guard was changed"),
    "dormant": ("add table inet postern_guard { flags dormant; }", "postern_guard was changed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_mended(spaces, config, hold, change):
    command, told = CHANGES[change]
    box = spaces()
    holder = hold(box, config(devices=["eth0"]))
    before = nft(box, "list", "table", "inet", "postern_guard")
    nft(box, command)
    assert nft(box, "list", "table", "inet", "postern_guard") != before
    answer = holder.ask("news")
    assert answer.startswith("mended table inet postern_guard") and told in answer
    assert nft(box, "list", "table", "inet", "postern_guard") == before


def test_changes_of_others_are_theirs(spaces, config, hold):
    box = spaces()
    holder = hold(box, config())
    nft(box, "add table inet other; add chain inet other input "
             "{ type filter hook input priority 0; policy drop; }")
    assert holder.ask("news") == "intact"
    assert "policy drop" in nft(box, "list", "table", "inet", "other")


def test_policy_route_is_mended(spaces, config, hold):
    """D4"""
    box = spaces()
    holder = hold(box, config())
    assert "fwmark 0x1000000/0x3000000" in box.run("ip", "rule").stdout
    for family in ("-4", "-6"):
        box.run("ip", family, "rule", "del", "priority", "25025")
        assert holder.ask("wait", 1) == "ready"
        assert re.match(r"mended .*rule.*; mended", holder.ask("news"))
    box.run("ip", "-4", "route", "flush", "table", "25025")
    assert re.match(r"mended .*route.*; mended", holder.ask("watch"))  # within its second
    assert "local default dev lo" in box.run("ip", "route", "show", "table", "25025").stdout
    assert holder.ask("stop") == "done"
    for family in ("-4", "-6"):
        assert "25025" not in box.run("ip", family, "rule").stdout
        assert box.run("ip", family, "route", "show", "table", "25025").stdout == ""


def test_release(spaces, config, hold):
    """What is left behind goes, and nothing else."""
    box = spaces()

    def release(*before):
        done = subprocess.run([*before, *box.command(BINARY, "release")], capture_output=True,
                              text=True)
        return done.returncode, done.stdout, done.stderr

    assert release()[:2] == (0, "There is no guard (table inet postern_guard): nothing stands in "
                                "the way of traffic.\n")
    nft(box, "add", "table", "inet", "other")
    holder = hold(box, config())
    code, out, err = release()
    assert (code, out) == (1, "") and "a gateway runs here" in err
    holder.kill()
    wait_for(lambda: TABLE not in tables(box), 2, "the owner's table to go")
    denied = box.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                     "--bounding-set=-all", BINARY, "release")
    assert denied.returncode == 1 and "no privilege" in denied.stderr
    assert denied.stderr.count("\n") == 1
    assert tables(box) == {"table inet other", GUARD}
    code, out, err = release()
    assert code == 0 and "uninspected" in out and err == ""
    assert tables(box) == {"table inet other"}
    assert "25025" not in box.run("ip", "rule").stdout


def guard(box, path, *before):
    done = box.run(*before, BINARY, "guard", "-c", "-", input=path.read_text())
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
def test_guard_is_that_of_the_gateway(spaces, config, hold, mode):
    """D4, A-001: what stands before a gateway runs is what stands behind it, and nothing else."""
    path = config(mode=mode, devices=["eth0"], bypass=MANY)
    alone, behind = spaces("alone"), spaces("behind")
    nft(alone, "add", "table", "inet", "other")
    for _ in range(2):
        code, out, err = guard(alone, path)
        assert (code, err) == (0, "") and "stands" in out and out.count("\n") == 1
        assert tables(alone) == {"table inet other", GUARD}
    assert "25025" not in alone.run("ip", "rule").stdout
    assert hold(behind, path).ask("stop") == "done"
    assert bytecode(alone, "postern_guard") == bytecode(behind, "postern_guard")


def test_guard_takes_the_place_of_another(spaces, config):
    """Also beside a leftover of the other table, which belongs to nobody and is none of it."""
    box = spaces()
    nft(box, "add table inet postern; add chain inet postern old; add rule inet postern old drop; "
             "add table inet postern_guard; add set inet postern_guard x { type inet_service; }")
    assert guard(box, config())[0] == 0
    assert "set x" not in nft(box, "list", "table", "inet", "postern_guard")
    assert "chain old" in nft(box, "list", "table", "inet", "postern")


@pytest.mark.parametrize("settings", [{"mode": "off"}, {"on_exit": "bypass"}])
def test_nothing_to_guard(spaces, config, settings):
    """It puts nothing up, and takes nothing away."""
    box = spaces()
    code, out, err = guard(box, config(**settings))
    assert (code, err) == (0, "") and out.startswith("There is nothing to guard: ")
    assert tables(box) == set()
    assert guard(box, config())[0] == 0
    assert guard(box, config(**settings))[0] == 0
    assert tables(box) == {GUARD}


def test_guard_beside_a_gateway(spaces, config, hold):
    box = spaces()
    holder = hold(box, config(devices=["eth0"]))
    before = bytecode(box, "postern_guard")
    code, out, err = guard(box, config())
    assert (code, err) == (0, "") and out.startswith("A gateway runs here")
    assert bytecode(box, "postern_guard") == before and holder.ask("watch") == "intact"


def test_guard_that_cannot_be(spaces, config, tmp_path):
    """Each has one clear line, and leaves nothing behind."""
    box = spaces()
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    code, out, err = guard(box, config(), *nobody)
    assert (code, out) == (1, "") and "no privilege" in err and err.count("\n") == 1
    fault = tmp_path / "fault.conf"
    fault.write_text('inside = {"10.0.0.0/8"}\nworkers = many\n')
    code, out, err = guard(box, fault)
    assert (code, out) == (2, "") and ":2: workers: " in err and err.count("\n") == 1
    theirs = config()
    theirs.chmod(0o666)
    done = box.run(BINARY, "guard", "-c", theirs)
    assert done.returncode == 2 and "others than root may change it" in done.stderr
    assert box.run(BINARY, "guard", "more").returncode == 2
    assert tables(box) == set()


def test_status_without_a_gateway(spaces, config, tmp_path):
    """Whether the ports are closed, as far as he who asks may see it."""
    box = spaces()
    text = f'inside = {{"10.0.0.0/8"}}\nstatus = "{tmp_path}/none.sock"\n'

    def status(*before):
        done = box.run(*before, BINARY, "status", "--json", "-c", "-", input=text)
        assert done.returncode == 1
        return json.loads(done.stdout)

    assert status() == {"running": False, "guard": {"state": "absent"}}
    assert guard(box, config())[0] == 0
    assert status() == {"running": False, "guard": {"state": "present"}}
    nobody = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    assert status(*nobody) == {"running": False, "guard": {"state": "unknown"}}


def test_start_with_bypass_takes_the_guard_away(spaces, config, hold):
    """A-003: fail open is what the configuration says, and nothing of it is left."""
    box = spaces()
    assert hold(box, config()).ask("stop") == "done"
    assert tables(box) == {GUARD}
    holder = hold(box, config(on_exit="bypass"))
    assert tables(box) == {TABLE}
    assert holder.ask("stop") == "done"
    assert tables(box) == set()


def test_second_gateway(spaces, config, hold):
    box = spaces()
    holder = hold(box, config())
    code, error = hold(box, config(), ready=False).error()
    assert code == 1 and "another postern runs here" in error and error.count("\n") == 1
    assert holder.ask("watch") == "intact"
    assert "fwmark" in box.run("ip", "rule").stdout


def test_leftovers_are_replaced(spaces, config, hold):
    """A table of that name that belongs to nobody, whatever is in it."""
    box = spaces()
    nft(box, "add table inet postern; add chain inet postern old; add rule inet postern old drop; "
             "add table inet postern_guard; add set inet postern_guard x { type inet_service; }")
    hold(box, config())
    assert "chain old" not in nft(box, "list", "table", "inet", "postern")
    assert "set x" not in nft(box, "list", "table", "inet", "postern_guard")


def test_no_privilege(spaces, config, hold):
    box = spaces()
    path = config()
    path.parent.chmod(0o755)
    done = box.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                   "--bounding-set=-all", HOLDER, "/dev/stdin", stdin=path.open())
    assert done.returncode == 1 and "no privilege" in done.stderr and done.stderr.count("\n") == 1
    assert tables(box) == set()


def test_no_forwarding(spaces, config, hold):
    """ip_forward is never set by us."""
    box = spaces()
    box.sysctl("ipv4/ip_forward", 0)
    code, error = hold(box, config(), ready=False).error()
    assert code == 1 and "ip_forward" in error and error.count("\n") == 1
    assert tables(box) == set() and "fwmark" not in box.run("ip", "rule").stdout


def test_too_many_networks(spaces, config, hold):
    """One line, and nothing half done."""
    box = spaces()
    many = [f"11.{i >> 15}.{i >> 7 & 255}.{i % 128 * 2}" for i in range(60000)]
    code, error = hold(box, config(bypass=many), ready=False).error()
    assert code == 1 and "more networks than fit" in error and error.count("\n") == 1
    assert tables(box) == set() and "fwmark" not in box.run("ip", "rule").stdout


def test_reload(spaces, config, hold):
    """R1: another configuration in one transaction; flows stay, for the rest of their time."""
    box = spaces()
    holder = hold(box, config())
    flow4, flow6 = ("10.0.0.1", "192.0.2.1", 2000), ("fd00::1", "2001:db8::1", 2001)
    assert holder.ask("expect", *flow4, 30019, 60) == "done"
    assert holder.ask("expect", *flow6, 30271, 60) == "done"
    assert holder.ask("pass", *flow4, 60) == "done"
    assert holder.ask("pass", *flow6, 60) == "done"
    assert holder.ask("expect", flow4[0], flow6[1], 1, 30019, 60).startswith("failed")
    assert holder.ask("watch") == "intact"
    path = config(devices=["eth0"], bypass=["192.0.2.0/24"], mark="0x04000000",
                  mark_mask="0x06000000")
    assert holder.ask("reload", path) == "done"
    for name, want in (("data4", "10.0.0.1 . 192.0.2.1 . 2000 timeout .*: 30019"),
                       ("data6", "fd00::1 . 2001:db8::1 . 2001 timeout .*: 30271"),
                       ("passed4", "10.0.0.1 . 192.0.2.1 . 2000 .*timeout"),
                       ("passed6", "fd00::1 . 2001:db8::1 . 2001 .*timeout"),
                       ("replies4", "10.0.0.1 . 192.0.2.1 . 2000 .*timeout"),
                       ("replies6", "fd00::1 . 2001:db8::1 . 2001 .*timeout")):
        kind = "map" if name.startswith("data") else "set"
        assert re.search(want, nft(box, "list", kind, "inet", "postern", name))
    assert "fwmark 0x4000000/0x6000000" in box.run("ip", "rule").stdout
    assert box.run("ip", "rule").stdout.count("fwmark") == 1
    assert holder.ask("watch") == "intact"
    assert holder.ask("forget", "data", *flow4) == "done"
    assert holder.ask("forget", "data", *flow4) == "done"  # is gone already
    assert "10.0.0.1" not in nft(box, "list", "map", "inet", "postern", "data4")
    assert holder.ask("watch") == "intact"
    fault = config(mark="0x01000000", own_mark="0x01000000")
    assert holder.ask("reload", fault).startswith("failed")
    assert holder.ask("watch") == "intact"
    assert "fwmark 0x4000000/0x6000000" in box.run("ip", "rule").stdout


def test_flow_expires(spaces, config, hold):
    box = spaces()
    holder = hold(box, config())
    assert holder.ask("expect", "10.0.0.1", "192.0.2.1", 2000, 30016, 1) == "done"
    wait_for(lambda: "10.0.0.1" not in nft(box, "list", "map", "inet", "postern", "data4"), 5,
             "the element to expire")
    assert holder.ask("watch") == "intact"


def test_own_changes_are_no_news(spaces, config, hold):
    """Elements come and go with every transfer: only what others do is looked at."""
    box = spaces()
    holder = hold(box, config())
    flow = "10.0.0.1", "192.0.2.1", 2000
    holder.ask("news")
    assert holder.ask("expect", *flow, 30016, 60) == "done"
    assert holder.ask("pass", *flow, 60) == "done"
    assert holder.ask("forget", "data", *flow) == "done"
    assert holder.ask("reload", config(devices=["eth0"])) == "done"
    assert holder.ask("wait", 1) == "silent"
    nft(box, "add", "table", "inet", "theirs")
    assert holder.ask("wait", 5) == "ready" and holder.ask("news") == "intact"


def test_flows_are_not_looked_at(spaces, config, hold):
    """However many there are: the supervisor has other things to do at each change of somebody else's."""
    box = spaces()
    holder = hold(box, config())
    for i in range(60000):
        assert holder.ask("expect", f"10.0.{i >> 8}.{i & 255}", "192.0.2.1", 2000, 30016, 600) == "done"

    def took(name):
        nft(box, "add", "table", "inet", name)
        began = time.monotonic()
        assert holder.ask("watch") == "intact"
        return time.monotonic() - began

    assert min(took(f"theirs{i}") for i in range(5)) < 0.03


def test_a_reload_keeps_as_many_flows_as_there_may_be(spaces, config, hold):
    """R1, D6: half of them expected, half of them passed, which are two elements each."""
    box = spaces()
    holder = hold(box, config())
    half = 50_000
    for kind, rest in (("expect", "30016 600"), ("pass", "600")):
        holder.ask_all(f"{kind} 10.{i >> 16}.{i >> 8 & 255}.{i & 255} 192.0.2.1 2000 {rest}" for i in range(half))
    began = time.monotonic()
    assert holder.ask("reload", config(devices=["eth0"])) == "done"
    print(f"a reload with {2 * half} flows: {time.monotonic() - began:.2f} s")
    assert holder.ask("watch") == "intact"
    for kind, name in (("map", "data4"), ("set", "passed4"), ("set", "replies4")):
        listed = nft(box, "-n", "list", kind, "inet", "postern", name)
        assert listed.count(" . 192.0.2.1 . 2000") == half, name


def test_mode_changes_by_reload(spaces, config, hold):
    box = spaces()
    holder = hold(box, config())
    assert holder.ask("reload", config(mode="redirect")) == "done"
    assert "type nat" in nft(box, "list", "table", "inet", "postern")
    assert "fwmark" not in box.run("ip", "rule").stdout
    assert holder.ask("reload", config()) == "done"
    assert "tproxy" in nft(box, "list", "table", "inet", "postern")
    assert "fwmark" in box.run("ip", "rule").stdout
