package dss

import (
	"slices"
	"strings"

	"trustcore/verify"
	"trustcore/verify/trace"
)

// PastBlock is a block at a control time.
type PastBlock struct {
	Block
	ControlTime *Time `json:"ControlTime"`
}

// SlidingBlock is the sliding of the control time.
type SlidingBlock struct {
	TrustAnchor *string `json:"TrustAnchor"`
	CRS         []CRS   `json:"CRS"`
	PastBlock
}

// pastPath fills in the validation of the past certificate where past signature validation rests on the one path that
// was validated: that at the proven time.
func (w *writer) pastPath(d *BuildingBlocks, o object) {
	path, slid := named(o.blocks, trace.CertificateValidation), named(o.blocks, trace.ValidationTimeSliding)
	if d.PSV == nil || d.PCV != nil || path == nil {
		return
	}
	d.PCV = &PastBlock{w.block(path, o.of), momentOrNil(path.Time)}
	d.PCV.Title = titles[trace.PastCertificateValidation]
	if slid != nil {
		c := trace.Constraint{Name: trace.Conclusive, Status: trace.OK, Block: slid.ID}
		if slid.Conclusion.Indication != string(verify.Passed) {
			c.Status, c.Message = trace.NotOK, strings.Join(slid.Conclusion.Reasons, "; ")
		}
		d.PCV.Constraint = append(d.PCV.Constraint, w.conclusiveConstraint(c, slid, trace.PastCertificateValidation))
	}
}

// named is the block of a kind, nil for none.
func named(blocks []trace.Block, kind trace.Kind) *trace.Block {
	if i := slices.IndexFunc(blocks, func(b trace.Block) bool { return b.Kind == kind }); i >= 0 {
		return &blocks[i]
	}
	return nil
}

// selectionOfSigner is which revocation data about the signing certificate are relied on, nil for none.
func (w *writer) selectionOfSigner(o object) *CRS {
	if len(o.chain) == 0 || w.certificates[o.chain[0].Certificate] == nil {
		return nil
	}
	return w.selection(w.certificates[o.chain[0].Certificate])
}

// sliding is the sliding of the control time from the anchor of a path down.
func (w *writer) sliding(o object, past PastBlock) *SlidingBlock {
	d := &SlidingBlock{CRS: []CRS{}, PastBlock: past}
	for i, c := range o.chain {
		switch known := w.certificates[c.Certificate]; {
		case known == nil:
		case i == len(o.chain)-1:
			d.TrustAnchor = &o.chain[i].Certificate
		default:
			if crs := w.selection(known); crs != nil {
				d.CRS = append(d.CRS, *crs)
			}
		}
	}
	return d
}
