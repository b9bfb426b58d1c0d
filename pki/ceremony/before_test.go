package ceremony_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"

	"trustcore/pki/ceremony"
)

// TestTranscriptOfTheVersionBefore verifies what a version left whose people had no keys and which made no protocols: it is told as what it
// is, reads as it was printed, and what was edited is found.
func TestTranscriptOfTheVersionBefore(t *testing.T) {
	read := func(name string) []byte {
		text, err := os.ReadFile("testdata/before/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	block, _ := pem.Decode(read("root.pem"))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	data := read("transcript.json")
	transcript, err := ceremony.VerifyTranscript(data, root)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal([]byte(transcript.Text()), read("transcript.txt")) {
		t.Error("it does not read as it was printed")
	}
	who, err := transcript.Attended()
	if err != nil || who.Plan != nil || len(who.Signers()) != 0 || who.Complete(ceremony.Attended{}) != nil {
		t.Errorf("people: %+v, %v", who, err)
	}
	if messages, err := transcript.Messages(); err != nil || len(messages) != 0 {
		t.Errorf("%d people have to sign, %v", len(messages), err)
	}
	if transcript.ProtocolDigest("pl") != "" || transcript.CheckProtocol("pl", nil) == nil {
		t.Error("it names a protocol")
	}
	if _, err := ceremony.VerifyTranscript(bytes.Replace(data, []byte("officer-3 (witness)"), []byte("officer-4 (witness)"), 1), root); err == nil {
		t.Error("an edit is not found")
	}
}
