package algorithm

import "time"

// Acceptable: see suitability table.
func Acceptable(name string, bits int, at time.Time) (ok bool, reason string) { return true, "" }
