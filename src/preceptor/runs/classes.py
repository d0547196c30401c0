"""What the exported networks of a run call the classes."""

import json

from preceptor.errors import UserError
from preceptor.opening import read_text
from preceptor.runs.files import RunFiles, config_of


def class_names(files: RunFiles) -> tuple[str, ...]:
    """Names of the classes in the order of the logits; empty where no network is exported yet.

    Raises:
        UserError: a network's ``config.json`` is damaged.
    """
    for folder in files.exported():
        path = config_of(folder)
        try:
            found = json.loads(read_text(path, "file of a run"))
            names = found.get("label_names")
        except UserError:
            raise
        except (ValueError, RecursionError, AttributeError) as error:
            raise UserError(f"{path} is damaged, no config of a network: {error}") from None
        if names:
            return tuple(map(str, names))
    return ()
