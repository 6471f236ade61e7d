"""Requests per caller and minute, counted in Redis for all processes together."""

import time
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from churn_service.serving.window import SECONDS, MemoryWindow, Taken

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
    """

    def __init__(self, url: str, failed: Callable[[Exception], None]) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS
        )
        self._failed = failed
        self._alone = MemoryWindow()
        self._paused_until = 0.0

    async def take(self, caller: str, cost: int) -> Taken:
        """Count a request, refused or not."""
        if time.monotonic() < self._paused_until:
            return await self._alone.take(caller, cost)
        key = f"churn-service:window:{caller}"
        try:
            async with self._redis.pipeline(transaction=True) as together:
                together.set(key, 0, ex=SECONDS, nx=True)
                together.incrby(key, cost)
                together.pttl(key)
                _, used, milliseconds_left = await together.execute()
        except (RedisError, OSError) as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            self._failed(error)
            return await self._alone.take(caller, cost)
        return Taken(used, milliseconds_left / 1000)
