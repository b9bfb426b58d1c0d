// Package conformance runs path validation against a public suite of certificate chains. It is a module of its own, so that
// the suite is no dependency of the product.
package conformance
