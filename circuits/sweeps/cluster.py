"""Workers on a cluster, through dask.distributed."""

import re
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from .values import SweepError

NO_PAGES = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
"""Settings of dask by which its web servers have no pages."""


@contextmanager
def cluster(address: str) -> Iterator[tuple[Executor, int]]:
    """Yield an executor on the workers of a dask cluster, and how many workers there are.

    A cluster of its own talks over TLS with certificates that are made for it, so that no other
    user of the machine can give its workers code to run, and opens no web server. A scheduler that
    runs already is trusted as it is: whoever can reach it can run code on its workers.

    **Arguments:**

    - `address`: of a scheduler, as `tcp://host:8786` or `tls://host:8786`; or `local:4` for four
      processes on this machine.

    **Raises** `SweepError` where dask.distributed is not installed or the address is none, and
    `OSError` where nobody answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise SweepError(
            "a cluster needs dask.distributed: pip install 'eqprop-circuits[dask]'"
        ) from error
    parts = re.fullmatch(r"local:([1-9]\d{0,3})|(\w+://.+)", address)
    if not parts:
        raise SweepError(
            "`dask` must be the address of a scheduler, as tcp://host:8786, or local:4, "
            f"but is {address!r}"
        )
    if parts[1]:
        with _local(int(parts[1])) as executor:
            yield executor, int(parts[1])
    else:
        with Client(address) as client:
            threads: Any = client.nthreads()
            yield client.get_executor(pure=False), max(1, sum(threads.values()))


@contextmanager
def _local(workers: int) -> Iterator[Executor]:
    """Yield an executor on a cluster of this process, on this machine."""
    from dask import config
    from distributed import Client, LocalCluster, Security

    try:
        security = Security.temporary()
    except ImportError as error:
        raise SweepError(
            "a local cluster needs cryptography: pip install 'eqprop-circuits[dask]'"
        ) from error
    no_address: Any = None
    with (
        config.set(NO_PAGES),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=no_address,
            security=security,
            protocol="tls://",
        ) as local,
        Client(local) as client,
    ):
        # dask starts its web servers whatever it is told, the scheduler's on port 8787
        client.run_on_scheduler(_stop_web_server)
        client.run(_stop_web_server)
        yield client.get_executor(pure=False)


def _stop_web_server(dask_scheduler: Any = None, dask_worker: Any = None) -> None:
    """Stop the web server of a scheduler or a worker."""
    (dask_scheduler or dask_worker).http_server.stop()
