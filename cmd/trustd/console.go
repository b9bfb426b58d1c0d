package main

import (
	"net/http"

	"trustcore/cmd/internal/httpserver"
	"trustcore/internal/audit"
)

// console is the officers' page on loopback.
func (d *daemon) console(httpserver.Server) http.Handler { return http.NotFoundHandler() }

// consoleLogin makes the one-time link with which an officer enters the console.
func (d *daemon) consoleLogin(*http.Request, audit.Actor) (any, error) { return nil, nil }
