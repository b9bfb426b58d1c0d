package registry_test

import (
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
)

func limited(limits string) string {
	return strings.Replace(orderYAML, "  application: ezd\n", "  application: ezd\n  limits: "+limits+"\n", 1)
}

func TestLimitsOfAnOrder(t *testing.T) {
	o := parse(t, limited("{per_second: 5, per_day: 1000, uses: 100000, hours: 07:00-18:30, documents: [upo, decision]}"))
	l := o.HSMAuthorization.Limits
	from, until, err := l.Day()
	if err != nil || from != 7*time.Hour || until != 18*time.Hour+30*time.Minute {
		t.Errorf("%v to %v, %v", from, until, err)
	}
	if got := l.String(); got != "5/s, 1000/d, 100000×, 07:00-18:30, upo, decision" {
		t.Error(got)
	}
	key := strings.Replace(orderYAML, "RSA-PSS-SHA256]}", "RSA-PSS-SHA256], limits: {uses: 3}}", 1)
	if k := parse(t, key).HSMAuthorization.Keys[0]; k.Limits == nil || k.Limits.Uses != 3 {
		t.Errorf("%+v", k)
	}
	for text, field := range map[string]string{
		limited("{per_second: -1}"):                    "hsm_authorization.limits.per_second",
		limited("{per_day: -5}"):                       "hsm_authorization.limits.per_day",
		limited("{uses: 9000000000000}"):               "hsm_authorization.limits.uses",
		limited("{hours: 7-18}"):                       "hsm_authorization.limits.hours",
		limited("{hours: 07:00-07:00}"):                "hsm_authorization.limits.hours",
		limited("{documents: [upo, upo]}"):             "hsm_authorization.limits.documents[1]",
		limited("{documents: [UPO]}"):                  "hsm_authorization.limits.documents[0]",
		strings.Replace(key, "uses: 3", "uses: -3", 1): "hsm_authorization.keys[0].limits.uses",
	} {
		if _, err := registry.ParseOrder([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("got %v; want a refusal of %s", err, field)
		}
	}
}
