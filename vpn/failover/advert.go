package failover

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// advert is what one gateway says to the other, ten times a second.
type advert struct {
	role    Role
	ready   bool      // the gateway could carry the tunnels
	wants   bool      // an officer wants it to carry them
	session uint64    // random, of this start of the sender
	seq     uint64    // grows with each advert of the session
	term    uint64    // of the last take-over that the sender knows; who carries has it for its own
	echo    uint64    // the session of the receiver that the sender heard last; 0 before
	clock   time.Time // of the sender
}

// An advert has one length: version, role and flags, two bytes, five numbers, and HMAC-SHA-256 of all that.
const (
	advertVersion = 1
	advertBody    = 4 + 5*8
	advertLen     = advertBody + sha256.Size

	flagReady = 1
	flagWants = 2
)

// seal writes the advert for who has the key.
func (a advert) seal(key []byte) []byte {
	b := make([]byte, 4, advertLen)
	b[0], b[1] = advertVersion, byte(a.role)
	if a.ready {
		b[2] |= flagReady
	}
	if a.wants {
		b[2] |= flagWants
	}
	for _, n := range []uint64{a.session, a.seq, a.term, a.echo, uint64(a.clock.UnixNano())} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return mac(key, b).Sum(b)
}

var errAdvert = errors.New("this is no advert of the other gateway")

// openAdvert reads what came. It does not say what is wrong with it: it may be from anybody.
func openAdvert(key, b []byte) (a advert, err error) {
	if len(b) != advertLen || !hmac.Equal(mac(key, b[:advertBody]).Sum(nil), b[advertBody:]) {
		return a, errAdvert
	}
	if b[0] != advertVersion || b[1] > byte(Active) {
		return a, errAdvert
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(b[4+8*i:]) }
	return advert{role: Role(b[1]), ready: b[2]&flagReady != 0, wants: b[2]&flagWants != 0,
		session: n(0), seq: n(1), term: n(2), echo: n(3), clock: time.Unix(0, int64(n(4)))}, nil
}

func mac(key, body []byte) interface{ Sum([]byte) []byte } {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("trustcore gateway advert 1\x00"))
	h.Write(body)
	return h
}
