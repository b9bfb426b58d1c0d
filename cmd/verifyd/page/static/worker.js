// Runs the verifier (verify.wasm) for the page. What a document holds stays in here: the verifier asks the server for evidence
// about certificates, and for the lists that it judges by.
"use strict";

let ready = null;

addEventListener("message", async ({ data }) => {
  if (data.exec) {
    ready = load(data.exec, data.module);
    ready.catch((problem) => postMessage({ fatal: true, problem: String(problem) }));
    return;
  }
  try {
    await ready;
    const signed = data.signed ? { name: data.signed.name, content: await octets(data.signed) } : null;
    const request = { id: data.id, name: data.document.name, document: await octets(data.document), signed, language: data.language, service: data.service,
      report: data.report || "", centre: data.centre || "" };
    postMessage({ id: data.id, ...await self.judge(request) });
  } catch (problem) {
    postMessage({ id: data.id, problem: String(problem) });
  }
});

async function load(exec, module) {
  importScripts(exec);
  const go = new Go();
  const { instance } = await WebAssembly.instantiateStreaming(fetch(module), go.importObject);
  go.run(instance).then(() => postMessage({ fatal: true, problem: "the verifier ended" }));
}

async function octets(file) { return new Uint8Array(await file.arrayBuffer()); }
