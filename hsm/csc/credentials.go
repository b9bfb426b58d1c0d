package csc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"trustcore/hsm/gateway"
	"trustcore/hsm/mechanism"
)

// The identity of each version. Texts of the specifications' own fields are in their order.
var specs = map[version]string{v1: "1.0.4.0", v2: "2.0.0.2"}

type infoAnswer struct {
	Specs       string   `json:"specs"`
	Name        string   `json:"name"`
	Logo        string   `json:"logo"`
	Region      string   `json:"region"`
	Lang        string   `json:"lang"`
	Description string   `json:"description"`
	AuthType    []string `json:"authType"`
	OAuth2      string   `json:"oauth2"`
	Methods     []string `json:"methods"`

	// Of version 2.
	Asynchronous   *bool               `json:"asynchronousOperationMode,omitempty"`
	ValidationInfo *bool               `json:"validationInfo,omitempty"`
	Algorithms     map[string][]string `json:"signAlgorithms,omitempty"`
	Formats        map[string][]string `json:"signature_formats,omitempty"`
	Levels         []string            `json:"conformance_levels,omitempty"`
}

// info describes the service.
func (s *service) info(c *call) (any, error) {
	a := infoAnswer{Specs: specs[c.version], Name: s.Name, Region: "PL", Lang: "en-US",
		Description: "Signatures over hashes by keys of the data centre's HSM, as orders give them to the application",
		AuthType:    []string{"TLS", "oauth2client"}, OAuth2: "https://" + c.Host + "/csc/" + string(c.version)}
	for _, m := range methods() {
		if m.name != "signatures/timestamp" || s.Stamp != nil {
			a.Methods = append(a.Methods, m.name)
		}
	}
	if c.version == v2 {
		a.Asynchronous, a.ValidationInfo = new(bool), new(bool)
		a.Algorithms = map[string][]string{"algos": {}, "algoParams": {}}
		for _, m := range algorithms {
			if !slices.Contains(a.Algorithms["algos"], m.combined) {
				a.Algorithms["algos"] = append(a.Algorithms["algos"], m.combined)
			}
		}
		a.Formats = map[string][]string{"formats": {}, "envelope_properties": {}}
	}
	return a, nil
}

type listAnswer struct {
	IDs       []string     `json:"credentialIDs"`
	Infos     []credential `json:"credentialInfos,omitempty"`
	OnlyValid *bool        `json:"onlyValid,omitempty"`
	Next      string       `json:"nextPageToken,omitempty"`
}

// list names the credentials of the caller: the keys that orders give it or gave it. A page begins behind the
// credential that its token names.
func (s *service) list(c *call) (any, error) {
	most, err := c.in.number("maxResults")
	if err != nil {
		return nil, err
	}
	after, err := c.in.text("pageToken")
	if err != nil {
		return nil, err
	}
	onlyValid, err := c.in.truth("onlyValid")
	if err != nil {
		return nil, err
	}
	described, err := c.in.truth("credentialInfo")
	if err != nil {
		return nil, err
	}
	keys, err := s.Gateway.Keys(c.Context(), c.client)
	if err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(keys, decrypts)
	if onlyValid {
		keys = slices.DeleteFunc(keys, func(k gateway.KeyDescription) bool { return !k.Usable })
	}
	if after != "" {
		at := slices.IndexFunc(keys, func(k gateway.KeyDescription) bool { return k.ID == after })
		if at < 0 {
			return nil, invalid("Invalid parameter pageToken")
		}
		keys = keys[at+1:]
	}
	a := listAnswer{IDs: []string{}}
	if most > 0 && len(keys) > most {
		keys, a.Next = keys[:most], keys[most-1].ID
	}
	for _, k := range keys {
		a.IDs = append(a.IDs, k.ID)
	}
	if c.version == v1 {
		return a, nil
	}
	a.OnlyValid = &onlyValid
	if described {
		a.Infos, err = s.describeAll(c, keys)
	}
	return a, err
}

func (s *service) describeAll(c *call, keys []gateway.KeyDescription) ([]credential, error) {
	all := []credential{}
	for _, k := range keys {
		d, err := s.describe(c, k)
		if err != nil {
			return nil, err
		}
		d.ID = k.ID
		all = append(all, d)
	}
	return all, nil
}

// credential is a key as the API describes it.
type credential struct {
	ID          string         `json:"credentialID,omitempty"` // in lists alone
	Description string         `json:"description"`
	Key         keyAnswer      `json:"key"`
	Cert        certAnswer     `json:"cert"`
	AuthMode    string         `json:"authMode,omitempty"` // of version 1
	Auth        map[string]any `json:"auth,omitempty"`     // of version 2
	SCAL        string         `json:"SCAL"`
	Multisign   int            `json:"multisign"`
	Lang        string         `json:"lang"`
}

