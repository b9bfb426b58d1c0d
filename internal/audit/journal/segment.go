package journal

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// fileHead begins each segment and names its format.
const (
	fileHead     = "trustcore audit journal 1\n"
	fileHeadKind = "trustcore audit journal "
)

// The names of segments: their number and suffix; the spare one has no number yet.
const (
	suffix    = ".journal"
	spareName = "spare.new"
)

// maxSegment is in octets: more is no segment of ours.
const maxSegment = 64 << 20

// head is the first record of a segment.
type head struct {
	Origin   string `json:"origin"`   // of the log
	Segment  uint64 `json:"segment"`  // its number, which also is the file's name
	First    uint64 `json:"first"`    // index of its first record; records of earlier segments from here on are void
	Previous string `json:"previous"` // sum of the record before First, in hex, whichever segment holds it
}

// encode returns the beginning of the segment's file. The head has a sum of its own and is no link of the chain: the
// first record is chained to Previous, so a segment that got no record may be there or not.
func (h head) encode() ([]byte, error) {
	payload, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	data, _ := appendRecord([]byte(fileHead), kindHead, place{next: h.First}, payload)
	return data, nil
}

// segmentFile is a segment as it was read.
type segmentFile struct {
	head
	path string
	decoder
}

// parseSegment takes the head from the content of a segment.
func parseSegment(data []byte) (*segmentFile, error) {
	rest, ok := strings.CutPrefix(string(data[:min(len(data), len(fileHead))]), fileHeadKind)
	switch {
	case !ok:
		return nil, errors.New("is no segment of a journal")
	case rest != strings.TrimPrefix(fileHead, fileHeadKind):
		return nil, errors.New("was written by a newer version of this program")
	}
	s := &segmentFile{decoder: decoder{data: data[len(fileHead):]}}
	if isHead(s.data, kindHead) {
		s.at.next = indexOf(s.data)
	}
	payload, ok := s.take(kindHead)
	if !ok {
		return nil, errors.New("has no head that can be read")
	}
	if err := json.Unmarshal(payload, &s.head); err != nil || s.First != s.at.next {
		return nil, errors.New("has a head that contradicts itself")
	}
	previous, err := hex.DecodeString(s.Previous)
	if err != nil || len(previous) != sumLen {
		return nil, errors.New("has a head that names no sum")
	}
	s.at.sum = sum(previous)
	return s, nil
}

// readSegment reads the segment of this number.
func readSegment(dir string, number uint64) (*segmentFile, error) {
	path := filepath.Join(dir, segmentName(number))
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSegment {
		return nil, damage("segment %d has %d octets, at most %d are written", number, info.Size(), maxSegment)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := parseSegment(data)
	if err != nil {
		return nil, damage("segment %d %w", number, err)
	}
	if s.Segment != number {
		return nil, damage("segment %d has the name of segment %d", s.Segment, number)
	}
	s.path = path
	return s, nil
}

func segmentName(number uint64) string { return fmt.Sprintf("%012d%s", number, suffix) }

// numbers returns the numbers of the segments in dir, in order. A folder that is not there has none.
func numbers(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []uint64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		number, err := strconv.ParseUint(name, 10, 64)
		if err != nil || segmentName(number) != e.Name() {
			return nil, damage("%s is no name of a segment", e.Name())
		}
		found = append(found, number)
	}
	slices.Sort(found)
	return found, nil
}

func (s sum) String() string { return hex.EncodeToString(s[:]) }

// DamageError says that the journal is not what was written: no crash leaves it so.
type DamageError struct{ What error }

// Error is the sentence.
func (e *DamageError) Error() string { return "the journal is damaged: " + e.What.Error() }

// Unwrap returns what is damaged.
func (e *DamageError) Unwrap() error { return e.What }

func damage(format string, args ...any) error { return &DamageError{fmt.Errorf(format, args...)} }
