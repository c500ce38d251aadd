"""The server as it meets raters, and those who are none."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import httpx
import pytest
import uvicorn

from lipcore.rate.app import make_app
from lipcore.rate.connections import PatientProtocol
from lipcore.rate.guard import Limits, Pace, address_of
from lipcore.rate.store import AnswerStore
from lipcore.rate.study import load_study

from .conftest import Served, answer_of, client_of, served, write_video

Write = Callable[..., Path]
Ask = Callable[[str, str], httpx.Response]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, footage: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("étude à servir")
    (folder / "study.yaml").write_text(
        "title: t\nmethod: acr\nreference: plate\nclips:\n" + "".join(
            f"- {{name: {c}, videos: {{plate: '{footage}/{c}_plate.mp4', "
            f"ours: '{footage}/{c}_ours.mp4'}}}}\n" for c in ("s010", "s020")
        ), "utf-8",
    )  # fmt: skip
    with served(folder / "study.yaml") as server:
        yield server


def _raw(server: Served, request: bytes) -> bytes:
    """The first bytes of an answer to a request as it stands, cleaned by no library."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as to:
        to.sendall(request)
        return to.recv(65536)


def test_a_rater_goes_through(running: Served) -> None:
    with client_of(running.url) as rater:
        assert rater.get("/api/state").json()["place"] is None
        started = rater.post("/api/start", json={})
        cookie = started.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
        state = started.json()
        token = {"x-lipcore-token": state["token"]}
        for position in range(4):
            assert state["place"]["position"] == position
            told = json.dumps(state)
            assert not any(name in told for name in ("plate", "ours", "s010", "mp4"))
            sent = rater.post("/api/answer", json=answer_of(state), headers=token)
            assert sent.status_code == 200
            again = rater.post("/api/answer", json=answer_of(state), headers=token)
            assert again.status_code == 200, "an answer sent twice counts once, without harm"
            other = rater.post("/api/answer", json=answer_of(state, 5), headers=token)
            assert other.status_code == 409
            state = sent.json()
        assert state["place"]["trial"] is None
        assert rater.post("/api/start", json={}).json()["place"]["position"] == 4


def test_videos_come_in_ranges_and_say_nothing(running: Served) -> None:
    with client_of(running.url) as rater:
        state = rater.post("/api/start", json={}).json()
        address = state["place"]["trial"]["media"][0]
        whole = rater.get(address)
        assert whole.headers["content-type"] == "video/mp4" and b"ftyp" in whole.content[:12]
        part = rater.get(address, headers={"range": "bytes=5-9"})
        assert part.status_code == 206 and part.content == whole.content[5:10]
        assert part.headers["content-range"] == f"bytes 5-9/{len(whole.content)}"
        assert rater.get(address, headers={"range": "bytes=9999999-"}).status_code == 416
        assert not {"etag", "last-modified", "content-disposition"} & set(whole.headers)
        assert rater.get(state["place"]["next"][0]).status_code == 200
        with client_of(running.url) as stranger:
            assert stranger.get(address).status_code == 404
            stranger.post("/api/start", json={})
            assert stranger.get(address).status_code == 404, "another rater's name of it"


def test_every_answer_carries_the_policy(running: Served) -> None:
    with client_of(running.url) as rater:
        for path in ("/", "/rate.js", "/rate.css", "/api/state", "/nothing", "/media/x"):
            got = rater.get(path)
            policy = got.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert got.headers["x-content-type-options"] == "nosniff"
            assert "server" not in got.headers
            assert "access-control-allow-origin" not in got.headers
        page = rater.get("/").text
        assert "http://" not in page and "https://" not in page and "style=" not in page


