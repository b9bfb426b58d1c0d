package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/internal/cms"
	"trustcore/internal/problem"
)

// What officers do with the keys of offices: one suspends, at once; to resume and to destroy takes two. The keys of the
// authority itself are nobody's here.

// keysAct is the body of a motion about keys.
type keysAct struct {
	Keys   []string `json:"keys"`
	Reason string   `json:"reason"`

	// Of rotations: from when on the next versions sign, at once where it is zero, and their numbers, in the order of Keys.
	SignsOn time.Time `json:"signs_on,omitzero"`
	Numbers []int     `json:"numbers,omitempty"`
}

// Bounds of what one request says of keys.
const (
	maxActKeys = 32
	maxReason  = 200 // bytes
)

// reasonFor refuses an act without a reason that people can read.
func reasonFor(reason string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > maxReason {
		return problem.RefuseField(http.StatusUnprocessableEntity, "reason", "say why, in at most %d bytes: the audit log has it", maxReason)
	}
	return nil
}

// officesKey is a key of an office.
func (d *daemon) officesKey(ctx context.Context, id string) (hsm.KeyInfo, error) {
	k, err := d.custody.HSM.Key(ctx, id)
	if errors.Is(err, hsm.ErrUnknownKey) || err == nil && k.Partner == "" {
		return k, problem.RefuseField(http.StatusNotFound, "key", "no office has the key %s: trustctl key list shows those that there are",
			shorten(id))
	}
	return k, err
}

// shorten cuts what is no ID, so that it can be repeated.
func shorten(id string) string { return fmt.Sprintf("%.40q", id) }

// suspendKey takes one key out of use at once, on one officer's word.
func (d *daemon) suspendKey(r *http.Request, who audit.Actor) (any, error) {
	var in struct{ Key, Reason string }
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	k, err := d.suspendOne(r.Context(), who, in.Key, in.Reason)
	if err != nil {
		return nil, err
	}
	return []keyOfPartner{keyOf(k)}, nil
}

func (d *daemon) suspendOne(ctx context.Context, who audit.Actor, id, reason string) (hsm.KeyInfo, error) {
	if err := reasonFor(reason); err != nil {
		return hsm.KeyInfo{}, err
	}
	k, err := d.officesKey(ctx, id)
	switch {
	case err != nil:
		return k, err
	case k.State != hsm.Active && k.State != hsm.Suspended:
		return k, problem.Refuse(http.StatusConflict, "the key is %s", k.State)
	}
	if err := d.custody.HSM.SuspendFor(ctx, who, k.ID, reason); err != nil {
		return k, err
	}
	k.State = hsm.Suspended
	return k, nil
}

// stopKeys is the emergency stop: of an office, or of all. What can be stopped is, whatever becomes of the rest.
func (d *daemon) stopKeys(r *http.Request, who audit.Actor) (any, error) {
	var in struct {
		Partner string `json:"partner"`
		All     bool   `json:"all"`
		Reason  string `json:"reason"`
	}
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	if err := reasonFor(in.Reason); err != nil {
		return nil, err
	}
	if (in.Partner == "") != in.All {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "partner", "name the office, or say that it is for all: one of the two")
	}
	stopped, err := d.custody.HSM.SuspendAll(r.Context(), who, in.Partner, in.Reason)
	list := []keyOfPartner{}
	for _, k := range stopped {
		list = append(list, keyOf(k))
	}
	if err != nil {
		d.cfg.Logger.Error("the emergency stop is not whole", "error", err)
		return nil, problem.Refuse(http.StatusServiceUnavailable, "%d keys are stopped and others are not: stop again; the log has which",
			len(stopped))
	}
	return list, nil
}

// proposeForKeys looks at a motion about keys before anybody decides.
func (d *daemon) proposeForKeys(ctx context.Context, who audit.Actor, kind registry.MotionKind, act keysAct) (*registry.Motion, error) {
	if err := reasonFor(act.Reason); err != nil {
		return nil, err
	}
	slices.Sort(act.Keys)
	act.Keys = slices.Compact(act.Keys)
	if len(act.Keys) == 0 || len(act.Keys) > maxActKeys {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "keys", "name 1 to %d keys", maxActKeys)
	}
	var names []string
	for _, id := range act.Keys {
		k, err := d.canAct(ctx, kind, id)
		if err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprintf("%s of %s (%s)", k.Name(), k.Partner, k.ID))
		if kind == registry.RotateKeys {
			act.Numbers = append(act.Numbers, k.Version+1)
		}
	}
	if err := d.signsOn(ctx, kind, act); err != nil {
		return nil, err
	}
	subject := "keys " + strings.Join(names, ", ")
	if !act.SignsOn.IsZero() {
		subject += ", from " + act.SignsOn.UTC().Format(time.RFC3339)
	}
	return d.registry.Propose(ctx, who, kind, subject, act)
}

