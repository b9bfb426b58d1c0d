package vectors

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/judge"
	"trustcore/verify/path"
)

// A chainCase is a case of kind chain; the contract explains the fields.
type chainCase struct {
	ID          any            `json:"id"`
	Certificate []byte         `json:"certificate"`
	Untrusted   [][]byte       `json:"untrusted"`
	Anchors     [][]byte       `json:"anchors"`
	CRLs        [][]byte       `json:"crls"`
	OCSP        [][]byte       `json:"ocsp"`
	Time        time.Time      `json:"time"`
	Revocation  string         `json:"revocation"`
	FreshnessS  *float64       `json:"freshness_s"`
	IssuedAfter *time.Time     `json:"issued_after"`
	Policies    policyCase     `json:"policies"`
	EKU         []string       `json:"eku"`
	Name        *referenceCase `json:"name"`
	MaxDepth    *int           `json:"max_depth"`
	Profile     string         `json:"profile"`
	Weak        string         `json:"weak_algorithms"`
	Constraints bool           `json:"anchor_constraints"`
	Validity    bool           `json:"anchor_validity"`
	AnchorsNeed bool           `json:"anchor_basic_constraints"`
}

type policyCase struct {
	Initial        []string `json:"initial"`
	Explicit       bool     `json:"explicit"`
	InhibitMapping bool     `json:"inhibit_mapping"`
	InhibitAny     bool     `json:"inhibit_any"`
}

type referenceCase struct {
	DNS   string `json:"dns"`
	IP    string `json:"ip"`
	Email string `json:"email"`
}

// A chainResult answers it.
type chainResult struct {
	ID                any      `json:"id"`
	Valid             bool     `json:"valid"`
	Reason            string   `json:"reason"`
	SubIndication     string   `json:"sub_indication"`
	AuthorityPolicies []string `json:"authority_policies"`
	UserPolicies      []string `json:"user_policies"`
}

func judgeChain(line []byte) (any, error) {
	var c chainCase
	if err := json.Unmarshal(line, &c); err != nil {
		return nil, fmt.Errorf("case: %w", err)
	}
	result := chainResult{ID: c.ID, AuthorityPolicies: []string{}, UserPolicies: []string{}}
	request, err := c.request()
	if err != nil {
		return nil, err
	}
	if request.Target, err = certificate.Parse(c.Certificate); err != nil {
		result.Reason = "target: " + err.Error()
		result.SubIndication = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
		return result, nil
	}
	answer := path.Validate(context.Background(), request)
	result.Valid = answer.Valid
	if !answer.Valid {
		reasons := make([]string, len(answer.Reasons))
		for i, r := range answer.Reasons {
			reasons[i] = r.String()
		}
		result.Reason = strings.Join(reasons, "; ")
		result.SubIndication = string(judge.OfPath(answer.Reason()))
	}
	result.AuthorityPolicies = policyNames(answer.AuthorityPolicies)
	result.UserPolicies = policyNames(answer.UserPolicies)
	return result, nil
}

func policyNames(policies []certificate.OID) []string {
	names := make([]string, len(policies))
	for i, p := range policies {
		if names[i] = p.String(); p == certificate.AnyPolicy {
			names[i] = "any"
		}
	}
	return names
}

// request turns the case into a question, all but the target. Certificates of the heap that cannot be read are left out:
// one valid path is enough.
func (c *chainCase) request() (path.Request, error) {
	r := path.Request{Time: c.Time, MaxDepth: c.MaxDepth}
	var err error
	if r.Anchors, err = c.anchors(); err != nil {
		return r, err
	}
	var heap []*certificate.Certificate
	for _, der := range c.Untrusted {
		if parsed, err := certificate.Parse(der); err == nil {
			heap = append(heap, parsed)
		}
	}
	r.Pool = path.NewPool(heap...)
	if r.Policies, err = c.Policies.inputs(); err != nil {
		return r, err
	}
	if r.Purposes, err = parseOIDs(c.EKU); err != nil {
		return r, err
	}
	if r.Name, err = c.Name.reference(); err != nil {
		return r, err
	}
	profiles := map[string]path.Profile{"": path.ProfilePath, "path": path.ProfilePath, "strict": path.ProfileStrict, "server": path.ProfileServer}
	var ok bool
	if r.Profile, ok = profiles[c.Profile]; !ok {
		return r, fmt.Errorf("unknown profile %q", c.Profile)
	}
	switch c.Weak {
	case "", "accept":
	case "refuse":
		r.Algorithm = refuseWeak
	default:
		return r, fmt.Errorf("unknown weak_algorithms %q", c.Weak)
	}
	r.Revocation, err = c.revocation()
	return r, err
}

// anchors makes the set of anchors; one that cannot be read or used is left out.
func (c *chainCase) anchors() (*path.Anchors, error) {
	var list []path.Anchor
	for _, der := range c.Anchors {
		parsed, err := certificate.Parse(der)
		if err != nil {
			continue
		}
		a, err := path.AnchorFrom(parsed)
		if err != nil {
			continue
		}
		a.Constraints, a.BasicConstraints, a.Validity = c.Constraints, c.AnchorsNeed, c.Validity
		list = append(list, a)
	}
	return path.NewAnchors(list...)
}

func (p policyCase) inputs() (path.Policies, error) {
	in := path.Policies{RequireExplicit: p.Explicit, InhibitMapping: p.InhibitMapping, InhibitAny: p.InhibitAny}
	if p.Initial == nil {
		return in, nil
	}
	in.Initial = []certificate.OID{}
	for _, name := range p.Initial {
		if name == "any" {
			in.Initial = append(in.Initial, certificate.AnyPolicy)
			continue
		}
		id, err := certificate.ParseOID(name)
		if err != nil {
			return in, fmt.Errorf("policy %q: %w", name, err)
		}
		in.Initial = append(in.Initial, id)
	}
	return in, nil
}

func parseOIDs(names []string) ([]certificate.OID, error) {
	var ids []certificate.OID
	for _, name := range names {
		id, err := certificate.ParseOID(name)
		if err != nil {
			return nil, fmt.Errorf("purpose %q: %w", name, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (n *referenceCase) reference() (*path.ReferenceName, error) {
	switch {
	case n == nil:
		return nil, nil
	case n.IP != "":
		address, err := netip.ParseAddr(n.IP)
		if err != nil {
			return nil, fmt.Errorf("name: %w", err)
		}
		return &path.ReferenceName{IP: address}, nil
	case n.DNS == "" && n.Email == "":
		return nil, fmt.Errorf("name without a value")
	}
	return &path.ReferenceName{DNS: n.DNS, Email: n.Email}, nil
}

// refuseWeak is weak_algorithms 'refuse'.
func refuseWeak(name string, bits int, _ time.Time) (bool, string) {
	for _, hash := range []string{"-MD2", "-MD4", "-MD5", "-SHA1"} {
		if strings.HasSuffix(name, hash) {
			return false, name
		}
	}
	if (strings.HasPrefix(name, "RSA") || strings.HasPrefix(name, "DSA")) && bits < 1024 {
		return false, fmt.Sprintf("%s with a key of %d bits", name, bits)
	}
	return true, ""
}
