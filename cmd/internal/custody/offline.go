package custody

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/durable"
	"trustcore/pki/ceremony"
	"trustcore/pki/crl"
	"trustcore/pki/profile"
)

// Files of exchanges between the machine of a root and the one of trustd.
const (
	openFile      = "request.json" // the request that waits for its answer
	rootNameFile  = "root.json"    // on the root's machine: its name in URLs
	requestOf     = "request-%s.json"
	answerOf      = "answer-%s.json"
	answersByRoot = "granted-%s.json" // on the root's machine, by the request's digest
)

// opened is the request that waits for its answer.
type opened struct {
	Request []byte `json:"request"`
	KeyID   string `json:"key_id"`          // of the authority, in this token
	Cross   string `json:"cross,omitempty"` // the authority that asks for another root's certificate
}

// twoOf refuses who are not two different people of the plan: one person does no ceremony.
func twoOf(plan *ceremony.Plan, by []string) error {
	var seen []string
	for _, name := range by {
		name = strings.TrimSpace(name)
		if !slices.ContainsFunc(plan.Attendees, func(a ceremony.Attendee) bool { return a.Name == name }) {
			return fmt.Errorf("by: %q is none of the plan's attendees", name)
		}
		if !slices.ContainsFunc(seen, func(other string) bool { return strings.EqualFold(other, name) }) {
			seen = append(seen, name)
		}
	}
	if len(seen) < 2 {
		return errors.New("by: name two different attendees of the plan who do this together")
	}
	return nil
}

// act is audited as an act of the ceremony's people.
func (c *Custody) act(ctx context.Context, action, subject string, details map[string]string, do func() error) error {
	return c.Audit.Act(ctx, audit.Entry{Actor: audit.Actor{Kind: "officer", ID: "ceremony"}, Action: action, Subject: subject, Details: details},
		c.cfg.Now, do)
}

// PerformRoot makes a root on a machine of its own; name is the root's in URLs: root, or root-2 for a second one.
func (c *Custody) PerformRoot(ctx context.Context, plan *ceremony.Plan, name string, signatures ...ceremony.Signature) (
	result *ceremony.Result, err error) {
	if _, err := os.Stat(c.pki(keysFile)); err == nil {
		return nil, errors.New("a ceremony was performed here before: its keys are in use")
	}
	if !isRootName(name) {
		return nil, fmt.Errorf("name: %q can't be used; write root, or root-2 for the second one", name)
	}
	if plan, err = c.agreed(plan, signatures); err != nil {
		return nil, err
	}
	err = c.act(ctx, "ceremony.root", plan.Title, plan.Facts(), func() error {
		result, err = c.performRoot(ctx, plan, name)
		return err
	})
	return result, err
}

func (c *Custody) performRoot(ctx context.Context, plan *ceremony.Plan, name string) (*ceremony.Result, error) {
	if err := c.spend(plan); err != nil {
		return nil, err
	}
	result, err := ceremony.PerformRoot(ctx, plan, c.makeKey, c.cfg.Now)
	if err != nil {
		return nil, err
	}
	files, err := recordsOf(result.Transcript, 1)
	if err != nil {
		return nil, err
	}
	said, err := json.Marshal(name)
	if err != nil {
		return nil, err
	}
	files[rootFile], files[rootCRLFile], files[rootNameFile] = PEM(result.Root.Certificate.Raw), result.RootCRL, said
	if err := c.writeAll(files); err != nil {
		return nil, err
	}
	return result, c.writeKeys(map[string]string{"root": result.Root.KeyID})
}

func isRootName(name string) bool {
	for n := 1; n < 100; n++ {
		if name == numbered("root", n) {
			return true
		}
	}
	return false
}

func (c *Custody) writeAll(files map[string][]byte) error {
	if err := durable.MkdirAll(c.pki(""), 0o700); err != nil {
		return fmt.Errorf("ceremony: %w", err)
	}
	for name, content := range files {
		if err := durable.WriteFile(c.pki(name), content, 0o600); err != nil {
			return fmt.Errorf("ceremony: %w", err)
		}
	}
	return nil
}

