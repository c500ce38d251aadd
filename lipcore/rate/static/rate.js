"use strict";
// The page asks the server where the rater stands, shows that, and repeats an answer until the
// server has it. It keeps nothing itself.
const $ = (id) => document.getElementById(id);
const NARROW = matchMedia("(max-width: 700px)");
const STALLED_MS = 12000, RETRY_MS = [500, 1000, 2000, 4000, 8000];
let told = null, screens = [], given = {}, current = 0, plays = 0, since = 0, busy = false;
let started = false, stalled = 0;

async function ask(path, body) {
  for (let tries = 0; ; tries++) {
    let wait = RETRY_MS[Math.min(tries, RETRY_MS.length - 1)];
    try {
      const headers = { "content-type": "application/json" };
      if (told && told.token) headers["x-lipcore-token"] = told.token;
      const reply = await fetch(path, body
        ? { method: "POST", headers, body: JSON.stringify(body) } : { cache: "no-store" });
      if (reply.ok || reply.status === 409) { trouble(""); return await reply.json(); }
      if (reply.status === 403) { location.reload(); return new Promise(() => {}); }
      if (reply.status !== 429 && reply.status < 500) throw new Error(await reply.text());
      wait = Math.max(wait, 1000 * (Number(reply.headers.get("retry-after")) || 0));
    } catch (error) {
      if (!(error instanceof TypeError)) { trouble(error.message); throw error; }
    }
    if (tries > 1) trouble("The server does not answer. This page keeps trying; do not close it.");
    await new Promise((done) => setTimeout(done, wait));
  }
}

function trouble(text) { $("trouble").textContent = text; $("trouble").hidden = !text; }

function make(kind, text, into, name) {
  const out = document.createElement(kind);
  if (text !== undefined) out.textContent = text;
  if (name) out.className = name;
  if (into) into.append(out);
  return out;
}

function show(state) {
  told = state;
  document.title = $("title").textContent = told.title;
  const place = told.place;
  if (!place || (!started && place.trial)) return showIntro(place);
  document.body.dataset.step = place.trial ? "trial" : "done";
  const done = place.position, total = place.total;
  const before = told.practice, real = total - before;
  $("count").textContent = done < before ? `Practice ${done + 1} of ${before}`
    : `${Math.min(done - before + 1, real)} of ${real}`;
  $("bar").firstElementChild.style.width = `${100 * done / total}%`;
  $("bar").setAttribute("aria-valuenow", Math.round(100 * done / total));
  if (place.trial) showTrial(place);
  else { screens.forEach((s) => s.video.removeAttribute("src")); screens = []; }
}

function showIntro(place) {
  document.body.dataset.step = "intro";
  $("intro").querySelector("h1").textContent = told.title;
  const pairs = told.method === "ccr", many = told.trials + told.practice;
  $("what").textContent = pairs
    ? `You will see ${many} pairs of short videos. Watch both, first and second, then say how the`
      + " second compares with the first."
    : `You will see ${many} short videos. Watch each to its end, then rate it.`;
  if (told.practice) $("what").textContent += told.practice > 1
    ? ` The first ${told.practice} are for practice: they do not count.`
    : " The first is for practice: it does not count.";
  $("more").textContent = told.instructions;
  $("asked").replaceChildren();
  for (const [, name, about] of told.scales) {
    const row = make("li", undefined, $("asked"));
    make("b", name, row); make("span", about, row);
  }
  $("advice").textContent = "Sound on, headphones if you have them. "
    + (NARROW.matches ? "Hold the phone upright or sideways, at arm's length. There is no right answer:"
    + " your first impression counts."
    : `Keys: Space plays again, 1 to ${told.labels.length} answer, Enter goes on. There is no right`
    + " answer: your first impression counts.");
  const at = place ? place.position - told.practice : 0;
  $("start").textContent = !place ? "Start" : at < 0 ? "Go on with the practice"
    : `Go on with ${at + 1} of ${place.total - told.practice}`;
}

function showTrial(place) {
  const trial = place.trial, pair = trial.media.length === 2;
  given = {}; plays = 0; since = performance.now(); busy = false;
  $("trial").className = pair ? "pair" : "";
  $("screens").replaceChildren(); $("tabs").replaceChildren();
  screens = trial.media.map((address, k) => makeScreen(address, k, pair));
  $("lead").hidden = !pair;
  $("lead").textContent = "The quality of the second compared to the quality of the first is:";
  const over = place.position === told.practice;
  $("practice").hidden = !told.practice || place.position > told.practice;
  $("practice").textContent = over ? "Practice is over: from here on your answers count."
    : "For practice: get to know the questions. This answer does not count.";
  $("trap").hidden = !trial.trap;
  $("trap").textContent = trial.trap
    ? `To show that you read this: answer “${trial.trap}” to every question here.` : "";
  $("problem").hidden = true;
  showQuestions();
  for (const address of place.next || []) fetchAhead(address);
  select(0); play(0);
  scrollTo(0, 0);
}

