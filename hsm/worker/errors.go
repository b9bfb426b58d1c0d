package worker

import (
	"errors"

	"github.com/miekg/pkcs11"
)

// remedy is what may heal an error of the module.
type remedy int

const (
	nothing    remedy = iota // the same call fails again
	newHandles               // objects have moved: look them up again
	newSession               // log in again, from C_Initialize on
)

// remedyFor sorts the return values of PKCS#11 (2.40, 5.1).
func remedyFor(err error) remedy {
	if err == nil || errors.Is(err, errBeyondRepair) {
		return nothing
	}
	var rv pkcs11.Error
	if !errors.As(err, &rv) {
		return nothing
	}
	switch rv {
	case pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID:
		return newHandles
	case pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_OPERATION_ACTIVE,
		pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_DEVICE_MEMORY,
		pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_TOKEN_NOT_RECOGNIZED, pkcs11.CKR_SLOT_ID_INVALID,
		pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED, pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED, pkcs11.CKR_HOST_MEMORY:
		return newSession
	}
	return nothing
}

// wrongPIN tells errors after which another try would bring the token nearer to locking its PIN.
func wrongPIN(err error) bool {
	var rv pkcs11.Error
	if !errors.As(err, &rv) {
		return false
	}
	switch rv {
	case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_EXPIRED, pkcs11.CKR_PIN_LOCKED:
		return true
	}
	return false
}
