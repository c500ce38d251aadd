"""``lipcore worker``: jobs for host plugins and farms, told in JSON lines."""

from __future__ import annotations

import click


@click.command("worker")
@click.option("--debug", is_flag=True, hidden=True)
def command(debug: bool) -> None:
    """Do jobs that come as JSON lines on stdin; events go to stdout, a line each.

    One process stays loaded and does many jobs, one after another. It ends when
    stdin closes. Try: echo '{"id": "1", "method": "hello"}' | lipcore worker
    """
    from lipcore.worker.serve import serve

    serve()