function makeScreen(address, k, pair) {
  const box = make("div", undefined, $("screens"), "screen idle");
  const video = make("video", undefined, box);
  video.playsInline = true; video.preload = "auto"; video.src = address;
  if (pair) make("b", k ? "Second" : "First", box);
  const button = make("button", undefined, box); button.type = "button";
  const label = make("span", "Play", button);
  button.setAttribute("aria-label", pair ? `Play the ${k ? "second" : "first"}` : "Play");
  const one = { box, video, seen: false };
  button.onclick = () => { if (video.paused) { select(k); play(k); } };
  video.onloadedmetadata = () => {
    if (video.videoHeight) box.style.setProperty("--ratio", video.videoWidth / video.videoHeight);
  };
  video.onplay = () => { box.classList.remove("idle"); hint(); };
  video.onpause = () => { box.classList.add("idle"); hint(); };
  video.onended = () => {
    one.seen = true; label.textContent = "Play again"; box.classList.add("idle", "seen");
    plays++;
    if (k + 1 < screens.length && !screens[k + 1].seen) { select(k + 1); play(k + 1); }
    lock();
  };
  video.onerror = () => { if (video.getAttribute("src")) { $("problem").hidden = false; hint(); } };
  if (pair) {
    const tab = make("button", k ? "Second" : "First", $("tabs")); tab.type = "button";
    tab.onclick = () => { select(k); if (screens.every((s) => s.video.paused)) play(k); };
  }
  return one;
}

function select(k) {
  screens.forEach((s, i) => s.box.classList.toggle("current", i === k && screens.length > 1));
  [...$("tabs").children].forEach((tab, i) => tab.setAttribute("aria-pressed", i === k));
}

function play(k) {
  screens.forEach((s, i) => { if (i !== k) s.video.pause(); });
  const video = screens[k].video;
  clearTimeout(stalled);
  stalled = setTimeout(() => { if (!screens.every((s) => s.seen) && video.currentTime === 0)
    $("problem").hidden = false; }, STALLED_MS);
  video.currentTime = 0;
  video.play().catch(hint);
}

function replay() {
  select(0); play(0);
  if (screens.length > 1) screens[0].video.addEventListener(
    "ended", () => { select(1); play(1); }, { once: true });
}

function showQuestions() {
  $("questions").replaceChildren(); $("chips").replaceChildren();
  told.scales.forEach(([scale, name, about], row) => {
    const field = make("fieldset", undefined, $("questions"));
    const title = make("div", undefined, field, "name");
    title.id = `q-${scale}`; make("span", name, title); make("small", about, title);
    const options = make("div", undefined, field, "options");
    if (told.labels.length > 5) options.classList.add("seven");
    options.setAttribute("role", "radiogroup"); options.setAttribute("aria-labelledby", title.id);
    told.labels.forEach(([value, text], k) => {
      const label = make("label", undefined, options), input = make("input", undefined, label);
      input.type = "radio"; input.name = scale; input.value = value;
      make("i", String(k + 1), label); make("span", text, label);
      input.onchange = () => { given[scale] = value; move(row); };
    });
    const chip = make("button", name, $("chips")); chip.type = "button";
    chip.onclick = () => { current = row; mark(); };
  });
  current = 0; mark(); lock();
}

function move(row) {
  const open = told.scales.findIndex(([scale]) => !(scale in given));
  current = open < 0 ? row : open;
  mark(); lock();
}

function mark() {
  [...$("questions").children].forEach((f, k) => f.classList.toggle("current", k === current));
  [...$("chips").children].forEach((chip, k) => {
    chip.setAttribute("aria-pressed", k === current);
    chip.classList.toggle("given", told.scales[k][0] in given);
  });
}

function lock() {
  const seen = screens.length > 0 && screens.every((s) => s.seen);
  $("form").classList.toggle("locked", !seen);
  for (const input of $("questions").querySelectorAll("input")) input.disabled = !seen;
  $("next").disabled = busy || !seen || told.scales.some(([scale]) => !(scale in given));
  hint();
}

function hint() {
  const seen = screens.every((s) => s.seen), playing = screens.some((s) => !s.video.paused);
  // On a phone the picture is large while it plays, and leaves room for the answers after.
  $("trial").classList.toggle("watching", playing || !seen);
  $("hint").textContent = !$("problem").hidden ? "This video does not seem to play."
    : seen ? (NARROW.matches ? "Tap the picture to play it again."
      : screens.length > 1 ? "Space plays both again, F the first, S the second."
        : "Space plays it again.")
    : playing || screens.length > 1 ? "Watch to the end, then answer."
    : "Press play, watch to the end, then answer.";
}

async function send(problem) {
  if (busy) return;
  busy = true; $("next").disabled = true;
  screens.forEach((s) => s.video.pause());
  try {
    show(await ask("/api/answer", {
      position: told.place.position, answers: problem ? {} : given, problem, plays,
      took_ms: Math.round(performance.now() - since),
    }));
  } catch (error) { busy = false; lock(); }
}

function fetchAhead(address) {
  const video = document.createElement("video");
  video.preload = "auto"; video.muted = true; video.src = address;
}

$("start").onclick = async () => {
  $("start").disabled = true;
  try { const state = await ask("/api/start", {}); started = true; show(state); }
  finally { $("start").disabled = false; }
};
$("form").onsubmit = (event) => { event.preventDefault(); if (!$("next").disabled) send(""); };
$("problem").onclick = () => send("does not play");
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (document.body.dataset.step !== "trial") return;
  const key = event.key.toLowerCase(), number = Number(event.key);
  if (event.key === " ") { event.preventDefault(); replay(); }
  else if (screens.length > 1 && (key === "f" || key === "s")) {
    const k = key === "f" ? 0 : 1; select(k); play(k);
  } else if (number >= 1 && number <= told.labels.length) {
    const input = $("questions").children[current].querySelectorAll("input")[number - 1];
    if (!input.disabled) { input.checked = true; input.onchange(); }
  } else if (event.key === "Enter" && event.target.type !== "button") {
    event.preventDefault(); if (!$("next").disabled) send("");
  } else if (key === "arrowup" || key === "arrowdown") {
    event.preventDefault();
    const count = told.scales.length;
    current = (current + (key === "arrowdown" ? 1 : count - 1)) % count; mark();
  }
});
ask("/api/state").then(show);
