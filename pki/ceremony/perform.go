package ceremony

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"trustcore/pki/crl"
	"trustcore/pki/profile"
)

// MakeKey makes a key in the HSM and returns its id there, a signer, and its PKCS#11 attributes as the token itself reports
// them, "true" or "false" by name: CKA_SENSITIVE and CKA_EXTRACTABLE at least.
type MakeKey func(ctx context.Context, label, algorithm string) (keyID string, key crypto.Signer, attributes map[string]string, err error)

// Authority is a key that the ceremony made, with its certificate.
type Authority struct {
	KeyID       string
	Key         crypto.Signer
	Certificate *x509.Certificate
}

// Result is what a ceremony leaves behind.
type Result struct {
	Root, Issuing, OCSP Authority
	TimeStamping        *Authority // nil when the plan has none
	RootCRL             []byte     // DER, number 1
	Transcript          *Transcript
}

// performance is one run of a plan, with the HSM's keys or with throw-away ones.
type performance struct {
	plan    *Plan
	makeKey MakeKey
	now     func() time.Time
	begun   time.Time
	name    string // of the issuing authority in URLs
	record  *Transcript
}

// Perform checks the plan as Lint does and carries it out. It refuses keys that could leave the HSM. When it fails half-way the
// keys that were made remain in the HSM: the error says which, and they must be removed there.
func Perform(ctx context.Context, plan *Plan, makeKey MakeKey, now func() time.Time) (*Result, error) {
	if plan == nil || makeKey == nil || now == nil {
		return nil, errors.New("ceremony: plan, makeKey or now is missing")
	}
	if plan.mode != whole {
		return nil, errors.New("ceremony: the plan is not one of a whole authority")
	}
	if err := plan.mayBegin(); err != nil {
		return nil, err
	}
	if err := Lint(ctx, plan, now); err != nil {
		return nil, err
	}
	return counting(makeKey, func(makeKey MakeKey) (*Result, error) { return perform(ctx, plan, makeKey, now) })
}

