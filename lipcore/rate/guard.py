"""What stands between an open port and a study: limits, origins, headers.

A request passes when its sender has not sent too many, its body is small, it is not a post
from another site, and it names no path but those of the application, which has no folders.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; media-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_OWN = {"same-origin", "none"}
_BODY_S = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What one address may ask; a room of raters behind one router is one address."""

    requests_per_s: float = 60
    requests_at_once: int = 600
    """How many may come in one moment, before the pace above holds."""
    raters_per_s: float = 1
    raters_at_once: int = 100
    """New raters, likewise."""
    most_raters: int = 10_000
    """In one study: a file of answers must not fill a disk."""
    body_bytes: int = 4096


class Pace:
    """Allowances by address that fill at a steady pace.

    Args:
        per_s: How fast.
        at_once: How full one gets.
    """

    _MOST = 20_000

    def __init__(self, per_s: float, at_once: int) -> None:
        self._per_s, self._full = per_s, float(at_once)
        self._left: dict[str, tuple[float, float]] = {}

    def wait_s(self, address: str) -> float:
        """0 where the request may pass, else how long it has to wait."""
        now = time.monotonic()
        left, since = self._left.get(address, (self._full, now))
        left = min(self._full, left + (now - since) * self._per_s)
        if len(self._left) >= self._MOST and address not in self._left:
            self._forget(now)
        passes = left >= 1
        self._left[address] = (left - 1 if passes else left, now)
        return 0.0 if passes else (1 - left) / self._per_s

    def _forget(self, now: float) -> None:
        """Drop who has a full allowance again, and of the rest the oldest half."""
        kept = {
            a: (left, since) for a, (left, since) in self._left.items()
            if left + (now - since) * self._per_s < self._full
        }
        newest = sorted(kept.items(), key=lambda item: -item[1][1])
        self._left = dict(newest[: self._MOST // 2])


class Guard:
    """ASGI middleware: refuses what has no business here, before it is read."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._pace = Pace(limits.requests_per_s, limits.requests_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out[name] = value
                out.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refuse(scope, headers)
        if refusal is None:
            body = await self._read_body(receive) if scope["method"] == "POST" else b""
            if body is not None:
                await self._app(scope, _replay(body, receive), send_guarded)
                return
            refusal = PlainTextResponse("Too large, or too slow.", 413)
        refusal.headers["connection"] = "close"
        await refusal(scope, receive, send_guarded)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request that can be told by its head to be none of ours."""
        wait = self._pace.wait_s(address_of(scope))
        if wait:
            return PlainTextResponse(
                "Too many requests.", 429, {"retry-after": str(max(1, round(wait)))}
            )
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Not allowed.", 405)
        is_near = headers.get("sec-fetch-site", "none") in _OWN or _opens_page(scope, headers)
        if not is_near or (scope["method"] == "POST" and not _from_own_page(headers)):
            return PlainTextResponse("From another site.", 403)
        if _announced(headers) > self._limits.body_bytes:
            return PlainTextResponse("Too large.", 413)
        return None

    async def _read_body(self, receive: Receive) -> bytes | None:
        """The body; None where it grows too large, stalls, or its sender leaves."""
        body = b""
        try:
            async with asyncio.timeout(_BODY_S):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    body += bytes(message.get("body", b""))
                    if len(body) > self._limits.body_bytes:
                        return None
                    if not message.get("more_body", False):
                        return body
        except TimeoutError:
            return None


def address_of(scope: Scope) -> str:
    """Whose allowance a request uses: an IPv4 address, or an IPv6 network of 64 bits."""
    client = scope.get("client")
    text = str(client[0]) if client else ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return text


def _opens_page(scope: Scope, headers: Headers) -> bool:
    """A link from elsewhere may open the page, and nothing else."""
    return (
        scope["method"] == "GET" and scope["path"] == "/"
        and headers.get("sec-fetch-mode") == "navigate"
    )


def _from_own_page(headers: Headers) -> bool:
    """A post says where it is from, and that is here; it holds JSON, as no form can."""
    origin, host = headers.get("origin", ""), headers.get("host", "")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        return bool(host) and urlsplit(origin).netloc == host and kind == "application/json"
    except ValueError:
        return False


def _announced(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isdigit() else 1 << 62


def _replay(body: bytes, receive: Receive) -> Receive:
    """A channel that gives the body that was read, and then whatever comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again
