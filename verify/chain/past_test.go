package chain

import (
	"errors"
	"testing"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

func day(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }

func TestFresh(t *testing.T) {
	const d = 24 * time.Hour
	for _, test := range []struct {
		this, next, at time.Time
		longest        time.Duration
		want           bool
	}{
		{day(10), day(12), day(11), 0, true},
		{day(10), day(12), day(12), 0, false}, // thisUpdate must be after, not at
		{day(10), day(12), day(13), 0, false},
		{day(10), time.Time{}, day(10), 0, false},
		{day(10), time.Time{}, day(10), d, true},
		{day(10), day(12), day(13), 4 * d, true},
		{day(10), day(20), day(13), 2 * d, false},
		{day(14), day(20), day(13), d, true}, // issued after the signature: what the grace period asks for
	} {
		if got := Fresh(test.this, test.next, test.at, test.longest); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestModels(t *testing.T) {
	valid := func(from, to int) *certificate.Certificate {
		return &certificate.Certificate{NotBefore: day(from), NotAfter: day(to)}
	}
	for name, test := range map[string]struct {
		chain           []*certificate.Certificate
		at              int
		shell, issuance int
	}{
		"all valid":                {[]*certificate.Certificate{valid(50, 150), valid(0, 100)}, 60, -1, -1},
		"issuer ended afterwards":  {[]*certificate.Certificate{valid(50, 150), valid(0, 100)}, 120, 1, -1},
		"issued before the issuer": {[]*certificate.Certificate{valid(50, 150), valid(60, 200)}, 70, -1, 1},
		"target ended":             {[]*certificate.Certificate{valid(50, 150), valid(0, 200)}, 160, 0, 0},
		"two above":                {[]*certificate.Certificate{valid(90, 190), valid(40, 100), valid(0, 50)}, 180, 1, -1},
	} {
		if got := InTime(test.chain, Shell, day(test.at)); got != test.shell {
			t.Errorf("%s, shell: %d", name, got)
		}
		if got := InTime(test.chain, ChainModel, day(test.at)); got != test.issuance {
			t.Errorf("%s, chain: %d", name, got)
		}
	}
}

func TestSlide(t *testing.T) {
	good := func(this, next, proven int) Information {
		return Information{ThisUpdate: day(this), NextUpdate: day(next), Proven: day(proven)}
	}
	revoked := func(at, this, proven int, reason revocation.Reason) Information {
		r := good(this, this+7, proven)
		r.RevokedAt, r.Reason = day(at), reason
		return r
	}
	known := func(list ...Information) Past { return Past{Proven: day(1), Information: list} }
	fading := known(good(99, 106, 99))
	fading.Reliable = day(30)
	weak := good(99, 106, 99)
	weak.Reliable = day(40)
	const superseded, compromised = revocation.Superseded, revocation.KeyCompromise
	for name, test := range map[string]struct {
		chain   []Past // the target first
		model   Model
		sunset  time.Time
		want    int
		noProof int // position, where 1 stands for 0; 0: none
	}{
		"fresh":                          {chain: []Past{known(good(99, 106, 99)), known(good(98, 105, 98))}, want: 100},
		"old information":                {chain: []Past{known(good(50, 57, 50))}, want: 50},
		"the newest counts":              {chain: []Past{known(good(50, 57, 50), good(99, 106, 99), good(70, 77, 70))}, want: 100},
		"revoked":                        {chain: []Past{known(revoked(60, 99, 99, superseded))}, want: 60},
		"authority revoked":              {chain: []Past{known(good(55, 62, 56)), known(revoked(60, 99, 99, compromised))}, want: 60},
		"authority, later proof":         {chain: []Past{known(good(55, 62, 61)), known(revoked(60, 99, 99, compromised))}, want: 60, noProof: 1},
		"old below a revoked authority":  {chain: []Past{known(good(20, 27, 20)), known(revoked(60, 99, 99, compromised))}, want: 20},
		"chain model, superseded":        {chain: []Past{known(good(99, 106, 99)), known(revoked(60, 99, 99, superseded))}, model: ChainModel, want: 100},
		"chain model, compromised":       {chain: []Past{known(good(55, 62, 56)), known(revoked(60, 99, 99, compromised))}, model: ChainModel, want: 60},
		"chain model, no reason":         {chain: []Past{known(good(55, 62, 56)), known(revoked(60, 99, 99, revocation.NoReason))}, model: ChainModel, want: 60},
		"chain model, target superseded": {chain: []Past{known(revoked(60, 99, 99, superseded))}, model: ChainModel, want: 60},
		"sunset":                         {chain: []Past{known(good(49, 56, 49))}, sunset: day(50), want: 50},
		"nothing before the sunset":      {chain: []Past{known(good(99, 106, 99))}, sunset: day(50), want: 50, noProof: 1},
		"no information":                 {chain: []Past{known()}, want: 100, noProof: 1},
		"certificate without proof":      {chain: []Past{{Information: []Information{good(99, 106, 99)}}}, want: 100, noProof: 1},
		"algorithm ended":                {chain: []Past{fading}, want: 30},
		"algorithm of evidence ended":    {chain: []Past{known(weak)}, want: 40},
		"no certificates":                {want: 100},
	} {
		got, err := Slide(test.chain, test.model, day(100), test.sunset, 0)
		var none *NoProof
		if errors.As(err, &none) != (test.noProof > 0) || none != nil && none.Position != test.noProof-1 || !got.Equal(day(test.want)) {
			t.Errorf("%s: %s, %v", name, got.Format(time.DateOnly), err)
		}
	}
}
