//go:build unix

package vpn

import "io/fs"

// exposed says whether others than the owner may read the file.
func exposed(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
