// Package xmldsig reads XML 1.0 with namespaces, canonicalises it and resolves the references of XML
// signatures (W3C XML Signature 1.1). It checks digests, never signature values: it hands out the
// canonical SignedInfo, the signature method, the value and the key information.
//
// A document is parsed once into a flat, pre-order arena that points into the source. References,
// canonical forms and the values that a caller reads all come from that one arena, so what is covered by
// a signature and what is shown as signed cannot differ (signature wrapping).
//
// The reader is strict: document type declarations, entities other than the five predefined ones, XML 1.1
// and everything that is not well-formed or not namespace-well-formed are refused.
package xmldsig
