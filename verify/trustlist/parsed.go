package trustlist

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"

	"trustcore/verify/certificate"
)

// kept is a Checked as it is written beside the octets of its list: all but the certificates, which are read again.
type kept struct {
	Form   string // of the program that wrote it
	List   List   // without services
	Signer []byte
	Rest   []keptService
}

type keptService struct {
	Provider, Name string
	Certificates   [][]byte
	Periods        []Period
	Unreadable     int
	Details        Details
}

// form tells one version of this program from another, as what one reads out of a list another may read otherwise. Daemons
// and command line of one commit have the same; what was built of no commit is known by its file.
var form = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "1"
	}
	id, committed := info.GoVersion+info.Main.Version, false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.modified":
			committed = s.Value == "false"
			fallthrough
		case "vcs.revision", "vcs.time":
			id += " " + s.Value
		}
	}
	if file, err := os.Executable(); err == nil && !committed {
		if about, err := os.Stat(file); err == nil {
			id += fmt.Sprint(about.Size(), about.ModTime().UnixNano())
		}
	}
	return "1 " + id
})

// Parsed writes what was read out of the list, so that a start need not read and verify it again. It is bound to the digest
// of the list's octets, and to this version of the program.
func (c *Checked) Parsed() ([]byte, error) {
	k := kept{Form: form(), List: *c.List, Signer: c.Signer}
	k.List.Services = nil
	for _, s := range c.Services {
		ks := keptService{s.Provider, s.Name, nil, s.Periods, s.Unreadable, s.Details}
		for _, cert := range s.Certificates {
			ks.Certificates = append(ks.Certificates, cert.Raw)
		}
		k.Rest = append(k.Rest, ks)
	}
	var b bytes.Buffer
	b.Write(make([]byte, sha256.Size))
	if err := gob.NewEncoder(&b).Encode(k); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b.Bytes()[sha256.Size:])
	copy(b.Bytes(), sum[:])
	return b.Bytes(), nil
}

// errParsed tells that a list must be read again.
var errParsed = errors.New("it was not written by this version of the program from these octets, or is damaged")

// ReadParsed reads what Parsed wrote for the octets of the digest.
func ReadParsed(data []byte, digest [32]byte) (*Checked, error) {
	if len(data) < sha256.Size || sha256.Sum256(data[sha256.Size:]) != [32]byte(data) {
		return nil, errParsed
	}
	var k kept
	if err := gob.NewDecoder(bytes.NewReader(data[sha256.Size:])).Decode(&k); err != nil {
		return nil, fmt.Errorf("%w: %w", errParsed, err)
	}
	if k.Form != form() || k.List.Digest != digest {
		return nil, errParsed
	}
	c := &Checked{List: &k.List, Signer: k.Signer}
	for _, ks := range k.Rest {
		s := &Service{Territory: c.Territory, Provider: ks.Provider, Name: ks.Name, Periods: ks.Periods, Unreadable: ks.Unreadable,
			Details: ks.Details}
		for _, der := range ks.Certificates {
			cert, err := certificate.Parse(der)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errParsed, err)
			}
			s.Certificates = append(s.Certificates, cert)
		}
		c.Services = append(c.Services, s)
	}
	return c, nil
}
