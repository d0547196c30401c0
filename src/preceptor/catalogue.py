"""The name by which users' own losses import their setting."""

from preceptor.knowledge.setting import Setting

__all__ = ["Setting"]
