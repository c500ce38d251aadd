"""ARPAbet, in which American recorded voices name their sounds, in the International Phonetic
Alphabet that the visemes read.

Source: the phone sets ``radio`` of Festival 2.5 and ``cmu_us`` of Flite 2.2.
"""

from __future__ import annotations

from lipcore.errors import ConfigError

_IPA = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ",
    "b": "b", "ch": "tʃ", "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "əl", "em": "m",
    "en": "ən", "er": "ɝ", "ey": "eɪ", "f": "f", "g": "g", "hh": "h", "hv": "ɦ", "ih": "ɪ",
    "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ", "nx": "n",
    "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ",
    "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
}  # fmt: skip
_PAUSES = {"pau", "brth", "h#", "ssil", "sil", "#"}


def ipa_of(phone: str) -> str:
    """A phone in the International Phonetic Alphabet; empty for a pause or a breath.

    Raises:
        ConfigError: No American phone has this name.
    """
    name = phone.lower()
    if name in _PAUSES:
        return ""
    if name not in _IPA:
        raise ConfigError(
            f"the voice says a sound {phone!r} that is not ARPAbet",
            hint="Choose an American English voice.",
        )
    return _IPA[name]
