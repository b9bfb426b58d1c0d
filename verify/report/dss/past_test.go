package dss

import (
	"testing"
	"time"

	"trustcore/verify/trace"
)

// TestPastBlocks: the blocks of past signature validation stand where DSS has them, and name each other. Where one path alone
// was validated, that at the proven time, it is the past one.
func TestPastBlocks(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	passed := trace.Conclusion{Indication: "PASSED"}
	block := func(kind trace.Kind, constraints ...trace.Constraint) trace.Block {
		return trace.Block{ID: "S-1-" + string(kind), Kind: kind, Object: "S-1", Time: &at, Conclusion: passed, Constraints: constraints}
	}
	rests := func(kind trace.Kind) trace.Constraint {
		return trace.Constraint{Name: trace.Conclusive, Status: trace.OK, Block: "S-1-" + string(kind)}
	}
	sliding := block(trace.ValidationTimeSliding, trace.Constraint{Name: trace.ControlTime, Status: trace.OK})
	for name, c := range map[string]struct {
		rests  trace.Kind
		blocks []trace.Block
		pcv    bool
	}{
		"one path":  {trace.CertificateValidation, []trace.Block{block(trace.CertificateValidation), sliding}, true},
		"two paths": {trace.PastCertificateValidation, []trace.Block{block(trace.CertificateValidation), block(trace.PastCertificateValidation, rests(trace.ValidationTimeSliding)), sliding}, true},
		"nothing":   {"", []trace.Block{block(trace.CertificateValidation)}, false},
	} {
		blocks := c.blocks
		if c.rests != "" {
			blocks = append(blocks, block(trace.PastSignatureValidation, rests(c.rests), trace.Constraint{Name: trace.ProofOfValue, Status: trace.OK}))
		}
		w := &writer{blocks: map[string]*trace.Block{}}
		w.indexBlocks(blocks)
		chain := []trace.ChainItem{{Certificate: "C-1"}, {Certificate: "C-2"}}
		w.certificates = map[string]*trace.Certificate{"C-1": {ID: "C-1"}, "C-2": {ID: "C-2"}}
		d := w.buildingBlocks(object{"S-1", aboutSignature, chain, blocks, nil})
		if (d.PCV != nil) != c.pcv || (d.PSV != nil) != c.pcv {
			t.Errorf("%s: PSV %v, PCV %v", name, d.PSV, d.PCV)
		}
		if d.PSV == nil {
			continue
		}
		if first := d.PSV.Constraint[0]; *first.Name.Key != "PSV_IPCVA" || *first.BlockType != "PCV" || *first.ID != "S-1-"+string(c.rests) {
			t.Errorf("%s: PSV rests on %+v", name, first)
		}
		if proof := d.PSV.Constraint[1]; *proof.Name.Key != "PSV_ITPOSVAOBCT" || *proof.AdditionalInfo != "Control time : 2026-03-01T12:00:00Z" {
			t.Errorf("%s: %+v", name, proof)
		}
		last := d.PCV.Constraint[len(d.PCV.Constraint)-1]
		if *last.Name.Key != "PCV_IVTSC" || *last.BlockType != "VTS" || d.PCV.Title != "Past certificate validation" {
			t.Errorf("%s: PCV %s rests on %+v", name, d.PCV.Title, last)
		}
		if d.VTS.TrustAnchor == nil || *d.VTS.TrustAnchor != "C-2" || *d.VTS.ControlTime != "2026-03-01T12:00:00Z" {
			t.Errorf("%s: VTS %+v", name, d.VTS)
		}
	}
}
