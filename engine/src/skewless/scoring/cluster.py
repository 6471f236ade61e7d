"""A Dask cluster → something that takes work, as a pool of threads does."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, Final

from skewless.core.errors import ConfigError

LOCAL: Final = "local"
# A thirtieth less time: nobody looks at a profile, and memory that parts need again is
# kept.
QUICK: Final = {
    "distributed.worker.profile.enabled": False,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**27,  # bytes
}


@contextmanager
def open_cluster(address: str, workers: int) -> Iterator[Executor]:
    """Connect to a cluster.

    Parameters
    ----------
    address
        Of its scheduler, such as tcp://10.0.0.1:8786; or ``local``, for processes of
        this machine.
    workers
        How many processes then.

    Raises
    ------
    ConfigError
        The extra `dask` is not installed, or nobody answers there.
    """
    try:
        import distributed  # noqa: PLC0415 - an extra
        from dask import config  # noqa: PLC0415 - ditto
    except ImportError as error:
        msg = (
            "--dask needs the extra `dask`, which is not installed; "
            "docs/batch.md says more"
        )
        raise ConfigError(msg) from error
    dask: Any = distributed
    if address == LOCAL:
        config.set(QUICK)
        made = dask.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None
        )
        with made as cluster, dask.Client(cluster) as client:
            yield client.get_executor()
        return
    try:
        client = dask.Client(address)
    except (OSError, ValueError) as error:
        msg = (
            f"--dask {address}: no scheduler answers there ({error}). "
            "Is it up, and is that its address?"
        )
        raise ConfigError(msg) from error
    with client:
        yield client.get_executor()
