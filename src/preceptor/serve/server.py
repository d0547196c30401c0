"""The server: one process that listens, until it is told to stop."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from preceptor.errors import UserError
from preceptor.quoting import quoted
from preceptor.serve.answer import Desk
from preceptor.serve.app import app_of
from preceptor.serve.limits import Inbox, Limits

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CONNECTIONS = 1000
_FAREWELL = 5  # seconds in which answers that are being made may end


def serve(folder: Path, host: str, port: int, limits: Limits, *, say: Callable[[str], object]) -> None:
    """Answer by the bundle in ``folder`` until SIGINT or SIGTERM.

    Args:
        say: called with where it listens, and what is to be known of that.

    Raises:
        UserError: no bundle, or nothing can listen there.
    """
    desk = Desk(folder)
    listening = _listen(host, port)
    is_local, inbox = _is_loopback(host), Inbox(limits)
    address = f"[{host}]" if ":" in host else host
    say(f"{folder} answers at http://{address}:{listening.getsockname()[1]}/ (Ctrl-C ends it)")
    if not is_local:
        say("note: whoever reaches this address may use it, and what is sent is not encrypted.")
    config = Config(
        app_of(desk, limits, inbox, LOOPBACK | {host} if is_local else None),
        http=_patient(limits.seconds),
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
    )
    with listening:
        asyncio.run(_Server(config, inbox).serve([listening]))
    say("stopped.")


class _Server(Server):
    """Ends at the first signal and leaves it at that; uvicorn's own sends it again at the end."""

    def __init__(self, config: Config, inbox: Inbox) -> None:
        super().__init__(config)
        self._inbox = inbox

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Give the answers that are being made for a while; then drop what is left."""
        self._inbox.close()
        end = asyncio.get_running_loop().call_later(_FAREWELL, self._drop)
        await super().shutdown(sockets)
        end.cancel()

    def _drop(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in self.server_state.tasks:
            task.cancel()


class _Deadline:
    """Something that happens unless it is called off; to begin it again changes nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, then: Callable[[], object]) -> None:
        self._loop, self._seconds, self._then = loop, seconds, then
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._then)

    def call_off(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None


def _patient(seconds: float) -> type[H11Protocol]:
    """A connection that is closed where the head of a request does not arrive, or an answer is not taken, in time."""

    class Patient(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
            super().connection_made(transport)
            transport.set_write_buffer_limits(0)  # so that writing is paused as long as anything is not sent
            self._head = _Deadline(self.loop, seconds, self._give_up)
            self._answer = _Deadline(self.loop, seconds, transport.abort)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head.call_off()
            self._answer.call_off()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._answer.begin()

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._is_waiting:
                self._answer.call_off()

        def on_response_complete(self) -> None:
            if not self.flow.write_paused:
                self._answer.call_off()
            super().on_response_complete()

        def _wait(self) -> None:
            if self._is_waiting:
                self._head.begin()
            else:
                self._head.call_off()

        @property
        def _is_waiting(self) -> bool:
            """Whether no answer is being made or sent."""
            cycle: Any = self.cycle
            return cycle is None or bool(cycle.response_complete)

        def _give_up(self) -> None:
            if self._is_waiting:
                self.transport.close()

    return Patient


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_CONNECTIONS)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no name of a machine"
        raise UserError(
            f"nothing can listen at {quoted(host)}, port {port}: {why}; give another --host or --port"
        ) from None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
