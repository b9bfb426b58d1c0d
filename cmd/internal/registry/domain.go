package registry

import (
	"slices"
	"time"
)

// Leader runs the data centre for its partners (Lider).
type Leader struct {
	ID   string `json:"id" yaml:"id" koanf:"id"`
	Name string `json:"name" yaml:"name" koanf:"name"`
}

// Partner is an office that takes part (Partner, urząd).
type Partner struct {
	ID        string             `json:"id" yaml:"id"`     // short, stable: lower-case letters, digits, hyphens
	Name      string             `json:"name" yaml:"name"` // as in the agreement
	Agreement FrameworkAgreement `json:"agreement" yaml:"-"`
	Units     []SubordinateUnit  `json:"units,omitempty" yaml:"-"`
}

// FrameworkAgreement is the contract (umowa ramowa) without which no order is taken.
type FrameworkAgreement struct {
	Number string `json:"number" yaml:"number"`
	Signed string `json:"signed" yaml:"signed"` // date, YYYY-MM-DD
}

// SubordinateUnit is a unit of the partner that an order lists in its point 2 (jednostka podległa).
type SubordinateUnit struct {
	ID   string `json:"id" yaml:"id"`
	Name string `json:"name" yaml:"name"`
}

// Component is something that an order switches on or off.
type Component string

// The components. The last five are provided by other systems; here they are entitlements only.
const (
	NetworkHSM          Component = "B_HSM"
	VPN                 Component = "P_VPN"
	CertificationCentre Component = "B_CC"
	PeUP                Component = "B_PeUP"
	EMail               Component = "P_eMail"
	TestPeUP            Component = "B_TPeUP"
	LMS                 Component = "B_LMS"
)

// OrderKind is the sign of an order.
type OrderKind string

// The kinds of orders.
const (
	Activation OrderKind = "activation" // zlecenie uruchomienia (+)
	Change     OrderKind = "change"     // zlecenie zmiany (-)
)

// Order asks to switch components of one partner on or off. It is what the order file holds.
type Order struct {
	ID         string              `json:"id" yaml:"id"`
	Kind       OrderKind           `json:"kind" yaml:"kind"`
	Partner    Partner             `json:"partner" yaml:"partner"`
	Agreement  *FrameworkAgreement `json:"agreement,omitempty" yaml:"agreement"`
	Units      []SubordinateUnit   `json:"units,omitempty" yaml:"units"`
	Components []Component         `json:"components" yaml:"components"`

	Renews string `json:"renews,omitempty" yaml:"renews"` // the order in force whose place an activation order takes, with its keys
	Resume string `json:"resume,omitempty" yaml:"resume"` // the ended order whose keys an activation order puts into force again

	// Application narrows a change order: B_HSM is switched off for this application alone, else for all.
	Application string `json:"application,omitempty" yaml:"application"`

	VPNRequest       *VPNRequest       `json:"vpn_request,omitempty" yaml:"vpn_request"`
	HSMAuthorization *HSMAuthorization `json:"hsm_authorization,omitempty" yaml:"hsm_authorization"`

	ServerCertificates *ServerCertificates `json:"server_certificates,omitempty" yaml:"server_certificates"`
}

// VPNRequest is the attachment that P_VPN needs (zgłoszenie VPN). Its own site is the main one, which enrols with the order's
// token; see [VPNRequest.AllSites].
type VPNRequest struct {
	Site string `json:"site" yaml:"site"` // name of the office's end

	// Services are those that the office is to reach beside what P_VPN and B_HSM give by themselves.
	Services []string `json:"services,omitempty" yaml:"services"`

	// Networks are the prefixes behind the site whose machines reach the services by their own addresses.
	Networks []string `json:"networks,omitempty" yaml:"networks"`

	// Sites are further ends of the partner, each with a tunnel, an address and an enrolment of its own.
	Sites []Site `json:"sites,omitempty" yaml:"sites"`
}

// Site is one end of a tunnel of a partner.
type Site struct {
	Name     string   `json:"name" yaml:"name"`
	Unit     string   `json:"unit,omitempty" yaml:"unit"` // id of the subordinate unit whose it is; "" is the partner's own
	Services []string `json:"services,omitempty" yaml:"services"`
	Networks []string `json:"networks,omitempty" yaml:"networks"`
}

