"""The Debian package on a bare Debian 12 that systemd has booted: what its user sees of it."""

import json

from machine import until

CONF = "/etc/postern/postern.conf"
LOG = "/var/log/postern/eve.json"
ACTIVE = "systemctl is-active postern"
# what came by our package, wherever it lies; records of apt and dpkg about it are not ours
OURS = """find / /run -xdev \\( -name '*postern*' -o -user postern \\) ! -path '/proc/*' ! -path '/sys/*' \\
    ! -path '/var/cache/*' ! -path '/var/log/journal/*' ! -path '/tmp/*' ! -name postern.deb"""
TRANSPARENT = """
inside = {"10.0.0.0/8"}
intercept { mode = tproxy }
smtp { relay { local_domains = {"example.edu"}  by_mx = no } }
"""
TABLES = "nft list tables"


def main_pid(machine):
    return int(machine.says("systemctl show --value --property MainPID postern"))


def records(machine):
    return [json.loads(line) for line in machine.says(f"cat {LOG} 2>/dev/null || true").splitlines()]


def session(machine):
    """One session through the sample's listener; its server is nowhere, and the client is told so."""
    return machine.says(
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/2525; printf \"QUIT\\r\\n\" >&3; timeout 20 cat <&3'")


def configure(machine, text):
    (machine.folder / CONF.lstrip("/")).write_text(text)


def test_installed_it_runs_and_comes_back_at_boot(machine):
    assert machine.says(ACTIVE) == "active"
    assert machine.says("systemctl is-enabled postern") == "enabled"
    assert machine.says("systemctl show --value --property Type postern") == "notify"
    assert "inside" in machine.says("postern check")


def test_installed_it_changes_nothing_on_the_wire(machine):
    """The sample serves on loopback; what passes through the machine stays as it was."""
    assert machine.says(TABLES) == ""
    listening = machine.says("cat /proc/net/tcp | awk '$4 == \"0A\" { print $2 }'").splitlines()
    assert listening and set(listening) == {"0100007F:09DD"}


def test_a_certificate_of_its_own(machine):
    """Made when the package is first installed; the gateway has read it; one that is there stays."""
    assert machine.says("stat -c '%a %U' /etc/postern/own.key /etc/postern/own.pem") == \
        "400 root\n444 root"
    assert "/etc/postern/own.pem; valid until" in machine.says("postern check")
    before = machine.says("sha256sum /etc/postern/own.key")
    machine.run("apt-get -q -y install --reinstall /postern.deb", ok=True)
    assert machine.says("sha256sum /etc/postern/own.key") == before
    assert machine.says(ACTIVE) == "active"


def test_who_may_read_the_records(machine):
    assert machine.says("stat -c '%a %U %G' /var/log/postern") == "2750 root adm"
    session(machine)
    until(lambda: records(machine))
    assert machine.says(f"stat -c '%a %U %G' {LOG}") == "640 root adm"


def test_nobody_but_the_supervisor_is_root(machine):
    users = machine.says("for p in /proc/[0-9]*; do "
                         "[ \"$(readlink $p/exe)\" != /usr/sbin/postern ] || "
                         "id -nu $(awk '/^Uid/ { print $3 }' $p/status); done").split()
    assert users.count("root") == 1 and users.count("postern") == len(users) - 1 >= 2


def test_a_session_is_recorded(machine):
    assert session(machine).startswith("421 ")
    until(lambda: any(r.get("dest_port") == 2525 for r in records(machine)))


def test_reload(machine):
    before = main_pid(machine)
    machine.run("systemctl reload postern", ok=True)
    assert main_pid(machine) == before
    assert session(machine).startswith("421 ")


def test_a_faulty_reload_fails_and_says_why(machine):
    before = main_pid(machine)
    configure(machine, 'inside = {"10.0.0.0/99"}\n')
    machine.run("systemctl reload postern", ok=False)
    assert machine.says(ACTIVE) == "active" and main_pid(machine) == before
    assert f"{CONF}:1" in machine.says("journalctl -u postern --no-pager")
    assert session(machine).startswith("421 ")


def test_restart(machine):
    before = main_pid(machine)
    session(machine)
    count = len(until(lambda: records(machine)))
    machine.run("systemctl restart postern", ok=True)
    assert main_pid(machine) != before
    session(machine)
    until(lambda: len(records(machine)) > count)


def test_a_faulty_configuration_is_not_started_again_and_again(machine):
    configure(machine, "nosuch = 1\n")
    machine.run("systemctl restart postern", ok=False)
    assert machine.says("systemctl show --value --property NRestarts postern") == "0"
    assert f"{CONF}:1" in machine.says("journalctl -u postern --no-pager")


