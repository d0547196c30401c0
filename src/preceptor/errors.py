"""The one exception that means "the user can fix this"."""


class UserError(ValueError):
    """A mistake in what the user gave: recipe, data, weights, command.

    The message names the thing in the user's words, what came, what was wanted and what to
    do next. The command line prints it without a traceback and exits with code 2.
    """