// HSMAuthorization is the attachment that B_HSM needs (upoważnienie): who may use which keys, how, until when.
type HSMAuthorization struct {
	Application string    `json:"application" yaml:"application"` // the system that uses the keys, such as "ezd"
	Keys        []HSMKey  `json:"keys" yaml:"keys"`
	NotBefore   time.Time `json:"not_before" yaml:"not_before"`
	NotAfter    time.Time `json:"not_after" yaml:"not_after"`
	Limits      *Limits   `json:"limits,omitempty" yaml:"limits"` // optional: of all keys together
}

// HSMKey is one key in the partner's partition: made for the order, or kept where the order renews or resumes one that has it.
type HSMKey struct {
	Name       string    `json:"name" yaml:"name"`
	Algorithm  string    `json:"algorithm" yaml:"algorithm"`          // RSA-3072, RSA-4096, P-256 or P-384
	Purpose    string    `json:"purpose,omitempty" yaml:"purpose"`    // sign, which "" means too, or decrypt: a key does one of the two
	Mechanisms []string  `json:"mechanisms" yaml:"mechanisms"`        // such as RSA-PKCS1-SHA256
	NotAfter   time.Time `json:"not_after,omitzero" yaml:"not_after"` // optional: the key's own end, before the authorisation's
	Limits     *Limits   `json:"limits,omitempty" yaml:"limits"`      // optional: the key's own
}

// Decrypt is the purpose of a key that decrypts, and signs nothing.
const Decrypt = "decrypt"

// State is how far an order has come.
type State string

// The states of an order.
const (
	Submitted  State = "submitted"   // waits for another officer
	Rejected   State = "rejected"    //
	Approved   State = "approved"    // is being carried out
	Active     State = "active"      // an activation order that is carried out
	CarriedOut State = "carried-out" // a change order that is carried out
	Ended      State = "ended"       // an activation order of which nothing is left
	Replaced   State = "replaced"    // an activation order whose place another one took that renews it
)

// Record is an order with what became of it.
type Record struct {
	Order
	State       State      `json:"state"`
	SubmittedBy string     `json:"submitted_by"`
	SubmittedAt time.Time  `json:"submitted_at"`
	DecidedBy   string     `json:"decided_by,omitempty"`
	DecidedAt   *time.Time `json:"decided_at,omitempty"`
	Reason      string     `json:"reason,omitempty"`      // of a rejection
	ReplacedBy  string     `json:"replaced_by,omitempty"` // the order that renewed it
	Steps       []Step     `json:"steps,omitempty"`
	Waiting     string     `json:"waiting,omitempty"` // what the next step waits for, or its last error
}

// Step is one step of an order that is done.
type Step struct {
	Name   string    `json:"name"`
	Fact   string    `json:"fact"` // what came of it: a key id, a serial number, an address
	DoneAt time.Time `json:"done_at"`
}

// Has reports whether the order names the component.
func (o Order) Has(c Component) bool {
	for _, have := range o.Components {
		if have == c {
			return true
		}
	}
	return false
}

// Until is when the key of this name may be used for the last time; zero when the authorisation names no such key.
func (a *HSMAuthorization) Until(key string) time.Time {
	for _, k := range a.Keys {
		if k.Name == key {
			return a.until(k)
		}
	}
	return time.Time{}
}

// ToDecrypt reports whether the key of that name decrypts: it signs no request, and has no certificate of the data centre's.
func (a *HSMAuthorization) ToDecrypt(key string) bool {
	return slices.ContainsFunc(a.Keys, func(k HSMKey) bool { return k.Name == key && k.Purpose == Decrypt })
}

// Names reports whether the authorisation is for a key of that name.
func (a *HSMAuthorization) Names(key string) bool {
	return slices.ContainsFunc(a.Keys, func(k HSMKey) bool { return k.Name == key })
}

func (a *HSMAuthorization) until(k HSMKey) time.Time {
	if k.NotAfter.IsZero() {
		return a.NotAfter
	}
	return k.NotAfter
}
