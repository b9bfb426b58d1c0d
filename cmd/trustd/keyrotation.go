package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"trustcore/cmd/internal/grants"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/pki"
)

// The next version of a key takes the same two officers as its end. It is made and certified before it signs, so that
// there is no moment without one; the version before verifies, stays listed, and is suspended or destroyed by itself.

// versionNotice is how long before it signs a version is known: every node has read of it by then, and none signs with
// another.
const versionNotice = 2 * grants.Confirm

// followable is a key that another may follow: the newest version of a key that an order in force gives, whatever became
// of it in the token, and for long enough that a certificate of the next one is worth its while.
func (d *daemon) followable(ctx context.Context, id string) (*registry.Record, registry.KeyVersion, error) {
	rec, v, err := d.registry.Newest(ctx, id)
	var no *registry.Refusal
	switch {
	case errors.As(err, &no):
		return nil, v, problem.RefuseField(http.StatusConflict, "keys", "%s", no.Reason)
	case err != nil:
		return nil, v, err
	case time.Until(rec.HSMAuthorization.Until(v.Name)) < shortest:
		return nil, v, problem.RefuseField(http.StatusConflict, "keys",
			"the authorisation of order %s for key %s ends in less than %s: renew the order first", rec.ID, v.Name, shortest)
	}
	return rec, v, nil
}

// signsOn refuses a moment at which no version can begin to sign.
func (d *daemon) signsOn(ctx context.Context, kind registry.MotionKind, act keysAct) error {
	switch {
	case act.SignsOn.IsZero():
		return nil
	case kind != registry.RotateKeys:
		return problem.RefuseField(http.StatusUnprocessableEntity, "signs_on", "leave it out: it belongs to %s", registry.RotateKeys)
	case act.SignsOn.Before(time.Now()):
		return problem.RefuseField(http.StatusUnprocessableEntity, "signs_on", "it is over: write a later moment, or leave it out for at once")
	}
	for _, id := range act.Keys {
		rec, v, err := d.followable(ctx, id)
		if err != nil {
			return err
		}
		if end := rec.HSMAuthorization.Until(v.Name); end.Sub(act.SignsOn) < pki.MinimumLife {
			return problem.RefuseField(http.StatusUnprocessableEntity, "signs_on", "the authorisation of order %s for key %s ends at %s: "+
				"write an earlier moment", rec.ID, v.Name, end.Format(time.RFC3339))
		}
	}
	return nil
}

// rotate has the next version made, certified and named, unless that was done before: then it says what was.
func (d *daemon) rotate(ctx context.Context, actor audit.Actor, id string, number int, signsOn time.Time) (string, error) {
	all, err := d.registry.AllVersions(ctx)
	if err != nil {
		return "", err
	}
	for _, v := range all {
		if v.First == all[id].First && v.Version == number {
			return versionSays(v), nil // a try before this one did it
		}
	}
	rec, before, err := d.followable(ctx, id)
	if err != nil {
		return "", err
	}
	next, err := d.makeVersion(ctx, actor, rec, before)
	if err != nil {
		return "", err
	}
	if soonest := time.Now().Add(versionNotice); signsOn.Before(soonest) {
		signsOn = soonest
	}
	v := registry.KeyVersion{Name: before.Name, Version: number, ID: next.ID, SignsOn: signsOn.UTC().Truncate(time.Microsecond)}
	return versionSays(v), d.registry.AddVersion(ctx, actor, rec, id, v)
}

func versionSays(v registry.KeyVersion) string {
	return fmt.Sprintf("%s, key %s, signs from %s on", hsm.VersionName(v.Name, v.Version), v.ID, v.SignsOn.Format(time.RFC3339))
}

// makeVersion makes and certifies the key that follows.
func (d *daemon) makeVersion(ctx context.Context, actor audit.Actor, rec *registry.Record, before registry.KeyVersion) (hsm.KeyInfo, error) {
	var spec hsm.KeySpec
	for _, k := range rec.HSMAuthorization.Keys {
		if k.Name == before.Name {
			spec = specOf(k)
		}
	}
	spec.Version = before.Version + 1
	p, err := d.custody.HSM.Partition(rec.Partner.ID)
	if err != nil {
		return hsm.KeyInfo{}, err
	}
	made, err := p.Ensure(ctx, actor, rec.ID, []hsm.KeySpec{spec})
	if err != nil {
		return hsm.KeyInfo{}, err
	}
	if rec.HSMAuthorization.ToDecrypt(before.Name) {
		return made[0], nil
	}
	_, err = d.sealCertificate(ctx, *rec, before.Name, made[0].ID)
	return made[0], err
}
