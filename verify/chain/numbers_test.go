package chain

import (
	"reflect"
	"testing"
	"time"

	"trustcore/verify/certificate"
)

// ours are the texts that no certificate, list or answer has a say in: digests, serial numbers, and words that are of this program.
var ours = map[string]bool{
	"Report.Indication": true, "Report.Revocation": true, "Report.Policy": true, "Report.PolicyVersion": true, "Report.PolicyDigest": true,
	"Report.Policies": true, "Reason.Code": true, "Reason.Clause": true, "Link.SHA256": true, "Link.Serial": true, "Check.Name": true,
	"Check.State": true, "Status.Status": true, "Status.Code": true, "Status.Source": true, "Status.Reason": true, "Status.Evidence": true,
	"Qualification.Level": true, "Report.SubIndication": true,
}

// TestNumbersAreHiddenInEveryText: a personal number is hidden wherever it stands, in fields that are added later, too.
func TestNumbersAreHiddenInEveryText(t *testing.T) {
	const number, want = "number 44051401458", "number *******1458"
	var r Report
	fill(reflect.ValueOf(&r).Elem(), number)
	r.hideNumbers()
	seen := map[string]bool{}
	look(reflect.ValueOf(r), "", func(where, text string) {
		if seen[where] = true; ours[where] != (text == number) || !ours[where] && text != want {
			t.Errorf("%s: %q", where, text)
		}
	})
	for where := range ours {
		if !seen[where] {
			t.Errorf("there is no text %s", where)
		}
	}
	if len(seen) != len(ours)+10 {
		t.Errorf("%d texts were seen", len(seen))
	}
}

// fill puts a text in every place for one.
func fill(v reflect.Value, text string) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time](), v.Type() == reflect.TypeFor[*certificate.Certificate](), !v.CanSet():
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	}
}

// look shows every text with the name of its field.
func look(v reflect.Value, where string, show func(where, text string)) {
	switch v.Kind() {
	case reflect.String:
		show(where, v.String())
	case reflect.Pointer:
		if !v.IsNil() {
			look(v.Elem(), where, show)
		}
	case reflect.Slice:
		for i := range v.Len() {
			look(v.Index(i), where, show)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				look(v.Field(i), v.Type().Name()+"."+f.Name, show)
			}
		}
	}
}

// BenchmarkHideNumbers is what hiding costs a report of three certificates, nearly all of which speak of nobody.
func BenchmarkHideNumbers(b *testing.B) {
	checks := make([]Check, 9)
	for i := range checks {
		checks[i] = Check{Name: checkSignature, State: Passed}
	}
	link := Link{Subject: "CN=Jan Kowalski,SERIALNUMBER=PNOPL-44051401458,C=PL", Issuer: "CN=Authority 2,O=Issuer S.A.,C=PL", Checks: checks}
	for b.Loop() {
		r := Report{Chain: []Link{link, link, link}}
		r.hideNumbers()
	}
}
