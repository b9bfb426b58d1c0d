package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"trustcore/cmd/internal/identity"
	"trustcore/vpn/office"
)

// identity is where the office's own certificate lies.
func (s state) identity() identity.Identity {
	return identity.Identity{Certificate: s.path(certificateFile), Key: s.path(tlsKeyFile), CA: s.path(caFile)}
}

// renewal keeps the office's certificate from running out: it asks for a successor at the gateway, through the
// tunnel, for as long as the order is in force.
func (o up) renewal(e office.Enrolment, forwards []forward) (*identity.Renewal, error) {
	r := &identity.Renewal{Identity: o.state.identity(), Now: time.Now, Logger: o.log}
	address, offered := gatewayOf(e, forwards)
	if !offered {
		o.log.Warn("the certificate is not renewed by itself: the data centre offers no gateway to this office")
		return r, nil
	}
	client, err := r.Identity.HTTP(callTimeout)
	if err != nil {
		return nil, fmt.Errorf("the office's certificate: %w", err)
	}
	r.Ask = identity.AskTrustd(client, "https://"+address)
	return r, nil
}

// renewAlone renews the certificate of an office that reaches the gateway without a tunnel of this program.
func (o up) renewAlone(ctx context.Context, e office.Enrolment) error {
	renewal, err := o.renewal(e, nil)
	if err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(o.out).Encode(readiness{Ready: true, Partner: e.Partner, Services: e.Services,
			Forwards: []forward{}})
	} else {
		_, err = fmt.Fprintf(o.out, "partner %s: no tunnel is brought up here; the certificate is renewed by itself\n",
			e.Partner)
	}
	if err != nil {
		return err
	}
	return renewal.Run(ctx)
}

// gatewayOf is where the gateway is reached: a local port that carries to it, or its own address.
func gatewayOf(e office.Enrolment, forwards []forward) (string, bool) {
	for _, f := range forwards {
		if f.Service == gatewayService {
			return f.Local.String(), true
		}
	}
	for _, s := range e.Services {
		if s.Name == gatewayService {
			return s.Addr.String(), true
		}
	}
	return "", false
}

// gatewayService is the name of the HSM gateway among the services of a tunnel.
const gatewayService = "gateway"
