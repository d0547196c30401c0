"""Whether a study that says that it is a paper's protocol does what the paper states."""

from collections.abc import Iterable

from preceptor.errors import UserError
from preceptor.protocols import protocol_of
from preceptor.recipe import Recipe
from preceptor.study.spec import Study


def require_protocol(study: Study, recipes: Iterable[Recipe]) -> None:
    """Refuse a study that says ``protocol: published`` and departs from what the paper is known to state.

    Raises:
        UserError: which keys differ.
    """
    protocol = protocol_of(study.name) if study.is_published_protocol else None
    if protocol is None:
        return
    found: dict[str, None] = {}
    for recipe in recipes:
        values = recipe.model_dump(mode="json")
        found |= dict.fromkeys(line for row in protocol.rows for line in row.departures(values))
    if found:
        raise UserError(
            f"study {study.name} says `protocol: published`, and departs from {protocol.title}:\n"
            + "\n".join(f"  {line}" for line in found)
            + "\nDo as the paper states, or say `protocol: own`; reports then say that it is not the published protocol"
        )
