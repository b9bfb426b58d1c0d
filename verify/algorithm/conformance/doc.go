// Package conformance runs the registry of algorithms against public vector suites. It is a module of its own, so that
// the suites are no dependency of the product.
package conformance
