package journal

import "fmt"

// Cursor reads what a Writer of this process committed, in order. One goroutine uses it.
type Cursor struct {
	w      *Writer
	number uint64 // of the segment that is read
	offset int64
	at     place
}

// Cursor begins at the first record of the Writer, which has written none yet.
func (w *Writer) Cursor() *Cursor {
	s := w.open
	return &Cursor{w: w, number: s.number, offset: s.start, at: s.at}
}

// Next returns records that it did not return before, those of at most MaxGroup octets of the file, and the index of
// the first one; none says that there are no more now.
func (c *Cursor) Next() (first uint64, payloads [][]byte, err error) {
	for {
		s, end, last := c.segment()
		if c.offset < end {
			return c.read(s, end)
		}
		if last {
			return c.at.next, nil, nil
		}
		c.number, c.offset = c.number+1, 0
	}
}

// segment returns the segment that is read, or the next one that there is, and where it ends now.
func (c *Cursor) segment() (s *segment, end int64, last bool) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for i, s := range c.w.segments {
		if s.file == nil || s.number < c.number {
			continue
		}
		if s.number > c.number || c.offset == 0 {
			c.number, c.offset, c.at = s.number, s.start, s.at
		}
		return s, s.end, i == len(c.w.segments)-1
	}
	return nil, 0, true
}

func (c *Cursor) read(s *segment, end int64) (uint64, [][]byte, error) {
	data := make([]byte, min(end-c.offset, MaxGroup))
	if _, err := s.file.ReadAt(data, c.offset); err != nil {
		return 0, nil, fmt.Errorf("journal: %w", err)
	}
	first, d := c.at.next, decoder{data: data, at: c.at}
	var payloads [][]byte
	for payload, ok := d.record(); ok; payload, ok = d.record() {
		payloads = append(payloads, payload)
	}
	if len(payloads) == 0 {
		return 0, nil, damage("entry %d in segment %d was changed after it was written", first, s.number)
	}
	c.offset, c.at = c.offset+int64(len(data)-len(d.data)), d.at
	return first, payloads, nil
}
