package client

import (
	"time"

	"trustcore/internal/problem"
	"trustcore/verify/chain"
	"trustcore/verify/poland"
	"trustcore/verify/trace"
	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// Problem is why a request came to nothing (RFC 9457).
type Problem = problem.Problem

// Services is the answer of GET /v1/services.
type Services struct {
	Services []Service `json:"services"`
}

// Service is a service that documents may be handed in for.
type Service struct {
	ID      string            `json:"id"`
	Name    map[string]string `json:"name,omitempty" doc:"by language; the id where there is none"`
	Accepts []poland.Kind     `json:"accepts" doc:"kinds of signatures: qualified, trusted, personal, seal"`
	Days    int               `json:"days" doc:"to remove a formal defect"`
}

// CertificateQuestion asks about a certificate: the request of POST /v1/certificates, or one line of a batch.
type CertificateQuestion struct {
	Certificate  string   `json:"certificate" doc:"PEM, or base64 of DER"`
	Certificates []string `json:"certificates,omitempty" doc:"further certificates to build the path from, in any order; each PEM, or base64 of DER"`
	At           string   `json:"at,omitempty" format:"date-time" doc:"time of validation, RFC 3339; now when absent"`
	Policy       string   `json:"policy,omitempty" doc:"name of a validation policy that can be chosen here; the configured one when absent"`
	Purposes     []string `json:"purposes,omitempty" doc:"extended key usages that the path must allow: serverAuth, clientAuth, codeSigning, emailProtection, timeStamping, OCSPSigning, or an object identifier"`
	// CertificatePolicies are object identifiers.
	CertificatePolicies []string `json:"certificate_policies,omitempty" doc:"object identifiers of certificate policies; the path must be valid for one of them (RFC 5280 6.1.1)"`
	Revocation          string   `json:"revocation,omitempty" enum:"none,if-available,require" doc:"require when absent"`
	CRLs                []string `json:"crls,omitempty" doc:"revocation lists to judge by besides, PEM or base64 of DER"`
	OCSPs               []string `json:"ocsps,omitempty" doc:"OCSP responses to judge by besides, base64 of DER"`
	Trace               bool     `json:"trace,omitempty" doc:"answer with every step and the certificates"`
}

// CertificateAnswer is the answer about a certificate.
type CertificateAnswer struct {
	chain.Report
	Trace *CertificateTrace `json:"trace,omitempty"`
}

// CertificateTrace is how the answer was come to.
type CertificateTrace struct {
	Path         trace.Block         `json:"path" doc:"the validation of the path with every constraint (EN 319 102-1, 5.2.6)"`
	Certificates []trace.Certificate `json:"certificates" doc:"of the path, with where they come from"`
}

// CertificateLine is one line of the answer to a batch, in the order of the questions: an answer or a problem.
type CertificateLine struct {
	Line    int                `json:"line" doc:"of the question, from 1"`
	Answer  *CertificateAnswer `json:"answer,omitempty"`
	Problem *Problem           `json:"problem,omitempty"`
}

// TrustStatus is the answer of GET /v1/trust/status.
type TrustStatus struct {
	Kept     bool            `json:"kept" doc:"verifyd keeps the lists itself; else they are read from a folder that somebody tends"`
	Fetches  bool            `json:"fetches" doc:"and asks for them"`
	Loaded   time.Time       `json:"loaded"`
	Services int             `json:"services"`
	Anchors  int             `json:"anchors" doc:"files with anchors that are trusted at all times"`
	Lists    []upkeep.Status `json:"lists"`
	Findings []string        `json:"findings" doc:"what /health says of the lists"`
}

// TrustList is the answer of GET /v1/trust/lists/{key}.
type TrustList = trustlist.Summary
