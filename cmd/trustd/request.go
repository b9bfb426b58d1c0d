package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/problem"
)

// readRequest reads the PKCS #10 request in a PEM text. The error is a sentence for who sent it.
func readRequest(text string) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("send a PKCS #10 request in PEM")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, errors.New("send a PKCS #10 request: this one can't be read")
	}
	return request, nil
}

// requestIn is readRequest for the field csr of a body.
func requestIn(text string) (*x509.CertificateRequest, error) {
	request, err := readRequest(text)
	if err != nil {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "csr", "%v", err)
	}
	return request, nil
}

// requestOf is readRequest for an enrolment, which was looked at before.
func requestOf(e *registry.Enrolment) (*x509.CertificateRequest, error) {
	request, err := readRequest(e.CSR)
	if err != nil {
		return nil, fmt.Errorf("the office's certificate request: %w", err)
	}
	return request, nil
}