// canAct refuses what can't be done with a key: resuming one that no order in force gives, destroying one that is in use,
// rotating one that was followed already.
func (d *daemon) canAct(ctx context.Context, kind registry.MotionKind, id string) (hsm.KeyInfo, error) {
	k, err := d.officesKey(ctx, id)
	if err != nil {
		return k, err
	}
	if kind == registry.RotateKeys {
		_, _, err := d.followable(ctx, id)
		return k, err
	}
	if k.State != hsm.Suspended {
		return k, problem.RefuseField(http.StatusConflict, "keys", "key %s is %s, not suspended", k.ID, k.State)
	}
	if kind != registry.ResumeKeys {
		return k, nil
	}
	on, err := d.registry.KeysOn(ctx, k.Partner)
	if err == nil && !slices.Contains(on, k.ID) {
		err = problem.RefuseField(http.StatusConflict, "keys", "no order in force gives key %s: an order that resumes it does", k.ID)
	}
	return k, err
}

// doForKeys carries a motion about keys out; done twice it changes nothing more. What may no longer be done, since something
// has changed after it was proposed, ends the motion: it must not come true on another day.
func (d *daemon) doForKeys(ctx context.Context, actor audit.Actor, m registry.Motion) (string, error) {
	var act keysAct
	if err := json.Unmarshal(m.Body, &act); err != nil {
		return "", err
	}
	if m.Kind == registry.RotateKeys {
		return d.rotateAll(ctx, actor, act)
	}
	end, do := hsm.Active, d.custody.HSM.Resume
	if m.Kind == registry.DestroyKeys {
		end, do = hsm.Destroyed, d.custody.HSM.Destroy
	}
	for _, id := range act.Keys {
		k, err := d.officesKey(ctx, id)
		if err == nil && k.State != end { // else a try before this one did it
			if _, err = d.canAct(ctx, m.Kind, id); err == nil {
				err = do(ctx, actor, id)
			}
		}
		var no *problem.Problem
		if errors.As(err, &no) {
			return "not carried out: " + no.Detail, nil
		}
		if err != nil {
			return "", err
		}
	}
	if m.Kind == registry.DestroyKeys {
		return d.proveGone(ctx, act.Keys)
	}
	return fmt.Sprintf("%d keys sign again", len(act.Keys)), nil
}

// rotateAll carries a motion about next versions out.
func (d *daemon) rotateAll(ctx context.Context, actor audit.Actor, act keysAct) (string, error) {
	var said []string
	for i, id := range act.Keys {
		one, err := d.rotate(ctx, actor, id, act.Numbers[i], act.SignsOn)
		var no *problem.Problem
		if errors.As(err, &no) {
			one, err = "not carried out: "+no.Detail, nil
		}
		if err != nil {
			return "", err
		}
		said = append(said, one)
	}
	return strings.Join(said, "; "), nil
}

// proveGone says that the token's own list has none of the keys.
func (d *daemon) proveGone(ctx context.Context, keys []string) (string, error) {
	i, err := d.custody.HSM.Inventory(ctx)
	if err != nil {
		return "", err
	}
	for _, left := range i.Left {
		if slices.Contains(keys, left.ID) {
			return "", fmt.Errorf("the token still holds key %s", left.ID)
		}
	}
	return fmt.Sprintf("%d keys destroyed: none of them is among the %d that token %s lists at %s", len(keys), i.Held, i.Serial,
		i.At.Format(time.RFC3339)), nil
}

// requestFor answers with a certificate request of a key, signed by it: for an authority that is not ours. The signature is a
// use of the key, by an officer, and in the audit log before it is made.
func (d *daemon) requestFor(r *http.Request, who audit.Actor) (any, error) {
	var in struct{ Key, Name, Organization string }
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	k, err := d.officesKey(r.Context(), in.Key)
	if err != nil {
		return nil, err
	}
	if in.Name == "" || len(in.Name) > maxReason || len(in.Organization) > maxReason {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "name", "write the common name, in at most %d bytes", maxReason)
	}
	if k.Decrypts() {
		return nil, problem.RefuseField(http.StatusConflict, "key", "the key decrypts, and signs no request: an authority that takes a "+
			"public key without one has to certify it (GET /v1/keys of the gateway has the public key)")
	}
	signer, err := d.custody.HSM.Signer(r.Context(), k.ID)
	if errors.Is(err, hsm.ErrNotActive) {
		return nil, problem.Refuse(http.StatusConflict, "the key is %s, and signs nothing", k.State)
	}
	if err != nil {
		return nil, err
	}
	subject := pkix.Name{CommonName: in.Name}
	if in.Organization != "" {
		subject.Organization = []string{in.Organization}
	}
	if _, err := d.custody.Audit.Append(r.Context(), audit.Entry{Time: time.Now(), Actor: who, Action: "hsm.key.request", Subject: k.ID,
		Partner: k.Partner, Order: k.Order, Outcome: audit.Granted, Details: map[string]string{"subject": subject.String()}}); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, signer)
	if err != nil {
		return nil, err
	}
	return map[string]string{"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}, nil
}

