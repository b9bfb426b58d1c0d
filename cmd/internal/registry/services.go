package registry

import (
	"fmt"
	"slices"
)

// maxServices is how many services one order may name.
const maxServices = 32

// checkServices refuses a list, which stands at field, of names that no service can have.
func checkServices(field string, names []string) error {
	if len(names) > maxServices {
		return &FieldError{field, fmt.Sprintf("list at most %d", maxServices)}
	}
	for i, name := range names {
		field := fmt.Sprintf("%s[%d]", field, i)
		if !partnerID.MatchString(name) {
			return &FieldError{field, fmt.Sprintf("%q: lower-case letters, digits and hyphens, such as registry", name)}
		}
		if slices.Contains(names[:i], name) {
			return &FieldError{field, fmt.Sprintf("%q stands twice; leave one out", name)}
		}
	}
	return nil
}
