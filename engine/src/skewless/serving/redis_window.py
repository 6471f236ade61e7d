"""Requests per caller and minute, counted in Redis for all processes together."""

import asyncio
import time
from collections.abc import Callable

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from skewless.core.errors import ConfigError
from skewless.core.url import Url
from skewless.serving.rate_window import SECONDS, MemoryWindow, Taken

CONNECTIONS = 16  # to Redis, per process; more requests than that wait for one
PATIENCE_SECONDS = 0.1  # that a request may wait for Redis
PAUSE_SECONDS = 5.0  # before Redis is asked again after it failed


class RedisWindow:
    """Counts that several processes share; while Redis fails, each counts for itself.

    Parameters
    ----------
    url
        Such as ``redis://:password@host:6379/0``.
    failed
        Told why, each time that Redis fails.
    variable
        Variable of the environment that holds the URL, for errors.

    Raises
    ------
    ConfigError
        The URL is malformed. The message does not repeat it: it may hold a password.
    """

    def __init__(
        self, url: Url, failed: Callable[[Exception], None], *, variable: str
    ) -> None:
        try:
            pool = BlockingConnectionPool.from_url(
                url.get_secret_value(), max_connections=CONNECTIONS
            )
            # It connects to nothing, but says whether it could.
            pool.make_connection()  # type: ignore[no-untyped-call] # the library's
        except (ValueError, TypeError):
            msg = (
                f"{variable}: malformed; "
                "write redis://***@host:6379/0, with :password for ***"
            )
            raise ConfigError(msg) from None
        self._redis = Redis.from_pool(pool)
        self._failed = failed
        self._alone = MemoryWindow()
        self._paused_until = 0.0

    async def take(self, caller: str, cost: int) -> Taken:
        """Count a request, refused or not."""
        if time.monotonic() < self._paused_until:
            return await self._alone.take(caller, cost)
        key = f"skewless:window:{caller}"
        try:
            async with (
                asyncio.timeout(PATIENCE_SECONDS),
                self._redis.pipeline() as together,
            ):
                together.set(key, 0, ex=SECONDS, nx=True)
                together.incrby(key, cost)
                together.pttl(key)
                _, used, milliseconds_left = await together.execute()
        except (RedisError, OSError) as error:
            if time.monotonic() >= self._paused_until:  # else another request has told
                self._paused_until = time.monotonic() + PAUSE_SECONDS
                self._failed(error)
            return await self._alone.take(caller, cost)
        return Taken(used, milliseconds_left / 1000)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
