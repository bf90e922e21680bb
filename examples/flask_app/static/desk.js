"use strict";

const form = document.getElementById("ask");
const message = document.getElementById("message");
const number = document.getElementById("number");
const answer = document.getElementById("answer");
const token = document.querySelector("meta[name=csrf-token]").content;
const tickets = [...document.querySelectorAll(".ticket")];
let ticket = "new";

function element(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function choose(button) {
  for (const other of tickets) other.setAttribute("aria-current", String(other === button));
  ticket = button.dataset.ticket;
  number.textContent = ticket;
  message.value = button.dataset.text;
  answer.replaceChildren();
}

function showReply(body) {
  answer.replaceChildren(element("h2", "Answer"), element("p", body.reply));
}

function showRefusal(status, body) {
  const facts = element("dl");
  for (const reason of body.reasons ?? []) {
    facts.append(element("dt", "Reason"), element("dd", reason.detail), element("dt", "Code"));
    facts.lastChild.after(element("dd")); facts.lastChild.append(element("code", reason.code));
  }
  if (body.decision_id) {
    facts.append(element("dt", "Decision"), element("dd"));
    facts.lastChild.append(element("code", body.decision_id));
  }
  const title = `${body.title ?? "The request failed"} (${status})`;
  answer.replaceChildren(element("p", title, "refused"), facts);
  if (!body.reasons && body.detail) answer.append(element("p", body.detail));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const buttons = form.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  answer.replaceChildren(element("p", "Asking the assistant …", "hint"));
  try {
    const response = await fetch(event.submitter.dataset.path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
      body: JSON.stringify({ message: message.value, ticket }),
    });
    const body = await response.json();
    if (response.ok) showReply(body);
    else showRefusal(response.status, body);
  } catch {
    showRefusal("no answer", { detail: "The desk could not be reached or sent no readable answer." });
  } finally {
    for (const button of buttons) button.disabled = false;
  }
});

for (const button of tickets) button.addEventListener("click", () => choose(button));
if (tickets.length) choose(tickets[0]);
