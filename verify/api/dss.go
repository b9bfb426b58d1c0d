package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"trustcore/verify"
	"trustcore/verify/ers"
	"trustcore/verify/policy"
	"trustcore/verify/report/dss"
	"trustcore/verify/report/etsi"
	"trustcore/verify/signature"
)

// dssRequest is the request of DSS's validateSignature and getOriginalDocuments (DataToValidateDTO).
type dssRequest struct {
	SignedDocument          *dssDocument  `json:"signedDocument"`
	OriginalDocuments       []dssDocument `json:"originalDocuments"`
	Policy                  *dssDocument  `json:"policy"`
	CryptographicSuite      *dssDocument  `json:"cryptographicSuite"`
	ValidationTime          dssTime       `json:"validationTime"`
	EvidenceRecords         []dssDocument `json:"evidenceRecords"`
	TokenExtractionStrategy *string       `json:"tokenExtractionStrategy"`
	SignatureID             *string       `json:"signatureId"`
}

// dssDocument is a document, or its digest where an algorithm is named (RemoteDocument).
type dssDocument struct {
	Bytes           []byte  `json:"bytes"`
	DigestAlgorithm *string `json:"digestAlgorithm"`
	Name            string  `json:"name"`
}

// dssTime takes what Java clients write: RFC 3339, or milliseconds since 1970.
type dssTime struct{ time.Time }

// UnmarshalJSON reads either form, or null.
func (t *dssTime) UnmarshalJSON(data []byte) error {
	var ms int64
	if json.Unmarshal(data, &ms) == nil && string(data) != "null" {
		t.Time = time.UnixMilli(ms).UTC()
		return nil
	}
	if err := json.Unmarshal(data, &t.Time); err != nil {
		return refuse(http.StatusBadRequest, "validationTime",
			"%.40q is no time: write one such as 2026-03-03T12:00:00Z", data)
	}
	return nil
}

// readDSS reads what DSS's clients ask about a document; their answers are made of the trace.
func (s *Server) readDSS(c *call) (in dssRequest, req verify.Request, err error) {
	if err = decode(c.body, &in); err == nil {
		req, err = in.request(s.cfg.Policies())
	}
	req.Trace = true
	return in, req, err
}

// dssSignature answers DSS's validateSignature.
func (s *Server) dssSignature(ctx context.Context, c *call) (any, error) {
	in, req, err := s.readDSS(c)
	if err != nil {
		return nil, err
	}
	tokens, err := extraction(in.TokenExtractionStrategy)
	if err != nil {
		return nil, err
	}
	report, err := s.judge(ctx, req)
	if err != nil {
		return nil, err
	}
	v := dss.Validation{Report: report, Name: in.SignedDocument.Name, Tokens: tokens}
	if v.ETSI, err = etsi.Marshal(report); err != nil && !errors.Is(err, etsi.ErrNoTrace) {
		return nil, err
	}
	if in.SignatureID != nil {
		v.Signature = *in.SignatureID
	}
	reports := dss.New(v)
	if reports == nil {
		return nil, refuse(http.StatusBadRequest, "signatureId",
			"the document has no signature with the id %.100q", v.Signature)
	}
	return reports, nil
}

// request is what is to be judged. What the judge can't honour is refused by its name; offered are the policies that
// callers may choose.
func (in *dssRequest) request(offered []*verify.Policy) (req verify.Request, err error) {
	switch {
	case in.SignedDocument == nil || len(in.SignedDocument.Bytes) == 0:
		return req, refuse(http.StatusBadRequest, "signedDocument.bytes",
			"the document is missing: send its bytes in base64")
	case len(in.OriginalDocuments)+len(in.EvidenceRecords) > maxParts:
		return req, refuse(http.StatusBadRequest, "originalDocuments", "more than %d documents", maxParts)
	case in.CryptographicSuite != nil && len(in.CryptographicSuite.Bytes) > 0:
		return req, refuse(http.StatusBadRequest, "cryptographicSuite",
			"algorithms are judged by the policy alone: put the cryptographic constraints into it")
	}
	req.At = in.ValidationTime.Time
	if req.Policy, err = in.policy(offered); err != nil {
		return req, err
	}
	for i, d := range in.OriginalDocuments {
		file, err := d.detached(fmt.Sprintf("originalDocuments[%d]", i))
		if err != nil {
			return req, err
		}
		req.Detached = append(req.Detached, file)
	}
	return req, in.document(&req)
}

