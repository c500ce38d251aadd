"""The web application: one page, its state, answers, and videos by names that say nothing.

A rater is a random cookie. Everything else is in the file of answers, so that the server may
be killed at any moment and raters go on where they were.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from lipcore.rate.assignment import Trial
from lipcore.rate.guard import Guard, Limits, Pace, address_of
from lipcore.rate.media import media_type
from lipcore.rate.store import AnswerStore, Place
from lipcore.rate.study import LABELS, QUESTIONS, Gold, Practice, Study, Trap

COOKIE = "lipcore_rater"
TOKEN_HEADER = "x-lipcore-token"
_COOKIE_S = 60 * 24 * 3600
_LONGEST_MS = 24 * 3600 * 1000
_MOST_PLAYS = 1000
PROBLEM = "does not play"
_FILES = {
    "/": ("rate.html", "text/html"), "/rate.js": ("rate.js", "text/javascript"),
    "/rate.css": ("rate.css", "text/css"), "/icon.svg": ("icon.svg", "image/svg+xml"),
}  # fmt: skip


def make_app(
    study: Study, store: AnswerStore, videos: Mapping[Path, Path], limits: Limits | None = None
) -> Starlette:
    """The application of one study.

    Args:
        study: What is asked.
        store: Where answers go.
        videos: The playable file of each video of the study.
        limits: What one address may ask.
    """
    limits = limits or Limits()
    rating = _Rating(study, store, videos, limits)
    pages = [Route(path, _page(*named), methods=["GET"]) for path, named in _FILES.items()]
    return Starlette(
        routes=[
            *pages,
            Route("/api/state", rating.state, methods=["GET"]),
            Route("/api/start", rating.start, methods=["POST"]),
            Route("/api/answer", rating.answer, methods=["POST"]),
            Route("/media/{name}", rating.media, methods=["GET"]),
        ],
        middleware=[Middleware(Guard, limits=limits)],
    )


def _page(name: str, kind: str) -> Any:
    content = (resources.files("lipcore.rate") / "static" / name).read_bytes()

    async def give(_request: Request) -> Response:
        return Response(content, media_type=kind)

    return give


class _Rating:
    def __init__(
        self, study: Study, store: AnswerStore, videos: Mapping[Path, Path], limits: Limits
    ) -> None:
        self._study, self._store, self._videos = study, store, videos
        self._limits = limits
        self._starts = Pace(limits.raters_per_s, limits.raters_at_once)
        self._clips = {clip.name: clip.videos for clip in study.clips}

    async def state(self, request: Request) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        rater = await self._rater(cookie)
        place = None if rater is None else await run_in_threadpool(self._store.place_of, rater)
        return JSONResponse(await self._told(cookie, place))

    async def start(self, request: Request) -> Response:
        await _read_json(request)
        cookie = request.cookies.get(COOKIE, "")
        rater = await self._rater(cookie)
        if rater is not None:
            place = await run_in_threadpool(self._store.place_of, rater)
            return JSONResponse(await self._told(cookie, place))
        wait = self._starts.wait_s(address_of(request.scope))
        if wait:
            raise HTTPException(
                429, "Too many new raters.", {"retry-after": str(max(1, round(wait)))}
            )
        cookie = secrets.token_urlsafe(32)
        added = await run_in_threadpool(self._store.add_rater, cookie, self._limits.most_raters)
        if added is None:
            raise HTTPException(503, "The study is full.")
        out = JSONResponse(await self._told(cookie, added))
        out.set_cookie(
            COOKIE, cookie, max_age=_COOKIE_S, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )
        return out

    async def answer(self, request: Request) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        rater = await self._rater(cookie)
        given = request.headers.get(TOKEN_HEADER, "")
        # Compared as bytes: a header may hold what is not ASCII.
        if rater is None or not hmac.compare_digest(
            given.encode(), self._name("token", cookie).encode()
        ):
            raise HTTPException(403, "Not a rater of this study.")
        told = self._check_answer(await _read_json(request))
        position = told.pop("position")
        counts = await run_in_threadpool(
            lambda: self._store.answer(rater, position, told.pop("answers"), **told)
        )
        place = await run_in_threadpool(self._store.place_of, rater)
        return JSONResponse(await self._told(cookie, place), 200 if counts else 409)

    async def media(self, request: Request) -> Response:
        rater = await self._rater(request.cookies.get(COOKIE, ""))
        if rater is None:
            raise HTTPException(404)
        place = await run_in_threadpool(self._store.place_of, rater)
        # Only what is judged now, and the next, which the page fetches ahead.
        for position in (place.position, place.position + 1):
            trial = await run_in_threadpool(self._store.trial_at, rater, position)
            if trial is None:
                continue
            for slot, video in enumerate(self._shown(trial)):
                name = self._name("media", rater, position, slot)
                if hmac.compare_digest(name.encode(), request.path_params["name"].encode()):
                    out = FileResponse(
                        self._videos[video], media_type=media_type(self._videos[video]),
                        headers={"cache-control": "private, max-age=3600"},
                    )
                    return _Nameless(out)
        raise HTTPException(404)

    async def _rater(self, cookie: str) -> int | None:
        if not 20 <= len(cookie) <= 100:
            return None
        return await run_in_threadpool(self._store.find_rater, cookie)

    def _name(self, *parts: object) -> str:
        text = "/".join(map(str, parts)).encode()
        return hmac.new(self._store.secret, text, hashlib.sha256).hexdigest()[:40]

    def _shown(self, trial: Trial) -> list[Path]:
        if trial.kind == "clip":
            return [self._clips[trial.item][system] for system in trial.shown]
        lists: Mapping[str, Sequence[Gold | Trap | Practice]] = {
            "gold": self._study.gold, "trap": self._study.traps, "practice": self._study.practice
        }
        videos = lists[trial.kind][int(trial.item)].videos
        return [videos[int(place)] for place in trial.shown]

    async def _told(self, cookie: str, place: Place | None) -> dict[str, Any]:
        """All that the page needs to know."""
        study = self._study
        out: dict[str, Any] = {
            "title": study.title, "instructions": study.instructions, "method": study.method,
            "scales": [[s, *QUESTIONS[s]] for s in study.scales],
            "labels": sorted(LABELS[study.method].items()),
            "trials": (study.trials or len(study.stimuli)) + len(study.gold) + len(study.traps),
            "practice": len(study.practice), "place": None,
        }
        if place is None:
            return out
        out["token"] = self._name("token", cookie)
        out["place"] = {"position": place.position, "total": place.total, "trial": None}
        if place.trial is not None:
            trial = place.trial
            out["place"]["trial"] = {
                "media": self._addresses(place.rater, place.position, trial), "trap": None,
            }
            if trial.kind == "trap":
                asked = self._study.traps[int(trial.item)].answer
                out["place"]["trial"]["trap"] = LABELS[study.method][asked]
            after = await run_in_threadpool(
                self._store.trial_at, place.rater, place.position + 1
            )
            out["place"]["next"] = (
                [] if after is None else self._addresses(place.rater, place.position + 1, after)
            )
        return out

    def _addresses(self, rater: int, position: int, trial: Trial) -> list[str]:
        return [f"/media/{self._name('media', rater, position, slot)}"
                for slot in range(len(trial.shown))]  # fmt: skip

    def _check_answer(self, sent: Any) -> dict[str, Any]:
        """What a page may send, and nothing else."""
        low, high = self._study.bounds
        if not isinstance(sent, dict) or set(sent) != {
            "position", "answers", "took_ms", "plays", "problem"
        }:
            raise HTTPException(400, "Not an answer.")
        for name, most in (("position", 1 << 20), ("took_ms", _LONGEST_MS), ("plays", _MOST_PLAYS)):
            if type(sent[name]) is not int or not 0 <= sent[name] <= most:
                raise HTTPException(400, f"No such {name}.")
        answers, problem = sent["answers"], sent["problem"]
        needed = set(self._study.scales) if problem == "" else set()
        if (
            problem not in ("", PROBLEM) or not isinstance(answers, dict)
            or set(answers) != needed
            or any(type(v) is not int or not low <= v <= high for v in answers.values())
        ):
            raise HTTPException(400, "Not an answer.")
        return sent


class _Nameless(Response):
    """A file without the marks by which two trials of one file could be told to be one."""

    def __init__(self, file: FileResponse) -> None:
        self._file = file

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_unmarked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (k, v) for k, v in message["headers"] if k not in (b"etag", b"last-modified")
                ]
            await send(message)

        await self._file(scope, receive, send_unmarked)


async def _read_json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "Not JSON.") from error
