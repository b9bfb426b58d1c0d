// Package application says what a program of the layers above, such as the records system, is to the appliance: by
// what it is known, and how much of what it may use. trustd keeps the list and gives it to the daemons that let
// applications in.
package application

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Application is a registered program. It is known by a token, or by a certificate of profile daemon-client with its
// name.
type Application struct {
	Name      string     `json:"name"`
	Partner   string     `json:"partner,omitempty"` // whose program it is; "" for the data centre's own
	Created   time.Time  `json:"created"`
	CreatedBy string     `json:"created_by"` // officer
	Revoked   *time.Time `json:"revoked,omitempty"`
	// Tokens are those that count, newest first: at most MaxTokens, so that a new one can come before the old one goes.
	Tokens []Token `json:"tokens"`
	Terms
}

// Token is a secret that stands for an application, as the appliance keeps it.
type Token struct {
	SHA256  string    `json:"sha256"` // of the token, lower-case hex
	Created time.Time `json:"created"`
}

// Terms are what an application may use. A zero limit is the daemon's default.
type Terms struct {
	// DocumentsADay is of batches, and of questions to verifyd, by days of UTC: each of the two counts for itself.
	DocumentsADay   int64 `json:"documents_a_day,omitempty"`
	RequestsAMinute int64 `json:"requests_a_minute,omitempty"` // to verifyd, and to batchd; 0 means no limit
	SpoolBytes      int64 `json:"spool_bytes,omitempty"`       // of documents that wait in the spool of batches
	OpenBatches     int   `json:"open_batches,omitempty"`      // that are not finished
	// Services are the service cards that it may ask about; empty for all.
	Services []string `json:"services,omitempty"`
	// Webhooks are the https addresses that hear of finished batches.
	Webhooks []string `json:"webhooks,omitempty"`
}

// Limits of an application's entry.
const (
	MaxTokens   = 2
	maxServices = 100
	maxWebhooks = 8
	maxAddress  = 2048 // bytes
)

// name is one that a certificate, a folder and a log can have.
var name = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// FieldError names the part of an entry that can't be taken.
type FieldError struct{ Field, Remedy string }

// Error says both.
func (e *FieldError) Error() string { return e.Field + ": " + e.Remedy }

// Check names what of an entry can't be taken, with a *FieldError.
func (a *Application) Check() error {
	switch {
	case !name.MatchString(a.Name):
		return &FieldError{"name", fmt.Sprintf("%.80q: write lower-case letters, digits, dots and hyphens, such as ezd",
			a.Name)}
	case a.DocumentsADay < 0 || a.RequestsAMinute < 0 || a.SpoolBytes < 0 || a.OpenBatches < 0:
		return &FieldError{"documents_a_day, requests_a_minute, spool_bytes, open_batches",
			"a limit below 0: write 0 for the default"}
	case len(a.Services) > maxServices:
		return &FieldError{"services", fmt.Sprintf("more than %d", maxServices)}
	case slices.Contains(a.Services, ""):
		return &FieldError{"services", "one without a name: name the card, or name none to allow all"}
	case len(a.Webhooks) > maxWebhooks:
		return &FieldError{"webhooks", fmt.Sprintf("more than %d", maxWebhooks)}
	}
	for _, address := range a.Webhooks {
		if !isWebhook(address) {
			return &FieldError{"webhooks", "an address that is no https URL with a host, without a user and without a fragment"}
		}
	}
	return nil
}

func isWebhook(address string) bool {
	u, err := url.Parse(address)
	return err == nil && len(address) <= maxAddress && u.Scheme == "https" && u.Hostname() != "" && u.User == nil &&
		u.Fragment == ""
}

// MayUse reports whether the application may ask about a service card.
func (a *Application) MayUse(service string) bool {
	return len(a.Services) == 0 || slices.Contains(a.Services, service)
}

// Tokens begin with a prefix by which programs that look for lost secrets know them.
const tokenPrefix = "tcapp-"

// NewToken makes a token and what is kept of it. It has 128 bits of randomness at least, so that its digest tells
// nothing of it.
func NewToken(now time.Time) (secret string, kept Token) {
	secret = tokenPrefix + rand.Text()
	return secret, Token{SHA256: Digest(secret), Created: now.UTC()}
}

// Digest is what is kept of a token.
func Digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// ErrNoToken tells that a header holds no token.
var ErrNoToken = errors.New("the header Authorization holds no bearer token")

// TokenIn returns the token of an Authorization header (RFC 6750, 2.1).
func TokenIn(header string) (string, error) {
	scheme, token, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(token, tokenPrefix) {
		return "", ErrNoToken
	}
	return token, nil
}