// document fills in what is judged first: the signed document, or where its digest alone is sent, the evidence record
// about it.
func (in *dssRequest) document(req *verify.Request) error {
	signed, err := in.SignedDocument.detached("signedDocument")
	if err != nil {
		return err
	}
	var records []signature.Detached
	for i, d := range in.EvidenceRecords {
		at := fmt.Sprintf("evidenceRecords[%d]", i)
		if d.DigestAlgorithm != nil || !ers.Looks(d.Bytes) {
			return refuse(http.StatusBadRequest, at, "it is no evidence record of RFC 4998 or RFC 6283")
		}
		records = append(records, signature.Detached{Name: d.Name, Content: d.Bytes})
	}
	switch {
	case signed.Digests == nil:
		req.Document, req.Detached = signed.Content, slices.Concat(req.Detached, records)
	case len(records) == 1:
		req.Document, req.Detached = records[0].Content, append(req.Detached, signed)
	default:
		return refuse(http.StatusBadRequest, "signedDocument.digestAlgorithm",
			"of a document that is sent as its digest nothing but one evidence record about it can be judged, in evidenceRecords")
	}
	return nil
}

// detached is the document as a file, or as its digest.
func (d *dssDocument) detached(at string) (signature.Detached, error) {
	file := signature.Detached{Name: d.Name, Content: d.Bytes}
	if d.DigestAlgorithm == nil {
		return file, nil
	}
	h, known := dss.Hash(*d.DigestAlgorithm)
	if !known {
		return file, refuse(http.StatusBadRequest, at+".digestAlgorithm",
			"%.40q is no digest algorithm that is known", *d.DigestAlgorithm)
	}
	var digests verify.Digests
	if err := digests.AddValue(d.Name, h, d.Bytes); err != nil {
		return file, refuse(http.StatusBadRequest, at+".bytes", "%v", err)
	}
	files, err := digests.Beside(nil)
	if err != nil {
		return file, err
	}
	return files[0], nil
}

// policy is the one that the request brings, or nil: DSS's XML, or ours. Where callers have no choice of policies, they
// can't bring one either, but for the one that is judged by anyway.
func (in *dssRequest) policy(offered []*verify.Policy) (*verify.Policy, error) {
	if in.Policy == nil || len(in.Policy.Bytes) == 0 {
		return nil, nil
	}
	p, err := policy.ReadGiven(in.Policy.Bytes)
	if err != nil || in.Policy.DigestAlgorithm != nil {
		return nil, refuse(http.StatusBadRequest, "policy", "it is no validation policy that can be read: %v", err)
	}
	if len(offered) < 2 && !slices.ContainsFunc(offered, func(o *verify.Policy) bool { return o.Digest() == p.Digest() }) {
		return nil, refuse(http.StatusBadRequest, "policy",
			"callers have no choice of policies here, so %.100q can't be brought: leave the policy out", p.Name())
	}
	return p, nil
}

// extraction reads DSS's tokenExtractionStrategy. The octets of evidence records can't be given.
func extraction(strategy *string) (dss.Tokens, error) {
	if strategy == nil {
		return dss.Tokens{}, nil
	}
	t, ok := dss.ExtractionStrategy(*strategy)
	if !ok {
		return t, refuse(http.StatusBadRequest, "tokenExtractionStrategy",
			"%.80q is none of DSS's strategies, or asks for the octets of evidence records, which are not given", *strategy)
	}
	return t, nil
}
