"use strict";
// Answers below the search box while somebody types: the first hits of the page that Enter would open, asked of
// this very server. Without this script the box is a form like any other.

for (const form of document.querySelectorAll("form[role=search]")) {
  const box = form.querySelector("input[type=search]");
  const list = document.createElement("ul");
  list.id = box.id + "-hits";
  list.className = "hits";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "What is found");
  const status = document.createElement("span");
  status.className = "aloud";
  status.setAttribute("role", "status");
  form.append(list, status);
  box.setAttribute("role", "combobox");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-expanded", "false");
  box.setAttribute("aria-controls", list.id);

  let asking = null; // the question that is under way
  let timer = 0;
  let chosen = -1;

  const unchoose = () => {
    if (chosen >= 0) list.children[chosen].setAttribute("aria-selected", "false");
    chosen = -1;
    box.removeAttribute("aria-activedescendant");
  };

  const close = () => { // and let no answer open it again
    clearTimeout(timer);
    asking?.abort();
    unchoose();
    list.hidden = true;
    box.setAttribute("aria-expanded", "false");
  };

  const choose = n => {
    const options = list.children;
    if (options.length === 0) return;
    unchoose();
    chosen = (n + options.length) % options.length;
    options[chosen].setAttribute("aria-selected", "true");
    options[chosen].scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", options[chosen].id);
  };

  const ask = async () => {
    asking?.abort();
    const asked = box.value.trim();
    if (asked.length < 2) return close();
    asking = new AbortController();
    const question = new URLSearchParams(new FormData(form));
    question.set("limit", "8");
    let page;
    try {
      const answer = await fetch(form.action + "?" + question, { signal: asking.signal });
      if (!answer.ok) return close();
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      return; // another question was asked meanwhile, or the server is gone: Enter still works
    }
    if (box.value.trim() !== asked) return;
    const hits = [...page.querySelectorAll("[data-hit]")].map((hit, n) => {
      const option = document.createElement("li");
      option.id = `${list.id}-${n}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.dataset.href = hit.querySelector("a").getAttribute("href");
      for (const part of ["what", "name", "status"]) {
        const span = document.createElement("span");
        span.className = part;
        span.dir = "auto";
        span.textContent = hit.querySelector(`[data-part=${part}]`)?.textContent.trim() ?? "";
        if (span.textContent) option.append(span);
      }
      return option;
    });
    const kept = chosen < 0 ? -1 : hits.findIndex(hit => hit.dataset.href === list.children[chosen].dataset.href);
    unchoose();
    list.replaceChildren(...hits);
    if (kept >= 0) choose(kept); // the answer came between the choice and Enter
    list.hidden = hits.length === 0;
    box.setAttribute("aria-expanded", String(hits.length > 0));
    status.textContent = page.querySelector("[data-found]")?.textContent.trim() ?? "";
  };

  box.addEventListener("input", () => {
    unchoose(); // who goes on typing wants what he types
    clearTimeout(timer);
    timer = setTimeout(ask, 150);
  });
  box.addEventListener("keydown", event => {
    if (list.hidden) return;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen < 0 ? -1 : chosen - 1);
    else if (event.key === "Escape") close();
    else if (event.key === "Enter" && chosen >= 0) location.assign(list.children[chosen].dataset.href);
    else return;
    event.preventDefault();
  });
  list.addEventListener("mousedown", event => {
    event.preventDefault(); // the box keeps the focus
    const option = event.target.closest("[role=option]");
    if (option) location.assign(option.dataset.href);
  });
  box.addEventListener("blur", close);
  form.addEventListener("submit", close);
}
