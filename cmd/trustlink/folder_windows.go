package main

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// protect gives the folder an access control list of its own, which the files in it inherit: this user, the system (as
// which the service runs) and administrators may do everything, nobody else anything.
func protect(dir string) error {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return err
	}
	const all = ";OICI;FA;;;" // this folder, folders and files within: full access
	wanted, err := windows.SecurityDescriptorFromString(
		"D:P(A" + all + "SY)(A" + all + "BA)(A" + all + user.User.Sid.String() + ")")
	if err != nil {
		return err
	}
	list, _, err := wanted.DACL()
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil)
}

// defaultState is one for service and users alike, so that an administrator's trustlink status is about the service.
func defaultState() string {
	if data := os.Getenv("ProgramData"); data != "" {
		return filepath.Join(data, "trustlink")
	}
	return "trustlink"
}
