package registry

import (
	"fmt"
	"slices"
	"strings"
)

// maxServices is how many services one order may name.
const maxServices = 32

func (v *VPNRequest) checkServices() error {
	if len(v.Services) > maxServices {
		return &FieldError{"vpn_request.services", fmt.Sprintf("list at most %d", maxServices)}
	}
	for i, name := range v.Services {
		field := fmt.Sprintf("vpn_request.services[%d]", i)
		if !partnerID.MatchString(name) {
			return &FieldError{field, fmt.Sprintf("%q: lower-case letters, digits and hyphens, such as registry", name)}
		}
		if slices.Contains(v.Services[:i], name) {
			return &FieldError{field, fmt.Sprintf("%q stands twice; leave one out", name)}
		}
	}
	return nil
}

// servicesText is what a tunnel's row has of the services that the order names.
func (o *Order) servicesText() string {
	if o.VPNRequest == nil {
		return ""
	}
	return strings.Join(o.VPNRequest.Services, " ")
}
