"""The hub, W&B and Slurm; no key or token reaches a line."""

from pathlib import Path

import huggingface_hub
import pytest

from ood_lightning.callbacks.wandb import MODES
from ood_lightning.machine import services
from ood_lightning.machine.line import Line
from ood_lightning.retries import UnreachableError

SECRET = "hf_0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The hub's cache, with one repository; the hub can be reached."""
    folder = tmp_path / "hub"
    (folder / "models--a--b").mkdir(parents=True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(services, "check_reachable", lambda url: None)
    return folder


def test_a_hub_that_answers_passes(cache: Path):
    line = services.hub_line()
    assert line.verdict == "PASS"
    assert line.state.startswith("1 repository in ")


def test_a_hub_that_cannot_be_reached_warns(cache: Path, monkeypatch: pytest.MonkeyPatch):
    def unreachable(url: str) -> None:
        raise UnreachableError(f"https://me:{SECRET}@proxy cannot be reached: no connection")

    monkeypatch.setattr(services, "check_reachable", unreachable)
    line = services.hub_line()
    assert line.verdict == "WARN"
    assert "HF_HUB_OFFLINE=1" in line.mend
    assert SECRET not in line.text


def test_a_cache_that_is_a_file_fails(cache: Path, monkeypatch: pytest.MonkeyPatch):
    (cache / "file").write_text("")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache / "file"))
    line = services.hub_line()
    assert line.verdict == "FAIL"
    assert "HF_HOME" in line.mend


def test_offline_it_passes_with_models_and_warns_without(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert services.hub_line().verdict == "PASS"
    (cache / "models--a--b").rmdir()
    assert services.hub_line().verdict == "WARN"


def test_no_client_of_the_hub_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(services, "find_spec", lambda name: None)
    assert services.hub_line().verdict == "FAIL"
    assert services.wandb_line({}).verdict == "WARN"


def test_the_modes_are_those_of_the_logger():
    assert services.WANDB_MODES == MODES


def logged_in(home: Path) -> dict[str, str]:
    """An environment in which `wandb login` left a key."""
    home.mkdir()
    (home / ".netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {SECRET}\n")
    (home / ".netrc").chmod(0o600)
    return {"HOME": str(home)}


def test_wandb(tmp_path: Path):
    nobody = {"HOME": str(tmp_path)}
    assert services.wandb_line(nobody).text == "PASS  W&B: runs are offline; there is no key"
    assert services.wandb_line({**nobody, "WANDB_MODE": "online"}).verdict == "WARN"
    assert services.wandb_line({**nobody, "WANDB_MODE": "of line"}).verdict == "WARN"

    with_keys = [{**nobody, "WANDB_API_KEY": SECRET}, logged_in(tmp_path / "home")]
    lines = [services.wandb_line({**one, "WANDB_MODE": "online"}) for one in with_keys]
    assert {line.text for line in lines} == {"PASS  W&B: runs are online; a key is there"}


def test_a_damaged_netrc_holds_no_key(tmp_path: Path):
    (tmp_path / ".netrc").write_bytes(b"\xff\xfe machine")
    assert "no key" in services.wandb_line({"HOME": str(tmp_path)}).state


def slurm(tmp_path: Path, **variables: str) -> Line:
    return services.slurm_line({"PATH": str(tmp_path / "bin"), **variables}, tmp_path)


def test_without_slurm_and_with_it(tmp_path: Path):
    assert slurm(tmp_path).verdict == "PASS"

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "sbatch").chmod(0o755)
    assert "mkdir logs" in slurm(tmp_path).mend
    (tmp_path / "logs").mkdir()
    assert slurm(tmp_path).verdict == "PASS"


def test_a_job_as_commands_expect_it_and_others(tmp_path: Path):
    job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}
    assert "srun" in slurm(tmp_path, **job).mend

    started = {**job, "SLURM_STEP_ID": "0"}
    assert slurm(tmp_path, **started).text == "PASS  Slurm: job 7, 4 tasks"
    cores = {**started, "SLURM_CPUS_PER_TASK": "8"}
    assert "OMP_NUM_THREADS is not set" in slurm(tmp_path, **cores).state
    assert slurm(tmp_path, **cores, OMP_NUM_THREADS="8").verdict == "PASS"
