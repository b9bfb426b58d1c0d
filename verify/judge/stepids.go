package judge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// identifier is the id of the object with the digest.
func identifier(letter string, digest [32]byte) string {
	return letter + strings.ToUpper(hex.EncodeToString(digest[:]))
}

// name gives everything in the document its id. Two of the same bytes are told apart by a number.
func (s *Steps) name(doc *signature.Document) {
	taken := map[string]int{}
	give := func(object any, letter string, digest [32]byte) {
		if _, known := s.IDs[object]; known {
			return
		}
		id := identifier(letter, digest)
		if taken[id]++; taken[id] > 1 {
			id = fmt.Sprintf("%s-%d", id, taken[id])
		}
		s.IDs[object] = id
	}
	stamps := func(list []*signature.Timestamp) {
		for _, t := range list {
			give(t, trace.TimestampID, token(t))
		}
	}
	records := func(list []*signature.EvidenceRecord) {
		for _, e := range list {
			give(e, trace.EvidenceRecordID, recordDigest(e))
			stamps(e.Timestamps)
		}
	}
	for _, sig := range doc.Signatures {
		give(sig, trace.SignatureID, sha256.Sum256([]byte(sig.ID+"\x00"+string(sig.Value[:]))))
		stamps(sig.Timestamps)
		records(sig.EvidenceRecords)
	}
	stamps(doc.Timestamps)
	records(doc.EvidenceRecords)
}

// recordDigest tells evidence records apart: by their octets, else by their time-stamps or name.
func recordDigest(e *signature.EvidenceRecord) [32]byte {
	if len(e.Digest.Value) == sha256.Size {
		return [32]byte(e.Digest.Value)
	}
	sum := sha256.New()
	sum.Write([]byte(e.ID))
	for _, t := range e.Timestamps {
		digest := token(t)
		sum.Write(digest[:])
	}
	return [32]byte(sum.Sum(nil))
}