// Ask makes the request for an issuing authority of a plan, whose key is made in this token, or for another root's certificate for the
// authority called cross, which may be a root that is here or elsewhere. One waits for its answer at a time; asked again by the same plan it is the same request.
func (c *Custody) Ask(ctx context.Context, plan *ceremony.Plan, planText []byte, cross string) ([]byte, error) {
	open, err := c.opened()
	if err == nil {
		r, err := ceremony.ReadRequest(open.Request)
		if err != nil || r.Plan != string(planText) || open.Cross != cross {
			return nil, errors.Join(err, fmt.Errorf("another request waits for its answer: import that, or give it up by removing %s", c.pki(openFile)))
		}
		return open.Request, nil
	}
	if !errors.Is(err, ErrNoRequest) {
		return nil, err
	}
	if plan.BaseURL != c.cfg.PKIURL {
		return nil, fmt.Errorf("plan: base_url is %q; write pki_url of the configuration, %q", plan.BaseURL, c.cfg.PKIURL)
	}
	subject := plan.Issuing.CommonName
	if isRootName(cross) {
		subject = plan.Root.CommonName
	}
	if subject == "" {
		return nil, errors.New("plan: it is about a root: a root that is made has no request; name one that is here by --cross root")
	}
	var request []byte
	err = c.act(ctx, "ceremony.request", subject, map[string]string{"plan_sha256": plan.Digest(), "cross": cross}, func() error {
		var keyID string
		if request, keyID, err = c.request(ctx, plan, cross); err != nil {
			return err
		}
		if _, err := ceremony.ReadRequest(request); err != nil { // a plan of another name than the authority's
			return err
		}
		text, err := json.Marshal(opened{request, keyID, cross})
		if err != nil {
			return err
		}
		return c.writeAll(map[string][]byte{openFile: text})
	})
	return request, err
}

// request is what Ask asks, and the key in this token that it is for.
func (c *Custody) request(ctx context.Context, plan *ceremony.Plan, cross string) (request []byte, keyID string, err error) {
	if isRootName(cross) {
		root, err := ReadCertificate(c.pki(cross + ".pem"))
		if err != nil {
			return nil, "", fmt.Errorf("cross: %w", err)
		}
		request, err = ceremony.AskForRoot(plan, root)
		return request, "", err
	}
	var key ceremony.Authority
	if cross == "" {
		key, err = ceremony.MakeIssuingKey(ctx, plan, c.makeKey, c.cfg.Now)
	} else {
		key, err = c.authority(ctx, cross)
	}
	if err != nil {
		return nil, "", err
	}
	request, err = ceremony.Ask(plan, key.Key, key.Certificate)
	return request, key.KeyID, err
}

// authority is an issuing authority that is here.
func (c *Custody) authority(ctx context.Context, name string) (a ceremony.Authority, err error) {
	keys, err := c.keys()
	if err != nil {
		return a, err
	}
	if a.KeyID = keys[name]; a.KeyID == "" || !strings.HasPrefix(name, "issuing") {
		return a, fmt.Errorf("cross: there is no issuing authority %q", name)
	}
	if a.Certificate, err = ReadCertificate(c.pki(name + ".pem")); err == nil {
		a.Key, err = c.openKey(ctx, a.KeyID)
	}
	return a, err
}

// ErrNoRequest says that no request waits for an answer.
var ErrNoRequest = errors.New("no request waits for an answer here: it was imported before, or was made elsewhere")

func (c *Custody) opened() (o opened, err error) {
	text, err := os.ReadFile(c.pki(openFile))
	if errors.Is(err, fs.ErrNotExist) {
		return o, ErrNoRequest
	}
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	return o, err
}

