"""The quiz: one page that opens without a server, its clips inside."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

from lipcore.report.page import page, paragraph

_STYLE = """
body { max-width: 860px; }
h1 { font-size: 22px; }
#drill { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 20px;
  align-items: start; margin-top: 16px; }
#top { grid-column: 1 / 3; display: flex; justify-content: space-between; gap: 16px;
  color: var(--soft); font-variant-numeric: tabular-nums; }
#screen { position: relative; aspect-ratio: 1; border-radius: 6px; overflow: hidden;
  background: #1c1c1c; }
#screen video { width: 100%; height: 100%; display: block; }
#again { position: absolute; inset: 0; width: 100%; border: 0; background: none; cursor: pointer;
  display: grid; place-items: end center; padding: 0 0 14px; color: #fff; font: inherit; }
#again span { background: #1c1c1cd9; border-radius: 99px; padding: 8px 18px; font-weight: 600; }
#screen.playing #again span { visibility: hidden; }
#ask { margin: 0 0 10px; font-weight: 600; }
#options { display: grid; gap: 8px; }
#options button { display: flex; gap: 14px; align-items: baseline; text-align: left; font: inherit;
  color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  min-height: 48px; padding: 11px 14px; cursor: pointer; }
#options i { font: 600 12px/1 system-ui, sans-serif; color: var(--soft); }
#options button:disabled { cursor: default; }
#options .right { border-color: #3d8f5f; box-shadow: inset 4px 0 #3d8f5f; }
#options .wrong { border-color: #b4523f; box-shadow: inset 4px 0 #b4523f; }
#options .right::after { content: "\\2713"; margin-left: auto; color: #3d8f5f; font-weight: 700; }
#options .wrong::after { content: "\\2717"; margin-left: auto; color: #b4523f; font-weight: 700; }
button:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
#said { min-height: 3em; margin: 12px 0; }
.go { font: inherit; font-weight: 600; border: 0; border-radius: 6px; padding: 12px 26px;
  background: var(--mark); color: var(--paper); cursor: pointer; }
.go.second { background: none; color: var(--mark); border: 1px solid var(--line); }
#end { margin-top: 24px; } #end b { font-size: 40px; display: block; line-height: 1.2; }
#end li { margin: 2px 0; } #keys { font-size: 13px; }
[hidden] { display: none !important; }
@media (max-width: 640px) { #drill { grid-template-columns: 1fr; gap: 12px; }
  #top { grid-column: 1; } #screen { margin: 0 -16px; border-radius: 0; max-height: 42vh;
  width: calc(100% + 32px); } #screen video { object-fit: cover; } #keys { display: none; }
  #said { min-height: 1.5em; margin: 8px 0; } .go { width: 100%; margin-bottom: 8px; } }
"""
_SCRIPT = """
"use strict";
const words = JSON.parse(document.getElementById("words").textContent);
const $ = (id) => document.getElementById(id), video = $("clip");
let order = [], place = 0, score = 0, missed = [], choices = [], answered = false;

function shuffle(list) {
  for (let k = list.length - 1; k > 0; k--) {
    const j = Math.floor(Math.random() * (k + 1)); [list[k], list[j]] = [list[j], list[k]];
  }
  return list;
}

function begin(which) {
  order = shuffle(which.slice()); place = 0; score = 0; missed = [];
  $("drill").hidden = false; $("end").hidden = true; ask();
}

function ask() {
  const at = order[place], word = words[at];
  const others = words.map((_, k) => k).filter((k) => k !== at);
  const apart = others.filter((k) => !word.alike.includes(k));
  const wrong = shuffle(apart.length ? apart : others).slice(0, 3);
  choices = shuffle([at, ...wrong]); answered = false;
  $("count").textContent = `${place + 1} of ${order.length}`;
  $("score").textContent = `${score} right`;
  $("said").textContent = ""; $("next").hidden = $("hear").hidden = true;
  $("options").replaceChildren(...choices.map((k, n) => {
    const button = document.createElement("button"), key = document.createElement("i");
    button.type = "button"; key.textContent = n + 1;
    button.append(key, words[k].word); button.onclick = () => choose(n);
    return button;
  }));
  video.src = word.clip; play(true);
}

