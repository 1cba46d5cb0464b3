"""Where a command's results go: standard output, a file, or whatever else is at the path it was given."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from deploy.child import DeployError


@contextlib.contextmanager
def writing(path: Path | None, option: str) -> Iterator[BinaryIO]:
    """To a file through a neighbour that is renamed at the end, so that half a run never looks like a whole one.

    A link is followed and stays. What is no regular file (a device, a FIFO) is written to as it is: renaming a file
    over `/dev/null` would take the device from the whole machine. `option` is named in what goes wrong. Raises
    DeployError.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.exists() and not path.is_file():
        with _opened(path, os.O_WRONLY, path, option) as file:
            yield file
    else:
        target = Path(os.path.realpath(path))
        partial = target.with_name(target.name + ".partial")
        with _opened(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, path, option) as file:
            try:
                yield file
                file.flush()
                partial.replace(target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise


def _opened(path: Path, flags: int, asked: Path, option: str) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, flags, 0o666), "wb")
    except OSError as fault:
        raise DeployError(f"{option}: {asked} cannot be written ({fault.strerror}): name another file") from None
