package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"path"
	"slices"

	"trustcore/internal/budget"
	"trustcore/internal/problem"
	"trustcore/verify"
	"trustcore/verify/original"
	"trustcore/verify/report/dss"
	"trustcore/verify/signature"
)

// The requests of SiVa 3 (open-eid), for clients that were written for it. Verdicts are ours.
type sivaRequest struct {
	Document        []byte `json:"document" doc:"the signed document"`
	Filename        string `json:"filename" maxLength:"255"`
	DocumentType    string `json:"documentType,omitempty" doc:"XROAD is not taken"`
	SignaturePolicy string `json:"signaturePolicy,omitempty" doc:"POLv3: any level; POLv4: qualified signatures and seals, and seals with a qualified certificate, alone; or the name of a policy that can be chosen here"`
	ReportType      string `json:"reportType,omitempty" enum:"Simple,Detailed,Diagnostic"`
}

type sivaHashRequest struct {
	SignatureFiles  []sivaSignatureFile `json:"signatureFiles"`
	SignaturePolicy string              `json:"signaturePolicy,omitempty"`
	ReportType      string              `json:"reportType,omitempty" enum:"Simple,Detailed,Diagnostic"`
}

type sivaSignatureFile struct {
	Signature []byte         `json:"signature"`
	Datafiles []sivaHashFile `json:"datafiles,omitempty"` // encoding/json takes dataFiles as well, which SiVa's samples have
}

type sivaHashFile struct {
	Filename string `json:"filename" maxLength:"255"`
	HashAlgo string `json:"hashAlgo" doc:"SHA256, SHA384, SHA512, ..."`
	Hash     []byte `json:"hash"`
}

type sivaFilesRequest struct {
	Document []byte `json:"document"`
	Filename string `json:"filename" maxLength:"255"`
}

// sivaFiles is the answer of getDataFiles.
type sivaFiles struct {
	DataFiles []sivaFile `json:"dataFiles"`

	octets int // of all
}

type sivaFile struct {
	Filename string `json:"fileName"`
	Size     int    `json:"size"`
	Base64   []byte `json:"base64"`
	MimeType string `json:"mimeType"`
}

// sivaErrors is what a request that can't be answered gets, with status 400.
type sivaErrors struct {
	RequestErrors []sivaError `json:"requestErrors"`
}

type sivaError struct {
	Key     string `json:"key"`
	Message string `json:"message"`
}

// maxSignatureFiles bounds the signatures of one request about hashes: they are judged one after the other, in one
// turn.
const maxSignatureFiles = 100

// sivaFail answers what is wrong with a request as SiVa does; that it can't be answered now is told as everywhere.
func (s *Server) sivaFail(w http.ResponseWriter, r *http.Request, err error) {
	var p *problem.Problem
	if !asRefusal(err, &p) {
		s.door.Fail(w, r, err)
		return
	}
	s.cfg.Logger.Info("refused", "server", s.door.Name, "request", w.Header().Get(problem.IDHeader), "path", r.Pattern,
		"status", p.Status, "field", p.Field, "detail", p.Detail)
	data, err := json.Marshal(sivaErrors{[]sivaError{{cmp.Or(p.Field, "document"), s.door.Told(r, p).Detail}}})
	if err != nil {
		s.door.Fail(w, r, err)
		return
	}
	problem.Send(w, http.StatusBadRequest, "application/json", data)
}

// asRefusal tells of a problem that sending the same again does not end.
func asRefusal(err error, p **problem.Problem) bool {
	var large *http.MaxBytesError
	if !errors.As(err, p) && !errors.As(err, &large) {
		return false
	}
	*p = problem.OfBody(err)
	switch (*p).Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// sivaValidate answers SiVa's validate.
func (s *Server) sivaValidate(ctx context.Context, c *call) (any, error) {
	var in sivaRequest
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	if err := checkFile(in.Document, in.Filename); err != nil {
		return nil, err
	}
	if in.DocumentType != "" {
		return nil, refuse(http.StatusBadRequest, "documentType",
			"%.40q: documents of X-Road are not judged here", in.DocumentType)
	}
	policy, err := s.sivaPolicy(in.SignaturePolicy)
	if err != nil {
		return nil, err
	}
	detailed, diagnostic, err := sivaReportType(in.ReportType)
	if err != nil {
		return nil, err
	}
	report, err := s.judge(ctx, verify.Request{Document: in.Document, Policy: policy, Trace: true})
	if err != nil {
		return nil, err
	}
	conclusion := sivaConclusionOf(in.SignaturePolicy, report.In(c.language))
	conclusion.ValidatedDocument = &sivaDocument{in.Filename}
	answer := sivaAnswer{sivaReport{ValidationConclusion: conclusion}}
	if detailed || diagnostic {
		reports := dss.New(dss.Validation{Report: report, Name: in.Filename})
		if detailed {
			answer.ValidationReport.ValidationProcess = reports.DetailedReport
		} else {
			answer.ValidationReport.DiagnosticData = reports.DiagnosticData
		}
	}
	return answer, nil
}

// checkFile refuses what SiVa's requests must have.
func checkFile(document []byte, name string) error {
	switch {
	case len(document) == 0:
		return refuse(http.StatusBadRequest, "document", "the document is missing: send its bytes in base64")
	case name == "" || len(name) > 255:
		return refuse(http.StatusBadRequest, "filename", "the name of the file is missing, or has more than 255 bytes")
	}
	return nil
}

// SiVa's policies. What they say of levels is a matter of the answer; everything else is our policy's.
const (
	sivaAnyLevel       = "POLv3"
	sivaQualifiedLevel = "POLv4"
)

func (s *Server) sivaPolicy(name string) (*verify.Policy, error) {
	if name == sivaAnyLevel || name == sivaQualifiedLevel {
		return nil, nil
	}
	p, err := s.policyOf(name)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "signaturePolicy",
			"%.100q is none of POLv3, POLv4, nor a policy that can be chosen here", name)
	}
	return p, nil
}

