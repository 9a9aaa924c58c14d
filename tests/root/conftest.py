import pathlib

import pytest

from machine import ROOT, Machine


def package():
    debs = sorted(ROOT.glob("build/deb/postern_*.deb"))
    assert len(debs) == 1, "make deb comes first"
    return debs[0]


@pytest.fixture(scope="session")
def bare(worker_id):
    """A booted Debian that has never heard of Postern; /postern.deb lies there."""
    with Machine(f"package-{worker_id}") as machine:
        (machine.folder / "postern.deb").write_bytes(pathlib.Path(package()).read_bytes())
        # what the tests themselves use; only then is what is new the package's
        machine.run("apt-get -q -y install --no-install-recommends nftables logrotate", ok=True)
        yield machine


@pytest.fixture
def machine(bare):
    """The same with the package just installed and nothing left of what another test did."""
    bare.run("apt-get -q -y install /postern.deb", ok=True)
    yield bare
    bare.run("dpkg --purge postern", ok=True)
    bare.run("nft flush ruleset", ok=True)
