"""A technique in a user's own file. Its options are read from the text; it is run when a plan is wanted of it."""

from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, model_validator

from preceptor.errors import UserError
from preceptor.knowledge.catalogue import options_in
from preceptor.own_code import file_of, own_class, run_file
from preceptor.plan.cast import Cast
from preceptor.plan.stage import Plan
from preceptor.signatures import Option
from preceptor.techniques.base import Technique


class OwnTechnique(Technique):
    """What a recipe says of a technique that it names ``path/to/module.py:ClassName``.

    Reading a recipe must not run what somebody else wrote, so that all that is known before a plan is made is what
    the file says in plain words: the options with their types and defaults.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    takes_teachers: ClassVar[bool] = True

    name: str

    @model_validator(mode="before")
    @classmethod
    def _with_options_of_the_file(cls, raw: object) -> object:
        if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
            return raw
        what, options = f"technique {raw['name']}", technique_options(raw["name"])
        given = options_in(what, options, {key: value for key, value in raw.items() if key != "name"})
        missing = [option.name for option in options if option.is_required and option.name not in given]
        if missing:
            raise UserError(f"{what}: option {missing[0]} is missing")
        return {"name": raw["name"], **{one.name: given.get(one.name, one.default) for one in options}}

    @property
    def path(self) -> Path:
        """The file."""
        return file_of(self.name)

    def loaded(self) -> Technique:
        """The technique itself, with these options.

        Raises:
            UserError: its file cannot be run, or the class is no technique.
        """
        what = f"technique {self.name!r}"
        found = getattr(run_file(self.path, what), self.name.rpartition(":")[2])
        if not (isinstance(found, type) and issubclass(found, Technique)):
            raise UserError(f"{what} is no subclass of preceptor.techniques.Technique; let it extend that")
        made: Technique = found.model_validate(self.model_dump())
        return made

    def plan(self, cast: Cast) -> Plan:
        """What the technique itself makes of the cast."""
        technique = self.loaded()
        if cast.task not in technique.tasks:
            raise UserError(f"technique {self.name} is for {', '.join(technique.tasks)}, not {cast.task}")
        try:
            technique.require_students(len(cast.students))
        except ValueError as error:
            raise UserError(str(error)) from None
        return technique.plan(cast)


def technique_options(name: str) -> tuple[Option, ...]:
    """The options of the technique that a user names, as its file has them."""
    return tuple(option for option in own_class(name, "technique").fields() if option.name != "name")
