package main

import (
	"os"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
)

// addOpener makes the office a key that decrypts.
func (w *sealWorld) addOpener() {
	w.t.Helper()
	how := []mechanism.Mechanism{mechanism.RSAOAEPSHA1}
	info, err := w.tok.Generate(w.t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, hsm.KeySpec{Partner: "office-1", Order: "ZU-1",
		Label: "open", Algorithm: hsm.RSA2048, Mechanisms: how})
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.grants = append(w.grants, gateway.Grant{Partner: "office-1", Application: "ezd", KeyID: info.ID, Order: "ZU-1", Active: true,
		Mechanisms: how})
}

// servePrograms serves the office's keys to PKCS#11 programs of this account.
func (w *sealWorld) servePrograms() (socket string) {
	w.t.Helper()
	return serveKeys(w.t, newOfficeKeys(state{w.dir}), uint32(os.Geteuid()))
}
