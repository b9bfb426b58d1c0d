package api

import (
	"context"
	"net/http"

	"trustcore/internal/budget"
	"trustcore/verify/original"
	"trustcore/verify/report/dss"
	"trustcore/verify/trace"
)

// remoteDocument is DSS's RemoteDocument: a document, or its digest where an algorithm is named.
type remoteDocument struct {
	Bytes           []byte  `json:"bytes"`
	DigestAlgorithm *string `json:"digestAlgorithm"`
	Name            *string `json:"name"`
}

// dssOriginals answers DSS's getOriginalDocuments: what the signature with the id is about, of none that of the first.
// What is not what was signed is left out; a document without signatures has nothing.
func (s *Server) dssOriginals(ctx context.Context, c *call) (any, error) {
	in, req, err := s.readDSS(c)
	if err != nil {
		return nil, err
	}
	report, err := s.judge(ctx, req)
	if err != nil {
		return nil, err
	}
	if report.Trace == nil || len(report.Trace.Signatures) < len(report.Signatures) {
		return nil, refuse(http.StatusUnprocessableEntity, "signedDocument",
			"a limit kept it from being read to its signatures")
	}
	about, err := in.signature(report.Trace)
	if err != nil || about == nil {
		return []remoteDocument{}, err
	}
	documents, err := original.Of(budget.New(ctx, len(req.Document)), req.Document, req.Detached, about)
	if err != nil {
		return nil, unjudged(ctx, "signedDocument", err)
	}
	return remotes(documents)
}

// maxOriginals bounds the bytes of one answer's documents: in base64 they are what the answers may take together.
const maxOriginals = maxAnswers / 3 * 2

// remotes are the documents of an answer.
func remotes(documents []original.Document) ([]remoteDocument, error) {
	answer, octets := []remoteDocument{}, 0
	for _, d := range documents {
		if octets += len(d.Content); octets > maxOriginals {
			return nil, refuse(http.StatusUnprocessableEntity, "signedDocument",
				"what is signed has more than %d bytes, which are not given back in one answer", maxOriginals)
		}
		answer = append(answer, remote(d))
	}
	return answer, nil
}

// signature is the one that is asked for, by its id or its name in the document; nil where there is none at all.
func (in *dssRequest) signature(t *trace.Trace) (*trace.Signature, error) {
	for i := range t.Signatures {
		if s := &t.Signatures[i]; in.SignatureID == nil || *in.SignatureID == s.ID || *in.SignatureID == s.Name {
			return s, nil
		}
	}
	if in.SignatureID == nil {
		return nil, nil
	}
	return nil, refuse(http.StatusBadRequest, "signatureId",
		"the document has no signature with the id %.100q", *in.SignatureID)
}

// remote is a document as DSS writes it; of several digests it has the longest.
func remote(d original.Document) remoteDocument {
	out := remoteDocument{Bytes: d.Content, Name: orNil(d.Name)}
	if d.Content == nil && d.Digests != nil {
		out.Bytes, out.DigestAlgorithm = dss.Strongest(d.Digests)
	}
	return out
}
