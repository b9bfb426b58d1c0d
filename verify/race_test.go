//go:build race

package verify

// raceEnabled tells that the race detector multiplies memory and time.
const raceEnabled = true
