"""A record signed with an SSH key: by the key that is named, and by no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nexus_reimport import record, settings
from nexus_reimport.cli import main
from nexus_reimport.errors import OnlySealed
from nexus_reimport.record.sealed import bag, chain, check, signature
from nexus_reimport.settings import Signing
from support.auditing import TOOL
from support.records import seal_anew

WHO = "a.person@clinic.example"


def key(folder: Path, name: str) -> Path:
    path = folder / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", WHO, "-f", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    path = key(tmp_path, "signing_key")
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f'{WHO} namespaces="{signature.NAMESPACE}" {pub(path)}')
    return Signing(key=path, who=WHO, allowed_signers=allowed)


def pub(path: Path) -> str:
    return path.with_name(f"{path.name}.pub").read_text()


@pytest.fixture
def known(environment_files: Path, signing: Signing) -> settings.Settings:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(
        path.read_text().replace("../../", "")
        + f'\n[record.signature]\nkey = "signing_key"\nwho = "{WHO}"\n'
        'allowed_signers = "allowed_signers"\n'
    )
    return settings.load("sandbox-dev", environment_files)


def test_a_signature_that_nothing_can_compare_is_not_called_a_wrong_one(
    known: settings.Settings, signing: Signing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = sealed(known), record.create(known)
    monkeypatch.setenv("PATH", str(tmp_path))
    checked = check.of_record(run.bag, signers=signing.allowed_signers)
    assert (checked.problems, checked.is_right) == ((), False)
    assert "ssh-keygen could not be run (it is not there)" in checked.remarks[-1]
    with pytest.raises(OnlySealed, match="ssh-keygen could not be run") as told:
        other.seal(signing=known.record.signature)
    assert told.value.next == "install OpenSSH's client programs"


def sealed(known: settings.Settings) -> record.Run:
    run = record.create(known)
    run.seal(signing=known.record.signature)
    return run


def problems(run: record.Run, signing: Signing, tool: ModuleType) -> tuple[str, ...]:
    """What our check finds; the auditor's tool must agree."""
    found = check.of_record(run.bag, signers=signing.allowed_signers).problems
    by_tool = tool.check(run.bag, None, signing.allowed_signers, lambda _: None)
    assert by_tool == (not found)
    return found


def test_the_files_of_the_key_lie_beside_the_environments_file(
    known: settings.Settings, signing: Signing
) -> None:
    assert known.record.signature == signing


def test_a_signed_record_is_signed_by_somebody_who_may(
    known: settings.Settings, signing: Signing, tool: ModuleType
) -> None:
    run = sealed(known)
    assert bag.info(run.bag)[bag.SIGNED] == WHO
    assert problems(run, signing, tool) == ()
    told = check.of_record(run.bag).remarks
    assert told == (f"signed by {WHO}, not compared: no file of allowed signers is named",)
    by_hand = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        str(signing.allowed_signers),
        "-I",
        WHO,
        "-n",
        signature.NAMESPACE,
        "-s",
        str(run.bag / bag.SIGNATURE),
    ]
    signed = (run.bag / bag.TAG_MANIFEST).read_bytes()
    assert subprocess.run(by_hand, input=signed, capture_output=True, check=False).returncode == 0


def test_an_earlier_run_that_a_new_one_seals_is_signed_too(
    known: settings.Settings, signing: Signing, tool: ModuleType
) -> None:
    earlier = record.create(known)
    record.create(known)
    assert bag.signer(earlier.bag) == WHO
    assert problems(earlier, signing, tool) == ()


def test_a_signature_by_another_key_for_other_bytes_or_gone_is_found(
    known: settings.Settings, signing: Signing, tool: ModuleType, tmp_path: Path
) -> None:
    run = sealed(known)
    path = run.bag / bag.SIGNATURE
    ours = path.read_bytes()
    other = Signing(key=key(tmp_path, "other_key"), who=WHO)
    text = (run.bag / bag.TAG_MANIFEST).read_bytes()
    for forged in (signature.sign(other, text), signature.sign(signing, text + b"x"), b"", b"{}"):
        path.write_bytes(forged)
        assert problems(run, signing, tool) == (
            f"{bag.SIGNATURE}: it is no signature of {WHO} that allowed_signers allows now",
        )
    path.unlink()
    assert "missing, and the record says" in problems(run, signing, tool)[0]
    path.write_bytes(ours)
    assert problems(run, signing, tool) == ()


