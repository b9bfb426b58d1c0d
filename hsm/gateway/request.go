package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"trustcore/hsm/mechanism"
	"trustcore/internal/problem"
)

// Requests to sign are read and answered here, without the framework that describes the rest: they are many, and it
// costs more than the token's own work. describeUses tells the framework's document of them.

type singleRequest struct {
	Mechanism mechanism.Mechanism `json:"mechanism" enum:"RSA-PKCS1-SHA256,RSA-PKCS1-SHA384,RSA-PKCS1-SHA512,RSA-PSS-SHA256,RSA-PSS-SHA384,RSA-PSS-SHA512,ECDSA-SHA256,ECDSA-SHA384,ECDSA-SHA512" doc:"How to sign"`
	Digest    []byte              `json:"digest" minLength:"44" maxLength:"88" doc:"The digest to sign, base64"`
	Document  string              `json:"document,omitempty" maxLength:"40" doc:"The type of the document, where the authorisation names some"`
}

type signature struct {
	Signature  []byte `json:"signature" doc:"RSA: as long as the modulus. ECDSA: DER (r, s)"`
	AuditIndex uint64 `json:"audit_index" doc:"Where this use stands in the audit log"`
}

type batchRequest struct {
	Mechanism mechanism.Mechanism `json:"mechanism" enum:"RSA-PKCS1-SHA256,RSA-PKCS1-SHA384,RSA-PKCS1-SHA512,RSA-PSS-SHA256,RSA-PSS-SHA384,RSA-PSS-SHA512,ECDSA-SHA256,ECDSA-SHA384,ECDSA-SHA512" doc:"How to sign all of them"`
	Digests   [][]byte            `json:"digests" minItems:"1" maxItems:"256" doc:"The digests to sign, base64"`
	Document  string              `json:"document,omitempty" maxLength:"40" doc:"The type of the documents, where the authorisation names some"`
}

type batchAnswer struct {
	Signatures []signature `json:"signatures" doc:"In the order of the digests, all of them"`
}

// use is one request to sign.
type use struct {
	client    *x509.Certificate
	print     [sha256.Size]byte // of client
	keyID     string
	mechanism mechanism.Mechanism
	digests   [][]byte
	document  string // its type, as the application says; "" where it says none
	batch     bool
	via       string // the interface that it came by; "" for REST

	again    string            // its Idempotency-Key, "" without
	sameness [sha256.Size]byte // of all that makes it the same request again

	decrypts   bool   // the use is a decryption
	ciphertext []byte // of a decryption, whose digest is the only one
}

// action names the use in the audit log.
func (u *use) action() string {
	if u.decrypts {
		return "hsm.decrypt"
	}
	return "hsm.sign"
}

// what names what was digested.
func (u *use) what() string {
	if u.decrypts {
		return "ciphertext" // its SHA-256
	}
	return "digest"
}

var keyIDs = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (g *gateway) single(w http.ResponseWriter, r *http.Request) {
	u := caughtUse(r)
	var in singleRequest
	p := u.read(r, maxBody, &in)
	if p == nil {
		p = u.take(in.Mechanism, in.Document, [][]byte{in.Digest}, "body.digest")
	}
	g.serve(w, r, u, p)
}

func (g *gateway) batch(w http.ResponseWriter, r *http.Request) {
	u := caughtUse(r)
	u.batch = true
	var in batchRequest
	p := u.read(r, maxBatchBody, &in)
	switch {
	case p != nil:
	case len(in.Digests) == 0 || len(in.Digests) > MaxBatch:
		p = problem.RefuseField(http.StatusUnprocessableEntity, "body.digests", "1 to %d digests are taken", MaxBatch)
	default:
		p = u.take(in.Mechanism, in.Document, in.Digests, "body.digests")
	}
	g.serve(w, r, u, p)
}

// serve answers a use; p is why it is none.
func (g *gateway) serve(w http.ResponseWriter, r *http.Request, u *use, p *problem.Problem) {
	if p != nil {
		g.malformed(r.Context(), u, p)
		told(r, p).Write(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), useTimeout)
	defer cancel()
	answer, replayed, why := g.answer(ctx, u)
	if why != nil {
		g.metrics.requests.WithLabelValues(why.rule).Inc()
		told(r, &why.Problem).Write(w)
		return
	}
	if replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	problem.Send(w, http.StatusOK, "application/json", answer)
}

// caughtUse takes the client from the connection; without a verified certificate it stays nobody, whom everything
// refuses.
func caughtUse(r *http.Request) *use {
	u := &use{keyID: r.PathValue("id")}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && len(r.TLS.PeerCertificates) > 0 {
		u.client = r.TLS.PeerCertificates[0]
		u.print = sha256.Sum256(u.client.Raw)
	}
	return u
}

// maxKey is how long an Idempotency-Key may be, in bytes: a UUID fits, and a name of one's own.
const maxKey = 64

