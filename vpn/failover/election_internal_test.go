package failover

import (
	"math/rand/v2"
	"testing"
	"time"
)

// segment is two elections, the datagrams between them and the network that both stand on, in steps of 10 ms.
type segment struct {
	t      *testing.T
	now    time.Duration
	sides  [2]*side
	told   int     // how often the neighbours were told again
	lost   [2]bool // datagrams from the side do not arrive
	cut    bool    // neither do questions for the addresses: the network is in two parts
	cutEnd time.Duration
}

// side is one gateway of it.
type side struct {
	e       *election
	dead    bool
	has     bool // the addresses
	asked   time.Duration
	asking  bool
	sent    time.Duration
	sending []advert // on their way, a step
}

const step = 10 * time.Millisecond

func newSegment(t *testing.T) *segment {
	s := &segment{t: t, now: time.Hour}
	for i := range s.sides {
		s.sides[i] = &side{e: &election{session: uint64(i + 1), first: i == 0, ready: true}}
		s.sides[i].e.begin(s.now, false)
	}
	return s
}

func (s *segment) do(i int, v verdict) {
	me, other := s.sides[i], s.sides[1-i]
	switch v {
	case ask:
		if !me.asking {
			me.asking, me.asked = true, s.now
		}
	case take:
		me.has = true
		me.e.took()
		s.send(i)
	case yield:
		me.has = false
		s.send(i)
	case tell:
		s.told++
	}
	if me.has && me.e.role != Active || other.has && other.e.role != Active {
		s.t.Fatalf("at %v: who has the addresses is not active", s.now)
	}
}

func (s *segment) send(i int) {
	me := s.sides[i]
	me.sent = s.now
	me.sending = append(me.sending, me.e.next(time.Time{}))
}

// pass goes a step on.
func (s *segment) pass() {
	s.now += step
	for i, me := range s.sides {
		arrived := me.sending
		me.sending = nil
		if s.lost[i] || s.sides[1-i].dead {
			continue
		}
		for _, a := range arrived {
			s.do(1-i, s.sides[1-i].e.hear(a, s.now))
		}
	}
	for i, me := range s.sides {
		if me.dead {
			continue
		}
		if s.now-me.sent >= advertEvery {
			s.do(i, me.e.tick(s.now))
			s.send(i)
		}
		s.answer(i)
	}
}

// answer ends a question for the addresses.
func (s *segment) answer(i int) {
	me, other := s.sides[i], s.sides[1-i]
	const takes = questions * answerIn
	if !me.asking || s.now-me.asked < takes {
		return
	}
	me.asking = false
	rival := !me.e.first && other.asking && !other.dead
	if !s.cut && (other.has || rival) {
		return
	}
	if me.e.tick(s.now) == ask {
		s.do(i, take)
	}
}

func (s *segment) active() (n int) {
	for _, me := range s.sides {
		if me.has {
			n++
		}
	}
	return n
}

// until passes steps until the condition holds, and says how long that took.
func (s *segment) until(what string, holds func() bool) time.Duration {
	s.t.Helper()
	began := s.now
	for !holds() {
		if s.pass(); s.now-began > time.Minute {
			s.t.Fatalf("%s: not within a minute", what)
		}
	}
	return s.now - began
}

// TestTakeOver is quick where the other one is silent, at once where it hands over, and back where it is asked for.
func TestTakeOver(t *testing.T) {
	s := newSegment(t)
	s.until("the first carries", func() bool { return s.sides[0].has })
	s.until("the other one hears it", func() bool { return s.sides[1].e.alive(s.now) && s.sides[1].e.other.role == Active })
	s.sides[1].e.wants = true
	if took := s.until("handed over", func() bool { return s.sides[1].has }); took > 2*advertEvery || s.sides[0].has {
		t.Errorf("handed over in %v", took)
	}
	if s.sides[1].e.wants {
		t.Error("it wants them for ever")
	}
	s.sides[1].dead, s.sides[1].has = true, false
	if took := s.until("taken over", func() bool { return s.sides[0].has }); took > 600*time.Millisecond {
		t.Errorf("taken over in %v", took)
	}
}

// TestUnready gives the tunnels to one that is ready, and to nobody else.
func TestUnready(t *testing.T) {
	s := newSegment(t)
	s.sides[1].e.ready = false
	s.until("the first carries", func() bool { return s.sides[0].has })
	s.sides[0].e.ready = false
	for range 1000 {
		s.pass()
	}
	if !s.sides[0].has {
		t.Error("it gave the tunnels to nobody")
	}
	s.sides[1].e.ready = true
	s.until("who is ready carries", func() bool { return s.sides[1].has && !s.sides[0].has })
}

