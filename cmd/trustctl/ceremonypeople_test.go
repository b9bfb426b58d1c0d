package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/cmd/internal/custody"
	"trustcore/pki/ceremony"
)

// signer is how one of the people signs: with what they have, which this program never sees.
type signer struct {
	public []byte // PEM
	sign   func(t *testing.T, message, to string)
}

func run(t *testing.T, env []string, name string, args ...string) []byte {
	t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// sealedFile is a key in a file that a passphrase of its holder opens, made and used by openssl.
func sealedFile(t *testing.T, dir, curve string) signer {
	t.Helper()
	key, pass := filepath.Join(dir, "person.key"), filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte("a passphrase of the holder"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:"+curve, "-aes256", "-pass", "file:"+pass, "-out", key)
	if sealed, err := os.ReadFile(key); err != nil || !bytes.Contains(sealed, []byte("ENCRYPTED PRIVATE KEY")) {
		t.Fatalf("the key is not sealed: %v", err)
	}
	hash := map[string]string{"P-256": "-sha256", "P-384": "-sha384"}[curve]
	return signer{run(t, nil, "openssl", "pkey", "-in", key, "-passin", "file:"+pass, "-pubout"), func(t *testing.T, message, to string) {
		t.Helper()
		run(t, nil, "openssl", "dgst", hash, "-sign", key, "-passin", "file:"+pass, "-out", to, message)
	}}
}

// card is a token of its own, by SoftHSM2, used by OpenSC's pkcs11-tool.
func card(t *testing.T, dir string) signer {
	t.Helper()
	conf, tokens := filepath.Join(dir, "softhsm2.conf"), filepath.Join(dir, "tokens")
	if err := os.MkdirAll(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+tokens+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"SOFTHSM2_CONF=" + conf}
	run(t, env, "softhsm2-util", "--init-token", "--free", "--label", "card", "--pin", "1234", "--so-pin", "5678")
	tool := func(args ...string) []byte {
		return run(t, env, "pkcs11-tool", append([]string{"--module", custody.SoftHSM, "--token-label", "card", "--login", "--pin", "1234"}, args...)...)
	}
	tool("--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "person")
	der, digest := filepath.Join(dir, "public.der"), filepath.Join(dir, "digest")
	tool("--read-object", "--type", "pubkey", "--id", "01", "--output-file", der)
	return signer{run(t, nil, "openssl", "pkey", "-pubin", "-inform", "DER", "-in", der), func(t *testing.T, message, to string) {
		t.Helper()
		run(t, nil, "openssl", "dgst", "-sha256", "-binary", "-out", digest, message)
		tool("--sign", "--mechanism", "ECDSA", "--signature-format", "openssl", "--id", "01", "--input-file", digest, "--output-file", to)
	}}
}

// keyedPlan is the demonstration's plan with the people's keys, of whom two sign.
func keyedPlan(text []byte, people ...signer) []byte {
	var plan strings.Builder
	person := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "  - {name: ") {
			plan.WriteString(line)
			continue
		}
		name, role, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "  - {name: "), "}\n"), ", role: ")
		fmt.Fprintf(&plan, "  - name: %s\n    role: %s\n    key: |\n", name, role)
		for key := range strings.Lines(string(people[person].public)) {
			plan.WriteString("      " + key)
		}
		person++
	}
	return append([]byte(plan.String()), "signatures: 2\n"...)
}

// room is where a ceremony is held: a state, and a stick with what people sign.
type room struct {
	bin, dir, stick string
	people          []signer
}

func (r room) file(name string) string { return filepath.Join(r.dir, name) }

func (r room) trustctl(args ...string) (string, error) {
	out, err := exec.Command(filepath.Join(r.bin, "trustctl"), append([]string{"ceremony", "--state", r.file("state")}, args...)...).CombinedOutput()
	return string(out), err
}