@pytest.mark.parametrize(
    "path",
    ["/media/../study.yaml", "/media/..%2fstudy.yaml", "/media/%2e%2e/%2e%2e/etc/passwd",
     "/..//..//etc/passwd", "/static/../app.py", "/media/", "/media", "/static/", "//etc/passwd",
     "/study.yaml", "/study.answers.sqlite", "/media/..\\study.yaml", "/media/%00", "/rate.js/..",
     "/media/" + "a" * 40],
)  # fmt: skip
def test_no_path_leads_out(running: Served, path: str) -> None:
    got = _raw(running, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert got.split(b" ", 2)[1] in (b"404", b"400", b"307"), got[:200]
    assert b"title: t" not in got and b"root:" not in got and b"SQLite" not in got


def test_posts_from_elsewhere_are_refused(running: Served) -> None:
    with client_of(running.url) as rater:
        state = rater.post("/api/start", json={}).json()
        token, body = {"x-lipcore-token": state["token"]}, answer_of(state)
        for headers in (
            {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": ""},
            {"origin": f"http://evil.example:{running.port}"},
            {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
            {"content-type": "text/plain"},
            {"content-type": "application/x-www-form-urlencoded"},
        ):  # fmt: skip
            for path in ("/api/start", "/api/answer"):
                got = rater.post(
                    path, content=json.dumps(body),
                    headers={"content-type": "application/json", **token, **headers},
                )
                assert got.status_code == 403, (path, headers)
        for wrong in ({}, {"x-lipcore-token": "0" * 40}, {"x-lipcore-token": "é".encode()}):
            assert rater.post("/api/answer", json=body, headers=wrong).status_code == 403
        got = rater.get("/api/state", headers={"sec-fetch-site": "cross-site"})
        assert got.status_code == 403
        linked = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        assert rater.get("/", headers=linked).status_code == 200, "a link in a mail opens it"
        for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
            assert rater.request(method, "/api/answer").status_code == 405
        assert rater.get("/api/state").json()["place"]["position"] == 0, "nothing was kept"


def test_wrong_answers_are_refused(running: Served) -> None:
    with client_of(running.url) as rater:
        state = rater.post("/api/start", json={}).json()
        token = {"x-lipcore-token": state["token"]}
        right = answer_of(state)
        for wrong in (
            {**right, "position": -1}, {**right, "position": True}, {**right, "position": "0"},
            {**right, "answers": {}}, {**right, "answers": {**right["answers"], "more": 1}},
            answer_of(state, 6), answer_of(state, 0), {**right, "extra": 1}, [], "x",
            {**right, "problem": "<b>"}, {**right, "took_ms": 1e3}, {**right, "took_ms": 1 << 60},
        ):  # fmt: skip
            got = rater.post("/api/answer", json=wrong, headers=token)
            assert got.status_code == 400, wrong
        for text in ("", "{", "[" * 2000, '{"position": NaN}'):
            got = rater.post(
                "/api/answer", content=text, headers={**token, "content-type": "application/json"}
            )
            assert got.status_code == 400
        later = rater.post("/api/answer", json={**right, "position": 1}, headers=token)
        assert later.status_code == 409, "no trial is skipped"
        out = {**right, "answers": {}, "problem": "does not play"}
        assert rater.post("/api/answer", json=out, headers=token).status_code == 200


def test_large_bodies_and_heads_are_refused(running: Served) -> None:
    own = {"origin": running.url.rstrip("/"), "content-type": "application/json"}

    def pieces() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 1024

    for content in (b" " * 5000, pieces()):
        try:
            got = httpx.post(f"{running.url}api/start", content=content, headers=own, timeout=30)
        except httpx.WriteError:
            continue  # the door was shut while we still spoke
        assert got.status_code == 413
    long = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n"
    with contextlib.suppress(ConnectionError):
        assert b" 400 " in _raw(running, long)[:40]
    assert httpx.get(running.url).status_code == 200, "and the server goes on"


@contextlib.contextmanager
def _limited(study: Path, limits: Limits) -> Iterator[Ask]:
    """The application in this process, where the machine's speed does not matter."""
    read = load_study(study)
    assert read.answers is not None
    with AnswerStore(read.answers, read) as store:
        app = make_app(read, store, {}, limits)

        async def ask(method: str, path: str) -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://study", headers={"origin": "http://study"}
            ) as client:
                return await client.request(method, path, json={} if method == "POST" else None)

        yield lambda method, path: asyncio.run(ask(method, path))


def test_a_flood_is_held_back(write_study: Write) -> None:
    with _limited(write_study(), Limits(requests_per_s=1e-3, requests_at_once=20)) as ask:
        codes = [ask("GET", "/api/state").status_code for _ in range(40)]
        assert codes == [200] * 20 + [429] * 20
        held = ask("GET", "/rate.js")
        assert held.status_code == 429 and int(held.headers["retry-after"]) > 60
        assert "content-security-policy" in held.headers


def test_new_raters_are_held_back_and_counted(write_study: Write) -> None:
    with _limited(write_study("a.yaml"), Limits(raters_per_s=1e-3, raters_at_once=5)) as ask:
        codes = [ask("POST", "/api/start").status_code for _ in range(8)]
    assert codes == [200] * 5 + [429] * 3
    with _limited(write_study("b.yaml"), Limits(most_raters=3)) as ask:
        codes = [ask("POST", "/api/start").status_code for _ in range(5)]
    assert codes == [200] * 3 + [503] * 2


def test_one_allowance_an_address() -> None:
    def of(text: str) -> str:
        return address_of({"type": "http", "client": (text, 1)})

    assert of("2001:db8:1:2::1") == of("2001:db8:1:2:ffff::9") != of("2001:db8:1:3::1")
    assert of("::ffff:10.0.0.1") == of("10.0.0.1") != of("10.0.0.2")
    pace = Pace(1e-6, 1)
    for k in range(3 * Pace._MOST):  # a flood from ever new addresses
        pace.wait_s(str(k))
    assert len(pace._left) <= Pace._MOST


def test_what_no_browser_plays_is_encoded(write_study: Write, tmp_path: Path) -> None:
    write_video(tmp_path / "grade à voir.mov", 90, codec="prores_ks", pixels="yuv422p10le")
    clips = [{"name": "c", "videos": {"plate": "grade à voir.mov"}}]
    study = write_study(clips=clips)
    with served(study) as server, client_of(server.url) as rater:
        state = rater.post("/api/start", json={}).json()
        (tmp_path / "got.mp4").write_bytes(rater.get(state["place"]["trial"]["media"][0]).content)
    with av.open(str(tmp_path / "got.mp4")) as got:
        picture, sound = got.streams.video[0].codec_context, got.streams.audio[0].codec_context
        assert (picture.name, picture.pix_fmt, sound.name) == ("h264", "yuv420p", "aac")
        frames = [f.to_ndarray(format="gray") for f in got.decode(video=0)]
    assert len(frames) == 8 and abs(float(frames[0].mean()) - 90) < 3


def test_what_cannot_be_served_leaves_nothing(write_study: Write, tmp_path: Path) -> None:
    (tmp_path / "note.mp4").write_text("no video")
    wrong = write_study(reference="", clips=[{"name": "c", "videos": {"plate": "note.mp4"}}])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for study, port, code in (
            (wrong, 0, 3), (tmp_path / "none.yaml", 0, 2),
            (write_study("right.yaml"), taken.getsockname()[1], 2),
        ):  # fmt: skip
            ended = subprocess.run(
                [sys.executable, "-m", "lipcore", "rate", "serve", str(study), "--port", str(port)],
                capture_output=True, text=True, timeout=120, check=False,
            )
            assert ended.returncode == code and "\nhint: " in ended.stderr, ended.stderr
    assert not list(tmp_path.glob("*.sqlite*"))


def test_an_interrupt_ends_it_with_what_was_kept(write_study: Write) -> None:
    with served(write_study()) as server, client_of(server.url) as rater:
        state = rater.post("/api/start", json={}).json()
        token = {"x-lipcore-token": state["token"]}
        rater.post("/api/answer", json=answer_of(state), headers=token)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 143


def test_connections_are_not_held_for_nothing(
    write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatientProtocol, "head_s", 2.0)
    monkeypatch.setattr(PatientProtocol, "most_of_one", 3)
    study = load_study(write_study())
    assert study.answers is not None
    with (
        AnswerStore(study.answers, study) as store,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        app = make_app(study, store, {})
        server = uvicorn.Server(uvicorn.Config(
            app, http=PatientProtocol, ws="none", lifespan="off", log_config=None
        ))  # fmt: skip
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        address = listening.getsockname()

        def open_one() -> socket.socket:
            return socket.create_connection(address, timeout=30)

        try:
            with open_one() as silent, open_one() as slow, open_one() as after:
                slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                after.sendall(b"GET /icon.svg HTTP/1.1\r\nHost: x\r\n\r\n")
                with open_one() as fourth, contextlib.suppress(ConnectionResetError):
                    assert fourth.recv(1) == b"", "more than its share"
                for held in (silent, slow):
                    assert held.recv(1) == b"", "held open for nothing"
                got = b""
                while part := after.recv(65536):
                    got += part
                assert got.startswith(b"HTTP/1.1 200") and got.endswith(b"</svg>\n")
            with client_of(f"http://127.0.0.1:{address[1]}/") as rater:
                assert rater.get("/").status_code == 200
        finally:
            server.should_exit = True
            thread.join(30)
    assert not PatientProtocol.held
