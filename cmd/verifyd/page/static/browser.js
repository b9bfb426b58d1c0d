// Judges documents in this browser: a worker runs the verifier, so that the page stays alive and a document can be given up.
"use strict";

// localLimit is the largest document that is judged here, in octets: it is held several times over.
const localLimit = 50 << 20;

class BrowserJudge {
  // addresses are those of the worker's script, of Go's own script and of the module; "" where the page was built without.
  constructor(addresses) {
    this.addresses = addresses;
    this.available = Boolean(addresses.worker) && typeof Worker === "function" && typeof WebAssembly === "object";
  }

  takes(entry) { return this.available && entry.file.size + (entry.signed ? entry.signed.size : 0) <= localLimit; }

  // start loads the verifier, which takes a moment.
  start() {
    if (!this.available || this.worker) return;
    this.worker = new Worker(this.addresses.worker);
    this.worker.postMessage({ exec: this.addresses.exec, module: this.addresses.module });
    this.worker.addEventListener("message", (event) => this.settle(event.data));
    this.worker.addEventListener("error", () => this.settle({ problem: "the worker ended" }));
  }

  // judge gives the verdict as HTML, or fails where it can't be given here.
  async judge(entry, language, service) {
    while (this.settled) await this.settled.done; // a report is being made
    this.start();
    return (await this.ask({ id: entry.id, document: entry.file, signed: entry.signed, language, service })).html;
  }

  // keep makes a report of the verdict, as a Blob; it waits until the worker is free.
  async keep(entry, language, service, form, centre) {
    while (this.settled) await this.settled.done;
    this.start();
    const answer = await this.ask({ id: entry.id, document: entry.file, signed: entry.signed, language, service, report: form, centre });
    return new Blob([answer.octets], { type: answer.media });
  }

  // ask gives the worker something to do, and waits for its answer.
  ask(request) {
    const settled = {};
    this.settled = settled;
    const answer = new Promise((resolve, reject) => Object.assign(settled, { resolve, reject }));
    settled.done = answer.then(() => {}, () => {});
    this.worker.postMessage(request);
    return answer;
  }

  settle(answer) {
    const settled = this.settled;
    this.settled = null;
    if (answer.fatal || answer.problem && !answer.id) this.end(); // the next document begins anew, or is sent
    if (!settled) return;
    if (answer.html || answer.octets) settled.resolve(answer);
    else settled.reject(new Error(answer.problem));
  }

  // stop gives the document up that is being judged.
  stop() {
    this.end();
    this.settle({ problem: "stopped", id: "stopped" });
  }

  end() {
    if (this.worker) this.worker.terminate();
    this.worker = null;
  }
}