// counting performs, and says which keys were made when that fails half-way.
func counting(makeKey MakeKey, perform func(MakeKey) (*Result, error)) (*Result, error) {
	var made []string
	counted := func(ctx context.Context, label, algorithm string) (string, crypto.Signer, map[string]string, error) {
		id, key, attributes, err := makeKey(ctx, label, algorithm)
		if err == nil {
			made = append(made, label+" ("+id+")")
		}
		return id, key, attributes, err
	}
	result, err := perform(counted)
	if err != nil && len(made) > 0 {
		return nil, fmt.Errorf("ceremony: %w; keys made before that and to be removed: %s", err, strings.Join(made, ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("ceremony: %w", err)
	}
	return result, nil
}

func perform(ctx context.Context, plan *Plan, makeKey MakeKey, now func() time.Time) (*Result, error) {
	p := begin(plan, profile.FirstIssuing, makeKey, now)
	result := &Result{Transcript: p.record}
	var err error
	if result.Root, err = p.root(ctx); err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	if result.Issuing, err = p.issuing(ctx, result.Root); err != nil {
		return nil, fmt.Errorf("issuing: %w", err)
	}
	if result.OCSP, err = p.delegate(ctx, "ocsp", plan.OCSP, profile.OCSPResponder, result.Issuing); err != nil {
		return nil, fmt.Errorf("ocsp: %w", err)
	}
	if plan.TimeStamping != nil {
		unit, err := p.delegate(ctx, "time_stamping", *plan.TimeStamping, profile.TimeStamping, result.Issuing)
		if err != nil {
			return nil, fmt.Errorf("time_stamping: %w", err)
		}
		result.TimeStamping = &unit
	}
	if result.RootCRL, err = p.rootCRL(result.Root); err != nil {
		return nil, fmt.Errorf("root_crl: %w", err)
	}
	if err := p.record.close(result.Root, p.now()); err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return result, nil
}

func begin(plan *Plan, name string, makeKey MakeKey, now func() time.Time) *performance {
	p := &performance{plan: plan, name: name, makeKey: makeKey, now: now, begun: now().UTC().Truncate(time.Second),
		record: &Transcript{Plan: string(plan.source)}}
	facts := map[string]string{"title": p.plan.Title, "place": p.plan.Place, "plan_sha256": p.plan.Digest(), "base_url": p.plan.BaseURL}
	if plan.mode == rootAlone {
		facts["of"] = ofRootAlone
	}
	for i, a := range p.plan.Attendees {
		facts[fmt.Sprintf("attendee_%02d", i+1)] = a.Name + " (" + a.Role + ")"
	}
	p.record.add(p.begun, "plan accepted", facts)
	if plan.session != nil {
		p.record.open(plan.session, plan, p.begun)
	}
	return p
}

func (p *performance) root(ctx context.Context) (Authority, error) {
	a, err := p.key(ctx, "root", p.plan.Root)
	if err != nil {
		return Authority{}, err
	}
	template, err := profile.Authority(profile.Root, p.begun, p.plan.Root.Valid.After(p.begun), profile.Places{}, nil)
	if err != nil {
		return Authority{}, err
	}
	return p.certify("root", p.plan.Root, template, Authority{Certificate: template, Key: a.Key}, a)
}

func (p *performance) issuing(ctx context.Context, root Authority) (Authority, error) {
	a, err := p.key(ctx, "issuing", p.plan.Issuing)
	if err != nil {
		return Authority{}, err
	}
	template, err := profile.Authority(profile.Issuing, p.begun, p.plan.Issuing.Valid.After(p.begun),
		profile.RootPlaces(p.plan.BaseURL, profile.FirstRoot), p.plan.For())
	if err != nil {
		return Authority{}, err
	}
	return p.certify("issuing", p.plan.Issuing, template, root, a)
}

func (p *performance) delegate(ctx context.Context, name string, key Key, kind profile.Profile, issuing Authority) (Authority, error) {
	a, err := p.key(ctx, name, key)
	if err != nil {
		return Authority{}, err
	}
	template, err := kind.Template(p.begun, key.Valid.After(p.begun), profile.PlacesOf(p.plan.BaseURL, p.name))
	if err != nil {
		return Authority{}, err
	}
	return p.certify(name, key, template, issuing, a)
}

// key makes a key and refuses it unless the token says that it can't leave.
func (p *performance) key(ctx context.Context, name string, key Key) (Authority, error) {
	id, signer, attributes, err := p.makeKey(ctx, key.Label, key.Algorithm)
	if err != nil {
		return Authority{}, fmt.Errorf("making the key %s: %w", key.Label, err)
	}
	if err := checkAttributes(attributes); err != nil {
		return Authority{}, fmt.Errorf("key %s (%s) is refused: %w", key.Label, id, err)
	}
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return Authority{}, fmt.Errorf("key %s: %w", key.Label, err)
	}
	sum := sha256.Sum256(spki)
	facts := map[string]string{"label": key.Label, "algorithm": key.Algorithm, "key_id": id, "public_key_sha256": hex.EncodeToString(sum[:])}
	for attribute, value := range attributes {
		facts["attribute "+attribute] = value
	}
	p.record.add(p.now(), name+" key made", facts)
	return Authority{KeyID: id, Key: signer}, nil
}

// certify signs the template for the authority's key with the issuer's, and writes it down.
func (p *performance) certify(name string, key Key, template *x509.Certificate, issuer, a Authority) (Authority, error) {
	serial, err := profile.NewSerial()
	if err != nil {
		return Authority{}, err
	}
	if template.SubjectKeyId, err = profile.KeyID(a.Key.Public()); err != nil {
		return Authority{}, err
	}
	template.SerialNumber = serial
	template.Subject = pkix.Name{CommonName: key.CommonName, Organization: []string{p.plan.Organization}, Country: []string{p.plan.Country}}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Certificate, a.Key.Public(), issuer.Key)
	if err != nil {
		return Authority{}, fmt.Errorf("signing the certificate: %w", err)
	}
	if a.Certificate, err = x509.ParseCertificate(der); err != nil {
		return Authority{}, fmt.Errorf("reading the certificate back: %w", err)
	}
	p.record.add(p.now(), name+" certificate signed", certificateFacts(a.Certificate))
	return a, nil
}

func (p *performance) rootCRL(root Authority) ([]byte, error) {
	der, err := crl.Create(root.Certificate, root.Key, crl.List{Number: big.NewInt(1), ThisUpdate: p.begun,
		NextUpdate: p.plan.RootCRL.After(p.begun), KeptSince: root.Certificate.NotBefore})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	p.record.add(p.now(), "root list signed", map[string]string{"crl_number": "1", "sha256": hex.EncodeToString(sum[:]),
		"next_update": p.plan.RootCRL.After(p.begun).Format(time.RFC3339)})
	return der, nil
}

// checkAttributes refuses a key that could leave the HSM, or whose token does not say.
func checkAttributes(attributes map[string]string) error {
	must := map[string]string{"SENSITIVE": "true", "EXTRACTABLE": "false"}
	ifSaid := map[string]string{"ALWAYS_SENSITIVE": "true", "NEVER_EXTRACTABLE": "true", "LOCAL": "true"}
	said := map[string]string{}
	for name, value := range attributes {
		said[strings.TrimPrefix(strings.ToUpper(name), "CKA_")] = strings.ToLower(value)
	}
	var wrong []string
	for name, want := range must {
		if got, ok := said[name]; !ok {
			wrong = append(wrong, "the token does not report CKA_"+name)
		} else if got != want {
			wrong = append(wrong, fmt.Sprintf("CKA_%s is %s", name, got))
		}
	}
	for name, want := range ifSaid {
		if got, ok := said[name]; ok && got != want {
			wrong = append(wrong, fmt.Sprintf("CKA_%s is %s", name, got))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return errors.New(strings.Join(wrong, ", "))
}