def test_a_record_that_was_made_anew_without_the_key_is_found_where_others_are_signed(
    known: settings.Settings, signing: Signing, tool: ModuleType
) -> None:
    """Nothing else tells of a run that wrote nothing: no row of the database holds its seal."""
    record.create(known).seal()  # from before records were signed
    runs = [sealed(known), sealed(known)]
    folder, allowed = known.records_folder, signing.allowed_signers
    assert [one.problems for one in check.of_folder(folder, "", allowed)] == [()] * 4
    assert check.of_folder(folder, "", allowed)[0].remarks == ("not signed",)
    assert tool.check(folder, None, allowed, lambda _: None)
    last = runs[-1]
    (last.folder / "environment.json").write_text("{}")
    (last.bag / bag.SIGNATURE).unlink()
    facts = bag.info(last.bag) | {bag.SIGNED: bag.NOTHING}
    (last.bag / bag.INFO).write_text(bag.info_text(facts))
    seal_anew(last.bag)
    place = last.place()
    assert place is not None
    chain.note_last(folder, place)
    assert [one.problems for one in check.of_folder(folder)] == [()] * 4
    *_, forged, whole = check.of_folder(folder, "", allowed)
    told = f"it is not signed, and does not say why; {runs[0].id}, before it, is signed"
    assert (forged.problems, whole.problems) == ((told,), ())
    assert not tool.check(folder, None, allowed, lambda _: None)


def test_where_ssh_keygen_is_not_there_nobody_is_accused(
    known: settings.Settings,
    signing: Signing,
    tool: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    run = sealed(known)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    checked = check.of_record(run.bag, signers=signing.allowed_signers)
    assert (checked.problems, checked.is_compared) == ((), False)
    assert any("not compared: ssh-keygen could not be run" in one for one in checked.remarks)
    lines: list[str] = []
    assert not tool.check(run.bag, None, signing.allowed_signers, lines.append)
    told = f"{bag.SIGNATURE}: not checked: ssh-keygen cannot be run on this machine"
    assert f"{run.id}: {told}" in lines


def test_a_file_of_signers_that_is_not_there_accuses_no_record(
    known: settings.Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run, missing = sealed(known), str(tmp_path / "no_signers")
    with pytest.raises(SystemExit) as end:
        main(["record", "check", str(run.bag), "--allowed-signers", missing])
    assert (end.value.code, "no signature of" in capsys.readouterr().out) == (2, False)
    told = f"{bag.SIGNATURE}: not checked: there is no file no_signers"
    assert check.of_record(run.bag, signers=Path(missing)).problems == (told,)
    command = [sys.executable, str(TOOL), str(run.bag), "--allowed-signers", missing]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no_signers is not a file" in done.stderr


def test_a_key_that_cannot_be_used_leaves_a_record_that_is_sealed_and_says_so(
    known: settings.Settings, signing: Signing, tool: ModuleType
) -> None:
    signing.key.unlink()
    run = record.create(known)
    with pytest.raises(OnlySealed, match="could not be signed with the key signing_key"):
        run.seal(signing=known.record.signature)
    assert run.is_sealed
    assert bag.info(run.bag)["Not-Signed"].startswith("the record could not be signed")
    assert problems(run, signing, tool) == ()
    (remark,) = check.of_record(run.bag, signers=signing.allowed_signers).remarks
    assert remark.startswith("not signed: the record could not be signed")
    later = record.create(known)  # nor does it keep a new run from being begun
    record.create(known)
    assert later.is_sealed


def test_the_command_takes_a_file_of_allowed_signers(
    known: settings.Settings, signing: Signing, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = sealed(known)
    nobody = tmp_path / "nobody"
    nobody.write_text("")
    for file, code in ((signing.allowed_signers, 0), (nobody, 1)):
        with pytest.raises(SystemExit) as end:
            main(["record", "check", str(run.bag), "--allowed-signers", str(file)])
        assert end.value.code == code
    assert "no signature of" in capsys.readouterr().out
