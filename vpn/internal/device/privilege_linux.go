package device

import "golang.org/x/sys/unix"

// MayAdminister says whether this process may have interfaces, routes and a firewall: whoever it is, it needs
// CAP_NET_ADMIN (capabilities(7)).
func MayAdminister() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return false
	}
	return sets[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}
