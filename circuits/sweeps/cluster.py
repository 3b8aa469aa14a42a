"""Workers on a cluster, through dask.distributed."""

import re
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from .declaration import SweepError


@contextmanager
def cluster(address: str) -> Iterator[tuple[Executor, int]]:
    """An executor on the workers of a scheduler at `address`, as tcp://host:8786, or of its own, as local:4; and how many they are.

    The workers need this package, and ngspice where it simulates; nothing of the run's folder. Raises `SweepError` where
    dask.distributed is not installed or the address is none, and `OSError` where nobody answers.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise SweepError(
            "a cluster needs dask.distributed: pip install 'eqprop-circuits[dask]'"
        ) from error
    found = re.fullmatch(r"local:([1-9]\d*)|(\w+://.+)", address)
    if not found:
        raise SweepError(
            f"`dask` must be the address of a scheduler, as tcp://host:8786, or local:4, but is {address!r}"
        )
    if found[2]:
        with Client(address) as client:
            threads: Any = client.nthreads()
            yield client.get_executor(pure=False), max(1, sum(threads.values()))
        return
    workers = int(found[1])
    nowhere: Any = None
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=nowhere) as local,
        Client(local) as client,
    ):
        yield client.get_executor(pure=False), workers
