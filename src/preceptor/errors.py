"""The exceptions that the command line tells apart from defects."""


class UserError(ValueError):
    """A mistake in what the user gave: recipe, data, weights, command.

    The message names the thing in the user's words, what came, what was wanted and what to
    do next. The command line prints it without a traceback and exits with code 2.
    """


class NonFiniteLossError(UserError):
    """A loss term stopped being a number."""


class InterruptedRunError(Exception):
    """The user or the system asked to stop; the message says where the checkpoint is and how to go on."""
