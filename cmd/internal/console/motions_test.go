package console_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
)

func (d *desk) motions(ctx context.Context) ([]console.Motion, error) {
	all, err := d.registry.Motions(ctx)
	var waiting []console.Motion
	for _, m := range slices.Backward(all) {
		if m.State == registry.Submitted {
			waiting = append(waiting, console.Motion{Motion: m, Certificates: d.touched, Reason: d.reason, Key: d.key, Partners: d.partners})
		}
	}
	return waiting, errors.Join(err, d.motionsFail)
}

func (d *desk) approveMotion(ctx context.Context, actor audit.Actor, id string) (*registry.Motion, error) {
	if _, err := d.registry.ApproveMotion(ctx, actor, id); err != nil {
		return nil, err
	}
	if err := d.registry.MotionDone(ctx, id, "1 certificates", d.carryFail); err != nil {
		return nil, err
	}
	return d.registry.Motion(ctx, id)
}

func (d *desk) propose(kind registry.MotionKind, subject string) string {
	d.Helper()
	m, err := d.registry.Propose(d.Context(), one, kind, subject, nil)
	d.must(err)
	return m.ID
}

func (d *desk) motionIs(id string, want registry.State) {
	d.Helper()
	if m, err := d.registry.Motion(d.Context(), id); err != nil || m.State != want {
		d.Errorf("the motion is %+v, %v", m, err)
	}
}

func TestProposerCannotApprove(t *testing.T) {
	d := open(t)
	id := d.propose(registry.RevokeCertificates, "certificates of partner um-przykladowo")
	b := d.login(one)
	text := b.page()
	d.wants(text, "You proposed this motion, so another officer must approve it", "<button disabled", "<b>1</b> matter waits")
	d.lacks(text, `act=motion-approve`)
	b.approve("motion", id) // as if the button were there
	d.wants(b.page(), "was proposed by you", `role="alert"`)
	d.motionIs(id, registry.Submitted)
	b.post("/motions/reject", "motion", id, "reason", "a mistake") // taken back
	d.wants(b.page(), "Motion "+id+" is rejected", "Nothing waits for a decision")
	d.motionIs(id, registry.Rejected)
}

func TestAnotherOfficerApprovesAMotion(t *testing.T) {
	d := open(t)
	id := d.propose(registry.RevokeCertificates, "certificates of partner um-przykladowo")
	d.reason = "keyCompromise"
	d.touched = []console.Certificate{{Serial: strings.Repeat("0a", 16), Subject: "ezd", Profile: "partner-client", Partner: "um-przykladowo", State: "suspended"}}
	b := d.login(two)
	d.wants(b.page(), "revocation of certificates "+id, "certificates of partner um-przykladowo", "proposed by officer-1", "compromise of the key", "every certificate of the key",
		"revokes", "partner client, um-przykladowo", strings.Repeat("0a", 16), "suspended", "Approve "+id)
	b.approve("motion", id)
	d.wants(b.page(), "Motion "+id+" is approved and carried out", "1 certificates", "Nothing waits for a decision")
	d.motionIs(id, registry.CarriedOut)
	b.approve("motion", id)
	d.wants(b.page(), "The rules do not allow this (motion "+id+")", "nothing is left to decide")
	b.approve("motion", "no-such")
	d.wants(b.page(), "motion no-such is not there")
	if got := d.recorded("motion.approve", 2); got[0] != "officer-2 granted" || !strings.HasPrefix(got[1], "officer-2 refused") {
		t.Errorf("audit log: %q", got)
	}
}

func TestMotionThatIsNotCarriedOutYet(t *testing.T) {
	d := open(t)
	id := d.propose(registry.CertifyOfficer, "officer officer-3")
	d.key, d.carryFail = strings.Repeat("5c", 32), errors.New("the authority can't sign now")
	b := d.login(two)
	text := b.page()
	d.wants(text, "certificate of an officer "+id, "compared with the person", d.key)
	d.lacks(text, "touches no certificate")
	b.approve("motion", id)
	d.wants(b.page(), "is not carried out yet", "the authority can&#39;t sign now")
	d.motionIs(id, registry.Approved)
}

func TestRejectingAMotionNeedsAReason(t *testing.T) {
	d := open(t)
	id := d.propose(registry.ReleaseCertificates, "certificates of partner um-przykladowo")
	b := d.login(two)
	d.wants(b.page(), "release of certificates "+id, "This touches no certificate as of now")
	b.post("/motions/reject", "motion", id, "reason", "  ")
	d.wants(b.page(), "Say why motion "+id+" is rejected", `role="alert"`)
	d.motionIs(id, registry.Submitted)
	b.post("/motions/reject", "motion", id, "reason", "not yet")
	d.motionIs(id, registry.Rejected)
	b.post("/motions/reject", "motion", id, "reason", "again")
	d.wants(b.page(), "nothing is left to decide")
}

func TestMotionsThatCannotBeReadAreSaid(t *testing.T) {
	d := open(t)
	d.motionsFail = errors.New("the database is away")
	text := d.login(one).page()
	d.wants(text, "These facts can&#39;t be read now")
	d.lacks(text, "Nothing waits for a decision", "the database is away")
}
