"""Files that memweld writes: closed to other users from their first byte, and never where another user has led them."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

import memweld
from memweld import BackendUnavailableError, ConfigurationError
from memweld.cli import app as cli
from memweld.engine.extraction.mem0.side_effects import prepare_mem0
from memweld.files import open_private, read_protected

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
as_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="gives files to another user")
OTHER = 12_345


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    umask = os.umask(0o022)
    yield
    os.umask(umask)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_database_and_its_logs(tmp_path: Path) -> None:
    file = tmp_path / "new" / "memory.db"
    with memweld.connect(f"sqlite:///{file}") as backend:
        backend.user("ana").preferences.set("theme", "dark")
        assert {each.name: mode(each) for each in file.parent.iterdir()} == {
            "memory.db": 0o600,
            "memory.db-wal": 0o600,
            "memory.db-shm": 0o600,
        }
    assert mode(file.parent) == 0o700


def test_a_database_that_every_user_could_read_is_tightened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "memory.db"
    with memweld.connect(f"sqlite:///{file}") as backend:
        backend.user("ana").preferences.set("theme", "dark")
    for before, after in ((0o644, 0o640), (0o666, 0o660), (0o660, 0o660)):
        file.chmod(before)
        with memweld.connect(f"sqlite:///{file}") as backend:
            assert backend.user("ana").preferences.get("theme") == "dark"
            backend.user("ana").preferences.set("theme", "dark")
            assert mode(file) == mode(file.with_name("memory.db-wal")) == after
    assert caplog.text.count("its mode is tightened") == 2


def test_an_export_and_one_over_an_open_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    with memweld.connect(url) as backend:
        backend.user("ana").add("I love tea")
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    old.write_text("x" * 100_000)
    old.chmod(0o666)
    for output in (new, old):
        result = CliRunner().invoke(cli, ["export", "--user", "ana", "--output", str(output), "--url", url])
        assert result.exit_code == 0
        assert mode(output) == 0o600
        assert output.read_text().endswith("}\n")
    target = tmp_path / "target.json"
    (tmp_path / "link.json").symlink_to(target)
    result = CliRunner().invoke(cli, ["export", "--user", "ana", "--output", str(tmp_path / "link.json"), "--url", url])
    assert result.exit_code == 1
    assert not target.exists()


@as_root
def test_a_file_of_another_user_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_text("theirs")
    os.chown(file, OTHER, OTHER)
    with pytest.raises(BackendUnavailableError, match="another user"):
        open_private(file)
    assert file.read_text() == "theirs"


def test_two_writers_of_a_file_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    first = open_private(file)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(open_private, file)
        os.write(first, b"the first, which is longer")
        assert not second.done()
        os.close(first)
        descriptor = second.result(timeout=60)
    os.write(descriptor, b"the second")
    os.close(descriptor)
    assert file.read_bytes() == b"the second"


@as_root
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_database_that_another_user_planted_is_not_opened(tmp_path: Path, kind: str) -> None:
    tmp_path.chmod(0o1777)
    planted, target = tmp_path / "memory.db", tmp_path / "mine" / "target.db"
    target.parent.mkdir()
    if kind == "file":
        planted.touch(mode=0o666)
    else:
        planted.symlink_to(target)
    os.chown(planted, OTHER, OTHER, follow_symlinks=False)
    with (
        memweld.connect(f"sqlite:///{planted}") as backend,
        pytest.raises(BackendUnavailableError, match="another user"),
    ):
        backend.user("ana").add("I love tea")
    os.chown(planted, 0, 0, follow_symlinks=False)
    with memweld.connect(f"sqlite:///{planted}") as backend:
        backend.user("ana").add("I love tea")


@pytest.mark.parametrize("kind", ["link", "open", "fine"])
def test_the_folder_of_mem0_is_not_one_that_another_user_planted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("MEM0_DIR", "restored after the test")
    monkeypatch.delenv("MEM0_DIR")
    planted = tmp_path / f"memweld-mem0-{os.getuid()}"
    if kind == "link":
        (tmp_path / "theirs").mkdir()
        planted.symlink_to(tmp_path / "theirs")
    elif kind == "open":
        planted.mkdir()
        planted.chmod(0o777)
    prepare_mem0()
    chosen = Path(os.environ["MEM0_DIR"])
    assert (chosen == planted) is (kind == "fine")
    assert (mode(chosen), chosen.is_symlink()) == (0o700, False)


def test_a_directory_in_place_of_a_file_leaves_no_descriptor(tmp_path: Path) -> None:
    before = os.dup(0)
    os.close(before)
    for _ in range(3):
        with pytest.raises(ConfigurationError, match="token file"):
            read_protected(tmp_path, "token file")
    after = os.dup(0)
    os.close(after)
    assert after == before
