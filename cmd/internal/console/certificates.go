package console

import (
	"net/http"
	"slices"
	"time"
)

// expiringSoon is when a certificate is marked.
const expiringSoon = 30 * 24 * time.Hour

// Certificate is one row of the certification authority's inventory.
type Certificate struct {
	Serial, Subject, Profile, Partner, Order string
	State                                    string // "valid", "revoked", "suspended", "expired" or "reserved"
	NotBefore, NotAfter                      time.Time
	RevokedAt                                time.Time // zero unless revoked or suspended

	Issuer, Renews string
	Names          []string // DNS names and IP addresses
	PublicKey      string   // SHA-256 of the SubjectPublicKeyInfo, hex
	Fingerprint    string   // SHA-256 of the DER, hex
}

// certificateRow adds whose a certificate is and whether it needs attention.
type certificateRow struct {
	Certificate
	PartnerName string
	Soon        bool // valid, and expires within 30 days
}

// Revocable reports whether a revocation may be proposed, Releasable whether the end of a suspension.
func (x certificateRow) Revocable() bool  { return x.State == "valid" || x.State == "suspended" }
func (x certificateRow) Releasable() bool { return x.State == "suspended" }

// Suspendable reports whether it may be suspended.
func (x certificateRow) Suspendable() bool { return x.State == "valid" }

// certificateRows puts the valid ones first, those that expire first at the top; then the others, newest end first.
func certificateRows(all []Certificate, names map[string]string, now time.Time) []certificateRow {
	rows := make([]certificateRow, len(all))
	for i, x := range all {
		rows[i] = certificateRow{x, names[x.Partner], x.State == "valid" && x.NotAfter.Sub(now) < expiringSoon}
	}
	slices.SortStableFunc(rows, func(a, b certificateRow) int {
		switch aValid, bValid := a.State == "valid", b.State == "valid"; {
		case aValid && bValid:
			return a.NotAfter.Compare(b.NotAfter)
		case aValid:
			return -1
		case bValid:
			return 1
		}
		return b.NotAfter.Compare(a.NotAfter)
	})
	return rows
}

type certificatesPage struct {
	frame
	Certificates list[certificateRow]
}

// showCertificates lists the authority's inventory.
func (c *Console) showCertificates(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	names, err := c.names(ctx)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	world := c.read(ctx, "", partCertificates)
	rows := certificateRows(world.certificates, names, c.cfg.Now())
	found := listOf(r, "certificates", rows, world.failed[partCertificates], func(x certificateRow) []string {
		return []string{x.Serial, x.Subject, x.Partner, x.PartnerName, x.Order, v.speech.term("profile", x.Profile),
			v.speech.term("certificate", x.State)}
	})
	p := &certificatesPage{c.framed(r, v, "certificates", v.word("certificates")), found}
	c.render(w, r, v, http.StatusOK, "certificates", p)
}
