package cms_test

import (
	"bytes"
	"crypto"
	"math/big"
	"testing"

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
	for _, seed := range [][]byte{token, signed, full, {0x30, 0x80}, bytes.Repeat([]byte{0x30, 0x80}, 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
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
	})
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