// root is the root whose key is in this token.
func (c *Custody) root(ctx context.Context) (root ceremony.Authority, name string, err error) {
	keys, err := c.anyKeys()
	if err != nil {
		return root, "", err
	}
	if root.KeyID = keys["root"]; root.KeyID == "" {
		return root, "", errors.New("the root's key is not here: do this on its machine")
	}
	if root.Certificate, err = ReadCertificate(c.pki(rootFile)); err == nil {
		root.Key, err = c.openKey(ctx, root.KeyID)
	}
	if err != nil {
		return root, "", fmt.Errorf("root: %w", err)
	}
	name = profile.FirstRoot
	text, err := os.ReadFile(c.pki(rootNameFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return root, name, nil
	case err == nil:
		err = json.Unmarshal(text, &name)
	}
	return root, name, err
}

// Grant has the root that is here answer a request whose digest people brought on paper. The people of the root's ceremony sign for it, or
// where they have no keys two of the request's plan are named. The same request gets the same answer again.
func (c *Custody) Grant(ctx context.Context, request []byte, digest string, names []string, signatures ...ceremony.Signature) (
	answer []byte, err error) {
	if err := ceremony.CheckDigest(request, digest); err != nil {
		return nil, err
	}
	r, err := ceremony.ReadRequest(request)
	if err != nil {
		return nil, err
	}
	before, err := c.peopleBefore()
	if err == nil {
		names, err = by(before.Plan, r.Written(), GrantAct, request, names, signatures)
	}
	if err != nil {
		return nil, err
	}
	kept := fmt.Sprintf(answersByRoot, ceremony.Digest(request))
	if answer, err = os.ReadFile(c.pki(kept)); !errors.Is(err, fs.ErrNotExist) {
		return answer, err
	}
	root, name, err := c.root(ctx)
	if err != nil {
		return nil, err
	}
	list, err := os.ReadFile(c.pki(rootCRLFile))
	if err != nil {
		return nil, err
	}
	details := map[string]string{"request_sha256": ceremony.Digest(request), "plan_sha256": r.Written().Digest(), "by": strings.Join(names, ", ")}
	err = c.act(ctx, "ceremony.grant", r.Subject(), details, func() error {
		if answer, _, err = ceremony.Grant(request, root, name, list, c.cfg.Now()); err != nil {
			return err
		}
		return c.writeAll(map[string][]byte{kept: answer})
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// Import takes the answer to the request that waits, whose digest people brought on paper, and makes what stands below the authority.
// The people of the request's plan sign for it, or where they have no keys two of them are named. first reports that it is the first one here.
func (c *Custody) Import(ctx context.Context, answer []byte, digest string, names []string, signatures ...ceremony.Signature) (
	granted *ceremony.Granted, first bool, err error) {
	if err := ceremony.CheckDigest(answer, digest); err != nil {
		return nil, false, err
	}
	open, err := c.opened()
	if err != nil {
		return nil, false, err
	}
	if granted, err = ceremony.ReadAnswer(answer, open.Request); err != nil {
		return nil, false, err
	}
	r, err := ceremony.ReadRequest(open.Request)
	if err == nil {
		names, err = by(r.Written(), r.Written(), ImportAct, answer, names, signatures)
	}
	if err != nil {
		return nil, false, err
	}
	keys, err := c.anyKeys()
	if errors.Is(err, ErrNoCeremony) {
		keys, err, first = map[string]string{}, nil, true
	}
	if err != nil {
		return nil, false, err
	}
	files, err := c.rootFiles(granted)
	if err != nil {
		return nil, false, err
	}
	details := map[string]string{"answer_sha256": ceremony.Digest(answer), "root_sha256": ceremony.Digest(granted.Root.Raw), "by": strings.Join(names, ", ")}
	err = c.act(ctx, "ceremony.import", granted.Certificate.Subject.CommonName, details, func() error {
		name := open.Cross
		if name == "" {
			name = numbered("issuing", authorities(keys)+1)
			if err := c.below(ctx, r.Written(), name, granted, open, keys, files); err != nil {
				return err
			}
		} else {
			files[crossFile(name, granted.Name)] = PEM(granted.Certificate.Raw)
		}
		files[fmt.Sprintf(requestOf, name+"-by-"+granted.Name)], files[fmt.Sprintf(answerOf, name+"-by-"+granted.Name)] = open.Request, answer
		if err := c.writeAll(files); err != nil {
			return err
		}
		if err := c.writeKeys(keys); err != nil {
			return err
		}
		return os.Remove(c.pki(openFile))
	})
	return granted, first, err
}

// rootFiles are the files of the answer's root: of one that is here the certificate has to be the same, a new one gets the next name.
func (c *Custody) rootFiles(g *ceremony.Granted) (map[string][]byte, error) {
	for n := 1; ; n++ {
		name := numbered("root", n)
		here, err := ReadCertificate(c.pki(name + ".pem"))
		if errors.Is(err, fs.ErrNotExist) {
			if g.Name != name {
				return nil, fmt.Errorf("answer: its root is called %s, and the next one here is %s: make it with --name %[2]s", g.Name, name)
			}
			return map[string][]byte{name + ".pem": PEM(g.Root.Raw), name + ".crl": g.List}, nil
		}
		if err != nil {
			return nil, err
		}
		if same := bytes.Equal(here.Raw, g.Root.Raw); same != (g.Name == name) {
			return nil, fmt.Errorf("answer: its root is not the one that is here as %s", name)
		} else if same {
			return map[string][]byte{}, nil
		}
	}
}

// below makes the delegates of a new authority, and adds its files and keys.
func (c *Custody) below(ctx context.Context, plan *ceremony.Plan, name string, g *ceremony.Granted, open opened, keys map[string]string,
	files map[string][]byte) error {
	key, err := c.openKey(ctx, open.KeyID)
	if err != nil {
		return err
	}
	result, err := ceremony.Complete(ctx, plan, name, ceremony.Authority{KeyID: open.KeyID, Key: key, Certificate: g.Certificate}, c.makeKey, c.cfg.Now)
	if err != nil {
		return err
	}
	said, err := meantBy(plan)
	if err != nil {
		return err
	}
	ocsp := strings.Replace(name, "issuing", "ocsp", 1)
	files[name+".json"], files[name+".pem"], files[ocsp+".pem"] = said, PEM(g.Certificate.Raw), PEM(result.OCSP.Certificate.Raw)
	keys[name], keys[ocsp] = open.KeyID, result.OCSP.KeyID
	if result.TimeStamping != nil {
		files[tsaFile], keys["time-stamping"] = PEM(result.TimeStamping.Certificate.Raw), result.TimeStamping.KeyID
	}
	return nil
}

// NextRootList has the root that is here sign its next list, with the certificates that are revoked beside those of the list before. Where
// the people of the root's ceremony have keys, they sign for it: see ListMessages.
func (c *Custody) NextRootList(ctx context.Context, until time.Time, revoked []*x509.Certificate, reason int, signatures ...ceremony.Signature) (
	list []byte, err error) {
	root, _, err := c.root(ctx)
	if err != nil {
		return nil, err
	}
	before, err := os.ReadFile(c.pki(rootCRLFile))
	if err != nil {
		return nil, err
	}
	details := map[string]string{"until": until.UTC().Format(time.RFC3339)}
	people, err := c.peopleBefore()
	if err == nil && people.Plan != nil {
		var names []string
		names, err = people.Plan.ActBy(ListAct, meantList(before, until, revoked, reason), signatures)
		details["by"] = strings.Join(names, ", ")
	}
	if err != nil {
		return nil, err
	}
	var entries []crl.Entry
	for _, r := range revoked {
		if err := r.CheckSignatureFrom(root.Certificate); err != nil {
			return nil, fmt.Errorf("revoke: %s is not from this root: %w", r.Subject.CommonName, err)
		}
		entries = append(entries, crl.Entry{Serial: new(big.Int).Set(r.SerialNumber), RevokedAt: c.cfg.Now(), Reason: reason})
		details["revoked "+r.SerialNumber.Text(16)] = r.Subject.CommonName
	}
	err = c.act(ctx, "ceremony.list", root.Certificate.Subject.CommonName, details, func() error {
		if list, err = ceremony.NextList(root, before, entries, until, c.cfg.Now()); err != nil {
			return err
		}
		return c.writeAll(map[string][]byte{rootCRLFile: list})
	})
	return list, err
}

// Imported reads what was imported, and checks that each is signed by its root still: what a ceremony here has a transcript for.
func Imported(cfg Config) (all []*ceremony.Granted, err error) {
	c := &Custody{dir: cfg.StateDir}
	files, err := filepath.Glob(c.pki(fmt.Sprintf(answerOf, "*")))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "answer-"), ".json")
		answer, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		request, err := os.ReadFile(c.pki(fmt.Sprintf(requestOf, name)))
		if err != nil {
			return nil, err
		}
		g, err := ceremony.ReadAnswer(answer, request)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		here, err := ReadCertificate(c.pki(g.Name + ".pem"))
		if err != nil {
			return nil, err
		}
		if !here.Equal(g.Root) {
			return nil, fmt.Errorf("%s: its root is not the one that is here as %s", file, g.Name)
		}
		all = append(all, g)
	}
	return all, nil
}