def test_killed_it_comes_back(machine):
    before = main_pid(machine)
    machine.run(f"kill -KILL {before}", ok=True)
    until(lambda: main_pid(machine) not in (0, before) and machine.run(ACTIVE).returncode == 0)
    assert session(machine).startswith("421 ")


def test_rotation(machine):
    session(machine)
    until(lambda: records(machine))
    machine.run("logrotate --force /etc/logrotate.d/postern", ok=True)
    assert machine.says(f"wc -l <{LOG}.1") != "0"
    session(machine)
    until(lambda: records(machine))


def test_an_administrators_configuration_survives_an_upgrade(machine):
    text = machine.says(f"cat {CONF}") + "\n# mine\n"
    configure(machine, text)
    machine.run("apt-get -q -y install --reinstall /postern.deb", ok=True)
    assert machine.says(f"cat {CONF}") == text.strip()
    assert machine.says(ACTIVE) == "active"


def test_transparent_in_its_sandbox(machine):
    """All that the supervisor needs its rights for: tables, policy route, listeners, sysctl."""
    machine.run("cd /proc/sys/net/ipv4; echo 1 >ip_forward; echo 1 >tcp_early_demux", ok=True)
    configure(machine, TRANSPARENT)
    machine.run("systemctl restart postern", ok=True)
    assert machine.says(TABLES).splitlines() == ["table inet postern", "table inet postern_guard"]
    assert machine.says("cat /proc/sys/net/ipv4/tcp_early_demux") == "0"
    assert machine.says("postern status")
    machine.run("systemctl stop postern", ok=True)
    assert machine.says(TABLES) == "table inet postern_guard"
    assert machine.says("cat /proc/sys/net/ipv4/tcp_early_demux") == "1"
    machine.run("systemctl start postern", ok=True)


def entered(machine, unit):
    """When it was done, in microseconds since boot."""
    return int(machine.says(f"systemctl show --value --property ActiveEnterTimestampMonotonic {unit}"))


def test_a_boot_has_the_guard_before_the_network(machine):
    """A-001: never started, since the gateway is masked, and closed all the same."""
    configure(machine, TRANSPARENT)
    machine.run("systemctl mask postern", ok=True)
    try:
        machine.reboot()
        assert machine.says(TABLES) == "table inet postern_guard"
        assert machine.run(ACTIVE).returncode != 0
        assert 0 < entered(machine, "postern-guard") <= entered(machine, "network-pre.target")
        machine.run("systemctl stop postern-guard", ok=True)
        assert machine.says(TABLES) == "table inet postern_guard"
    finally:
        machine.run("systemctl unmask postern", ok=True)
    machine.run("echo 1 >/proc/sys/net/ipv4/ip_forward; systemctl start postern", ok=True)
    assert machine.says(TABLES).splitlines() == ["table inet postern", "table inet postern_guard"]
    machine.run("systemctl start postern-guard", ok=True)
    assert "A gateway runs here" in machine.says("journalctl -b -u postern-guard --no-pager")


def test_the_guard_goes_with_the_gateway_when_it_is_disabled(machine):
    """Else the ports would be closed by the next boot, and nobody would open them."""
    enabled = "systemctl is-enabled postern postern-guard"
    assert machine.says(enabled).split() == ["enabled", "enabled"]
    machine.run("systemctl disable postern", ok=True)
    assert machine.run(enabled).stdout.split() == ["disabled", "disabled"]


def test_an_upgrade_closes_nothing_that_was_released(machine):
    configure(machine, TRANSPARENT)
    machine.run("systemctl stop postern; systemctl mask postern; postern release", ok=True)
    machine.run("apt-get -q -y install --reinstall /postern.deb", ok=True)
    assert machine.says(TABLES) == ""
    machine.run("systemctl unmask postern", ok=True)


def test_an_upgrade_keeps_the_guard_and_removal_takes_it(machine):
    machine.run("echo 1 >/proc/sys/net/ipv4/ip_forward", ok=True)
    configure(machine, TRANSPARENT)
    machine.run("systemctl restart postern", ok=True)
    machine.run("apt-get -q -y install --reinstall /postern.deb", ok=True)
    assert "postern_guard" in machine.says(TABLES)
    machine.run("apt-get -q -y remove postern", ok=True)
    assert machine.says(TABLES) == ""


def test_removed_and_purged(machine):
    session(machine)
    until(lambda: records(machine))
    machine.run("apt-get -q -y remove postern", ok=True)
    assert machine.run(ACTIVE).returncode != 0
    assert machine.run("test -e /usr/sbin/postern || readlink /proc/[0-9]*/exe | grep postern").returncode != 0
    # the administrator's own stays until the purge
    machine.run(f"test -s {CONF} && test -s {LOG}", ok=True)
    machine.run("apt-get -q -y purge postern", ok=True)
    assert machine.says(OURS) == ""
    assert machine.says("systemctl --failed --no-legend") == ""
