package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/config"
	"trustcore/cmd/internal/httpserver"
	"trustcore/verify/policy"
)

// officePolicy writes the file of an own policy.
func (o *office) officePolicy(version string) {
	o.t.Helper()
	text := strings.Replace(string(policy.ShippedSource(policy.Strict)), "\nName: strict\n", "\nName: office\n", 1)
	i := strings.Index(text, "\nVersion:")
	text = text[:i] + "\nVersion: '" + version + "'" + text[i+1+strings.Index(text[i+1:], "\n"):]
	if err := os.WriteFile(o.path("office.yaml"), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// TestPolicyOfTheDaemon: documents are judged by the configured policy, or by the one that the caller chooses among
// those that can be; a file that changes is read again, one that can't be read is not taken.
func TestPolicyOfTheDaemon(t *testing.T) {
	o := newOffice(t)
	o.officePolicy("1")
	cfg := o.daemonConfig()
	cfg.Policy = o.path("office.yaml")
	client := o.serveFor(cfg)
	var health health
	shown := func() []string {
		var list []string
		if get(client, "http://"+cfg.Operations+"/health", &health) {
			for _, p := range health.Details.Policies {
				list = append(list, p.Name+" "+p.Version[:1])
			}
		}
		return list
	}
	o.wait("the policies", func() bool { return slices.Equal(shown(), []string{"office 1", "strict 1", "dss-default 6"}) })
	ask := func(query string) (status int, by, detail string) {
		t.Helper()
		response, err := client.Post("https://"+cfg.Listen+"/v1/validations"+query, "application/xml", strings.NewReader("<a/>"))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var answer struct {
			Policy, Detail string
			Version        string `json:"policy_version"`
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, answer.Policy + " " + answer.Version[:min(1, len(answer.Version))], answer.Detail
	}
	for query, want := range map[string]string{"": "office 1", "?policy=office": "office 1", "?policy=strict": "strict 1", "?policy=dss-default": "dss-default 6"} {
		if status, by, _ := ask(query); status != http.StatusOK || by != want {
			t.Errorf("%s: %d, judged by %s", query, status, by)
		}
	}
	if status, _, detail := ask("?policy=" + o.path("office.yaml")); status != http.StatusBadRequest || !strings.Contains(detail, "office, strict, dss-default") {
		t.Errorf("%d %s", status, detail)
	}

	o.officePolicy("2")
	o.wait("a file that changed", func() bool { return slices.Contains(shown(), "office 2") })
	if _, by, _ := ask(""); by != "office 2" {
		t.Errorf("judged by %s", by)
	}
	if err := os.WriteFile(o.path("office.yaml"), []byte("Name: office\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.hangup()
	o.wait("a file that can't be used", func() bool {
		shown()
		return health.Status == httpserver.Amber && health.says("office.yaml")
	})
	if _, by, _ := ask(""); by != "office 2" {
		t.Errorf("judged by %s, not by the last known good", by)
	}
}

// TestChangesOfTheStartAreNoticed: a file that changes after it was read, before anybody looks for changes, is read again.
func TestChangesOfTheStartAreNoticed(t *testing.T) {
	o := newOffice(t)
	o.officePolicy("1")
	p, err := newPolicies([]string{o.path("office.yaml")}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	o.officePolicy("version 2")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, watch{every: time.Hour}) }()
	o.wait("the change", func() bool { return p.standard().Version() == "version 2" })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestPoliciesOfTheConfiguration: which can be chosen, and that nothing starts by one that can't be read.
func TestPoliciesOfTheConfiguration(t *testing.T) {
	o := newOffice(t)
	o.officePolicy("1")
	o.daemonConfig()
	file, err := os.ReadFile(o.path("verifyd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                      "strict dss-default",
		"policy: dss-default\n": "dss-default strict",
		"policies: []\n":        "strict",
		"policies: [" + o.path("office.yaml") + "]\n":                                        "strict office",
		"policy: " + o.path("office.yaml") + "\npolicies: [" + o.path("office.yaml") + "]\n": "office",
		"policy: office\n":                                                       "!policy: \"office\" is neither strict, dss-default nor the absolute path",
		"policies: [strict, ./office.yaml]\n":                                    "!policies: \"./office.yaml\" is neither",
		"policy: " + o.path("none.yaml") + "\n":                                  "!policy: ",
		"policy: " + o.path("root.pem") + "\n":                                   "!root.pem: ",
		"policies: [" + o.path("copy.yaml") + "]":                                "!copy.yaml: name: strict is the policy that is shipped",
		"policies: [" + o.path("office.yaml") + ", " + o.path("twin.yaml") + "]": "!twin.yaml: another policy is named \"office\" too",
	} {
		copied := strings.Replace(string(policy.ShippedSource(policy.Strict)), "\nVersion: ", "\nVersion: 9", 1)
		if err := os.WriteFile(o.path("copy.yaml"), []byte(copied), 0o600); err != nil {
			t.Fatal(err)
		}
		office, err := os.ReadFile(o.path("office.yaml"))
		if err == nil {
			err = os.WriteFile(o.path("twin.yaml"), bytes.Replace(office, []byte("ersion: "), []byte("ersion: 9"), 1), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(o.path("verifyd.yaml"), append(slices.Clone(file), text...), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, got := Defaults(), ""
		err = config.Load(o.path("verifyd.yaml"), &cfg)
		if err == nil {
			var p *policies
			if p, err = newPolicies(cfg.policies(), quiet); err == nil {
				var names []string
				for _, one := range p.all() {
					names = append(names, one.Name())
				}
				got = strings.Join(names, " ")
			}
		}
		problem, refused := strings.CutPrefix(want, "!")
		if refused != (err != nil) || refused && !strings.Contains(err.Error(), problem) || !refused && got != want {
			t.Errorf("%q: %q %v, want %q", text, got, err, want)
		}
		if checked := command().Run(t.Context(), []string{"--check", "--config", o.path("verifyd.yaml")}); (checked != nil) != refused {
			t.Errorf("%q: --check says %v", text, checked)
		}
	}
	cfg := o.daemonConfig()
	cfg.Policy = o.path("none.yaml")
	if err := serve(t.Context(), cfg, quiet); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("started: %v", err)
	}
}
