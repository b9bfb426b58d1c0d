package gateway

import (
	"net/http"
	"time"
)

// Version says which of the keys of one name a grant's key is, and when it is the one that signs: a key is followed by
// another, and both are listed and verify. The zero value signs always, and is the only one.
type Version struct {
	Number   int       // from 1 on; 0 where keys have no versions
	SignsOn  time.Time // signs from then on; zero: since it was made
	Replaced time.Time // signs no more from then on; zero: until further notice
	By       string    // the key that signs then
}

// refusal says why the version does not sign now; nil when it does.
func (v Version) refusal(now time.Time) *refusal {
	switch {
	case v.By != "" && !now.Before(v.Replaced):
		return refuse(http.StatusForbidden, "version-replaced",
			"this version of the key verifies alone: since %s the key %s signs in its place", told3339(v.Replaced), v.By)
	case now.Before(v.SignsOn):
		return refuse(http.StatusForbidden, "version-not-yet", "this version of the key signs from %s on", told3339(v.SignsOn))
	}
	return nil
}

func told3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
