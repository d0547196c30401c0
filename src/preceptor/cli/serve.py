"""``preceptor serve``."""

from importlib.util import find_spec
from pathlib import Path

from preceptor.errors import UserError
from preceptor.extras import install_command
from preceptor.streams import say


def serve_bundle(bundle: Path, host: str, port: int, *, most_mb: float, rate: int, timeout: float) -> None:
    """Open the bundle and answer until stopped."""
    if any(find_spec(name) is None for name in ("fastapi", "uvicorn")):
        raise UserError(f"serving wants fastapi and uvicorn, which are not installed: {install_command('serve')}")
    from preceptor.serve.limits import Limits
    from preceptor.serve.server import serve

    serve(bundle, host, port, Limits(round(most_mb * 1_000_000), rate, timeout), say=say)
