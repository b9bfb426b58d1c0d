package ceremony

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Machine is where a ceremony is held, as the transcript has it: facts of the HSM, of the program and of the clock by their names.
type Machine map[string]string

// Session is a ceremony that is open and has made nothing yet: what people agree to. It serves once.
type Session struct {
	Version int       `json:"version"` // 1
	ID      string    `json:"id"`      // 128 random bits, hex
	Opened  time.Time `json:"opened"`  // UTC, whole seconds
	Plan    string    `json:"plan_sha256"`
	Machine Machine   `json:"machine"`

	agreed []Signature // in the plan's order; checked
}

// NewSession opens a ceremony by a plan on a machine.
func NewSession(plan *Plan, machine Machine, now time.Time) (*Session, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	return &Session{Version: 1, ID: hex.EncodeToString(id), Opened: now.UTC().Truncate(time.Second), Plan: plan.Digest(), Machine: maps.Clone(machine)}, nil
}

// ReadSession reads what JSON wrote.
func ReadSession(data []byte) (*Session, error) {
	s := &Session{}
	err := decode(data, s)
	if err == nil && s.Version != 1 {
		err = fmt.Errorf("version is %d, not 1", s.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	return s, nil
}

// JSON is what ReadSession reads.
func (s *Session) JSON() ([]byte, error) { return encode(s) }

// Messages are what the people of the plan sign to agree that the ceremony begins: this plan, on this machine, once.
func (s *Session) Messages(plan *Plan) (all []Message) {
	facts := [][2]string{{"title", plan.Title}, {"place", plan.Place}, {"plan_sha256", s.Plan}, {"opening", s.ID}, {"opened", s.Opened.Format(time.RFC3339)}}
	for _, name := range slices.Sorted(maps.Keys(s.Machine)) {
		facts = append(facts, [2]string{name, s.Machine[name]})
	}
	for _, who := range plan.people {
		all = append(all, who.about("opening", facts...))
	}
	return all
}

// In is the plan in a session to which its people agreed, as Perform, PerformRoot and Succeed take it. A plan whose people have no keys
// needs no signature, and takes none. before are the people of the ceremony before by the same root, nil where there is none: as many of
// them as their plan says agree to what is done with their root's key.
func (p *Plan) In(s *Session, signatures []Signature, before *Plan) (*Plan, error) {
	if s.Plan != p.Digest() {
		return nil, errors.New("opening: it is of another plan")
	}
	var names []string
	var err error
	switch {
	case p.Keyed():
		names, err = p.signed(s.Messages(p), signatures)
	case len(signatures) > 0:
		err = errors.New("signatures: the plan's attendees have no keys")
	}
	if err != nil {
		return nil, err
	}
	if before != nil && before.Keyed() && p.holders(names, before) < before.Signatures {
		return nil, fmt.Errorf("signatures: %d people of the ceremony before agreed; %d have to, whose root's key this is about",
			p.holders(names, before), before.Signatures)
	}
	in, session := *p, *s
	session.agreed = nil
	for _, name := range names { // in the plan's order
		n := slices.IndexFunc(signatures, func(g Signature) bool { return g.Name == name })
		session.agreed = append(session.agreed, signatures[n])
	}
	in.session = &session
	return &in, nil
}

// Facts are what an audit entry says of a ceremony by the plan: its digest, and who agreed to it.
func (p *Plan) Facts() map[string]string {
	facts := map[string]string{"plan_sha256": p.Digest()}
	if p.session == nil {
		return facts
	}
	facts["opening"] = p.session.ID
	for i, s := range p.session.agreed {
		facts[fmt.Sprintf("agreed %d", i+1)] = s.Name
	}
	return facts
}

// mayBegin refuses a plan whose people did not agree.
func (p *Plan) mayBegin() error {
	if p.Keyed() && (p.session == nil || len(p.session.agreed) < p.Signatures) {
		return fmt.Errorf("plan: %d of its people sign the opening first", p.Signatures)
	}
	return nil
}

// The steps that tell of a session.
const (
	stepMachine = "machine looked at"
	stepPeople  = "people agreed"
	stepClosed  = "ceremony closed"
)

// open writes down the machine and who agreed.
func (t *Transcript) open(s *Session, plan *Plan, at time.Time) {
	t.add(at, stepMachine, s.Machine)
	if !plan.Keyed() {
		return
	}
	facts := map[string]string{"opening": s.ID, "opened": s.Opened.Format(time.RFC3339)}
	for i, a := range s.agreed {
		n := slices.IndexFunc(plan.people, func(p person) bool { return p.Name == a.Name })
		name := fmt.Sprintf("person_%02d", i+1)
		facts[name], facts[name+"_key_sha256"] = a.Name, plan.people[n].digest
		facts[name+"_signature"] = base64.StdEncoding.EncodeToString(a.Signature)
	}
	t.add(at, stepPeople, facts)
}

// agreed reads who agreed, and the session that they agreed to, from the steps.
func (t *Transcript) agreed() (*Session, error) {
	s := &Session{Version: 1, Plan: Digest([]byte(t.Plan))}
	if len(t.Steps) < 3 || t.Steps[1].What != stepMachine || t.Steps[2].What != stepPeople {
		return nil, errors.New("its people have keys, and no step says that they agreed")
	}
	s.Machine = t.Steps[1].Facts
	facts := t.Steps[2].Facts
	s.ID = facts["opening"]
	var err error
	if s.Opened, err = time.Parse(time.RFC3339, facts["opened"]); err != nil {
		return nil, fmt.Errorf("step 3: %w", err)
	}
	for i := 1; ; i++ {
		name := fmt.Sprintf("person_%02d", i)
		if facts[name] == "" {
			break
		}
		signature, err := base64.StdEncoding.DecodeString(facts[name+"_signature"])
		if err != nil {
			return nil, fmt.Errorf("step 3: the signature of %s: %w", facts[name], err)
		}
		s.agreed = append(s.agreed, Signature{Name: facts[name], Signature: signature})
	}
	return s, nil
}

// Attended is what a transcript proves of people.
type Attended struct {
	Plan   *Plan    // nil where its people have no keys
	Agreed []string // before a key was made, and signed the transcript; nobody where they have no keys
	Absent []string // agreed, and have not signed the transcript yet
}

// people checks who agreed and who signed the transcript. Each who agreed signs, and nobody else.
func (t *Transcript) people() (Attended, error) {
	withKeys, err := keyed(t.Plan)
	if err != nil {
		return Attended{}, err
	}
	if !withKeys {
		if len(t.People) > 0 {
			return Attended{}, errors.New("people signed, and the plan has no keys of theirs")
		}
		return Attended{}, nil
	}
	plan, err := parse([]byte(t.Plan), modeOf([]byte(t.Plan)))
	if err != nil {
		return Attended{}, err
	}
	s, err := t.agreed()
	if err != nil {
		return Attended{}, err
	}
	a := Attended{Plan: plan}
	if a.Agreed, err = plan.signed(s.Messages(plan), s.agreed); err != nil {
		return Attended{}, fmt.Errorf("the opening: %w", err)
	}
	signed := 0
	for _, m := range t.messages(plan, a.Agreed) {
		if signed == len(t.People) || t.People[signed].Name != m.Name {
			a.Absent = append(a.Absent, m.Name)
			continue
		}
		if !plan.people[m.Number-1].verifies(m.Text, t.People[signed].Signature) {
			return Attended{}, fmt.Errorf("the signature of %s is not by their key over this transcript", m.Name)
		}
		signed++
	}
	if signed != len(t.People) {
		return Attended{}, fmt.Errorf("%s signed, and did not agree to the opening, signed twice, or out of order", t.People[signed].Name)
	}
	return a, nil
}

// messages are what those who agreed sign at the end: the last hash, and with it all that was done.
func (t *Transcript) messages(plan *Plan, agreed []string) (all []Message) {
	for _, who := range plan.people {
		if slices.Contains(agreed, who.Name) {
			all = append(all, who.about("record", [2]string{"title", plan.Title}, [2]string{"plan_sha256", plan.Digest()},
				[2]string{"root_sha256", Digest(t.Root)}, [2]string{"steps", fmt.Sprint(len(t.Steps))},
				[2]string{"last_hash", t.Steps[len(t.Steps)-1].Hash}))
		}
	}
	return all
}

// Messages are what those who agreed and have not signed the transcript yet sign; nothing where its people have no keys.
func (t *Transcript) Messages() ([]Message, error) {
	a, err := t.people()
	if err != nil || a.Plan == nil {
		return nil, err
	}
	return t.messages(a.Plan, a.Absent), nil
}

// Sign adds signatures of people who agreed. It returns who is still absent.
func (t *Transcript) Sign(signatures []Signature) (absent []string, err error) {
	before, err := t.people()
	if err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	given := slices.Concat(t.People, signatures)
	t.People = nil
	for _, name := range before.Agreed { // in the plan's order
		for _, s := range given {
			if s.Name == name {
				t.People = append(t.People, s)
			}
		}
	}
	if len(t.People) != len(given) {
		return nil, errors.New("transcript: somebody signed who did not agree to the opening")
	}
	after, err := t.people()
	if err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return after.Absent, nil
}

// Complete refuses a transcript that somebody who agreed has not signed, and one of a ceremony to which too few people of the ceremony
// before agreed, by the same root.
func (a Attended) Complete(before Attended) error {
	if len(a.Absent) > 0 {
		return fmt.Errorf("transcript: %s agreed and did not sign it", strings.Join(a.Absent, ", "))
	}
	if before.Plan == nil {
		return nil
	}
	if a.Plan == nil || a.Plan.holders(a.Agreed, before.Plan) < before.Plan.Signatures {
		return fmt.Errorf("transcript: fewer than %d people of the ceremony before agreed to this one", before.Plan.Signatures)
	}
	return nil
}

// Person is an attendee and the key that they sign with.
type Person struct{ Name, KeySHA256 string }

// Signers are who agreed and signed.
func (a Attended) Signers() (all []Person) {
	if a.Plan == nil {
		return nil
	}
	for _, who := range a.Plan.people {
		if slices.Contains(a.Agreed, who.Name) && !slices.Contains(a.Absent, who.Name) {
			all = append(all, Person{who.Name, who.digest})
		}
	}
	return all
}
