package cades_test

import (
	"io"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cades"
)

// TestLevels: what is there and says something makes the level; what can't be read, or came too late, does not.
func TestLevels(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	der := sign(t, id, nil)
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	value := sd.Signers[0].Signature
	end := id.Cert.NotAfter
	stamp := func(at time.Time) cms.Attribute { return cms.NewTimestampAttribute(tsu.Stamp(t, value, at)) }
	of := func(typ cms.OID) cms.Attribute { return cms.NewAttribute(typ, tsu.Stamp(t, value, cmstest.Now)) }
	empty := func(typ cms.OID) cms.Attribute { return cms.NewAttribute(typ, []byte{0x30, 0}) }
	refs := []cms.Attribute{empty(cms.OIDCertificateRefs), empty(cms.OIDRevocationRefs)}
	extended := sign(t, id, func(c *cms.SignConfig) { c.SigningTime = time.Time{} })
	for name, c := range map[string]struct {
		der        []byte
		attributes []cms.Attribute
		evidence   bool
		level      string
	}{
		"signed":                        {der, nil, false, "B-B"},
		"stamped":                       {der, []cms.Attribute{stamp(cmstest.Now)}, false, "B-T"},
		"at the end of the certificate": {der, []cms.Attribute{stamp(end)}, false, "B-T"},
		"after the certificate":         {der, []cms.Attribute{stamp(end.Add(time.Second))}, false, "B-B"},
		"one of two after it":           {der, []cms.Attribute{stamp(cmstest.Now), stamp(end.Add(time.Second))}, false, "B-B"},
		"with evidence":                 {der, []cms.Attribute{stamp(cmstest.Now)}, true, "B-LT"},
		"after it, with evidence":       {der, []cms.Attribute{stamp(end.Add(time.Second))}, true, "B-B"},
		"archived":                      {der, []cms.Attribute{stamp(cmstest.Now), of(cms.OIDArchiveTimestampV3)}, true, "B-LTA"},
		"archived too late":             {der, []cms.Attribute{stamp(end.Add(time.Second)), of(cms.OIDArchiveTimestampV3)}, true, "B-B"},
		"unreadable":                    {der, []cms.Attribute{empty(cms.OIDSignatureTimestamp)}, true, "B-B"},
		"unreadable archive":            {der, []cms.Attribute{stamp(cmstest.Now), empty(cms.OIDArchiveTimestampV3)}, true, "B-LT"},
		"archived, first version":       {der, []cms.Attribute{stamp(cmstest.Now), of(cms.OIDArchiveTimestampV1)}, true, "T"},
		"archived, second version":      {der, []cms.Attribute{stamp(cmstest.Now), of(cms.OIDArchiveTimestampV2)}, true, "A"},
		"references":                    {der, append(refs[:2:2], stamp(cmstest.Now)), false, "C"},
		"references stamped":            {der, append(refs[:2:2], stamp(cmstest.Now), of(cms.OIDESCTimestamp)), false, "X"},
		"references stamped, evidence":  {der, append(refs[:2:2], stamp(cmstest.Now), of(cms.OIDCertCRLTimestamp)), true, "XL"},
		"older":                         {extended, nil, false, "BES"},
		"older, stamped":                {extended, []cms.Attribute{of(cms.OIDSignatureTimestamp)}, false, "T"},
		"older, stamped too late":       {extended, []cms.Attribute{stamp(end.Add(time.Second))}, false, "BES"},
	} {
		file := c.der
		for _, a := range c.attributes {
			if file, err = cms.AddUnsignedAttribute(file, 0, a); err != nil {
				t.Fatal(err)
			}
		}
		if c.evidence {
			if file, err = cms.AddEvidence(file, nil, nil, [][]byte{cms.WrapBasicOCSP([]byte{0x30, 0})}); err != nil {
				t.Fatal(err)
			}
		}
		if s := only(t, file); s.Level != c.level {
			t.Errorf("%s: level %s, want %s", name, s.Level, c.level)
		}
	}
}

// TestCertificateElsewhere: a signing certificate that stands beside the SignedData makes no baseline level.
func TestCertificateElsewhere(t *testing.T) {
	id, other := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewSigner(t, "p256", "CA 1")
	der := sign(t, id, func(c *cms.SignConfig) {
		detachedFrom(content)(c)
		c.SigningTime, c.OmitCertificates = time.Time{}, true
	})
	der, err := cms.AddEvidence(der, [][]byte{other.Cert.Raw}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	within, err := cms.AddEvidence(der, [][]byte{id.Cert.Raw}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, contents := range map[string][]byte{"BES": der, "B-B": within} {
		b := budget.New(t.Context(), len(contents))
		s, _, err := cades.OpenPDF(b, cades.PDF{SubFilter: cades.PDFCAdESDetached, Contents: contents, Certificates: [][]byte{id.Cert.Raw},
			ByteRange: func(w io.Writer) error { return b.Write(w, content) }})
		if err != nil || !s.Intact || s.Level != want {
			t.Errorf("%+v, %v; want %s", s, err, want)
		}
	}
}
