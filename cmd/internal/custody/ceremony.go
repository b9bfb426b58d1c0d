package custody

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/internal/durable"
	"trustcore/pki"
	"trustcore/pki/ceremony"
)

// Perform carries a ceremony out with keys of the HSM and leaves certificates, list and transcript in the state. It refuses to begin
// where a ceremony was performed before, and without the signatures of people whose keys the plan has.
func (c *Custody) Perform(ctx context.Context, plan *ceremony.Plan, signatures ...ceremony.Signature) (result *ceremony.Result, err error) {
	if _, err := os.Stat(c.pki(keysFile)); err == nil {
		return nil, errors.New("a ceremony was performed here before: its keys are in use; who is locked out gets new certificates by `trustctl break-glass`")
	}
	if plan, err = c.agreed(plan, signatures); err != nil {
		return nil, err
	}
	err = c.act(ctx, "ceremony.perform", plan.Title, plan.Facts(), func() error {
		result, err = c.perform(ctx, plan)
		return err
	})
	return result, err
}

func (c *Custody) perform(ctx context.Context, plan *ceremony.Plan) (*ceremony.Result, error) {
	if err := c.spend(plan); err != nil {
		return nil, err
	}
	result, err := ceremony.Perform(ctx, plan, c.makeKey, c.cfg.Now)
	if err != nil {
		return nil, err
	}
	records, err := recordsOf(result.Transcript, 1)
	if err != nil {
		return nil, err
	}
	keys := map[string]string{"root": result.Root.KeyID, "issuing": result.Issuing.KeyID, "ocsp": result.OCSP.KeyID}
	files := map[string][]byte{
		rootFile: PEM(result.Root.Certificate.Raw), issuingFile: PEM(result.Issuing.Certificate.Raw),
		ocspFile: PEM(result.OCSP.Certificate.Raw), rootCRLFile: result.RootCRL,
	}
	maps.Copy(files, records)
	if files[numbered("issuing", 1)+".json"], err = meantBy(plan); err != nil {
		return nil, err
	}
	if result.TimeStamping != nil {
		keys["time-stamping"] = result.TimeStamping.KeyID
		files[tsaFile] = PEM(result.TimeStamping.Certificate.Raw)
	}
	if err := c.writeAll(files); err != nil {
		return nil, err
	}
	return result, c.writeKeys(keys)
}

// writeKeys comes last: what stands in the file is there.
func (c *Custody) writeKeys(keys map[string]string) error {
	text, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return fmt.Errorf("ceremony: %w", err)
	}
	return durable.WriteFile(c.pki(keysFile), text, 0o600)
}

// Succeed carries out the ceremony of a further issuing authority below the root that is here. trustd issues with it from its next
// start on; the one before goes on for its lists and answers to its last day.
// Where people of the ceremony before have keys, as many of them agree as their plan says.
func (c *Custody) Succeed(ctx context.Context, plan *ceremony.Plan, signatures ...ceremony.Signature) (*ceremony.Result, error) {
	keys, err := c.keys()
	if err != nil {
		return nil, err
	}
	if plan.BaseURL != c.cfg.PKIURL {
		return nil, fmt.Errorf("plan: base_url is %q; write pki_url of the configuration, %q", plan.BaseURL, c.cfg.PKIURL)
	}
	n := authorities(keys) + 1
	root := ceremony.Authority{KeyID: keys["root"]}
	if root.Certificate, err = ReadCertificate(c.pki(rootFile)); err != nil {
		return nil, err
	}
	if root.Key, err = c.openKey(ctx, keys["root"]); err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	if plan, err = c.agreed(plan, signatures); err != nil {
		return nil, err
	}
	var result *ceremony.Result
	err = c.act(ctx, "ceremony.succeed", numbered("issuing", n), plan.Facts(), func() error {
		result, err = c.succeed(ctx, plan, n, root, keys)
		return err
	})
	return result, err
}

func (c *Custody) succeed(ctx context.Context, plan *ceremony.Plan, n int, root ceremony.Authority,
	keys map[string]string) (*ceremony.Result, error) {
	if err := c.spend(plan); err != nil {
		return nil, err
	}
	result, err := ceremony.Succeed(ctx, plan, numbered("issuing", n), root, c.makeKey, c.cfg.Now)
	if err != nil {
		return nil, err
	}
	files, err := recordsOf(result.Transcript, n)
	if err != nil {
		return nil, err
	}
	said, err := meantBy(plan)
	if err != nil {
		return nil, err
	}
	issuing, ocsp := numbered("issuing", n), numbered("ocsp", n)
	files[issuing+".json"], files[issuing+".pem"], files[ocsp+".pem"] = said, PEM(result.Issuing.Certificate.Raw), PEM(result.OCSP.Certificate.Raw)
	if err := c.writeAll(files); err != nil {
		return nil, err
	}
	keys[numbered("issuing", n)], keys[numbered("ocsp", n)] = result.Issuing.KeyID, result.OCSP.KeyID
	return result, c.writeKeys(keys)
}

func (c *Custody) makeKey(ctx context.Context, label, algorithm string) (string, crypto.Signer, map[string]string, error) {
	actor := audit.Actor{Kind: "daemon", ID: "ceremony"}
	info, err := c.HSM.Generate(ctx, actor, hsm.KeySpec{Label: label, Algorithm: hsm.Algorithm(algorithm)})
	if err != nil {
		return "", nil, nil, err
	}
	key, err := c.HSM.Signer(ctx, info.ID)
	if err != nil {
		return "", nil, nil, err
	}
	return info.ID, key, attributes(info.Attestation), nil
}

// attributes names what the token attests, as the transcript writes it.
func attributes(a hsm.Attestation) map[string]string {
	return map[string]string{
		"CKA_PRIVATE": strconv.FormatBool(a.Private), "CKA_SENSITIVE": strconv.FormatBool(a.Sensitive),
		"CKA_ALWAYS_SENSITIVE": strconv.FormatBool(a.AlwaysSensitive), "CKA_EXTRACTABLE": strconv.FormatBool(a.Extractable),
		"CKA_NEVER_EXTRACTABLE": strconv.FormatBool(a.NeverExtractable), "CKA_LOCAL": strconv.FormatBool(a.Local),
	}
}

// IssueIdentity makes a key pair on this machine, has the authority certify it, and writes NAME.key
// (0600) and NAME.pem into dir. An identity that is there already is left alone.
func (c *Custody) IssueIdentity(ctx context.Context, ca *pki.CA, profile pki.Profile, subject pki.Subject, dir, name string) error {
	certificate, key := filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	if _, err := os.Stat(certificate); err == nil {
		return nil
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("identity %s: %w", name, err)
	}
	request, keyPEM, err := newRequest(subject.CommonName)
	if err != nil {
		return fmt.Errorf("identity %s: %w", name, err)
	}
	issued, err := ca.Issue(ctx, audit.Actor{Kind: "daemon", ID: "ceremony"}, profile, request, subject, "")
	if err != nil {
		return fmt.Errorf("identity %s: %w", name, err)
	}
	above, err := ca.Chain(issued)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(key, keyPEM, 0o600); err != nil {
		return fmt.Errorf("identity %s: %w", name, err)
	}
	return durable.WriteFile(certificate, PEM(append([][]byte{issued.Raw}, above...)...), 0o600)
}