// read reads the body, strictly, and what makes the request one that was made before.
func (u *use) read(r *http.Request, limit int64, in any) *problem.Problem {
	if !keyIDs.MatchString(u.keyID) {
		return problem.RefuseField(http.StatusUnprocessableEntity, "path.id", "a key's ID has 32 hexadecimal digits, in lower case")
	}
	if !problem.IsJSON(r.Header.Get("Content-Type")) {
		return problem.RefuseField(http.StatusUnsupportedMediaType, "Content-Type", "send application/json")
	}
	if err := problem.Limit(r, limit); err != nil {
		return problem.OfBody(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return problem.OfBody(err)
	}
	if u.again = r.Header.Get("Idempotency-Key"); len(u.again) > maxKey {
		return problem.RefuseField(http.StatusUnprocessableEntity, "Idempotency-Key", "it has at most %d characters", maxKey)
	}
	if u.again != "" {
		u.sameness = sha256.Sum256(append([]byte(r.URL.Path+"\n"), body...))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err = d.Decode(in); err == nil && d.More() {
		err = errors.New("it goes on after its end")
	}
	return ofJSON(err)
}

// ofJSON is the problem that a body is; nil for nil.
func ofJSON(err error) *problem.Problem {
	var p *problem.Problem
	if err == nil {
		return nil
	}
	if !errors.As(problem.OfJSON(err), &p) {
		p = problem.OfBody(err)
	}
	if p.Field != "" {
		p.Field = "body." + p.Field
	}
	return p
}

// Digests of any mechanism, in bytes.
const (
	minDigest = 32
	maxDigest = 64
)

// documents are the names of types of documents, as orders have them.
var documents = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// IsDocument reports whether a text may name a type of documents.
func IsDocument(name string) bool { return documents.MatchString(name) }

// take takes what is to be signed, where it looks like that.
func (u *use) take(m mechanism.Mechanism, document string, digests [][]byte, field string) *problem.Problem {
	if document != "" && !documents.MatchString(document) {
		return problem.RefuseField(http.StatusUnprocessableEntity, "body.document", "a type is named by lower-case letters, digits and hyphens, at most 40")
	}
	if m.Code() == 0 || m.Decrypts() {
		return problem.RefuseField(http.StatusUnprocessableEntity, "body.mechanism", "name one of the mechanisms that the key has")
	}
	for _, d := range digests {
		if len(d) < minDigest || len(d) > maxDigest {
			return problem.RefuseField(http.StatusUnprocessableEntity, field, "a digest of %d to %d bytes is signed, in base64, not one of %d",
				minDigest, maxDigest, len(d))
		}
	}
	u.mechanism, u.document, u.digests = m, document, digests
	return nil
}

// encode writes the answer to the use: the signatures in order, from this index of the audit log each.
func (u *use) encode(signatures [][]byte, indexes []uint64) []byte {
	var out []byte
	one := func(i int) {
		out = append(out, `{"signature":"`...)
		out = base64.StdEncoding.AppendEncode(out, signatures[i])
		out = append(out, `","audit_index":`...)
		out = strconv.AppendUint(out, indexes[i], 10)
		out = append(out, '}')
	}
	if !u.batch {
		one(0)
		return out
	}
	out = append(out, `{"signatures":[`...)
	for i := range signatures {
		if i > 0 {
			out = append(out, ',')
		}
		one(i)
	}
	return append(out, `]}`...)
}

// describeUses adds the requests to sign to the document that describes the interface.
func describeUses(document *huma.OpenAPI) {
	schemas := document.Components.Schemas
	content := func(t reflect.Type, mediaType, hint string) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{mediaType: {Schema: schemas.Schema(t, true, hint)}}
	}
	for _, o := range []struct {
		path, id, summary string
		in, out           reflect.Type
	}{
		{signPath, "sign", "Sign a digest", reflect.TypeFor[singleRequest](), reflect.TypeFor[signature]()},
		{batchPath, "sign-batch", "Sign up to 256 digests", reflect.TypeFor[batchRequest](), reflect.TypeFor[batchAnswer]()},
		{decryptPath, "decrypt", "Decrypt what was encrypted for the key", reflect.TypeFor[decryptRequest](), reflect.TypeFor[decryptAnswer]()},
	} {
		answers := map[string]*huma.Response{"200": {Description: "OK", Content: content(o.out, "application/json", "")}}
		for _, status := range []int{400, 401, 403, 409, 413, 415, 422, 429, 503} {
			answers[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status),
				Content: content(reflect.TypeFor[problem.Problem](), problem.MediaType, "")}
		}
		document.AddOperation(&huma.Operation{OperationID: o.id, Method: http.MethodPost, Path: o.path, Summary: o.summary,
			Parameters: []*huma.Param{
				{Name: "id", In: "path", Required: true, Description: "The key", Schema: &huma.Schema{Type: "string", Pattern: keyIDs.String()}},
				{Name: "Idempotency-Key", In: "header", Description: "The same request with the same key gets the same answer, and is one use",
					Schema: &huma.Schema{Type: "string", MaxLength: ptr(maxKey)}},
			},
			RequestBody: &huma.RequestBody{Required: true, Content: content(o.in, "application/json", "")}, Responses: answers})
	}
}

func ptr(n int) *int { return &n }
