//go:build !linux

package device

// MayAdminister says whether this process may have interfaces, routes and a firewall; on this system it never has.
func MayAdminister() bool { return false }
