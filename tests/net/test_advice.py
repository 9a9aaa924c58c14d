"""What "postern check" says about the firewall that an administrator has already."""

import re

import pytest

import lab as L
from gateway import BINARY

DEFAULT_DROP = """
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iif lo accept
		tcp dport 22 accept
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		tcp dport { 25, 80 } accept
		reject with icmpx type admin-prohibited
	}
	chain output {
		type filter hook output priority filter; policy accept;
	}
}
"""
# a user that every host has
CONFIG = """
user = "nobody"
inside = {"10.25.0.0/24"}
intercept { mark = "0x10" own_mark = "0x20" mark_mask = "0xf0" }
"""


@pytest.fixture
def host(lab):
    namespace = L.Namespace("firewall", lab.gateway.etc)
    yield namespace
    namespace.close()


def nft(host, text):
    done = host.run("nft", "-f", "-", input=text)
    assert done.returncode == 0, done.stderr


def warnings(host, *before):
    done = host.run(*before, BINARY, "check", "-c", "-", input=CONFIG)
    assert done.returncode == 0, done.stderr
    return re.findall(r"^# Warning: (.*)$", done.stdout, re.M)


def test_check_names_the_commands_and_they_work(host):
    """A default-drop firewall is told apart from one that knows of the gateway."""
    assert warnings(host) == []
    nft(host, DEFAULT_DROP)
    said = warnings(host)
    assert len(said) == 2
    commands = [re.search(r": (nft insert rule .*)$", line).group(1) for line in said]
    assert commands == [
        "nft insert rule inet filter input meta mark and 0x000000f0 == 0x00000010 accept",
        "nft insert rule inet filter forward meta mark and 0x000000f0 == 0x00000020 accept"]
    for command in commands:
        done = host.run(*command.split())
        assert done.returncode == 0, done.stderr
    assert warnings(host) == []


def test_check_names_a_rule_of_routing_that_is_asked_first(host):
    """Several providers, a VPN: what it leads elsewhere never reaches the gateway."""
    host.run("ip", "rule", "add", "from", "10.25.0.0/24", "lookup", "main", "priority", "100")
    host.run("ip", "rule", "add", "from", "all", "iif", "lo", "lookup", "main", "priority", "50")
    said = warnings(host)
    assert len(said) == 1 and "IPv4 rule 100 is asked before the gateway's" in said[0]
    host.run("ip", "rule", "del", "priority", "100")
    assert warnings(host) == []


def test_check_names_interfaces_that_are_not_there(host):
    """A name that is misspelt would leave everything uninspected, and nobody would know."""
    text = CONFIG.replace("{ mark", '{ devices = {"lo", "eth00"} mark')
    done = host.run(BINARY, "check", "-c", "-", input=text)
    said = re.findall(r"^# Warning: (.*)$", done.stdout, re.M)
    assert len(said) == 1 and 'there is no interface "eth00"' in said[0]


def test_check_names_a_guard_that_the_mode_has_left_behind(host):
    """off takes nothing off the wire, and opens nothing either."""
    off = ('user = "nobody"\nintercept { mode = off }\n'
           'forward "a" { listen = "127.0.0.1:2525" to = "192.0.2.1:25" }\n'
           'inside = {"10.25.0.0/24"}\n')

    def said():
        done = host.run(BINARY, "check", "-c", "-", input=off)
        assert done.returncode == 0, done.stderr
        return re.findall(r"^# Warning: (.*)$", done.stdout, re.M)

    assert said() == []
    nft(host, "add table inet postern_guard")
    assert len(said()) == 1 and '"postern release" opens them' in said()[0]


def test_check_without_privilege_says_that_it_cannot_look(host):
    nft(host, DEFAULT_DROP)
    said = warnings(host, "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")
    assert said == ["cannot look whether other firewall rules would drop intercepted sessions: "
                    "Operation not permitted (needs root)"]


def test_check_says_whose_the_marks_are(host):
    """What is never touched has no mark; only FTP data that is let by has the gateway's own."""
    done = host.run(BINARY, "check", "-c", "-", input=CONFIG)
    assert ("hook output, what the gateway sends to servers, and hook forward, FTP data "
            "connections that it lets by:\n#     meta mark & 0x000000f0 == 0x00000020 accept"
            ) in done.stdout
    assert "What is never touched (bypass, bypass_servers, other ports) has no mark." in done.stdout
