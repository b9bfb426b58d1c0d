package main

import (
	"net/http"
	"time"

	"trustcore/cmd/internal/rights"
	"trustcore/hsm/csc"
	"trustcore/hsm/gateway"
)

// remoteSigning is the API of the Cloud Signature Consortium beside the gateway's own, for those whom the guard lets in.
func (d *daemon) remoteSigning(guard rights.Guard, door *gateway.Gateway) (http.Handler, error) {
	cfg := csc.Config{Gateway: door, Name: d.cfg.Leader.Name, Now: time.Now, Logger: d.cfg.Logger,
		Admit: func(r *http.Request, route string) error {
			_, err := guard.Admit(r, route)
			return err
		}}
	if cfg.Name == "" {
		cfg.Name = "trustcore"
	}
	if d.ca.Stamps() {
		cfg.Stamp = d.ca.Stamp
	}
	return csc.New(cfg)
}
