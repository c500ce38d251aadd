"""Answers in one SQLite file, each on the disk before the rater is told that it counts.

The file is in WAL mode with full synchronisation: a commit that has returned survives a
killed process and a power cut, and a report may read while raters answer. Cookies are kept
as hashes only.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lipcore.errors import (
    ConfigError,
    MediaNotFoundError,
    MediaUnreadableError,
    OutputExistsError,
    OutputNotWritableError,
)
from lipcore.rate.assignment import Trial, assign_trials
from lipcore.rate.study import Study

_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS raters (
  rater INTEGER PRIMARY KEY, cookie TEXT UNIQUE NOT NULL, started REAL NOT NULL);
CREATE TABLE IF NOT EXISTS trials (
  rater INTEGER NOT NULL REFERENCES raters, position INTEGER NOT NULL, kind TEXT NOT NULL,
  item TEXT NOT NULL, shown TEXT NOT NULL, turned INTEGER NOT NULL,
  answered REAL, took_ms INTEGER, plays INTEGER, problem TEXT, PRIMARY KEY (rater, position));
CREATE TABLE IF NOT EXISTS answers (
  rater INTEGER NOT NULL, position INTEGER NOT NULL, scale TEXT NOT NULL, value INTEGER NOT NULL,
  PRIMARY KEY (rater, position, scale),
  FOREIGN KEY (rater, position) REFERENCES trials (rater, position));
"""


