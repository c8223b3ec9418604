"""A file that is whole or not there: a kill never leaves half of it under its name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from metrics.errors import MetricsError


@contextmanager
def whole_file(path: Path, advice: str) -> Iterator[IO[bytes]]:
    """What is written in the block becomes ``path`` when it ends well.

    Raises:
        MetricsError: the file system refused; the message ends with ``advice``.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise MetricsError(f"{path} cannot be written ({error}): {advice}") from error
    finally:
        partial.unlink(missing_ok=True)
