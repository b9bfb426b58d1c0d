package trustlist

import (
	"bytes"
	"embed"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Signers are certificates that may sign the list of the lists, as one issue of the Official Journal publishes them
// (Implementing Decision (EU) 2015/1505, Article 4).
type Signers struct {
	Name   string    // of the issue, or the folder that they are from
	Source string    // address of the issue
	File   string    // that holds them, in the folder signers
	SHA256 string    // of that file, lower-case hex
	Since  time.Time // from when they sign: a list that was issued before may be followed by one of theirs; zero: none may
	// Certificates are DER.
	Certificates [][]byte
}

//go:embed signers/*.pem
var shipped embed.FS

// issues are those whose signers are shipped, the newest last. A newer issue is added so: `trustctl trust signers --of
// eu-lotl.xml > FILE` writes the certificates that a list of the lists names; who adds them compares each with the text of
// the Official Journal at the address in Source, and enters the file's SHA-256 here.
var issues = []Signers{{
	Name: "Official Journal C 276, 16.8.2019, p. 1", File: "oj-c-2019-276.pem",
	Source: "https://eur-lex.europa.eu/legal-content/EN/TXT/?uri=uriserv:OJ.C_.2019.276.01.0001.01.ENG",
	SHA256: "1b156fcf2632020aebf3041bfca9edf42a3bd015ca23d412a7957484c60c2572",
	Since:  time.Date(2019, 8, 15, 22, 0, 0, 0, time.UTC),
}, {
	Name: "Official Journal C/2026/1944", File: "oj-c-2026-1944.pem",
	Source: "https://eur-lex.europa.eu/eli/C/2026/1944/oj",
	SHA256: "c34a7f232811ffe5ff2ea1e167ee5b8567f3c0e4dc265c86042b5fd2b2a560dc",
	Since:  time.Date(2026, 4, 28, 22, 0, 0, 0, time.UTC), // with version 6 of the lists
}}

// Journal returns the signers of the list of the lists that are shipped, those of the newest issue last.
func Journal() []Signers {
	all := make([]Signers, len(issues))
	for i, s := range issues {
		data, err := shipped.ReadFile("signers/" + s.File)
		if err == nil {
			s.Certificates, err = certificatesIn(data)
		}
		if err != nil {
			panic(fmt.Sprintf("trustlist: %s: %v", s.File, err)) // it is part of the program, and a test reads it
		}
		all[i] = s
	}
	return all
}

// PEM writes the certificates with the issue that they are from.
func (s *Signers) PEM() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n# %s\n", s.Name, s.Source)
	for _, der := range s.Certificates {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return b.Bytes()
}

// SignersNamedBy are the certificates of which a list of the lists says that they may sign the next one.
func SignersNamedBy(c *Checked) Signers {
	s := Signers{Name: fmt.Sprintf("Named by the list of the lists, sequence number %d of %s, for the next one.", c.Sequence, day(c.Issued)),
		Source: "Hold each against the text of the Official Journal before you use it."}
	for _, p := range c.Pointers {
		if p.Type == typeLOTL {
			s.Certificates = append(s.Certificates, p.Signers...)
		}
	}
	return s
}

// SignersOf returns those of a folder of PEM files, or with "" the shipped ones.
func SignersOf(dir string) ([]Signers, error) {
	if dir == "" {
		return Journal(), nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("signers of the LOTL: %w", err)
	}
	s := Signers{Name: dir}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		ders, err := ReadPEM(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("signers of the LOTL: %w", err)
		}
		s.Certificates = append(s.Certificates, ders...)
	}
	return []Signers{s}, nil
}

// ReadPEM returns the certificates of a PEM file, or the one of a DER file.
func ReadPEM(file string) ([][]byte, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	ders, err := certificatesIn(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return ders, nil
}

func certificatesIn(data []byte) ([][]byte, error) {
	if len(data) > 0 && data[0] == 0x30 {
		return [][]byte{data}, nil
	}
	var ders [][]byte
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			ders = append(ders, block.Bytes)
		}
	}
	if len(ders) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return ders, nil
}
