package fetch

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter bounds what a server may ask to wait.
const MaxRetryAfter = time.Hour

// Status is the error of an answer that is not 200. Whoever sent it is there and speaks HTTP.
type Status struct {
	Host       string        // that answered, with its port where it is not the scheme's
	Code       int           // RFC 9110, 15
	RetryAfter time.Duration // that it asks to be left alone for, 0 to MaxRetryAfter (RFC 9110, 10.2.3)
}

// Error names the host and the status by its own words, not the server's.
func (s *Status) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s answered %d %s", s.Host, s.Code, http.StatusText(s.Code)))
}

// OfHost tells whether the host, or a proxy before it, can't serve now: an answer of another kind, such as that there
// is nothing at an address, is one of a host that is well.
func (s *Status) OfHost() bool {
	return s.Code >= 500 || s.Code == http.StatusTooManyRequests || s.Code == http.StatusProxyAuthRequired
}

// statusOf makes the error of an answer.
func statusOf(response *http.Response) *Status {
	return &Status{Host: response.Request.URL.Host, Code: response.StatusCode,
		RetryAfter: retryAfter(response.Header.Get("Retry-After"), time.Now())}
}

// retryAfter reads either form of Retry-After; what can't be read, or has passed, is 0.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, MaxRetryAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}
