"""How a command fails for a reason that the user can act on. Raised by every command."""

import click


class Failure(click.ClickException):
    """Printed on standard error as it is; the exit code is 1.

    Args:
        message: what is wrong, and what to do next.
    """

    exit_code = 1

    def show(self, file: object = None) -> None:
        """Print the message."""
        click.echo(f"remediator: {self.format_message()}", err=True)
