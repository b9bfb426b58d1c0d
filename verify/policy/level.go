package policy

import "fmt"

// Level is what follows where a constraint does not hold.
type Level int8

// The levels, the mildest first, as DSS names them. The zero value refuses: who forgets to say what follows lets nobody
// pass.
const (
	Ignore Level = iota - 3 // the constraint is not judged
	Inform                  // a remark of the report
	Warn                    // a warning of the report
	Fail                    // the indication is not passed
)

var levelNames = [...]string{"IGNORE", "INFORM", "WARN", "FAIL"}

// String is the level's name: FAIL, WARN, INFORM or IGNORE.
func (l Level) String() string { return levelNames[l-Ignore] }

// MarshalText writes the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a level by its name.
func (l *Level) UnmarshalText(text []byte) (err error) {
	*l, err = parseLevel(string(text))
	return err
}

func parseLevel(text string) (Level, error) {
	for l, name := range levelNames {
		if name == text {
			return Ignore + Level(l), nil
		}
	}
	return Fail, fmt.Errorf("%q is no level: write FAIL, WARN, INFORM or IGNORE", brief(text))
}

// maxQuoted bounds in octets how much of a wrong value a message repeats.
const maxQuoted = 60

// brief is the value, or its beginning.
func brief(text string) string {
	if len(text) > maxQuoted {
		return text[:maxQuoted] + "..."
	}
	return text
}
