"""Files that a command prints: of `pipe:COMMAND`, and of `s3:` through the `aws` command."""

import shutil
import subprocess
from typing import IO

from ood_lightning.data.remote.addresses import PIPE, S3, redacted
from ood_lightning.errors import SourceError


def run_command(source: str, file: IO[bytes]) -> None:
    """Write what the command of a `pipe:` or `s3:` address prints to `file`.

    The command's complaints go to standard error unchanged.

    Raises:
        SourceError: it cannot be run, or fails.
        OSError: the disk is full.
    """
    if source.startswith(S3) and shutil.which("aws") is None:
        raise SourceError(
            f"{source}: s3: is read by the `aws` command, which is not installed here. Install AWS CLI, or give "
            f"another command that prints the tar: `pipe:COMMAND ...`."
        )

    # pipefail: `curl ... | zstd -d` would end well where curl does not
    command = (
        ["bash", "-o", "pipefail", "-c", source.removeprefix(PIPE)]
        if source.startswith(PIPE)
        else ["aws", "s3", "cp", "--no-progress", source, "-"]
    )
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)
    except OSError as error:
        raise SourceError(f"{redacted(source)} cannot be run: {error.strerror}") from None

    with process:
        assert process.stdout is not None
        try:
            # The command gets no hold of the file: it would go on writing when this process has ended, and keep the
            # file's lock.
            shutil.copyfileobj(process.stdout, file)
        except BaseException:
            process.kill()
            raise

    if process.returncode:
        raise SourceError(
            f"{redacted(source)} failed with exit status {process.returncode}; its own messages stand above"
        )
