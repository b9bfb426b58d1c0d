package verify

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"

	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// links fills in what each object carries and covers, once all are known. What is carried and no conclusion rests on is
// an orphan, which may be covered too.
func (t *tracer) links() {
	known := t.known()
	for i, j := range t.Signatures {
		f := j.Facts
		t.out.Signatures[i].Found = t.found(known, f.Carried, f.Certificates, f.CRLs, f.OCSPs)
	}
	for i, s := range t.stampFacts {
		t.out.Timestamps[i].Found = t.found(known, s.Carried, s.Certificates, s.CRLs, s.OCSPs)
	}
	for i, s := range t.stampFacts {
		t.out.Timestamps[i].Covers = t.covered(known, s.Covers)
	}
	for i, e := range t.recordFacts {
		t.out.EvidenceRecords[i].Covers = t.covered(known, e.Covers)
	}
	if t.room == 0 {
		t.out.Cut = strings.TrimPrefix(t.out.Cut+"; links between objects, beyond the first "+strconv.Itoa(maxLinked), "; ")
	}
}

// known are the ids of what the trace holds, by SHA-256.
func (t *tracer) known() map[[32]byte]string {
	known := map[[32]byte]string{}
	enter := func(digest [32]byte, id string) {
		if known[digest] == "" {
			known[digest] = id
		}
	}
	for _, j := range t.Signatures {
		enter(j.Facts.Value, t.Steps.IDs[j.Facts])
	}
	for _, c := range t.out.Certificates {
		enter(sha256.Sum256(c.DER), c.ID)
	}
	for _, r := range t.out.Revocations {
		enter(sha256.Sum256(r.DER), r.ID)
	}
	for _, s := range t.out.Timestamps {
		enter([32]byte(s.Digest.Value), s.ID)
	}
	return known
}

// covered are the ids of what is covered, each once.
func (t *tracer) covered(known map[[32]byte]string, objects [][32]byte) []string {
	var ids []string
	seen := map[string]bool{"": true}
	for _, o := range objects {
		if id := known[o]; !seen[id] && t.room > 0 {
			t.room--
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// found is the evidence that something carries, by the parts that hold it.
func (t *tracer) found(known map[[32]byte]string, parts []signature.Values, certificates, crls,
	ocsps [][]byte) trace.Found {
	origins := map[[32]byte][]trace.Origin{}
	for _, p := range parts {
		for _, der := range p.All() {
			digest := t.carriers.digest(der)
			if o := trace.Origin(p.Origin); !slices.Contains(origins[digest], o) {
				origins[digest] = append(origins[digest], o)
			}
		}
	}
	var f trace.Found
	for _, of := range []struct {
		kind string
		list [][]byte
		into *[]trace.Carried
	}{{"certificate", certificates, &f.Certificates}, {"CRL", crls, &f.Revocations}, {"OCSP", ocsps, &f.Revocations}} {
		seen := map[[32]byte]bool{}
		for _, der := range of.list {
			digest := t.carriers.digest(der)
			if seen[digest] || t.room == 0 {
				continue
			}
			t.room--
			seen[digest] = true
			if known[digest] == "" {
				known[digest] = t.orphan(of.kind, digest, der)
			}
			*of.into = append(*of.into, trace.Carried{Object: known[digest], Origins: origins[digest]})
		}
	}
	return f
}

// maxOrphaned bounds the octets of orphans that a trace keeps: a document may carry much that is about nothing.
const maxOrphaned = 16 << 20

// orphan enters evidence on which no conclusion rests, and returns its id.
func (t *tracer) orphan(kind string, digest [32]byte, der []byte) string {
	letter := trace.RevocationID
	if kind == "certificate" {
		letter = trace.CertificateID
	}
	o := trace.Orphan{ID: identifier(letter, digest), Kind: kind}
	if t.orphaned += len(der); t.orphaned <= maxOrphaned {
		o.DER = bytes.Clone(der)
	}
	t.out.Orphans = append(t.out.Orphans, o)
	return o.ID
}
