package console

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/problem"
)

// refusalPatterns are refusals of the registry, and of what it is given to ask, that have words of their own. The first
// that fits is told. What is about a field of an order has its words by the field.
var refusalPatterns = []struct {
	pattern *regexp.Regexp
	message string
}{
	{regexp.MustCompile(`^order \S+ is already there`), "refusal-order-there"},
	{regexp.MustCompile(`^order \S+ is not there`), "refusal-order-missing"},
	{regexp.MustCompile(`^order \S+ is \S+: only a submitted order`), "refusal-order-decided"},
	{regexp.MustCompile(`^order \S+ was submitted by`), "refusal-order-own"},
	{regexp.MustCompile(`^order \S+ was decided by another officer`), "refusal-order-meanwhile"},
	{regexp.MustCompile(`does not wait for an office to enrol`), "refusal-no-enrolment"},
	{regexp.MustCompile(`^components\[\d+\]: \S+ is already switched on`), "refusal-on-already"},
	{regexp.MustCompile(`^components\[\d+\]: \S+ is not switched on`), "refusal-not-on"},
	{regexp.MustCompile(`^application: \S+ is not switched on`), "refusal-not-on"},
	{regexp.MustCompile(`^order \S+: a component was switched on`), "refusal-on-already"},
	{regexp.MustCompile(`^partner.id: .* has no framework agreement`), "refusal-no-agreement"},
	{regexp.MustCompile(`^agreement.number: `), "refusal-other-agreement"},
	{regexp.MustCompile(`^the address pool`), "refusal-pool"},
	{regexp.MustCompile(`^motion \S+ is not there`), "refusal-motion-missing"},
	{regexp.MustCompile(`^motion \S+ is \S+: nothing is left`), "refusal-motion-decided"},
	{regexp.MustCompile(`^motion \S+ was proposed by`), "refusal-motion-own"},
	{regexp.MustCompile(`^motion \S+ was decided by another`), "refusal-motion-decided"},
	{regexp.MustCompile(`^motion \S+ is older`), "refusal-motion-old"},
	{regexp.MustCompile(`^it was rotated \d+ seconds ago`), "refusal-rotated"},
	{regexp.MustCompile(`^no tunnel in force`), "refusal-no-tunnel"},
	{regexp.MustCompile(`^no office has the key`), "refusal-no-key"},
	{regexp.MustCompile(`^key \S+ is \S+, not suspended`), "refusal-not-suspended"},
	{regexp.MustCompile(`^no order in force gives key`), "refusal-no-order"},
	{regexp.MustCompile(`^the key is `), "refusal-key-state"},
	{regexp.MustCompile(`^say why`), "refusal-reason"},
	{regexp.MustCompile(`^there is no such certificate`), "refusal-no-certificate"},
	{regexp.MustCompile(`^the certificate is revoked`), "refusal-revoked"},
	{regexp.MustCompile(`^the authority can't sign now`), "refusal-busy"},
	{regexp.MustCompile(`^order file: it is empty`), "refusal-file-empty"},
	{regexp.MustCompile(`^order file: it goes on`), "refusal-file-many"},
	{regexp.MustCompile(`^order file: \d+ bytes`), "refusal-file-large"},
	{regexp.MustCompile(`^order file: `), "refusal-file-form"},
}

// place finds the numbers of items in the name of a field, such as keys[0].
var place = regexp.MustCompile(`\[\d+\]`)

// explain says why the rules do not allow something: in the officer's language where the reason is one that has words
// there, and in the words of who refused, which are English.
func (v view) explain(err error) (text, detail string) {
	field, detail := refusal(err)
	for _, p := range refusalPatterns {
		if p.pattern.MatchString(detail) {
			return v.word(p.message), detail
		}
	}
	if field == "" { // a refusal may begin with the field that it is about
		field, _, _ = strings.Cut(detail, ": ")
	}
	if text, err := v.speech.say("field." + place.ReplaceAllString(field, "")); err == nil {
		return text, detail
	}
	return "", detail
}

// refusal is what a refusal says, with the field that it is about.
func refusal(err error) (field, detail string) {
	var wrong *registry.FieldError
	var no *registry.Refusal
	var p *problem.Problem
	switch {
	case errors.As(err, &wrong):
		return wrong.Field, wrong.Error()
	case errors.As(err, &no):
		return "", no.Reason
	case errors.As(err, &p):
		return p.Field, p.Detail
	}
	return "", err.Error()
}

// isRefusal reports whether an error says that the rules do not allow what was asked: everything else is a fault.
func isRefusal(err error) bool {
	var wrong *registry.FieldError
	var no *registry.Refusal
	var p *problem.Problem
	switch {
	case errors.As(err, &wrong), errors.As(err, &no):
		return true
	case errors.As(err, &p):
		return p.Status < http.StatusInternalServerError || p.Status == http.StatusServiceUnavailable && p.Detail != ""
	}
	return false
}
