"""A first recipe for a folder of images: what is there, what is chosen for it, and why."""

from preceptor.drafting.choice import DraftedValue
from preceptor.drafting.choose import choose
from preceptor.drafting.folder import DraftedFolder, look
from preceptor.drafting.networks import Machine, ask_hub, this_machine
from preceptor.drafting.text import as_mapping, recipe_text

__all__ = [
    "DraftedFolder",
    "DraftedValue",
    "Machine",
    "as_mapping",
    "ask_hub",
    "choose",
    "look",
    "recipe_text",
    "this_machine",
]
