"use strict";

const form = document.getElementById("ask");
const message = document.getElementById("message");
const log = document.getElementById("log");
const welcome = document.getElementById("welcome");
const send = document.getElementById("send");
const stop = document.getElementById("stop");
const token = document.querySelector("meta[name=csrf-token]").content;
let chat = newId();
let running = null;

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function show(text, className, name = "div") {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  log.append(node);
  log.scrollTop = log.scrollHeight;
  return node;
}

function showRefusal(body, status) {
  const node = show("", "refused", "p");
  const title = document.createElement("b");
  title.textContent = status ? `${body.title ?? "The request failed"} (${status})` : body.title ?? "The answer was stopped";
  node.append(title, (body.reasons ?? []).map((reason) => reason.detail).join("; ") || body.detail || "");
  if (body.decision_id) showDecision(body.decision_id);
}

function showDecision(id) {
  const node = show("decision ", "facts");
  const code = document.createElement("code");
  code.textContent = id;
  node.append(code);
}

// Events as the HTML standard frames them; this server sends "\n" only, and one line of data an event.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    let end;
    while ((end = held.indexOf("\n\n")) >= 0) {
      const lines = held.slice(0, end).split("\n");
      held = held.slice(end + 2);
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      yield { name: field("event"), data: JSON.parse(field("data")) };
    }
  }
}

async function ask(text) {
  welcome.hidden = true;
  show(text, "message own");
  const controller = running = new AbortController();
  send.disabled = true;
  stop.hidden = false;
  let answer = null;
  let finished = false;
  try {
    const response = await fetch("/chat", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
      body: JSON.stringify({ message: text, chat }),
      signal: controller.signal,
    });
    if (!response.ok) {
      finished = true;
      showRefusal(await response.json(), response.status);
      return;
    }
    for await (const { name, data } of events(response.body)) {
      if (name === "piece") {
        answer ??= show("", "message answer coming");
        const follow = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
        answer.append(data.text);
        if (follow) log.scrollTop = log.scrollHeight;
      } else {
        finished = true;
        answer?.classList.remove("coming");
        if (name === "refused") showRefusal(data);
        else if (data.decision_id) showDecision(data.decision_id);
      }
    }
    if (!finished) showRefusal({ title: "The answer ended early", detail: "The chat went away in the middle of it." });
  } catch (error) {
    if (error.name === "AbortError") show("stopped", "facts");
    else showRefusal({ title: "No answer", detail: "The chat could not be reached or sent no readable answer." });
  } finally {
    answer?.classList.remove("coming");
    running = null;
    send.disabled = false;
    stop.hidden = true;
    message.focus();
  }
}

function fit() {
  message.style.height = "auto";
  message.style.height = `${message.scrollHeight + 2}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = message.value.trim();
  if (!text || running) return;
  message.value = "";
  fit();
  ask(text);
});
message.addEventListener("input", fit);
message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
stop.addEventListener("click", () => running?.abort());
document.getElementById("new").addEventListener("click", () => {
  running?.abort();
  chat = newId();
  log.replaceChildren(welcome);
  welcome.hidden = false;
  message.focus();
});
for (const sample of document.querySelectorAll(".sample")) {
  sample.addEventListener("click", () => {
    if (!running) ask(sample.dataset.text);
  });
}
