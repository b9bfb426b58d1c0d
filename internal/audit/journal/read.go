package journal

import (
	"encoding/binary"
	"fmt"
)

// End is where reading a journal ended.
type End struct {
	First    uint64 // index of the oldest record that is still there
	Next     uint64 // index behind the newest record
	Newest   uint64 // number of the newest segment; 0 says that there is no journal
	Segments int
	Torn     int // octets of a group that a crash tore, which was never acknowledged
	Origin   string

	sum   sum
	paths []oldSegment
}

type oldSegment struct {
	path  string
	after uint64 // index behind its last record
}

// Read calls do for each record in order, with the payload, which do must not keep. It may read what another process
// writes at the same time, and ends then at what was whole; fs.ErrNotExist says that the other one took a segment away
// meanwhile: read again from the beginning. A *DamageError says that durable records were changed or taken away: a
// crash does not do that.
func Read(dir string, do func(index uint64, payload []byte) error) (end End, err error) {
	found, err := numbers(dir)
	if err != nil || len(found) == 0 {
		return End{}, err
	}
	segment, err := readSegment(dir, found[0])
	if err != nil {
		return End{}, err
	}
	end = End{First: segment.First, Origin: segment.Origin, Segments: len(found)}
	for i, number := range found {
		var next *segmentFile
		if i+1 < len(found) {
			if next, err = readSegment(dir, found[i+1]); err != nil {
				return end, err
			}
		}
		if err := segment.each(next, do); err != nil {
			return end, err
		}
		end.Newest, end.Next, end.sum = number, segment.at.next, segment.at.sum
		end.paths = append(end.paths, oldSegment{segment.path, segment.at.next})
		if next == nil {
			break
		}
		segment = next
	}
	damaged, torn := segment.rest()
	if damaged {
		return end, damage("entry %d in segment %d was changed after it was written", end.Next, end.Newest)
	}
	end.Torn = torn
	return end, nil
}

// each gives the segment's records to do, up to where the next segment begins.
func (s *segmentFile) each(next *segmentFile, do func(uint64, []byte) error) error {
	for next == nil || s.at.next < next.First {
		index := s.at.next
		payload, ok := s.record()
		if !ok {
			break
		}
		if err := do(index, payload); err != nil {
			return err
		}
	}
	switch {
	case next == nil:
		return nil
	case next.First > s.at.next:
		return damage("entry %d in segment %d was changed or removed after it was written", s.at.next, s.Segment)
	case next.First < s.at.next || next.Previous != s.at.sum.String() || next.Origin != s.Origin:
		return damage("segment %d does not continue segment %d", next.Segment, s.Segment)
	}
	return nil
}

func indexOf(data []byte) uint64 { return binary.LittleEndian.Uint64(data[8:]) }

// Summary says what there is, for a log line.
func (e End) Summary() string {
	return fmt.Sprintf("%d segments, entries %d to %d, %d octets of a torn group", e.Segments, e.First, int64(e.Next)-1, e.Torn)
}
