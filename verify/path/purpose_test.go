package path_test

import (
	"crypto/x509"
	"slices"
	"testing"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

// purposes makes an extKeyUsage of purposes below id-kp, by their last arc; 0 is anyExtendedKeyUsage.
func purposes(critical bool, last ...byte) func(*x509.Certificate) {
	var list []byte
	for _, n := range last {
		if n == 0 {
			list = append(list, 6, 4, 0x55, 0x1d, 0x25, 0)
			continue
		}
		list = append(list, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, n)
	}
	return with([]int{2, 5, 29, 37}, critical, append([]byte{0x30, byte(len(list))}, list...)...)
}

const kpTimeStamping, kpOCSPSigning, kpEmail = 8, 9, 4

// TestWhatATimeStampingUnitMustSay has for each rule the certificates that it refuses, by a path and as an anchor of its own.
func TestWhatATimeStampingUnitMustSay(t *testing.T) {
	usage := func(bits x509.KeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.KeyUsage = bits }
	}
	type changes = []func(*x509.Certificate)
	for _, test := range []struct {
		name   string
		leaf   changes
		passes [3]bool // allowed, stated, alone
	}{
		{"critical, alone", changes{purposes(true, kpTimeStamping)}, [3]bool{true, true, true}},
		{"with a key usage for signatures", changes{purposes(true, kpTimeStamping), usage(x509.KeyUsageDigitalSignature)}, [3]bool{true, true, true}},
		{"with one for commitments", changes{purposes(true, kpTimeStamping), usage(x509.KeyUsageContentCommitment)}, [3]bool{true, true, true}},
		{"twice the same", changes{purposes(true, kpTimeStamping, kpTimeStamping)}, [3]bool{true, true, true}},
		{"absent", nil, [3]bool{true, false, false}},
		{"any purpose", changes{purposes(true, 0)}, [3]bool{true, false, false}},
		{"any purpose beside it", changes{purposes(true, kpTimeStamping, 0)}, [3]bool{true, true, false}},
		{"not critical", changes{purposes(false, kpTimeStamping)}, [3]bool{true, true, false}},
		{"another purpose beside it", changes{purposes(true, kpTimeStamping, kpEmail)}, [3]bool{true, true, false}},
		{"another purpose", changes{purposes(true, kpOCSPSigning)}, [3]bool{false, false, false}},
		{"an empty list", changes{purposes(true)}, [3]bool{false, false, false}},
		{"a key usage for encryption alone", changes{purposes(true, kpTimeStamping), usage(x509.KeyUsageKeyEncipherment)}, [3]bool{true, false, false}},
		{"a CA", changes{ca, usage(x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature), purposes(true, kpTimeStamping)}, [3]bool{true, true, false}},
	} {
		root := mint(t, nil, "root", nil, ca)
		middle := mint(t, root, "middle", nil, ca) // without extKeyUsage, as most are
		leaf := mint(t, middle, "unit", nil, test.leaf...)
		for rule, passes := range test.passes {
			request := path.Request{Target: leaf.cert, Pool: pool(middle), Anchors: anchors(t, root),
				Purposes: []certificate.OID{certificate.PurposeTimeStamping}, PurposeRule: path.PurposeRule(rule)}
			want := path.PurposeMismatch
			if passes {
				want = path.OK
			}
			t.Run(test.name, func(t *testing.T) {
				r := validate(request)
				wantCode(t, r, want)
				request.Anchors, request.DirectTrust = anchors(t, leaf), true
				r = validate(request)
				wantCode(t, r, want)
				if r.Anchor == nil || !slices.Equal(r.Chain, []*certificate.Certificate{leaf.cert}) {
					t.Errorf("as an anchor: chain %v", names(r))
				}
			})
		}
	}
}

// TestPurposesOfTheCAsAbove: they may be silent under every rule, but what they say must allow the purpose.
func TestPurposesOfTheCAsAbove(t *testing.T) {
	for _, test := range []struct {
		name   string
		middle func(*x509.Certificate)
		want   path.Code
	}{
		{"silent", ca, path.OK},
		{"any", purposes(false, 0), path.OK},
		{"for time-stamping and more", purposes(false, kpTimeStamping, kpEmail), path.OK},
		{"for another", purposes(false, kpEmail), path.PurposeMismatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := chainOf(t, test.middle, purposes(true, kpTimeStamping))
			request.Purposes, request.PurposeRule = []certificate.OID{certificate.PurposeTimeStamping}, path.PurposeAlone
			wantCode(t, validate(request), test.want)
		})
	}
}

// TestADirectAnchorOutOfItsTime says so when no path leads elsewhere, and gives way to one that does.
func TestADirectAnchorOutOfItsTime(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	leaf := mint(t, root, "unit", nil)
	past, err := path.AnchorFrom(leaf.cert)
	if err != nil {
		t.Fatal(err)
	}
	past.NotAfter = now.AddDate(0, 0, -1)
	request := path.Request{Target: leaf.cert, Anchors: anchorSet(t, past), DirectTrust: true}
	r := validate(request)
	wantCode(t, r, path.AnchorOutOfTime)
	if r.Anchor == nil {
		t.Error("no anchor")
	}
	above, err := path.AnchorFrom(root.cert)
	if err != nil {
		t.Fatal(err)
	}
	request.Anchors = anchorSet(t, past, above)
	wantCode(t, validate(request), path.OK)
	request.DirectTrust, request.Anchors = false, anchorSet(t, past)
	wantCode(t, validate(request), path.NoPath)
}

// TestAnAnchorOfItsOwn is trusted as itself, and as nobody's issuer, whatever its certificate says.
func TestAnAnchorOfItsOwn(t *testing.T) {
	unit := mint(t, nil, "unit", nil, ca)
	leaf := mint(t, unit, "leaf", nil)
	alone, err := path.AnchorFrom(unit.cert)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchorSet(t, alone)}), path.OK)
	alone.Alone = true
	wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchorSet(t, alone)}), path.NoPath)
	wantCode(t, validate(path.Request{Target: unit.cert, Anchors: anchorSet(t, alone), DirectTrust: true}), path.OK)
}
