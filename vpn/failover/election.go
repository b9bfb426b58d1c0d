package failover

import "time"

// Role is what a gateway of a pair does.
type Role uint8

// The roles. A gateway begins as standby, unless it carried the tunnels a moment ago.
const (
	Standby Role = iota // has all tunnels prepared, and is silent
	Active              // has the addresses, and carries the tunnels
)

// String is the word for the role in reports and logs.
func (r Role) String() string { return [...]string{"standby", "active"}[r] }

// How long things take. Three adverts may be lost one after another.
const (
	advertEvery = 100 * time.Millisecond
	deadAfter   = 3*advertEvery + advertEvery/2
	settleFor   = time.Second     // after a start, before a gateway that hears nobody takes over
	unreadyFor  = 2 * time.Second // of who carries, before it gives the tunnels to one that is ready: it may just have started
	yieldFor    = 5 * time.Second // after a gateway gave the tunnels away, before it takes them again from nobody
)

// election is one gateway's half of the agreement on who carries the tunnels. It is pure: what happens comes in with the time
// at which it does, and what is to be done comes out.
type election struct {
	first bool // takes over before the other where nothing else decides

	role    Role
	term    uint64 // the highest that was seen
	session uint64
	seq     uint64
	ready   bool          // what would keep this gateway from carrying is not there
	readyAt time.Duration // when it was ready last, or began
	wants   bool

	notBefore time.Duration // no take-over from nobody before that
	other     peer
}

// peer is what is known of the other gateway.
type peer struct {
	advert
	known     bool          // its session answered ours: what it says is not from a record
	candidate uint64        // the session that was heard last, whether known or not
	at        time.Duration // of the last advert that counts
	active    time.Duration // when it was heard last as the one that carries; 0 before
}

// verdict is what is to be done.
type verdict int

const (
	stay  verdict = iota
	ask           // ask whether anybody has the addresses, and take them if nobody does
	take          // take them: the other gateway has let them go
	yield         // let them go
	tell          // say again where they are: the other gateway had them, too
)

// begin starts at a time. A gateway that carried the tunnels a moment ago, and still has the addresses, goes on.
func (e *election) begin(now time.Duration, carrying bool) {
	e.readyAt, e.notBefore = now, now+settleFor
	if carrying {
		e.role = Active
	}
}

// next is the advert to send.
func (e *election) next(clock time.Time) advert {
	e.seq++
	return advert{role: e.role, ready: e.ready, wants: e.wants && e.role == Standby, session: e.session, seq: e.seq, term: e.term,
		echo: e.other.candidate, clock: clock}
}

// alive says whether the other gateway was heard lately.
func (e *election) alive(now time.Duration) bool { return e.other.known && now-e.other.at < deadAfter }

// hear takes an advert that has the right code. A session counts when it has answered ours, and each of its adverts once, in
// their order: so a recorded advert keeps nobody from taking over.
func (e *election) hear(a advert, now time.Duration) verdict {
	if a.session == e.session {
		return stay // our own, sent back
	}
	o := &e.other
	if !o.known || a.session != o.session {
		o.candidate = a.session
		if a.echo != e.session {
			return stay
		}
	} else if a.seq <= o.seq {
		return stay
	}
	gave := o.known && o.session == a.session && o.role == Active && a.role == Standby
	active := o.active
	if a.role == Active {
		active = now
	}
	e.other = peer{advert: a, known: true, candidate: a.session, at: now, active: active}
	mine := e.term
	e.term = max(e.term, a.term)
	switch {
	case e.role == Active && a.role == Active && (a.term > mine || a.term == mine && !e.first):
		return e.leave(now)
	case e.role == Active && a.role == Standby && a.ready && (a.wants || now-e.readyAt > unreadyFor):
		return e.leave(now)
	case e.role == Standby && gave && e.ready:
		return take
	case e.role == Active && gave:
		return tell
	}
	return stay
}

// tick looks what the time brings.
func (e *election) tick(now time.Duration) verdict {
	if e.ready {
		e.readyAt = now
	}
	if e.role == Active || !e.ready {
		return stay
	}
	notBefore := e.notBefore
	if !e.first {
		notBefore += 2 * deadAfter
	}
	o := &e.other
	switch {
	case e.alive(now) && o.role == Active:
		return stay
	case o.active > 0 && now-o.active < deadAfter:
		return stay
	case o.active > 0 && !e.alive(now): // it carried, and is not heard any more
		return ask
	case now < notBefore:
		return stay
	}
	return ask
}

// took is called when the addresses are ours.
func (e *election) took() {
	e.role, e.wants = Active, false
	e.term++
}

// leave makes the gateway standby.
func (e *election) leave(now time.Duration) verdict {
	e.role, e.notBefore = Standby, now+yieldFor
	return yield
}
