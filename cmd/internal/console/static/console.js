// Niceties on top of a page that works without: progress of uploads, copying, pausing what refreshes itself.
"use strict";

(function () {
  const form = document.getElementById("documents");

  // Pausing (WCAG 2.2.2): what refreshes itself asks here first; a tab that nobody sees asks for nothing.
  const pause = document.getElementById("pause");
  let paused = false;
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
    });
  }
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    const polls = event.detail.elt.hasAttribute("data-poll");
    const inUse = event.detail.elt.contains(document.activeElement);
    if (polls && (paused || document.hidden || inUse)) event.preventDefault();
  });

  // The notice of what was just done is where reading goes on.
  const notice = document.getElementById("notice");
  if (notice) notice.focus();

  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = button.dataset.done;
    });
  }

  if (!form) return;
  const chosen = form.querySelector("#document");
  const signed = form.querySelector("#signed");
  const drop = form.querySelector(".drop");
  const results = document.getElementById("verdicts");

  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    drop.addEventListener(kind, () => drop.classList.remove("over"));
  }
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    verify([...event.dataTransfer.files]);
  });
  form.addEventListener("submit", (event) => {
    if (chosen.files.length === 0) return; // the server says what is missing
    event.preventDefault();
    verify([...chosen.files]);
    chosen.value = "";
  });

  // One request a document, one after the other, so that each verdict is shown as soon as it is known.
  async function verify(files) {
    const companions = [...signed.files];
    signed.value = "";
    for (const file of files) await send(file, companions);
  }

  function send(file, companions) {
    return new Promise((done) => {
      const data = new FormData();
      data.append("document", file);
      for (const companion of companions) data.append("signed", companion);
      const request = new XMLHttpRequest();
      const row = progress(file.name, () => request.abort());
      const end = (show) => { row.remove(); show(); done(); };
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) row.bar.value = event.loaded / event.total;
        if (event.loaded === event.total) row.bar.removeAttribute("value"); // sent: the verdict is being made
      });
      request.addEventListener("load", () => end(() => {
        if (request.status === 401) location.assign("/login");
        else if (request.status === 200) results.insertAdjacentHTML("afterbegin", request.responseText);
        else say(file.name, form.dataset.failed);
      }));
      request.addEventListener("error", () => end(() => say(file.name, form.dataset.failed)));
      request.addEventListener("abort", () => end(() => say(file.name, form.dataset.stopped)));
      request.open("POST", form.action);
      request.setRequestHeader("HX-Request", "true");
      request.send(data);
    });
  }

  function progress(name, stop) {
    const row = document.createElement("div");
    row.className = "progress";
    const text = document.createElement("span");
    text.textContent = form.dataset.sending + ": " + name;
    row.bar = document.createElement("progress");
    row.bar.setAttribute("aria-label", text.textContent);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small";
    button.textContent = form.dataset.stop;
    button.addEventListener("click", stop);
    row.append(text, row.bar, button);
    form.append(row);
    return row;
  }

  function say(name, sentence) {
    const article = document.createElement("article");
    article.className = "verdict";
    const title = document.createElement("h3");
    title.textContent = name;
    const text = document.createElement("p");
    text.textContent = sentence;
    article.append(title, text);
    results.prepend(article);
  }
})();