// TestSplitBrain: adverts that are lost let nobody take what the other one has; a network in two parts has a gateway in each,
// and one when it is whole again.
func TestSplitBrain(t *testing.T) {
	s := newSegment(t)
	s.until("one carries, as the other one hears", func() bool { return s.active() == 1 && s.sides[1].e.other.role == Active })
	s.lost = [2]bool{true, true}
	for range 1000 {
		if s.pass(); s.active() != 1 {
			t.Fatal("adverts were lost, and both carry")
		}
	}
	s.cut = true
	s.until("each part has one", func() bool { return s.active() == 2 })
	s.lost, s.cut = [2]bool{}, false
	if took := s.until("one lets go", func() bool { return s.active() == 1 }); took > 2*advertEvery {
		t.Errorf("both carried for %v in one network", took)
	}
	if !s.sides[1].has {
		t.Error("the earlier take-over counted")
	}
	if s.until("the neighbours are told", func() bool { return s.told > 0 }); s.told != 1 {
		t.Errorf("the neighbours are told %d times", s.told)
	}
}

// TestRecordedAdverts keep nobody from taking over, whoever sends them again.
func TestRecordedAdverts(t *testing.T) {
	e := &election{session: 7, ready: true}
	e.begin(0, false)
	record := advert{role: Active, session: 9, seq: 5, echo: 3, ready: true}
	e.hear(record, 0)
	if e.other.known {
		t.Error("a session that answered another start of ours counts")
	}
	record.echo = 7
	e.hear(record, advertEvery)
	if !e.alive(advertEvery) {
		t.Fatal("the other gateway is not heard")
	}
	for now := advertEvery; now < 2*settleFor; now += advertEvery {
		e.hear(record, now)
	}
	if e.alive(2*settleFor) || e.tick(2*settleFor) != ask {
		t.Error("an advert that is sent again keeps the other gateway alive")
	}
	own := advert{role: Active, session: 7, seq: 9, echo: 7, term: 9}
	if e.hear(own, 3*settleFor); e.term == 9 {
		t.Error("its own advert, sent back, counts")
	}
}

// TestWalkOfElections goes a random way: gateways die, come back, are not ready, are wanted; adverts are lost, the network is cut.
// Two carry in one network for no longer than two adverts after it was in two parts, and in the end one does.
func TestWalkOfElections(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := newSegment(t)
		both := time.Duration(0)
		for range 6000 {
			s.disturb(r)
			s.pass()
			whole := !s.cut && s.lost == [2]bool{}
			switch {
			case s.active() < 2 || s.cut || s.sides[0].dead || s.sides[1].dead:
				both = 0
			case s.now-s.cutEnd < 2*deadAfter: // the sessions of who came back may not know each other yet
			case whole:
				both += step
			}
			if both > 3*advertEvery {
				t.Fatalf("seed %d, at %v: both carry", seed, s.now)
			}
		}
		s.lost, s.cut = [2]bool{}, false
		for i, me := range s.sides {
			s.revive(i, r.Uint64())
			me.e.ready = true
		}
		for range 2000 {
			s.pass()
		}
		if s.active() != 1 {
			t.Fatalf("seed %d: %d carry in the end: %+v, %+v", seed, s.active(), *s.sides[0].e, *s.sides[1].e)
		}
	}
}

// disturb does something now and then.
func (s *segment) disturb(r *rand.Rand) {
	if r.IntN(50) > 0 {
		return
	}
	i := r.IntN(2)
	me := s.sides[i]
	switch r.IntN(6) {
	case 0:
		s.lost[i] = !s.lost[i]
		s.cutEnd = s.now
	case 1:
		s.cut = !s.cut
		s.lost = [2]bool{s.cut, s.cut}
		s.cutEnd = s.now
	case 2:
		me.e.ready = !me.e.ready
	case 3:
		me.e.wants = true
	case 4: // its machine is gone, and the addresses with it
		me.dead, me.has, me.asking, me.sending = true, false, false, nil
	case 5:
		s.revive(i, r.Uint64())
	}
}

// revive starts a gateway that is dead: it knows the number of the last take-over and nothing else.
func (s *segment) revive(i int, session uint64) {
	me := s.sides[i]
	if !me.dead {
		return
	}
	me.dead, me.e = false, &election{session: session, first: i == 0, ready: true, term: me.e.term}
	me.e.begin(s.now, false)
	s.cutEnd = s.now
}
