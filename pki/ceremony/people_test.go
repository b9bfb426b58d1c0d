package ceremony_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/pki/ceremony"
	"trustcore/pki/ceremony/ceremonytest"
	"trustcore/pki/pkitest"
)

var machine = ceremony.Machine{"hsm_manufacturer": "Maker", "hsm_model": "Model", "hsm_serial": "1234", "hsm_firmware": "1.2",
	"program_sha256": strings.Repeat("ab", 32), "time_source": "the kernel's clock"}

// attended is a ceremony of three people with keys, of whom two have to sign.
type attended struct {
	text   []byte
	plan   *ceremony.Plan
	people ceremonytest.People
	result *ceremony.Result
}

// hold holds a ceremony to which those named agreed, and has them sign the transcript.
func hold(t testing.TB, names ...string) attended {
	t.Helper()
	var a attended
	a.text, a.people = ceremonytest.Keyed(t, ceremony.Default(baseURL), 2, nil)
	a.plan = parsePlan(t, a.text)
	s, err := ceremony.NewSession(a.plan, machine, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	in, err := a.plan.In(s, a.people.Sign(t, s.Messages(a.plan), names...), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.result, err = ceremony.Perform(t.Context(), in, pkitest.SoftwareKey, time.Now); err != nil {
		t.Fatal(err)
	}
	messages, err := a.result.Transcript.Messages()
	if err != nil {
		t.Fatal(err)
	}
	if absent, err := a.result.Transcript.Sign(a.people.Sign(t, messages, names...)); err != nil || len(absent) > 0 {
		t.Fatalf("absent: %v, %v", absent, err)
	}
	return a
}

func parsePlan(t testing.TB, text []byte) *ceremony.Plan {
	t.Helper()
	plan, err := ceremony.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// verify is what `ceremony verify` does with a transcript.
func (a attended) verify(t *ceremony.Transcript) error {
	data, err := t.JSON()
	if err != nil {
		return err
	}
	read, err := ceremony.VerifyTranscript(data, a.result.Root.Certificate)
	if err != nil {
		return err
	}
	who, err := read.Attended()
	if err != nil {
		return err
	}
	return who.Complete(ceremony.Attended{})
}

// copyOf is a transcript that may be changed.
func (a attended) copyOf(t testing.TB) *ceremony.Transcript {
	t.Helper()
	data, err := a.result.Transcript.JSON()
	if err != nil {
		t.Fatal(err)
	}
	changed := &ceremony.Transcript{}
	if err := json.Unmarshal(data, changed); err != nil {
		t.Fatal(err)
	}
	return changed
}

// rehash chains the steps anew and has the root's key sign: who holds that key can do so, and people's keys show it.
func (a attended) rehash(t testing.TB, changed *ceremony.Transcript) {
	t.Helper()
	previous := ""
	for i := range changed.Steps {
		s := &changed.Steps[i]
		s.Index, s.Previous = i+1, previous
		h := sha256.New()
		fmt.Fprintf(h, "%d\n%s\n%q\n%q\n", s.Index, s.Time.UTC().Format(time.RFC3339Nano), s.What, s.Previous)
		for _, name := range slices.Sorted(maps.Keys(s.Facts)) {
			fmt.Fprintf(h, "%q=%q\n", name, s.Facts[name])
		}
		s.Hash = hex.EncodeToString(h.Sum(nil))
		previous = s.Hash
	}
	ceremonytest.SignTranscript(t, a.result.Root, changed)
}

// TestPeopleAgreeAndSign verifies a ceremony of two of three people and one of all three, and what it says of them and of the machine.
func TestPeopleAgreeAndSign(t *testing.T) {
	for _, names := range [][]string{{"officer-1", "officer-3"}, {"officer-3", "officer-2", "officer-1"}} {
		a := hold(t, names...)
		if err := a.verify(a.result.Transcript); err != nil {
			t.Errorf("%v: %v", names, err)
		}
		who, err := a.result.Transcript.Attended()
		if err != nil || len(who.Signers()) != len(names) {
			t.Errorf("%v: %v signed, %v", names, who.Signers(), err)
		}
		text := a.result.Transcript.Text()
		for name, value := range machine {
			if !strings.Contains(text, name) || !strings.Contains(text, value) {
				t.Errorf("the transcript does not say %s: %s", name, value)
			}
		}
	}
}

// TestOnePersonCantDoItAlone has one person try each way to hold a ceremony by themselves.
func TestOnePersonCantDoItAlone(t *testing.T) {
	text, people := ceremonytest.Keyed(t, ceremony.Default(baseURL), 2, nil)
	plan := parsePlan(t, text)
	open := func() *ceremony.Session {
		s, err := ceremony.NewSession(plan, machine, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, other := open(), open()
	mine := people.Sign(t, s.Messages(plan), "officer-1")
	as := func(name string, signature ceremony.Signature) ceremony.Signature {
		signature.Name = name
		return signature
	}
	asOfficer2 := ceremonytest.People{"officer-2": people["officer-1"]}.Sign(t, s.Messages(plan), "officer-2")
	for what, c := range map[string]struct {
		signatures []ceremony.Signature
		want       string
	}{
		"alone":                            {mine, "1 of the plan's people signed; 2 have to"},
		"nobody":                           {nil, "0 of the plan's people signed"},
		"twice":                            {slices.Concat(mine, mine), "officer-1 is there twice"},
		"for another by the same":          {append(slices.Clone(mine), as("officer-2", mine[0])), "officer-2 is not by their key"},
		"another's message by one's key":   {slices.Concat(mine, asOfficer2), "officer-2 is not by their key"},
		"a stranger":                       {append(slices.Clone(mine), as("officer-9", mine[0])), "none of the plan's attendees"},
		"an old agreement of the other":    {slices.Concat(mine, people.Sign(t, other.Messages(plan), "officer-2")), "officer-2 is not by their key"},
		"an empty signature for the other": {append(slices.Clone(mine), ceremony.Signature{Name: "officer-2"}), "officer-2 is not by their key"},
	} {
		if _, err := plan.In(s, c.signatures, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", what, c.want, err)
		}
	}
	made := false
	none := func() error {
		_, err := ceremony.Perform(t.Context(), plan, pkitest.SoftwareKey, func() time.Time { made = true; return time.Now() })
		return err
	}
	if err := none(); err == nil || !strings.Contains(err.Error(), "sign the opening first") || made {
		t.Errorf("without an opening: %v, begun %t", err, made)
	}
	another := parsePlan(t, bytes.Replace(text, []byte("place: this machine"), []byte("place: that machine"), 1))
	if _, err := another.In(s, people.Sign(t, s.Messages(plan), "officer-1", "officer-2"), nil); err == nil ||
		!strings.Contains(err.Error(), "of another plan") {
		t.Errorf("an opening of another plan: %v", err)
	}
}

// TestOneKeyIsOnePerson passes one key off as two: as it is, and as what its holder makes from it.
func TestOneKeyIsOnePerson(t *testing.T) {
	text, people := ceremonytest.Keyed(t, ceremony.Default(baseURL), 2, nil)
	pemOf := func(public any) string { return ceremonytest.PublicPEM(t, public, "      ") }
	first, third := people["officer-1"], people["officer-3"]
	point, err := first.PublicKey.Bytes() // 04, x, y
	if err != nil {
		t.Fatal(err)
	}
	new(big.Int).Sub(elliptic.P256().Params().P, new(big.Int).SetBytes(point[33:])).FillBytes(point[33:])
	negative, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	made, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	exponent := rsa.PublicKey{N: made.N, E: 65539}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edited := func(old, new string) string {
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("the plan has no %q", old)
		}
		return strings.Replace(string(text), old, new, 1)
	}
	rsaTwice := strings.Replace(edited(pemOf(&first.PublicKey), pemOf(&made.PublicKey)), pemOf(&third.PublicKey), pemOf(&exponent), 1)
	for what, c := range map[string]struct{ text, want string }{
		"the same key":          {edited(pemOf(&third.PublicKey), pemOf(&first.PublicKey)), "attendees[2].key: is that of attendees[0]"},
		"its negative":          {edited(pemOf(&third.PublicKey), pemOf(negative)), "attendees[2].key: is that of attendees[0]"},
		"another exponent":      {rsaTwice, "attendees[2].key: is that of attendees[0]"},
		"a short key":           {edited(pemOf(&third.PublicKey), pemOf(&weak.PublicKey)), "attendees[2].key: an RSA key of 2048 bits"},
		"the same name":         {edited("name: officer-3", "name: OFFICER-1"), "is there twice"},
		"one without a key":     {edited("    key: |\n"+pemOf(&third.PublicKey), ""), "attendees: 2 of 3 have a key"},
		"one is enough":         {edited("signatures: 2", "signatures: 1"), "signatures: is 1"},
		"more than there are":   {edited("signatures: 2", "signatures: 4"), "signatures: is 4"},
		"nobody has to":         {edited("signatures: 2\n", ""), "signatures: is 0"},
		"less than nobody":      {edited("signatures: 2", "signatures: -1"), "signatures: is -1"},
		"two blocks":            {edited(pemOf(&third.PublicKey), pemOf(&third.PublicKey)+pemOf(&first.PublicKey)), "is no public key"},
		"a certificate":         {edited("      -----BEGIN PUBLIC KEY-----", "      -----BEGIN CERTIFICATE-----"), "is no public key"},
		"keys without a number": {string(ceremony.Default(baseURL)) + "signatures: 2\n", "0 of 3 have a key"},
	} {
		_, err := ceremony.Parse([]byte(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: want %q, got %v", what, c.want, err)
		}
	}
}

// TestEveryEditOfAnAttendedTranscriptIsFound edits it as somebody would who has the file, and as somebody who has the root's key, too.
func TestEveryEditOfAnAttendedTranscriptIsFound(t *testing.T) {
	a, other := hold(t, "officer-1", "officer-3"), hold(t, "officer-1", "officer-3")
	if err := a.verify(a.copyOf(t)); err != nil {
		t.Fatal(err)
	}
	stranger, _ := ceremonytest.Keyed(t, ceremony.Default(baseURL), 2, nil)
	for what, change := range map[string]func(c *ceremony.Transcript){
		"another transcript's signature": func(c *ceremony.Transcript) { c.People[0] = other.result.Transcript.People[0] },
		"one has not signed":             func(c *ceremony.Transcript) { c.People = c.People[:1] },
		"nobody signed":                  func(c *ceremony.Transcript) { c.People = nil },
		"in another order":               func(c *ceremony.Transcript) { slices.Reverse(c.People) },
		"one signed twice":               func(c *ceremony.Transcript) { c.People = append(c.People, c.People[1]) },
		"one signed for the other":       func(c *ceremony.Transcript) { c.People[1].Signature = c.People[0].Signature },
		"one who did not agree": func(c *ceremony.Transcript) {
			c.People = append(c.People, ceremony.Signature{Name: "officer-2", Signature: c.People[0].Signature})
		},
		"an edited fact":     func(c *ceremony.Transcript) { c.Steps[0].Facts["title"] = "Another" },
		"a step taken out":   func(c *ceremony.Transcript) { c.Steps = slices.Delete(c.Steps, 4, 5) },
		"steps in new order": func(c *ceremony.Transcript) { c.Steps[3], c.Steps[4] = c.Steps[4], c.Steps[3] },
		"a step twice":       func(c *ceremony.Transcript) { c.Steps = slices.Insert(c.Steps, 3, c.Steps[3]) },
		"another protocol": func(c *ceremony.Transcript) {
			c.Steps[len(c.Steps)-1].Facts["protocol_pl_sha256"] = strings.Repeat("0", 64)
		},
		"another HSM":       func(c *ceremony.Transcript) { c.Steps[1].Facts["hsm_serial"] = "9999" },
		"no step of people": func(c *ceremony.Transcript) { c.Steps = slices.Delete(c.Steps, 2, 3) },
		"another opening":   func(c *ceremony.Transcript) { c.Steps[2].Facts["opening"] = strings.Repeat("0", 32) },
		"one fewer agreed":  func(c *ceremony.Transcript) { delete(c.Steps[2].Facts, "person_02"); c.People = c.People[:1] },
		"nobody agreed": func(c *ceremony.Transcript) {
			maps.DeleteFunc(c.Steps[2].Facts, func(name, _ string) bool { return strings.HasPrefix(name, "person_") })
			c.People = nil
		},
		"a plan of strangers": func(c *ceremony.Transcript) {
			c.Plan, c.Steps[0].Facts["plan_sha256"] = string(stranger), digestOf(stranger)
		},
		"a plan without keys": func(c *ceremony.Transcript) {
			without := ceremony.Default(baseURL)
			c.Plan, c.Steps[0].Facts["plan_sha256"] = string(without), digestOf(without)
		},
		"fewer have to sign": func(c *ceremony.Transcript) {
			fewer := []byte(strings.Replace(c.Plan, "signatures: 2", "signatures: 1", 1))
			c.Plan, c.Steps[0].Facts["plan_sha256"] = string(fewer), digestOf(fewer)
		},
	} {
		changed := a.copyOf(t)
		change(changed)
		if err := a.verify(changed); err == nil {
			t.Errorf("%s is not found", what)
		}
		a.rehash(t, changed)
		if err := a.verify(changed); err == nil {
			t.Errorf("%s, signed by the root's key anew, is not found", what)
		}
	}
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// TestProtocolIsBoundAndReadable looks at both pages: who signs, what was done, nothing that loads or runs, no text that becomes markup.
func TestProtocolIsBoundAndReadable(t *testing.T) {
	text := strings.Replace(string(ceremony.Default(baseURL)), "title: Demonstration authority", `title: "Urząd <script>alert(1)</script> & co"`, 1)
	result, err := ceremony.Perform(t.Context(), parse(t, text), softwareKey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for language, words := range map[string][]string{
		"pl": {"<html lang=\"pl\">", "Protokół ceremonii kluczy", "Podpis odręczny", "Utworzono klucz: urząd główny", "świadek", "uczestnik 1"},
		"en": {"<html lang=\"en\">", "Protocol of a key ceremony", "Signature by hand", "Key made: root", "witness", "attendee 1"},
	} {
		page, err := result.Transcript.Protocol(language)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range append(words, "officer-1", "officer-3", "Urząd &lt;script&gt;", "default-src &#39;none&#39;", "attribute CKA_EXTRACTABLE") {
			if !bytes.Contains(page, []byte(word)) && !bytes.Contains(page, []byte(strings.ReplaceAll(word, "&#39;", "'"))) {
				t.Errorf("%s: it does not say %q", language, word)
			}
		}
		if bytes.Contains(page, []byte("<script")) || bytes.Contains(page, []byte("src=")) || bytes.Contains(page, []byte("href=")) {
			t.Errorf("%s: it runs or loads something", language)
		}
		if err := result.Transcript.CheckProtocol(language, page); err != nil {
			t.Error(err)
		}
		for what, changed := range map[string][]byte{"a word": bytes.Replace(page, []byte("officer-3"), []byte("officer-4"), 1),
			"a space": append(bytes.Clone(page), ' '), "nothing left": nil} {
			if err := result.Transcript.CheckProtocol(language, changed); err == nil || !strings.Contains(err.Error(), "not the one of this ceremony") {
				t.Errorf("%s: %s: %v", language, what, err)
			}
		}
	}
	if pl, en := result.Transcript.ProtocolDigest("pl"), result.Transcript.ProtocolDigest("en"); pl == en || len(pl) != 64 {
		t.Errorf("digests %q, %q", pl, en)
	}
}

// TestSuccessionByThePeopleBefore has a succession agreed to by people of the ceremony before, and by others.
func TestSuccessionByThePeopleBefore(t *testing.T) {
	a := hold(t, "officer-1", "officer-3")
	before, err := a.result.Transcript.Attended()
	if err != nil {
		t.Fatal(err)
	}
	agree := func(text []byte, people ceremonytest.People, names ...string) error {
		plan, err := ceremony.ParseSuccession(text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ceremony.NewSession(plan, machine, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		_, err = plan.In(s, people.Sign(t, s.Messages(plan), names...), before.Plan)
		return err
	}
	next := ceremony.DefaultSuccession(baseURL, 2)
	text, people := ceremonytest.Keyed(t, next, 2, ceremonytest.People{"officer-1": a.people["officer-1"], "officer-2": a.people["officer-2"]})
	if err := agree(text, people, "officer-1", "officer-2"); err != nil {
		t.Errorf("two of the people before: %v", err)
	}
	const want = "people of the ceremony before agreed"
	if err := agree(text, people, "officer-1", "officer-3"); err == nil || !strings.Contains(err.Error(), "1 "+want) {
		t.Errorf("one of them and a newcomer: %v", err)
	}
	if err := agree(next, nil); err == nil || !strings.Contains(err.Error(), "0 "+want) {
		t.Errorf("people without keys after people with keys: %v", err)
	}
	strangers, others := ceremonytest.Keyed(t, next, 2, nil)
	if err := agree(strangers, others, "officer-1", "officer-2"); err == nil || !strings.Contains(err.Error(), "0 "+want) {
		t.Errorf("others under the same names: %v", err)
	}
	if err := (ceremony.Attended{}).Complete(before); err == nil {
		t.Error("a transcript without people follows one with people")
	}
}

// FuzzPersonKey demands that a plan with a strange key is refused or verifies nothing that its holder did not sign.
func FuzzPersonKey(f *testing.F) {
	text, people := ceremonytest.Keyed(f, ceremony.Default(baseURL), 2, nil)
	own := ceremonytest.PublicPEM(f, people["officer-3"].Public(), "      ")
	f.Add(own, []byte("signature"))
	f.Add("      -----BEGIN PUBLIC KEY-----\n      "+base64.StdEncoding.EncodeToString([]byte("0\x03"))+"\n      -----END PUBLIC KEY-----\n", []byte(nil))
	f.Fuzz(func(t *testing.T, key string, signature []byte) {
		plan, err := ceremony.Parse([]byte(strings.Replace(string(text), own, key, 1)))
		if err != nil || !plan.Keyed() {
			return
		}
		given := []ceremony.Signature{{Name: "officer-1", Signature: signature}, {Name: "officer-2", Signature: signature}, {Name: "officer-3", Signature: signature}}
		if names, err := plan.ActBy("grant", []byte("a file"), given); err == nil {
			t.Errorf("%v signed by %x", names, signature)
		}
	})
}
