package csc

import (
	"net/http"
	"strings"
)

// grant is the one way to a token: the application speaks for itself (RFC 6749, 4.4).
const grant = "client_credentials"

// scope is all that a token opens: to list credentials and to authorize. What is signed is authorized by SAD.
const scope = "service"

type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
	Scope       string `json:"scope"`
}

// token gives an access token to the application whose certificate the connection shows (tls_client_auth, RFC 8705,
// 2.1); no secret is taken in its place. The token is of use over connections with the same certificate alone.
func (s *service) token(c *call) (any, error) {
	in, err := readForm(c.Request)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Get("client_secret") != "" || c.Header.Get("Authorization") != "":
		return nil, refuse(http.StatusUnauthorized, "invalid_client", "the client certificate proves who asks: send client_id, and no secret")
	case in.Get("grant_type") != grant:
		return nil, refuse(http.StatusBadRequest, "unsupported_grant_type", "send grant_type=%s", grant)
	case in.Get("scope") != "" && in.Get("scope") != scope:
		return nil, refuse(http.StatusBadRequest, "invalid_scope", "the scope is %s", scope)
	}
	application, err := s.Gateway.Application(c.Context(), c.client)
	if err != nil {
		return nil, err
	}
	if application == "" || in.Get("client_id") != application {
		return nil, refuse(http.StatusUnauthorized, "invalid_client",
			"client_id: name the application that the order authorises, whose certificate the connection shows")
	}
	return tokenAnswer{s.tokens.give(c.print, struct{}{}, s.Now().Add(tokenLife)), "Bearer", int(tokenLife.Seconds()), scope}, nil
}

// revoke ends a token of the caller's own; of any other nothing is said (RFC 7009, 2.2).
func (s *service) revoke(c *call) (any, error) {
	in, err := readForm(c.Request)
	if err != nil {
		return nil, err
	}
	token := in.Get("token")
	if token == "" {
		return nil, invalid("Missing (or invalid type) string parameter token")
	}
	s.tokens.find(c.print, token, s.Now(), true)
	return nil, nil
}

// checkToken refuses a token that is not good. The certificate is enough for who shows none; who shows one is held to
// it.
func (s *service) checkToken(c *call) error {
	shown := c.Header.Values("Authorization")
	if len(shown) == 0 {
		return nil
	}
	scheme, token, _ := strings.Cut(shown[0], " ")
	good := false
	if len(shown) == 1 && strings.EqualFold(scheme, "Bearer") {
		_, good = s.tokens.find(c.print, token, s.Now(), false)
	}
	if !good {
		return refuse(http.StatusUnauthorized, "invalid_token", "the token is unknown, or its time is over: ask for a new one")
	}
	return nil
}
