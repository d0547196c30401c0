"""What a server takes from strangers: how large an image, how many of them, how slowly sent."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

MOST_PIXELS = 25_000_000
"""Of an image that is sent: a small file can hold very many."""

_HELD = 10
_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken.

    Args:
        most_bytes: of one image as it is sent.
        rate: images a minute from one address; 0 for any number.
        seconds: in which an image must have arrived.
    """

    most_bytes: int = 20_000_000
    rate: int = 60
    seconds: float = 30.0


class RefusedError(Exception):
    """A request that is not answered, with its status, the reason, and the seconds after which it may come again."""

    def __init__(self, status: int, reason: str, again: int | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.again = status, reason, again


class Turns:
    """How many images each address may still send: as many as a minute allows at once, then one after the other."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address -> images left, when counted

    def take(self, address: str) -> None:
        """Count an image.

        Raises:
            RefusedError: too many in the last minute.
        """
        if not self._rate:
            return
        now = self._clock()
        left, since = self._left.pop(address, (float(self._rate), now))
        left = min(float(self._rate), left + (now - since) * self._rate / 60)
        self._left[address] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > _ADDRESSES:
            self._left.popitem(last=False)
        if left < 1:
            wait = int((1 - left) * 60 / self._rate) + 1
            raise RefusedError(429, f"more than {self._rate} images a minute; try again in {wait} s", wait)


class Inbox:
    """Images that are being read or answered, and answers that are being sent, together below a limit."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._held = limits, 0
        self._arriving: set[asyncio.Timeout] = set()
        self._is_closed = False

    @property
    def held(self) -> int:
        """Bytes of images and answers."""
        return self._held

    def close(self) -> None:
        """Take no image any more, nor the rest of one that is arriving."""
        self._is_closed = True
        for one in self._arriving:
            one.reschedule(0)

    def require_room(self) -> None:
        """Refuse to take or to answer an image while too much is held, by those who take no answers for example.

        Raises:
            RefusedError: it is.
        """
        if self._held > _HELD * self._limits.most_bytes:
            raise RefusedError(503, "too many images are waiting; try again in a few seconds", 5)

    @contextmanager
    def sending(self, size: int) -> Iterator[None]:
        """An answer of so many bytes is held until the block ends."""
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    @asynccontextmanager
    async def image(self, request: Request) -> AsyncIterator[bytes]:
        """The body of ``request``, held until the block ends.

        Raises:
            RefusedError: it is too large, too slow, cut off, or empty, or too much is held already.
        """
        limits, parts, size = self._limits, list[bytes](), 0
        self._require_kind(request)
        try:
            async with self._arrives():
                async for part in request.stream():
                    size += len(part)
                    self._held += len(part)
                    self._require_room(size)
                    parts.append(part)
            if not size:
                raise RefusedError(400, "no image came; send one as the body: curl --data-binary @image.png …/predict")
            image = b"".join(parts)
            parts.clear()
            yield image
        except TimeoutError:
            self._require_open()
            raise RefusedError(408, f"the image had not arrived after {limits.seconds:g} s") from None
        except ClientDisconnect:
            raise RefusedError(400, "the image was cut off") from None
        finally:
            self._held -= size

    @asynccontextmanager
    async def _arrives(self) -> AsyncIterator[None]:
        """The time that an image has; none where the inbox is closed."""
        self._require_open()
        async with asyncio.timeout(self._limits.seconds) as ends:
            self._arriving.add(ends)
            try:
                yield
            finally:
                self._arriving.discard(ends)

    def _require_open(self) -> None:
        if self._is_closed:
            raise RefusedError(503, "the server is being stopped")

    def _require_kind(self, request: Request) -> None:
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise RefusedError(415, "a form came; send the image itself: curl --data-binary @image.png …/predict")
        said = request.headers.get("content-length", "")
        if said.isdigit():
            self._require_room(int(said))

    def _require_room(self, size: int) -> None:
        most = self._limits.most_bytes
        if size > most:
            raise RefusedError(413, f"the image has more than {most / 1e6:g} MB, which is the most that is taken")
        self.require_room()