// attested is what the token says about a key, at a moment.
type attested struct {
	At          time.Time       `json:"at"`
	Token       hsm.Token       `json:"token"`
	Key         keyOfPartner    `json:"key"`
	PublicKey   []byte          `json:"public_key"` // SubjectPublicKeyInfo, DER
	Attributes  hsm.Attestation `json:"attributes"` // read from the token now
	Hardened    bool            `json:"hardened"`   // they are those of a key that signs, or decrypts, alone and never leaves
	Requirement string          `json:"requirement,omitempty"`
}

// attestKey answers with a document of what the token says about a key, and a time-stamp of it by the data centre's unit (RFC
// 3161), which binds it to that moment and signs it.
func (d *daemon) attestKey(r *http.Request, _ audit.Actor) (any, error) {
	id := r.URL.Query().Get("key")
	if id == "" {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "key", "name the key")
	}
	k, err := d.officesKey(r.Context(), id)
	if err != nil {
		return nil, err
	}
	k, err = d.custody.HSM.Attest(r.Context(), k.ID)
	if errors.Is(err, hsm.ErrNotActive) {
		return nil, problem.Refuse(http.StatusConflict, "the key is %s: the token has nothing to say about it", k.State)
	}
	if err != nil {
		return nil, err
	}
	refusal := k.Attestation.Refusal(k.Decrypts())
	document, err := json.MarshalIndent(attested{At: time.Now().UTC(), Token: d.custody.HSM.Token(), Key: keyOf(k), PublicKey: k.SPKI,
		Attributes: k.Attestation, Hardened: refusal == "", Requirement: refusal}, "", "  ")
	if err != nil {
		return nil, err
	}
	if !d.ca.Stamps() {
		return nil, problem.Refuse(http.StatusConflict, "the authority has no time-stamping unit to sign the document with")
	}
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(document)
	request, err := cms.NewTimestampRequest(crypto.SHA256, digest[:], "", nonce, true)
	if err != nil {
		return nil, err
	}
	reply := d.ca.Stamp(r.Context(), request)
	if answer, err := cms.ParseTimestampResponse(reply); err != nil || !answer.Granted() {
		return nil, problem.Refuse(http.StatusServiceUnavailable, "no time-stamps are given now; try again in a moment")
	}
	return struct {
		Document []byte `json:"document"`
		Stamp    []byte `json:"stamp"` // TimeStampResp, DER
	}{document, reply}, nil
}

// takeInventory answers with one that is taken now.
func (d *daemon) takeInventory(r *http.Request, _ audit.Actor) (any, error) {
	return d.custody.HSM.Inventory(r.Context())
}

// inventoryEvery is how often registry and token are held against each other without being asked to.
const inventoryEvery = 24 * time.Hour

// keepInventories takes one at the start and every night, on record; /health tells what the last one found.
func (d *daemon) keepInventories(ctx context.Context) error {
	ticker := time.NewTicker(inventoryEvery)
	defer ticker.Stop()
	for {
		if err := d.recordInventory(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Logger.Error("no inventory of the HSM's keys", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (d *daemon) recordInventory(ctx context.Context) error {
	i, err := d.custody.HSM.Inventory(ctx)
	if err != nil {
		return err
	}
	d.taken.Store(&i)
	e := audit.Entry{Time: time.Now(), Actor: audit.Actor{Kind: "daemon", ID: "trustd"}, Action: "hsm.inventory", Subject: i.Serial,
		Outcome: audit.Granted, Details: map[string]string{"registered": fmt.Sprint(i.Registered), "held": fmt.Sprint(i.Held)}}
	for name, n := range map[string]int{"lost": len(i.Lost), "left": len(i.Left), "unknown": len(i.Unknown),
		"doubles": len(i.Doubles), "weak": len(i.Weak), "foreign": i.Foreign} {
		if n > 0 {
			e.Details[name] = fmt.Sprint(n)
		}
	}
	_, err = d.custody.Audit.Append(ctx, e)
	return err
}

// inventoryFindings tell what the last inventory found. A lost key is told by the HSM's own health.
func (d *daemon) inventoryFindings() (found []httpserver.Finding) {
	i := d.taken.Load()
	if i == nil {
		return nil
	}
	if n := len(i.Left) + len(i.Unknown) + i.Foreign; n > 0 {
		found = append(found, httpserver.Finding{State: httpserver.Amber,
			What: fmt.Sprintf("the token holds %d keys that were destroyed and %d that nobody knows, at %s", len(i.Left), len(i.Unknown)+i.Foreign,
				i.At.Format(time.RFC3339)),
			Remedy: "trustctl hsm inventory lists them; who restored the token from a backup, or used it beside trustd?"})
	}
	if n := len(i.Doubles) + len(i.Weak); n > 0 {
		found = append(found, httpserver.Finding{State: httpserver.Red,
			What: fmt.Sprintf("%d keys of the token are less hardened than they were made, and %d IDs are shared by several keys, at %s",
				len(i.Weak), len(i.Doubles), i.At.Format(time.RFC3339)),
			Remedy: "trustctl hsm inventory names them; suspend each that is in use (trustctl key suspend), and find out who used the token beside trustd"})
	}
	return found
}
