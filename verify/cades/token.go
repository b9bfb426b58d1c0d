package cades

import (
	"bytes"
	"fmt"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/verify/cades/signerinfo"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

// Looks tells whether data begins as what Open reads in BER: a ContentInfo that holds SignedData, or a
// TimeStampResp. That stands before any other format that the data may contain.
func Looks(data []byte) bool {
	body, ok := sequence(data)
	if !ok {
		return false
	}
	if id := append([]byte{0x06, byte(len(cms.OIDSignedData))}, cms.OIDSignedData...); bytes.HasPrefix(body, id) {
		return true
	}
	status, ok := sequence(body)
	return ok && len(status) > 1 && status[0] == 0x02 && status[1] == 1
}

// sequence gives what follows the identifier and length octets of a SEQUENCE.
func sequence(data []byte) ([]byte, bool) {
	if len(data) < 2 || data[0] != 0x30 {
		return nil, false
	}
	n := 2
	if data[1] > 0x80 {
		n += int(data[1] & 0x7f)
	}
	if n > 10 || n > len(data) {
		return nil, false
	}
	return data[n:], true
}

// fromResponse gives the token of a TimeStampResp. What the authority says there beside it is signed by nobody, and is a note.
func fromResponse(data []byte) (token []byte, notes []string, err error) {
	response, err := cms.ParseTimestampResponse(data)
	if err != nil {
		return nil, nil, fmt.Errorf("CMS: neither SignedData nor the answer of a time-stamping authority: %w", err)
	}
	status := fmt.Sprintf("status %d", response.Status)
	if response.Text != "" {
		status += " " + prose.Name(response.Text)
	}
	switch {
	case response.Granted():
		return response.Token, nil, nil
	case response.Token != nil:
		return response.Token, []string{"the time-stamping authority's answer says that it refused (" + status + "), though a token is there"}, nil
	case response.Status == 0 || response.Status == 1:
		return nil, nil, fmt.Errorf("the time-stamping authority's answer holds no time-stamp, though it says granted (%s)", status)
	}
	return nil, nil, fmt.Errorf("the time-stamping authority refused (%s): the file holds no time-stamp", status)
}

// openToken is a time-stamp of one of the detached files: of the one whose digest it holds, else of none of them.
func openToken(b *budget.Budget, sd *cms.SignedData, notes []string, detached []signature.Detached) (*signature.Document, error) {
	t := timestamp.Open(b, "", signature.ContentTimestamp, sd.Raw, nil)
	for _, f := range detached {
		h, known := t.Hash()
		if !known || t.Imprint {
			break
		}
		digest, err := signerinfo.Detached(b, f).Digest(h)
		if err != nil {
			notes = append(notes, fmt.Sprintf("the file %s: %v", prose.Name(f.Name), err))
			continue
		}
		if t.CompareDigest(digest); t.Imprint && len(detached) > 1 {
			notes = append(notes, fmt.Sprintf("the time-stamp is about the file %s", prose.Name(f.Name)))
		}
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return &signature.Document{Timestamps: []*signature.Timestamp{t.Timestamp}, Notes: notes}, nil
}
