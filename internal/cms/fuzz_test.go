package cms_test

import (
	"bytes"
	"crypto"
	"math/big"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
)

// FuzzParse reads a SignedData and everything that hangs on it.
func FuzzParse(f *testing.F) {
	id, tsu := cmstest.NewSigner(f, "p256", "officer-1"), cmstest.NewTSU(f, "p256", "TSU 1")
	token := tsu.Stamp(f, []byte("dane"), cmstest.Now)
	signed, err := cms.Sign(cms.SignConfig{Signer: id.Key, Certificate: id.Cert.Raw, Hash: crypto.SHA256, Content: []byte("dane"),
		SigningTime: cmstest.Now, UnsignedAttributes: []cms.Attribute{cms.NewTimestampAttribute(token)}})
	if err != nil {
		f.Fatal(err)
	}
	full, err := cms.AddEvidence(signed, nil, [][]byte{{0x30, 0}}, [][]byte{cms.WrapBasicOCSP([]byte{0x30, 0})})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range smallSeeds() {
		f.Add(seed)
	}
	for _, seed := range [][]byte{token, signed, full, {0x30, 0x80}, bytes.Repeat([]byte{0x30, 0x80}, 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), fuzzLimit, func() { walk(t, data, token) })
	})
}

// fuzzLimit is what a small message may cost, everything that hangs on it walked over several times.
var fuzzLimit = budgettest.Limit{Time: 300 * time.Millisecond, TimeAnOctet: 50 * time.Microsecond, Alloc: 4 << 20, AllocAnOctet: 4 << 10}

func walk(t *testing.T, data, token []byte) {
	sd, err := cms.Parse(data)
	if err != nil {
		return
	}
	if len(sd.Raw)+len(sd.Rest) != len(data) {
		t.Fatal("octets are lost")
	}
	content := sd.Content.Bytes()
	_, _ = cms.ParseTSTInfo(content)
	for i, si := range sd.Signers {
		walkSigner(t, si)
		same, err := sd.Without(i, func(*cms.Attribute) bool { return false })
		if err == nil && !bytes.Equal(bytes.Join(same, nil), sd.Raw) {
			t.Fatal("taking nothing away has changed something")
		}
		grown, err := cms.AddUnsignedAttribute(data, i, cms.NewTimestampAttribute(token))
		if err != nil {
			continue
		}
		again, err := cms.Parse(grown)
		if err != nil {
			t.Fatalf("what was added cannot be read: %v", err)
		}
		if !bytes.Equal(again.Signers[i].RawSignedAttributes, si.RawSignedAttributes) || !bytes.Equal(again.Content.Bytes(), content) {
			t.Fatal("what is signed has changed")
		}
	}
}

// smallSeeds are whole SignedData of some 100 octets, in definite and indefinite lengths: a change is
// likelier to reach a field there than among certificates.
func smallSeeds() [][]byte {
	const (
		head   = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
		algo   = "\x30\x03\x06\x01\x2a"
		digest = "\x30\x12\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04\x31\x05\x04\x03abc"
		typ    = "\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03\x31\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
		when   = "\x30\x1c\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05\x31\x0f\x17\x0d261102100000Z"
		signer = "\x02\x01\x01\x30\x05\x30\x00\x02\x01\x05" + algo + "\xa0\x4c" + digest + typ + when + algo + "\x04\x03sig" +
			"\xa1\x17\x30\x15\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0e\x31\x06\x30\x04\x06\x02\x2a\x03"
		ski   = "\x02\x01\x03\x80\x02id" + algo + algo + "\x24\x06\x04\x01s\x04\x01g"
		encap = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x80\x24\x80\x04\x02ab\x24\x80\x04\x01c\x00\x00\x00\x00\x00\x00"
		lists = "\xa0\x04\x30\x00\xa2\x00\xa1\x12\x30\x00\xa1\x0e\x06\x08\x2b\x06\x01\x05\x05\x07\x10\x02\x30\x02\x05\x00"
	)
	open := "\x30\x80" + head + "\xa0\x80\x30\x80\x02\x01\x05\x31\x05" + algo + "\x30\x80" + encap + "\x00\x00"
	end := "\x00\x00\x00\x00\x00\x00"
	return [][]byte{
		[]byte(open + lists + "\x31\x80\x30\x80" + signer + "\x00\x00\x00\x00" + end),
		[]byte(open + "\x31\x80\x30\x80" + ski + "\x00\x00\x00\x00" + end),
		[]byte(open + "\x31\x00" + end),
	}
}

func walkSigner(t *testing.T, si *cms.SignerInfo) {
	message, err := si.SignedMessage()
	if err == nil && message != nil && !cms.LooksLikeSignedAttributes(message) && si.Signed(cms.OIDMessageDigest) != nil {
		t.Fatal("signed attributes do not look like it")
	}
	si.AlgorithmsProtected()
	si.ContentType()
	si.MessageDigest()
	_, _ = si.SigningTime()
	_, _, _ = si.SigningCertificates()
	_, _ = si.HashIndex()
	for _, list := range [][]cms.Attribute{si.SignedAttributes, si.UnsignedAttributes} {
		for i := range list {
			a := &list[i]
			_, _ = a.Certificates()
			_, _, _ = a.Revocations()
			_, _ = a.PolicyIdentifier()
			_, _ = a.CertificateReferences()
			_, _ = a.RevocationReferences()
			a.RawType()
			_ = a.Type.String()
			for _, v := range a.Values {
				_, _ = cms.ToDER(v)
				_, _ = cms.ParseSignerInfo(v)
				cms.OCSPResponses(v)
			}
		}
	}
}

// FuzzTimestampMessages reads requests and responses.
func FuzzTimestampMessages(f *testing.F) {
	query, err := cms.NewTimestampRequest(crypto.SHA256, make([]byte, 32), cmstest.Policy, big.NewInt(7), true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query)
	f.Add(cms.RefuseTimestamp(cms.TimeNotAvailable, "brak czasu"))
	f.Add(cms.NewTimestampResponse(cmstest.NewTSU(f, "p256", "TSU 1").Stamp(f, nil, cmstest.Now)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if req, err := cms.ParseTimestampRequest(data); err == nil && (len(req.Imprint) < 20 || req.Nonce != nil && req.Nonce.Sign() < 0) {
			t.Fatalf("taken: %+v", req)
		}
		if resp, err := cms.ParseTimestampResponse(data); err == nil && resp.Granted() {
			_, _ = cms.Parse(resp.Token)
		}
		if info, err := cms.ParseTSTInfo(data); err == nil && info.Time.IsZero() && len(info.Imprint) > 1<<20 {
			t.Fatal("odd TSTInfo")
		}
	})
}

// TestSmallSeeds: the seeds are what they are meant to be.
func TestSmallSeeds(t *testing.T) {
	for i, seed := range smallSeeds() {
		sd, err := cms.Parse(seed)
		if err != nil || len(sd.Rest) != 0 || string(sd.Content.Bytes()) != "abc" {
			t.Fatalf("%d: %v", i, err)
		}
		if len(sd.Signers) != []int{1, 1, 0}[i] || i == 0 && (len(sd.OCSPs) != 1 || string(sd.Signers[0].MessageDigest()) != "abc") {
			t.Errorf("%d: %+v", i, sd)
		}
	}
}
