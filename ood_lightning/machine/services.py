"""The hub's cache, W&B and Slurm. Keys and tokens are looked for, and never printed."""

import netrc
import os
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from ood_lightning.errors import SettingsError
from ood_lightning.machine.line import Line
from ood_lightning.masking import masked
from ood_lightning.places import check_writable
from ood_lightning.plurals import many
from ood_lightning.retries import UnreachableError, check_reachable

WANDB_MODES = ("offline", "online", "disabled", "shared", "dryrun", "run")
LOGS = "logs"  # where the job scripts let Slurm write


def hub_line() -> Line:
    """Whether models of the hub are at hand, or can be fetched; the hub is waited for a few seconds."""
    if find_spec("huggingface_hub") is None:
        return Line.failed("hub", "huggingface_hub is not installed", "`pip install huggingface_hub`")
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    mend = "let HF_HOME name a folder that you may write to, with room for models"
    try:
        check_writable(cache, "the hub's cache", folder=True)
    except SettingsError as error:
        if not cache.is_dir():
            return Line.failed("hub", str(error), mend)
        return Line.warned("hub", f"{cache} can be read and not written to: nothing new can be fetched", mend)

    n_kept = sum(1 for path in cache.glob("*--*") if path.is_dir())
    kept = f"{many(n_kept, 'repository', 'repositories')} in {cache}"
    elsewhere = "where there is no network, fetch models elsewhere and let HF_HOME name the cache"
    if constants.HF_HUB_OFFLINE:
        state = f"{kept}; HF_HUB_OFFLINE is set"
        return Line.passed("hub", state) if n_kept else Line.warned("hub", state, f"unset it; {elsewhere}")

    try:
        check_reachable(constants.ENDPOINT)
    except UnreachableError as error:
        return Line.warned("hub", f"{kept}; {masked(str(error))}", f"set HF_HUB_OFFLINE=1; {elsewhere}")
    return Line.passed("hub", f"{kept}; {urlsplit(constants.ENDPOINT).hostname} can be reached")


def wandb_line(environment: Mapping[str, str] = os.environ) -> Line:
    """Whether runs can be shown in W&B, which none has to be.

    Args:
        environment: variables.
    """
    if find_spec("wandb") is None:
        return Line.warned("W&B", "not installed", "`pip install wandb`, if runs are to be shown there")

    text = environment.get("WANDB_MODE", "")
    mode = text.strip().lower() or "offline"
    if mode not in WANDB_MODES:
        state = f"WANDB_MODE is {text!r}, so runs are offline"
        return Line.warned("W&B", state, f"set one of {', '.join(WANDB_MODES)}")

    has_key = bool(environment.get("WANDB_API_KEY")) or _key_in_netrc(environment)
    if mode == "online" and not has_key:
        return Line.warned("W&B", "WANDB_MODE is online, and there is no key", "`wandb login`, or set WANDB_API_KEY")
    return Line.passed("W&B", f"runs are {mode}; {'a key is there' if has_key else 'there is no key'}")


def _key_in_netrc(environment: Mapping[str, str]) -> bool:
    """Whether `wandb login` left a key."""
    host = urlsplit(environment.get("WANDB_BASE_URL", "")).hostname or "api.wandb.ai"
    file = environment.get("NETRC") or str(Path(environment.get("HOME", "~")).expanduser() / ".netrc")
    try:
        return netrc.netrc(file).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return False


def slurm_line(environment: Mapping[str, str] = os.environ, folder: Path = Path()) -> Line:
    """Whether this is a job of Slurm's as commands expect it, or jobs can be submitted from here.

    Args:
        environment: variables.
        folder: that jobs are submitted from.
    """
    job = environment.get("SLURM_JOB_ID")
    if not job:
        if shutil.which("sbatch", path=environment.get("PATH")) is None:
            return Line.passed("Slurm", "not here, and not needed")
        if not (folder / LOGS).is_dir():
            return Line.warned("Slurm", f"sbatch is here, and no folder {LOGS}", f"`mkdir {LOGS}`: jobs end without it")
        return Line.passed("Slurm", "jobs can be submitted from here")

    tasks = environment.get("SLURM_NTASKS", "1")
    if tasks != "1" and "SLURM_STEP_ID" not in environment:
        state = f"job {job} with {tasks} tasks, and this process was not started by srun"
        return Line.warned("Slurm", state, "put `srun` before the command, or one process does all of the work")

    cores, threads = environment.get("SLURM_CPUS_PER_TASK"), environment.get("OMP_NUM_THREADS")
    if cores and threads != cores:
        state = f"job {job} with {cores} cores a task, and OMP_NUM_THREADS is {threads or 'not set'}"
        return Line.warned("Slurm", state, "`export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK`")
    return Line.passed("Slurm", f"job {job}, {many(int(tasks) if tasks.isdigit() else 1, 'task')}")
