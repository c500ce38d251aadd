"""Fifty raters at once, and a server that is killed among them."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from lipcore.rate.store import read_answers
from lipcore.rate.study import load_study
from lipcore.rate.summary import summarize_study

from .conftest import answer_of, client_of, served

RATERS = 50
_GIVE_UP_S = 240


class _Rater(threading.Thread):
    """Does what the page does: repeats what was not acknowledged, and notes what was."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self.url, self.drawn = url, random.Random(number)
        self.acknowledged: dict[int, dict[str, int]] = {}
        self.error: Exception | None = None
        self.total = 0
        self.cookie = ""

    def run(self) -> None:
        try:
            with client_of(self.url) as client:
                state = self._ask(client, "POST", "/api/start", {})
                while state["place"]["trial"] is not None:
                    self.total = state["place"]["total"]
                    sent = answer_of(state)
                    sent["answers"] = {s: self.drawn.randint(1, 5) for s in sent["answers"]}
                    client.headers["x-lipcore-token"] = state["token"]
                    state = self._ask(client, "POST", "/api/answer", sent)
                    self.acknowledged[sent["position"]] = sent["answers"]
        except Exception as error:
            self.error = error

    def _ask(self, client: httpx.Client, method: str, path: str, body: object) -> dict:  # type: ignore[type-arg]
        end = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < end:
            try:
                got = client.request(method, path, json=body)
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if got.status_code == 429 or got.status_code >= 500:
                time.sleep(0.2)
                continue
            assert got.status_code == 200, (got.status_code, got.text)
            return got.json()  # type: ignore[no-any-return]
        raise TimeoutError(path)


def _count(path: Path) -> int:
    return int(sqlite3.connect(path).execute("SELECT count(*) FROM answers").fetchone()[0])


def test_nothing_acknowledged_is_lost(write_study: Callable[..., Path]) -> None:
    path = write_study()
    study = load_study(path)
    assert study.answers is not None
    with served(path) as server:
        url, port = server.url, server.port
        raters = [_Rater(url, k) for k in range(RATERS)]
        for rater in raters:
            rater.start()
        half = RATERS * len(study.stimuli) // 2
        while sum(len(r.acknowledged) for r in raters) < half:
            assert all(r.error is None for r in raters), [r.error for r in raters if r.error]
            time.sleep(0.02)
        server.process.kill()
        server.process.wait()
        told = sum(len(dict(r.acknowledged)) for r in raters)
        assert _count(study.answers) >= len(study.scales) * min(told, half)
    with served(path, port):
        for rater in raters:
            rater.join(_GIVE_UP_S)
    assert [r.error for r in raters if r.error] == []
    kept: dict[int, dict[int, dict[str, int]]] = {}
    for vote in read_answers(study.answers, study).votes:
        kept.setdefault(vote.rater, {}).setdefault(vote.position, {})[vote.scale] = vote.value
    given = sorted(map(repr, (dict(sorted(r.acknowledged.items())) for r in raters)))
    whole = sorted(repr({p: {s: v[s] for s in study.scales} for p, v in sorted(k.items())})
                   for k in kept.values() if len(k) == len(study.stimuli))  # fmt: skip
    assert given == whole, "what was acknowledged is what is kept, of every rater"
    # A start whose reply died with the server leaves a rater without answers, and no more.
    assert all(len(k) == len(study.stimuli) for k in kept.values())
    assert len(summarize_study(path, screen=False).answers.votes) == RATERS * 18
