"""``serve_study``: the application on a port, until it is told to end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from lipcore.cache import Cache
from lipcore.errors import ConfigError, DependencyError
from lipcore.rate.store import AnswerStore
from lipcore.rate.study import load_study

_MOST_CONNECTIONS = 1000
_IDLE_S = 15
_LONGEST_HEAD = 16_384
_GRACE_S = 5


def serve_study(
    path: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8321,
    cache: Cache | None = None,
    ready: Callable[[str], None] = lambda _address: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Serve a study until the process is interrupted; no answer is lost, however it ends.

    Args:
        path: The study's file.
        host: Address to listen on; ``0.0.0.0`` is all of this machine's.
        port: 0 takes a free one.
        cache: Where videos that browsers do not play are kept as H.264.
        ready: Called with the address when raters may come.
        progress: Called with (videos ready, videos).

    Raises:
        ConfigError: The study is wrong, or the address cannot be listened on.
        MediaError: A video is absent, or none.
        OutputError: The answers cannot be kept.
        DependencyError: The extra ``rate`` is not installed.
    """
    try:
        import uvicorn

        from lipcore.rate.app import make_app
        from lipcore.rate.connections import PatientProtocol
    except ImportError as error:
        raise DependencyError(
            "rating needs starlette and uvicorn", hint='Run: pip install "lipcore[rate]"'
        ) from error
    from lipcore.rate.media import playable_videos

    study = load_study(path)
    assert study.answers is not None  # load_study names them
    with _listen(host, port) as listening:
        videos = playable_videos(study.videos, cache, progress=progress)
        with AnswerStore(study.answers, study) as store:
            config = uvicorn.Config(
                make_app(study, store, videos), http=PatientProtocol, ws="none", lifespan="off",
                log_config=None, access_log=False, server_header=False, date_header=False,
                limit_concurrency=_MOST_CONNECTIONS, timeout_keep_alive=_IDLE_S,
                h11_max_incomplete_event_size=_LONGEST_HEAD, timeout_graceful_shutdown=_GRACE_S,
            )
            shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
            shown = f"[{shown}]" if ":" in shown else shown
            ready(f"http://{shown}:{listening.getsockname()[1]}/")
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        why = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise ConfigError(
            f"{host}:{port} cannot be listened on ({why})",
            hint="Choose another --port or --host.",
        ) from error


