"""`doctor`: what this machine offers and lacks, a line each. Torch is imported for the last line alone."""

from ood_lightning.machine import hardware, own_files, services, software
from ood_lightning.places import FEATURES
from ood_lightning.plurals import many

FAILED = 1  # exit status


def doctor(cache_dir: str = FEATURES) -> int:
    """Look at Python, torch, memory, disks, the hub, WordNet, W&B, Slurm and the package's own files.

    A line each, PASS, WARN or FAIL, with what mends it. Exit status 1: at least one FAIL. Of the network only the hub
    is asked, and waited for a few seconds; keys and tokens are never printed.

    Args:
        cache_dir: folder of all features, whose disk is looked at.
    """
    looks = [
        software.python_line,
        software.torch_line,
        hardware.memory_line,
        lambda: hardware.disk_line("disk", cache_dir, "let cache_dir name a folder that you may write to, with room"),
        hardware.shared_memory_line,
        services.hub_line,
        software.wordnet_line,
        services.wandb_line,
        services.slurm_line,
        own_files.configs_line,
        own_files.model_line,
        own_files.pictures_line,
        hardware.device_line,
    ]

    verdicts = []
    for look in looks:
        line = look()
        print(line.text, flush=True)  # the last ones take their time
        verdicts.append(line.verdict)

    print(f"{many(verdicts.count('FAIL'), 'failure')}, {many(verdicts.count('WARN'), 'warning')}")
    return FAILED if "FAIL" in verdicts else 0
