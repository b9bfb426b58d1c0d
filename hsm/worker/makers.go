package worker

// maker is what a token says of who made it (CK_TOKEN_INFO).
type maker struct{ manufacturer, model string }

// notLocal are the makers whose tokens say CKA_LOCAL = CK_FALSE of every key, the ones that they made too. Of their keys
// that attribute proves nothing; CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE, which are CK_FALSE of a key that came
// from outside (PKCS#11 3.0, 4.9), still do.
var notLocal = map[maker]bool{
	{"Mozilla Foundation", "NSS 3"}: true, // softokn 3.87
}

// localNotKept reports whether the token in the slot is one of those makers'.
func (t *token) localNotKept() bool {
	info, err := t.module.GetTokenInfo(t.slot)
	return err == nil && notLocal[maker{info.ManufacturerID, info.Model}]
}