@dataclass(frozen=True, slots=True)
class Vote:
    """One answer to one question."""

    rater: int
    position: int
    trial: Trial
    scale: str
    value: int
    """As it was given: of pairs, the second shown against the first shown."""
    took_ms: int
    answered: float
    """Seconds since 1970."""

    @property
    def upright(self) -> int:
        """The value as if the sides had not been turned."""
        return -self.value if self.trial.turned else self.value


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rater stands."""

    rater: int
    position: int
    total: int
    trial: Trial | None
    """None when all is answered."""


class AnswerStore:
    """The file of answers of one study. One writes at a time, from any thread.

    Raises:
        OutputExistsError: The file holds answers of another study.
        OutputNotWritableError: It cannot be written, or is no such file.
    """

    def __init__(self, path: Path, study: Study) -> None:
        self._study, self._path = study, path
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            with self._db:
                self._db.executescript(_TABLES)
                self._db.execute(
                    "INSERT OR IGNORE INTO about VALUES ('study', ?), ('secret', ?)",
                    (study.fingerprint(), secrets.token_hex(32)),
                )
            about = dict(self._db.execute("SELECT name, value FROM about"))
        except sqlite3.Error as error:
            raise OutputNotWritableError(
                f"{path} cannot be used for answers ({error})",
                hint="Name another file with answers: in the study, in a folder you may write.",
                path=str(path),
            ) from error
        if about["study"] != study.fingerprint():
            self._db.close()
            raise OutputExistsError(
                f"{path} holds answers of another study, or of this one before it was changed",
                hint="Undo the change, or name another file with answers: in the study.",
                path=str(path),
            )
        self.secret: bytes = bytes.fromhex(about["secret"])
        """Of this study's names of media and tokens; stays the same over restarts."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def add_rater(self, cookie: str, most: int = 1 << 30) -> Place | None:
        """Take in a new rater with trials of their own; None where there are ``most`` already."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            last = self._db.execute("SELECT coalesce(max(rater), -1) FROM raters").fetchone()[0]
            rater = int(last) + 1
            if rater >= most:
                return None
            trials = assign_trials(self._study, rater)
            self._db.execute(
                "INSERT INTO raters VALUES (?, ?, ?)", (rater, _digest(cookie), time.time())
            )
            self._db.executemany(
                "INSERT INTO trials (rater, position, kind, item, shown, turned)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [(rater, k, t.kind, t.item, json.dumps(t.shown), t.turned)
                 for k, t in enumerate(trials)],
            )  # fmt: skip
        return Place(rater, 0, len(trials), trials[0])

    def find_rater(self, cookie: str) -> int | None:
        """The rater who was given a cookie."""
        with self._lock:
            row = self._db.execute(
                "SELECT rater FROM raters WHERE cookie = ?", (_digest(cookie),)
            ).fetchone()
        return None if row is None else int(row[0])

    def place_of(self, rater: int) -> Place:
        """The first trial of a rater that has no answer yet."""
        with self._lock:
            total = self._db.execute(
                "SELECT count(*) FROM trials WHERE rater = ?", (rater,)
            ).fetchone()[0]
            row = self._db.execute(
                "SELECT position, kind, item, shown, turned FROM trials"
                " WHERE rater = ? AND answered IS NULL ORDER BY position LIMIT 1", (rater,),
            ).fetchone()
        if row is None:
            return Place(rater, total, total, None)
        return Place(rater, row[0], total, _trial(*row[1:]))

    def trial_at(self, rater: int, position: int) -> Trial | None:
        """A trial of a rater."""
        with self._lock:
            row = self._db.execute(
                "SELECT kind, item, shown, turned FROM trials WHERE rater = ? AND position = ?",
                (rater, position),
            ).fetchone()
        return None if row is None else _trial(*row)

    def answer(
        self, rater: int, position: int, values: Mapping[str, int], *, took_ms: int = 0,
        plays: int = 0, problem: str = "",
    ) -> bool:
        """Keep the answers of a trial; when this returns they are on the disk.

        Args:
            rater: Who.
            position: Which trial: the first without answer, or one that has these already.
            values: Scale to value; empty where there was a problem.
            took_ms: From the first picture to the answer.
            plays: How often it was played to its end.
            problem: Why it cannot be judged.

        Returns:
            Whether they count: False where the trial was answered otherwise, or is not next.
        """
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            row = self._db.execute(
                "SELECT answered, problem FROM trials WHERE rater = ? AND position = ?",
                (rater, position),
            ).fetchone()
            if row is None:
                return False
            if row[0] is not None:
                kept = dict(self._db.execute(
                    "SELECT scale, value FROM answers WHERE rater = ? AND position = ?",
                    (rater, position),
                ))  # fmt: skip
                return kept == dict(values) and row[1] == problem
            earlier = self._db.execute(
                "SELECT 1 FROM trials WHERE rater = ? AND position < ? AND answered IS NULL",
                (rater, position),
            ).fetchone()
            if earlier:
                return False
            self._db.execute(
                "UPDATE trials SET answered = ?, took_ms = ?, plays = ?, problem = ?"
                " WHERE rater = ? AND position = ?",
                (time.time(), took_ms, plays, problem, rater, position),
            )
            self._db.executemany(
                "INSERT INTO answers VALUES (?, ?, ?, ?)",
                [(rater, position, scale, value) for scale, value in values.items()],
            )
        return True


@dataclass(frozen=True, slots=True)
class Answers:
    """All that a file of answers holds."""

    votes: tuple[Vote, ...]
    answered: Mapping[int, int]
    """Trials that each rater has answered, of who began; practice does not count."""
    assigned: Mapping[int, int]
    problems: tuple[tuple[int, Trial, str], ...]
    """(rater, trial, what was wrong) of trials that could not be judged."""


def read_answers(path: Path, study: Study) -> Answers:
    """Read a file of answers, without writing to it.

    Raises:
        MediaNotFoundError: There is none.
        MediaUnreadableError: It is no file of answers.
        ConfigError: It belongs to another study.
    """
    if not path.is_file():
        raise MediaNotFoundError(
            f"there are no answers yet: {path} is not there",
            hint="Run: lipcore rate serve STUDY.yaml", path=str(path),
        )
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
        try:
            about = dict(db.execute("SELECT name, value FROM about"))
            rows = db.execute(
                "SELECT a.rater, a.position, t.kind, t.item, t.shown, t.turned, a.scale, a.value,"
                " t.took_ms, t.answered FROM answers a JOIN trials t USING (rater, position)"
                " ORDER BY a.rater, a.position, a.scale"
            ).fetchall()
            counts = db.execute(
                "SELECT rater, count(answered), count(*) FROM trials WHERE kind != 'practice'"
                " GROUP BY rater"
            ).fetchall()
            bad = db.execute(
                "SELECT rater, kind, item, shown, turned, problem FROM trials WHERE problem != ''"
            ).fetchall()
        finally:
            db.close()
    except sqlite3.Error as error:
        raise MediaUnreadableError(
            f"{path} is not a file of answers ({error})", hint="Check answers: in the study.",
            path=str(path),
        ) from error
    if about.get("study") != study.fingerprint():
        raise ConfigError(
            f"{path} holds answers of another study, or of this one before it was changed",
            hint="Undo the change, or name the study that they belong to.",
        )
    return Answers(
        tuple(Vote(r[0], r[1], _trial(*r[2:6]), r[6], r[7], r[8], r[9]) for r in rows),
        {r[0]: r[1] for r in counts}, {r[0]: r[2] for r in counts},
        tuple((r[0], _trial(*r[1:5]), r[5]) for r in bad),
    )  # fmt: skip


def _trial(kind: str, item: str, shown: str, turned: int) -> Trial:
    return Trial(kind, item, tuple(json.loads(shown)), bool(turned))  # type: ignore[arg-type]


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
