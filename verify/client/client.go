// Package client asks verifyd.
package client