func (r room) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.trustctl(args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

func (r room) refused(t *testing.T, want string, args ...string) {
	t.Helper()
	if out, err := r.trustctl(args...); err == nil || !strings.Contains(out, want) {
		t.Errorf("%v: want a refusal with %q, got %v\n%s", args, want, err, out)
	}
}

// signs has a person sign what lies for them on the stick.
func (r room) signs(t *testing.T, number int, act string) {
	t.Helper()
	message := filepath.Join(r.stick, messageFile(number, act))
	r.people[number-1].sign(t, message, signatureOf(message))
}

// TestCeremonyOfPeopleByTheirKeys holds a ceremony of which two people sign with keys in sealed files and one has a card, by the commands
// that they type; one of them alone gets nowhere, what was edited afterwards is found, and the next authority needs people of this one.
func TestCeremonyOfPeopleByTheirKeys(t *testing.T) {
	for _, needed := range []string{"openssl", "pkcs11-tool", "softhsm2-util"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skip(needed + " is not installed (apt-get install openssl opensc softhsm2)")
		}
	}
	r := room{bin: programs(t), dir: t.TempDir()}
	r.stick = r.file("stick")
	r.people = []signer{sealedFile(t, t.TempDir(), "P-256"), card(t, t.TempDir()), sealedFile(t, t.TempDir(), "P-384")}
	const url = "http://10.64.0.1:8080/pki"
	plan := r.file("plan.yaml")
	if err := os.WriteFile(plan, keyedPlan(ceremony.Default(url), r.people...), 0o600); err != nil {
		t.Fatal(err)
	}
	r.refused(t, "no ceremony is open here", "--plan", plan)
	r.must(t, "open", "--plan", plan, "--to", r.stick)
	r.signs(t, 2, openingAct)
	r.refused(t, "1 of the plan's people signed; 2 have to", "--plan", plan, "--signed", r.stick)
	r.signs(t, 3, openingAct)
	if out := r.must(t, "--plan", plan, "--signed", r.stick); !strings.Contains(out, "hsm_manufacturer             SoftHSM") ||
		!strings.Contains(out, "Recovery shares") || strings.Contains(out, "hsm_firmware                 not told") {
		t.Error(out)
	}
	r.refused(t, "agreed and did not sign", "verify")
	r.signs(t, 2, recordAct)
	if out := r.must(t, "attach", "--signed", r.stick); !strings.Contains(out, "officer-3 reads and signs") {
		t.Error(out)
	}
	r.refused(t, "officer-3 agreed and did not sign", "verify")
	r.signs(t, 3, recordAct)
	r.must(t, "attach", "--signed", r.stick)
	if out := r.must(t, "verify", "--plan", plan); strings.Count(out, "agreed before a key was made, and signed: ") != 2 {
		t.Error(out)
	}
	r.findsEdits(t)
	r.succession(t, url)
}

// findsEdits changes each file that the ceremony left, and looks whether it is found.
func (r room) findsEdits(t *testing.T) {
	t.Helper()
	for name, change := range map[string][2]string{
		"transcript.json":  {"officer-3 (witness)", "officer-4 (witness)"},
		"transcript.txt":   {"officer-3 (witness)", "officer-4 (witness)"},
		"protocol.pl.html": {"świadek", "gość"},
		"protocol.en.html": {"witness", "guest"},
	} {
		file := r.file("state/trustd/pki/" + name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if changed == string(text) {
			t.Fatalf("%s does not say %q", name, change[0])
		}
		write := func(text string) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(changed)
		r.refused(t, name, "verify")
		write(string(text))
		if err := os.Rename(file, file+".away"); err != nil {
			t.Fatal(err)
		}
		r.refused(t, name, "verify")
		if err := os.Rename(file+".away", file); err != nil {
			t.Fatal(err)
		}
	}
	other := r.file("other.yaml")
	if err := os.WriteFile(other, ceremony.Default("http://10.64.0.1:8080/pki"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.refused(t, "not the one that was kept elsewhere", "verify", "--plan", other)
	r.must(t, "verify")
}

// succession has the people of the ceremony make a further authority; those who have no key, and others with keys, don't.
func (r room) succession(t *testing.T, url string) {
	t.Helper()
	st := state{r.file("state")}
	settings := fmt.Sprintf("state_dir: %s\npki_url: %s\n", st.path("trustd"), url)
	if err := os.WriteFile(st.path("config", "trustd.yaml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	plan := r.file("succession.yaml")
	write := func(text []byte) {
		if err := os.WriteFile(plan, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next := ceremony.DefaultSuccession(url, 2)
	write(next)
	r.refused(t, "0 people of the ceremony before agreed", "succeed", "--plan", plan)
	write(keyedPlan(next, r.people...))
	r.must(t, "open", "--plan", plan, "--to", r.stick)
	r.refused(t, "is not by their key over this message", "succeed", "--plan", plan, "--signed", r.stick) // what they signed the first time
	r.signs(t, 2, openingAct)
	r.signs(t, 3, openingAct)
	r.must(t, "succeed", "--plan", plan, "--signed", r.stick)
	r.signs(t, 2, recordAct)
	r.signs(t, 3, recordAct)
	r.must(t, "attach", "--number", "2", "--signed", r.stick)
	if out := r.must(t, "verify"); strings.Count(out, "agreed before a key was made, and signed: ") != 4 {
		t.Error(out)
	}
}
