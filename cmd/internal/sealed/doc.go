// Package sealed has tests alone: what package hsm/seal makes is held against our own verifier, which it must not
// lean on, and in conformance runs against DSS, pyHanko, openssl, xmlsec1 and pdfsig.
package sealed