function play(silent) {
  video.muted = silent; video.currentTime = 0; video.play().catch(() => {});
}

function choose(n) {
  if (answered || n >= choices.length) return;
  answered = true;
  const at = order[place], right = choices[n] === at, word = words[at];
  if (right) score++; else missed.push(at);
  [...$("options").children].forEach((button, k) => {
    button.disabled = true;
    if (choices[k] === at) button.className = "right"; else if (k === n) button.className = "wrong";
  });
  const same = word.alike.map((k) => words[k].word);
  $("said").textContent = (right ? "Right. " : `It was: ${word.word}. `)
    + (same.length ? `The lips cannot tell it from: ${same.join(", ")}.` : "");
  $("score").textContent = `${score} right`;
  $("hear").hidden = $("next").hidden = false;
  $("next").textContent = place + 1 < order.length ? "Next" : "Finish";
  $("next").focus();
}

function next() {
  if (!answered) return;
  place++;
  if (place < order.length) { ask(); return; }
  video.pause(); $("drill").hidden = true; $("end").hidden = false;
  $("result").textContent = `${score} of ${order.length}`;
  $("missed").replaceChildren(...missed.map((k) => {
    const item = document.createElement("li"); item.textContent = words[k].word; return item;
  }));
  $("missedhead").hidden = $("again-missed").hidden = !missed.length;
}

const all = words.map((_, k) => k);
video.onplay = () => $("screen").classList.add("playing");
video.onpause = video.onended = () => $("screen").classList.remove("playing");
$("again").onclick = () => play(!answered || video.muted);
$("hear").onclick = () => play(false);
$("next").onclick = next;
$("again-all").onclick = () => begin(all);
$("again-missed").onclick = () => begin(missed.slice());
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || $("drill").hidden) return;
  const number = Number(event.key);
  if (number >= 1 && number <= choices.length) choose(number - 1);
  else if (event.key === " ") { event.preventDefault(); play(true); }
  else if (event.key.toLowerCase() === "h" && answered) play(false);
  else if (event.key === "Enter" && answered) { event.preventDefault(); next(); }
});
begin(all);
"""
_BODY = """<div id=drill>
<div id=top><span id=count></span><span id=score aria-live=polite></span></div>
<div id=screen><video id=clip playsinline muted></video>
<button id=again type=button aria-label="Play again"><span>Play again</span></button></div>
<div><p id=ask>What did the lips say?</p><div id=options></div>
<p id=said role=status></p>
<button id=next class=go type=button hidden>Next</button>
<button id=hear class="go second" type=button hidden>Hear it</button>
<p id=keys class=soft>Keys: 1 to 4 answer, Space plays again, H plays it with sound afterwards,
Enter goes on.</p></div></div>
<div id=end hidden><b id=result></b><p>right.</p><p id=missedhead>Look at these again:</p>
<ul id=missed></ul>
<button id=again-missed class=go type=button>Only the missed ones</button>
<button id=again-all class="go second" type=button>All of them</button></div>
<noscript>The drill needs JavaScript.</noscript>"""
_ABOUT = (
    "A portrait that was made to speak, without its sound. Sounds that the lips cannot tell "
    "apart, as in pat, bat and mat, are never offered against each other where there is "
    "another choice."
)


@dataclass(frozen=True, slots=True)
class Question:
    """One word of a drill."""

    word: str
    clip: bytes
    """MP4, with its sound."""
    alike: tuple[int, ...]
    """Places of the words that look the same."""


def drill_page(title: str, questions: Sequence[Question]) -> str:
    """The page as text: clips, answers and program inside, nothing loaded from elsewhere.

    Args:
        title: Its heading.
        questions: At least two.
    """
    words = [
        {"word": q.word, "alike": list(q.alike),
         "clip": "data:video/mp4;base64," + base64.b64encode(q.clip).decode()}
        for q in questions
    ]  # fmt: skip
    # In a script element only "<" could end the data early.
    told = json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")
    data = f'<script id=words type="application/json">{told}</script>'
    return page(
        title, _BODY, paragraph(_ABOUT, soft=True), data, style=_STYLE, script=_SCRIPT, videos=True
    )
