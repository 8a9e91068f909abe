"""How this process was started: by `srun` as a task of a step, by torchrun, or by a person."""

import os
from collections.abc import Mapping


def is_slurm_task(environment: Mapping[str, str], pid: int) -> bool:
    """Whether `srun` started this process as a task of a step.

    A shell in a step (`srun --pty bash`; on many sites `salloc` too) leaves Slurm's variables to what a person starts
    there, which is one process whatever they say. A task that is started from there by another `srun` is one again: its
    process is the task's own.

    Args:
        environment: variables of the process.
        pid: of the process.
    """
    in_step = "SLURM_STEP_ID" in environment or "SLURM_STEP_NUM_TASKS" in environment
    in_shell = "SLURM_PTY_PORT" in environment and environment.get("SLURM_TASK_PID") != str(pid)
    return in_step and not in_shell


def by_torchrun() -> bool:
    """Whether torchrun started this process; in a job of Slurm its own variables count."""
    return "TORCHELASTIC_RUN_ID" in os.environ
