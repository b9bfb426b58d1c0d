// What the page can do beyond one file and one request: many files, folders, signatures beside what they sign, progress,
// giving up, and judging in the browser.
"use strict";

(function () {
  const form = document.getElementById("documents");
  const texts = form.dataset;
  const chosen = document.getElementById("document");
  const local = document.getElementById("local");
  const service = document.getElementById("service");
  const verdicts = document.getElementById("verdicts");
  const browser = new BrowserJudge({ worker: texts.worker, exec: texts.exec, module: texts.module });
  const entries = new Map(); // by id of the verdict's article
  const files = []; // all that were chosen, to pair them by hand
  const queue = [];
  let count = 0, done = 0, current = null;
  const forms = { pdf: texts.formPdf, html: texts.formHtml, "etsi-xml": texts.formEtsiXml };
  const ends = { pdf: ".pdf", html: ".html", "etsi-xml": ".xml" };

  enhance();

  function enhance() {
    chosen.multiple = true;
    form.querySelector("label[for=document]").textContent = texts.many;
    document.getElementById("detached-field").hidden = true;
    document.getElementById("keep-instead").hidden = true; // each result has buttons for it
    document.getElementById("local-field").hidden = !browser.available;
    local.addEventListener("change", tellWhere);
    tellWhere();
    const folder = document.getElementById("folder");
    const choose = document.getElementById("choose-folder");
    choose.hidden = !("webkitdirectory" in folder);
    choose.addEventListener("click", () => folder.click());
    folder.addEventListener("change", () => { add([...folder.files]); folder.value = ""; });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      add([...chosen.files]);
      chosen.value = "";
    });
    chosen.addEventListener("change", begin);
    document.getElementById("stop-all").addEventListener("click", stopAll);
    verdicts.addEventListener("click", (event) => {
      const entry = entries.get(event.target.closest("article")?.id);
      if (entry && event.target.matches("button.confirm, button.retry")) enqueue(entry, event.target.matches(".confirm"));
      if (entry && event.target.matches("button.keep")) keep(entry, event.target);
    });
    dropping(document.getElementById("drop"));
    printing();
    document.getElementById("preferences").addEventListener("submit", prefer);
  }

  function begin() { if (judgesHere()) browser.start(); }
  function judgesHere() { return browser.available && local.checked; }
  function tellWhere() {
    document.getElementById("where").textContent = judgesHere() ? texts.whereBrowser : texts.whereServer;
    begin();
  }

  function dropping(drop) {
    for (const kind of ["dragenter", "dragover"]) {
      drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); begin(); });
    }
    for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
    drop.addEventListener("drop", async (event) => {
      event.preventDefault();
      const roots = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      add(roots.length ? (await Promise.all(roots.map(within))).flat() : [...event.dataTransfer.files]);
    });
  }

  // within returns the files at a place that was dropped, which may be a folder.
  async function within(root) {
    if (root.isFile) {
      const file = await new Promise((resolve, reject) => root.file(resolve, reject));
      file.path = root.fullPath.slice(1);
      return [file];
    }
    const reader = root.createReader();
    const found = [];
    for (;;) { // a folder is read in pieces
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return (await Promise.all(found.map(within))).flat();
      found.push(...some);
    }
  }

  function add(added) {
    if (added.length === 0) return;
    files.push(...added);
    const pairs = pairsOf(added);
    const signed = new Set(pairs.values());
    for (const file of added) {
      if (signed.has(file)) continue;
      const entry = { id: "v" + (entries.size + 1), file, signed: pairs.get(file) || null };
      entries.set(entry.id, entry);
      enqueue(entry, false);
    }
  }

  function enqueue(entry, toServer) {
    if (entry.row) return; // it waits already
    entry.toServer = toServer;
    count++;
    entry.row = row(entry);
    queue.push(entry);
    show();
    if (!current) run();
  }

  function row(entry) {
    const item = document.createElement("li");
    const text = document.createElement("span");
    text.textContent = texts.waiting + ": " + entry.file.name;
    item.text = text;
    const stop = button(texts.stop, "small", () => giveUp(entry));
    stop.setAttribute("aria-label", texts.stop + ": " + entry.file.name);
    item.append(text, stop);
    document.getElementById("waiting").append(item);
    return item;
  }

  function button(text, kind, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = kind;
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  }

  async function run() {
    while ((current = queue.shift())) {
      const entry = current;
      const html = await judge(entry).catch(() => null);
      finish(entry, html);
    }
  }

  async function judge(entry) {
    if (!entry.toServer && judgesHere() && browser.takes(entry)) {
      entry.row.text.textContent = texts.judging + ": " + entry.file.name;
      entry.stop = () => browser.stop();
      try {
        return await browser.judge(entry, document.documentElement.lang, service ? service.value : "");
      } catch {
        if (entry.given) return null; // else the server can
      }
    }
    return send(entry);
  }

  // formOf is what is sent of a file.
  function formOf(entry) {
    const data = new FormData();
    data.append("document", entry.file);
    if (entry.signed) data.append("detached", entry.signed);
    if (service && service.value) data.append("service", service.value);
    return data;
  }

  function send(entry) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const bar = document.createElement("progress");
      entry.row.text.textContent = texts.sending + ": " + entry.file.name;
      bar.setAttribute("aria-label", entry.row.text.textContent);
      entry.row.insertBefore(bar, entry.row.lastChild);
      entry.stop = () => request.abort();
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable && event.loaded < event.total) bar.value = event.loaded / event.total;
        else bar.removeAttribute("value"); // sent: the verdict is being made
      });
      request.addEventListener("load", () => {
        const isPage = (request.getResponseHeader("Content-Type") || "").startsWith("text/html");
        isPage ? resolve(request.responseText) : reject(new Error(request.status));
      });
      request.addEventListener("error", () => reject(new Error("network")));
      request.addEventListener("abort", () => reject(new Error("stopped")));
      request.open("POST", "/?fragment=" + entry.id);
      request.send(formOf(entry));
    });
  }

  function giveUp(entry) {
    entry.given = true;
    if (entry === current) return entry.stop?.();
    queue.splice(queue.indexOf(entry), 1);
    finish(entry, null);
  }

  function stopAll() {
    for (const entry of [...queue]) giveUp(entry);
    if (current) giveUp(current);
  }

  function finish(entry, html) {
    entry.row.remove();
    const article = place(entry, html);
    article.insertBefore(pairing(entry, article), article.lastElementChild);
    entry.row = null;
    entry.given = false;
    done++;
    show();
    const left = queue.length;
    const badge = article.querySelector(".badge")?.textContent || "";
    say(`${entry.file.name}: ${badge.replace(/^\S+\s/, "")} ${left ? texts.left + " " + left : texts.done}`);
  }

  // place shows a verdict where the one before it was, else as the newest.
  function place(entry, html) {
    const holder = document.createElement("template");
    if (html) holder.innerHTML = html; // made by verdict.Write, here or at the server, which escapes what is a stranger's
    else holder.content.append(unjudged(entry));
    const article = holder.content.firstElementChild;
    const old = document.getElementById(entry.id);
    if (old) old.replaceWith(article);
    else verdicts.prepend(article);
    offerReports(article);
    return article;
  }

  // offerReports lets the reader save a report in each form.
  function offerReports(article) {
    const actions = article.querySelector("footer .actions");
    if (!actions) return; // it was not judged
    for (const [name, label] of Object.entries(forms)) {
      const offer = button(label, "keep", () => {});
      offer.dataset.form = name;
      actions.append(" ", offer);
    }
  }

  // keep makes a report where the verdict was made, by judging the file once more, and has it saved.
  async function keep(entry, offer) {
    offer.disabled = true;
    try {
      const here = offer.closest("article").dataset.place === "browser";
      const report = here ? await browser.keep(entry, document.documentElement.lang, service ? service.value : "", offer.dataset.form, texts.centre)
        : await keptByServer(entry, offer.dataset.form);
      save(report, entry.file.name + ".report" + ends[offer.dataset.form]);
    } catch {
      say(texts.keepFailed);
    }
    offer.disabled = false;
    offer.focus();
  }

  async function keptByServer(entry, form) {
    const answer = await fetch("/?report=" + form, { method: "POST", body: formOf(entry) });
    if (!answer.ok) throw new Error(answer.status);
    return answer.blob();
  }

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // when the browser has taken it
  }

  function unjudged(entry) {
    const article = document.createElement("article");
    article.className = "verdict none";
    article.id = entry.id;
    const title = document.createElement("h2");
    title.textContent = entry.file.name;
    const text = document.createElement("p");
    text.className = "sentence";
    text.textContent = entry.given ? texts.stopped : texts.failed;
    const actions = document.createElement("p");
    actions.append(button(texts.retry, "retry", () => {}));
    article.append(title, text, actions);
    return article;
  }

  // pairing lets the reader say what a detached signature is about.
  function pairing(entry, article) {
    if (!entry.signed && !article.hasAttribute("data-detached")) return document.createDocumentFragment();
    const line = document.createElement("p");
    line.className = "choice";
    const label = document.createElement("label");
    label.textContent = texts.pair;
    const select = document.createElement("select");
    select.id = entry.id + "-pair";
    label.htmlFor = select.id;
    select.append(new Option(texts.none, ""));
    files.forEach((file, i) => {
      if (file !== entry.file) select.append(new Option(pathOf(file), i, false, file === entry.signed));
    });
    select.addEventListener("change", () => {
      entry.signed = select.value === "" ? null : files[select.value];
      enqueue(entry, article.dataset.place === "server");
    });
    line.append(label, select);
    return line;
  }

  function show() {
    document.getElementById("queue").hidden = queue.length === 0 && !document.querySelector("#waiting li");
    document.getElementById("all").value = count ? done / count : 0;
  }

  function say(text) { document.getElementById("said").textContent = text; }

  function printing() {
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = [...document.querySelectorAll("details:not([open])")];
      for (const part of opened) part.open = true;
    });
    addEventListener("afterprint", () => { for (const part of opened) part.open = false; });
  }

  // prefer changes colours and letters without losing the verdicts; another language loads the page anew.
  async function prefer(event) {
    const choice = event.submitter;
    if (choice.name === "language" || entries.size === 0) return;
    event.preventDefault();
    const body = new URLSearchParams({ [choice.name]: choice.value });
    const answer = await fetch("/preferences", { method: "POST", body });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const root = document.documentElement;
    root.dataset.theme = fresh.documentElement.dataset.theme;
    root.dataset.size = fresh.documentElement.dataset.size;
    const preferences = document.getElementById("preferences");
    preferences.replaceChildren(...fresh.getElementById("preferences").childNodes);
    preferences.querySelector(`[name=${choice.name}]${choice.name === "size" ? `[value=${choice.value}]` : ""}`).focus();
  }
})();
