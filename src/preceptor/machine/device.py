"""Which device a process computes on, as users name it."""

import torch

from preceptor.errors import UserError

DEVICES = ("auto", "cpu", "cuda")


def require_device(device: str) -> None:
    """UserError where there is no such device here."""
    if device not in DEVICES:
        raise UserError(f"device {device!r}: there are auto, cpu and cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device 'cuda': torch finds no GPU here; choose auto or cpu")
