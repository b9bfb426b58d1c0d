package mechanism

import "time"

// EndsSource is the edition from which End has its table.
const EndsSource = "ETSI TS 119 312 V1.5.1 (2024-10)"

// ends has the families whose signatures are relied on up to a day, with the keys that the HSM makes (RSA from 3072
// bits, EC from 256). An end that is forecast stands until the next edition moves it.
var ends = map[family]time.Time{pkcs1: time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)}

// End is the last moment at which what the mechanism signs is relied on; false where no end is known. The HSM goes on
// signing after it: what that is worth is for who verifies.
func (m Mechanism) End() (time.Time, bool) {
	c := m.Code()
	if c == 0 {
		return time.Time{}, false
	}
	end, known := ends[table[c-1].family]
	return end, known
}
