// Package parcel is how batchd hands verifyd several small documents with one request, and how their answers come
// back. A parcel is a sequence of frames, and so is what answers it: an answer a document, in the order of the
// documents, each sent as soon as it is there. Neither side looks into what a frame carries.
//
// A frame of a parcel is its kind (one octet), the length of a name (two), the length of the content (four), name and
// content; numbers are big-endian. A document's frame is followed by those of the files that it signs. A frame of an
// answer is an HTTP status (two octets), the length of the content (four) and the content: the report where the status
// is 200, else a problem (RFC 9457).
package parcel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Media types of a parcel and of what answers it.
const (
	MediaType       = "application/vnd.trustcore.parcel"
	AnswerMediaType = "application/vnd.trustcore.parcel-answers"
)

// Limits of a parcel.
const (
	MaxBytes     = 512 << 10 // of all frames
	MaxDocuments = 64
	MaxBeside    = 1_000 // files beside all documents together
)

// Kinds of frames.
const (
	document = 'd'
	beside   = 'b'
)

// Lengths of what stands before a frame's content.
const (
	headBytes       = 7 // and the name
	answerHeadBytes = 6
)

// Document is one document of a parcel.
type Document struct {
	Content []byte
	Beside  []File // that it signs
}

// File is a file beside a document.
type File struct {
	Name    string // at most 65,535 bytes
	Content []byte
}

// AppendDocument appends the head of a document's frame; so many bytes of content have to follow.
func AppendDocument(to []byte, size int) []byte { return appendHead(to, document, "", size) }

// AppendBeside appends the head of the frame of a file that the last document signs; its content has to follow.
func AppendBeside(to []byte, name string, size int) []byte {
	return appendHead(to, beside, name[:min(len(name), math.MaxUint16)], size)
}

func appendHead(to []byte, kind byte, name string, size int) []byte {
	to = append(to, kind)
	to = binary.BigEndian.AppendUint16(to, uint16(len(name)))
	to = binary.BigEndian.AppendUint32(to, uint32(size))
	return append(to, name...)
}

// Size is how many bytes of a parcel a file takes, by the length of its name and its own.
func Size(name, content int64) int64 { return headBytes + name + content }

// ErrBroken tells that what was sent is no parcel, or no answer to one.
var ErrBroken = errors.New("the frames of the parcel are broken")

// Read takes a parcel apart. What it returns lies in data, of which nothing is copied.
func Read(data []byte) ([]Document, error) {
	var all []Document
	for files := 0; len(data) > 0; {
		kind, name, content, rest, err := next(data)
		switch {
		case err != nil:
			return nil, err
		case kind == document && len(all) == MaxDocuments:
			return nil, fmt.Errorf("%w: more than %d documents", ErrBroken, MaxDocuments)
		case kind == document && name == "":
			all = append(all, Document{Content: content})
		case kind == beside && len(all) > 0 && files < MaxBeside:
			last := &all[len(all)-1]
			last.Beside, files = append(last.Beside, File{name, content}), files+1
		default:
			return nil, fmt.Errorf("%w: a frame of kind %d is not to be there", ErrBroken, kind)
		}
		data = rest
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrBroken)
	}
	return all, nil
}

// next takes the first frame off; lengths are held against what there is before anything is made of them.
func next(data []byte) (kind byte, name string, content, rest []byte, err error) {
	if len(data) < headBytes {
		return 0, "", nil, nil, fmt.Errorf("%w: it ends within a head", ErrBroken)
	}
	kind, named := data[0], int(binary.BigEndian.Uint16(data[1:]))
	size := int64(binary.BigEndian.Uint32(data[3:]))
	if data = data[headBytes:]; int64(named)+size > int64(len(data)) {
		return 0, "", nil, nil, fmt.Errorf("%w: a frame is longer than what there is", ErrBroken)
	}
	end := named + int(size)
	return kind, string(data[:named]), data[named:end:end], data[end:], nil
}

// AppendAnswer appends the head of an answer; so many bytes of content have to follow.
func AppendAnswer(to []byte, status, size int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(to, uint16(status)), uint32(size))
}

// ReadAnswer reads the next answer: io.EOF where there is none any more, and io.ErrUnexpectedEOF where it breaks off.
// One of more than so many bytes is an ErrBroken.
func ReadAnswer(from io.Reader, most int64) (status int, content []byte, err error) {
	var head [answerHeadBytes]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, nil, err
	}
	status, size := int(binary.BigEndian.Uint16(head[:])), int64(binary.BigEndian.Uint32(head[2:]))
	if status < 100 || status > 599 || size > most {
		return 0, nil, fmt.Errorf("%w: status %d with %d bytes", ErrBroken, status, size)
	}
	content, err = readExactly(from, size)
	return status, content, err
}

// atOnce is how many bytes are made room for before any of them has come.
const atOnce = 256 << 10

// readExactly reads so many bytes; what is announced and does not come takes no memory.
func readExactly(from io.Reader, size int64) (content []byte, err error) {
	for int64(len(content)) < size {
		piece := make([]byte, min(size, max(atOnce, 2*int64(len(content)))))
		had := copy(piece, content)
		n, err := io.ReadFull(from, piece[had:])
		if content = piece[:had+n]; errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
	}
	return content, nil
}