func sivaReportType(name string) (detailed, diagnostic bool, err error) {
	switch name {
	case "", "Simple":
	case "Detailed":
		detailed = true
	case "Diagnostic":
		diagnostic = true
	default:
		err = refuse(http.StatusBadRequest, "reportType", "%.40q is none of Simple, Detailed, Diagnostic", name)
	}
	return detailed, diagnostic, err
}

// sivaHashcode answers SiVa's validateHashcode: the signatures of several files, each about the data whose digests
// stand beside it. Of a signature without them it can't be told what it is about.
func (s *Server) sivaHashcode(ctx context.Context, c *call) (any, error) {
	var in sivaHashRequest
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	if n := len(in.SignatureFiles); n == 0 || n > maxSignatureFiles {
		return nil, refuse(http.StatusBadRequest, "signatureFiles", "send 1 to %d signature files", maxSignatureFiles)
	}
	policy, err := s.sivaPolicy(in.SignaturePolicy)
	if err != nil {
		return nil, err
	}
	if _, _, err := sivaReportType(in.ReportType); err != nil {
		return nil, err
	}
	var all verify.Report
	for i := range in.SignatureFiles {
		request, err := in.SignatureFiles[i].request(i)
		if err != nil {
			return nil, err
		}
		request.Policy = policy
		report, err := s.judge(ctx, request)
		if err != nil {
			return nil, err
		}
		signatures := append(all.Signatures, report.Signatures...)
		all = *report
		all.Signatures = signatures
	}
	return sivaAnswer{sivaReport{ValidationConclusion: sivaConclusionOf(in.SignaturePolicy, all.In(c.language))}}, nil
}

// request is what is judged of one signature file.
func (f *sivaSignatureFile) request(i int) (verify.Request, error) {
	at := fmt.Sprintf("signatureFiles[%d]", i)
	request := verify.Request{Document: f.Signature}
	if len(f.Signature) == 0 {
		return request, refuse(http.StatusBadRequest, at+".signature", "the signature is missing: send its bytes in base64")
	}
	if len(f.Datafiles) > maxParts {
		return request, refuse(http.StatusBadRequest, at+".datafiles", "more than %d files", maxParts)
	}
	for j, d := range f.Datafiles {
		file, err := d.detached(fmt.Sprintf("%s.datafiles[%d]", at, j))
		if err != nil {
			return request, err
		}
		request.Detached = append(request.Detached, file)
	}
	return request, nil
}

func (f *sivaHashFile) detached(at string) (signature.Detached, error) {
	file := signature.Detached{Name: f.Filename}
	h, known := dss.Hash(f.HashAlgo)
	if !known {
		return file, refuse(http.StatusBadRequest, at+".hashAlgo", "%.40q is no digest algorithm that is known", f.HashAlgo)
	}
	var digests verify.Digests
	if err := digests.AddValue(f.Filename, h, f.Hash); err != nil {
		return file, refuse(http.StatusBadRequest, at+".hash", "%v", err)
	}
	files, err := digests.Beside(nil)
	if err != nil {
		return file, refuse(http.StatusBadRequest, at+".hash", "%v", err)
	}
	return files[0], nil
}

// sivaDataFiles answers SiVa's getDataFiles: what the signatures of a document are about, each file once. SiVa gives
// those of DDOC alone, which is no format here.
func (s *Server) sivaDataFiles(ctx context.Context, c *call) (any, error) {
	var in sivaFilesRequest
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	if err := checkFile(in.Document, in.Filename); err != nil {
		return nil, err
	}
	report, err := s.judge(ctx, verify.Request{Document: in.Document, Trace: true})
	if err != nil {
		return nil, err
	}
	if report.Trace == nil || len(report.Trace.Signatures) < len(report.Signatures) {
		return nil, refuse(http.StatusUnprocessableEntity, "document", "a limit kept it from being read to its signatures")
	}
	answer := sivaFiles{DataFiles: []sivaFile{}}
	limits := budget.New(ctx, len(in.Document))
	for i := range report.Trace.Signatures {
		files, err := original.Of(limits, in.Document, nil, &report.Trace.Signatures[i])
		if err != nil {
			return nil, unjudged(ctx, "document", err)
		}
		if err := answer.add(files); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// add adds files that are not there yet, as long as they fit into one answer.
func (a *sivaFiles) add(files []original.Document) error {
	for _, f := range files {
		same := func(have sivaFile) bool { return have.Filename == f.Name && bytes.Equal(have.Base64, f.Content) }
		if f.Content == nil || slices.ContainsFunc(a.DataFiles, same) {
			continue
		}
		if a.octets += len(f.Content); a.octets > maxOriginals {
			return refuse(http.StatusUnprocessableEntity, "document",
				"what is signed has more than %d bytes, which are not given back in one answer", maxOriginals)
		}
		a.DataFiles = append(a.DataFiles, sivaFile{f.Name, len(f.Content), f.Content,
			cmp.Or(mime.TypeByExtension(path.Ext(f.Name)), "application/octet-stream")})
	}
	return nil
}
