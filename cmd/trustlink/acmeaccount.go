package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"

	"golang.org/x/crypto/acme"
)

// legoAccount is an account as lego keeps it.
type legoAccount struct{ key, json []byte }

// openAccount opens an account with a key for external account binding (RFC 8555 7.3.4).
func openAccount(ctx context.Context, client *http.Client, key acmeKey, secret []byte, email string) (*legoAccount, error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	contact := []string{"mailto:" + email}
	opener := &acme.Client{Key: own, DirectoryURL: key.Directory, HTTPClient: client}
	opened, err := opener.Register(ctx, &acme.Account{Contact: contact,
		ExternalAccountBinding: &acme.ExternalAccountBinding{KID: key.KID, Key: secret}}, acme.AcceptTOS)
	if err != nil {
		return nil, fmt.Errorf("the account was not opened: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(own)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(map[string]any{"email": email, "registration": map[string]any{"uri": opened.URI,
		"body": map[string]any{"status": opened.Status, "contact": contact}}}, "", "\t")
	if err != nil {
		return nil, err
	}
	return &legoAccount{key: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), json: text}, nil
}
