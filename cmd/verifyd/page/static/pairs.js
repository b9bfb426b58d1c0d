// Which file of a choice is a signature about another one of it.
"use strict";

// Names of signatures that hold no document end so.
const signatureEnds = [".p7s", ".sig", ".sgn", ".xades", ".pkcs7", ".ers", ".er"];

// pairsOf returns, for each file that is a signature of another one by its name, that other one: umowa.pdf.p7s, umowa.p7s and
// umowa.pdf.xml are signatures of umowa.pdf, in the same folder.
function pairsOf(files) {
  const byName = new Map(files.map((file) => [pathOf(file), file]));
  const pairs = new Map();
  for (const file of files) {
    const name = pathOf(file);
    const dot = name.lastIndexOf(".");
    if (dot <= 0) continue;
    const stem = name.slice(0, dot);
    let signed = byName.get(stem);
    if (!signed && signatureEnds.includes(name.slice(dot).toLowerCase())) {
      signed = files.find((other) => other !== file && pathOf(other).startsWith(stem + ".") && !pathOf(other).slice(stem.length + 1).includes(".")
        && !signatureEnds.some((end) => pathOf(other).toLowerCase().endsWith(end)));
    }
    if (signed && signed !== file) pairs.set(file, signed);
  }
  return pairs;
}

// pathOf is where a file lies below the folder that was chosen.
function pathOf(file) { return file.webkitRelativePath || file.path || file.name; }