type keyAnswer struct {
	Status string   `json:"status"` // enabled or disabled
	Algo   []string `json:"algo"`
	Len    int      `json:"len"` // bits
	Curve  string   `json:"curve,omitempty"`
}

type certAnswer struct {
	Status       string   `json:"status,omitempty"`
	Certificates []string `json:"certificates,omitempty"` // base64 of DER, the key's own first
	IssuerDN     string   `json:"issuerDN,omitempty"`
	Serial       string   `json:"serialNumber,omitempty"` // hex
	SubjectDN    string   `json:"subjectDN,omitempty"`
	ValidFrom    string   `json:"validFrom,omitempty"` // GeneralizedTime
	ValidTo      string   `json:"validTo,omitempty"`
}

// credential describes one of the caller's credentials.
func (s *service) credential(c *call) (any, error) {
	id, err := c.in.need("credentialID")
	if err != nil {
		return nil, err
	}
	k, err := s.Gateway.Key(c.Context(), c.client, id)
	if err != nil {
		return nil, err
	}
	if decrypts(k) {
		return nil, invalid("Invalid parameter credentialID")
	}
	return s.describe(c, k)
}

// decrypts reports whether a key signs nothing: it is no credential.
func decrypts(k gateway.KeyDescription) bool { return k.Purpose == gateway.ToDecrypt }

var curves = map[elliptic.Curve]string{elliptic.P256(): "1.2.840.10045.3.1.7", elliptic.P384(): "1.3.132.0.34"}

// implicit says that no PIN and no password is asked for: the certificate of the connection, and the order behind it,
// authorise.
const implicit = "implicit"

// describe describes a key in the caller's version of the API.
func (s *service) describe(c *call, k gateway.KeyDescription) (credential, error) {
	d := credential{Description: k.Name, SCAL: "2", Multisign: gateway.MaxBatch, Lang: "en-US",
		Key: keyAnswer{Status: "disabled", Algo: identifiers(k.Mechanisms)}}
	if k.Usable {
		d.Key.Status = "enabled"
	} else if k.Why != "" {
		d.Description += " (" + k.Why + ")"
	}
	if c.version == v2 {
		d.Auth = map[string]any{"mode": implicit}
	} else {
		d.AuthMode = implicit
	}
	public, err := x509.ParsePKIXPublicKey(k.PublicKey)
	if err != nil {
		return d, fmt.Errorf("key %s: %w", k.ID, err)
	}
	switch p := public.(type) {
	case *rsa.PublicKey:
		d.Key.Len = p.N.BitLen()
	case *ecdsa.PublicKey:
		d.Key.Len, d.Key.Curve = p.Curve.Params().BitSize, curves[p.Curve]
	}
	d.Cert, err = c.certificates(k.Chain, s.Now())
	return d, err
}

// certificates are those of a key, as far as the request asks for them: its own by default.
func (c *call) certificates(chain [][]byte, now time.Time) (a certAnswer, err error) {
	which, err := c.in.text("certificates")
	if err != nil {
		return a, err
	}
	described, err := c.in.truth("certInfo")
	if err != nil {
		return a, err
	}
	switch {
	case which != "" && which != "none" && which != "single" && which != "chain":
		return a, invalid("Invalid parameter certificates")
	case len(chain) == 0:
		return a, nil
	case which == "" || which == "single":
		a.Certificates = encoded(chain[:1])
	case which == "chain":
		a.Certificates = encoded(chain)
	}
	own, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return a, fmt.Errorf("certificate: %w", err)
	}
	if a.Status = "valid"; now.After(own.NotAfter) {
		a.Status = "expired"
	}
	if described {
		const generalized = "20060102150405Z"
		a.IssuerDN, a.SubjectDN, a.Serial = own.Issuer.String(), own.Subject.String(), own.SerialNumber.Text(16)
		a.ValidFrom, a.ValidTo = own.NotBefore.UTC().Format(generalized), own.NotAfter.UTC().Format(generalized)
	}
	return a, nil
}

// fitting is a mechanism of the key that signs hashes of this length, else any that does: which one the caller will
// name is known when it signs.
func fitting(k gateway.KeyDescription, size int) mechanism.Mechanism {
	for _, m := range k.Mechanisms {
		if m.Hash().Size() == size {
			return m
		}
	}
	for _, a := range algorithms {
		if a.mechanism.Hash().Size() == size {
			return a.mechanism
		}
	}
	return ""
}
