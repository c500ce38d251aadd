"""Every error that lipcore raises on purpose.

    LipcoreError                         1   the base: catch this one
    +-- ConfigError (ValueError)         2   an option, a range or a file of settings is wrong
    +-- MediaError                       3   the plate
    |   +-- MediaNotFoundError (FileNotFoundError)
    |   +-- MediaUnreadableError (OSError)     damaged, empty, truncated, or not media
    |   +-- MissingFrameError (FileNotFoundError)
    |   +-- FrameSizeError (ValueError)        frames of one plate differ in size
    +-- DialogueError                    4   the sound
    |   +-- DialogueNotFoundError (FileNotFoundError)
    |   +-- DialogueUnreadableError (OSError)
    |   +-- NoAudioError (ValueError)          media without an audio stream
    |   +-- DialogueLengthError (ValueError)   too short, or does not fit the plate
    +-- FaceError                        5   what the picture shows
    |   +-- NoFaceError (LookupError)
    |   +-- FaceTooSmallError (ValueError)
    +-- OutputError                      6   what is written
    |   +-- OutputNotWritableError (PermissionError)
    |   +-- OutputExistsError (FileExistsError)
    |   +-- OutputLockedError (BlockingIOError)
    |   +-- DiskFullError (OSError)
    +-- ColorError (ValueError)          7   unknown or unusable colour space
    +-- WeightsError                     8   network files
    |   +-- WeightsNotFoundError (FileNotFoundError)
    |   +-- WeightsUnreadableError (OSError)
    |   +-- WeightsVersionError (ValueError)
    +-- DependencyError (ImportError)    9   an optional package or a device is absent
    +-- TrainingError (RuntimeError)    10   data sets and training runs
    +-- OutOfMemoryError (MemoryError)  11   the machine's memory, or a device's
    +-- BatchError (RuntimeError)       12   some jobs of a batch failed
    +-- ExportError (RuntimeError)      13   exported networks
    |   +-- ParityError                     an exported graph computes something else
    +-- ProvenanceError (RuntimeError)  14   content credentials

The number is the exit code of the command line. Third-party errors are translated where
lipcore calls the third party, with ``raise ... from error``.
"""

from __future__ import annotations

from collections.abc import Mapping


class LipcoreError(Exception):
    """What went wrong, the facts, and what to do next.

    Args:
        message: One sentence, without a full stop: what is wrong, with the path or frame.
        hint: One sentence that says what to do next; printed on a line of its own.
        facts: Values for programs (path, frame, expected, got), kept on the error and
            printed by ``--json``.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts: Mapping[str, object] = facts

    def __str__(self) -> str:
        return self.message


class ConfigError(LipcoreError, ValueError):
    """An option, a range or a settings file is wrong."""

    exit_code = 2


class MediaError(LipcoreError):
    """The plate cannot be used as given."""

    exit_code = 3


class MediaNotFoundError(MediaError, FileNotFoundError):
    """No file, folder or sequence is at the path of the plate."""


class MediaUnreadableError(MediaError, OSError):
    """The plate's file is damaged, empty, truncated, or not media at all."""


class MissingFrameError(MediaError, FileNotFoundError):
    """A frame inside the asked range is absent from the sequence."""


class FrameSizeError(MediaError, ValueError):
    """Frames of one plate differ in size."""


class DialogueError(LipcoreError):
    """The dialogue cannot be used as given."""

    exit_code = 4


class DialogueNotFoundError(DialogueError, FileNotFoundError):
    """No file is at the path of the dialogue."""


class DialogueUnreadableError(DialogueError, OSError):
    """The dialogue's file is damaged, empty, truncated, or not sound."""


class NoAudioError(DialogueError, ValueError):
    """The media has no audio stream."""


class DialogueLengthError(DialogueError, ValueError):
    """The dialogue is too short to use, or its length does not fit the plate."""


class FaceError(LipcoreError):
    """The picture does not show what is needed."""

    exit_code = 5


class NoFaceError(FaceError, LookupError):
    """No face (or not the face that was asked for) is in the frame or in the shot."""


class FaceTooSmallError(FaceError, ValueError):
    """The face covers too few pixels for a mouth to be drawn."""


class OutputError(LipcoreError):
    """The result cannot be written."""

    exit_code = 6


class OutputNotWritableError(OutputError, PermissionError):
    """The output's folder does not accept files."""


class OutputExistsError(OutputError, FileExistsError):
    """The output is already there and was made from something else."""


class OutputLockedError(OutputError, BlockingIOError):
    """Another living process writes the same output."""


class DiskFullError(OutputError, OSError):
    """No space is left where the output goes."""


class ColorError(LipcoreError, ValueError):
    """A colour space is unknown or cannot be used here."""

    exit_code = 7


class WeightsError(LipcoreError):
    """A file of network weights cannot be used."""

    exit_code = 8


class WeightsNotFoundError(WeightsError, FileNotFoundError):
    """No weights have this name or path."""


class WeightsUnreadableError(WeightsError, OSError):
    """The weights file is damaged or is not a safetensors file."""


class WeightsVersionError(WeightsError, ValueError):
    """The weights were made by another version or for another network."""


class DependencyError(LipcoreError, ImportError):
    """An optional package, or a device, is absent."""

    exit_code = 9


class TrainingError(LipcoreError, RuntimeError):
    """A data set or a training run cannot go on."""

    exit_code = 10


class OutOfMemoryError(LipcoreError, MemoryError):
    """Memory ran out, and doing less at once did not help."""

    exit_code = 11


class BatchError(LipcoreError, RuntimeError):
    """Some jobs of a batch failed; the others are done."""

    exit_code = 12


class ExportError(LipcoreError, RuntimeError):
    """A network cannot be exported, or what was exported is not the network."""

    exit_code = 13


class ParityError(ExportError):
    """An exported graph does not compute what torch computes."""


class ProvenanceError(LipcoreError, RuntimeError):
    """Content credentials are absent, broken, or cannot be made."""

    exit_code = 14
