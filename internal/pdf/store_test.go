package pdf

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestAppendSecurityStore(t *testing.T) {
	for name, document := range map[string][]byte{"table": mint(), "streams": variant(t, "--object-streams=generate")} {
		signed := newSigner(t).sign(t, document, approval())
		once, err := AppendSecurityStore(signed, [][]byte{[]byte("cert 1")}, [][]byte{[]byte("crl\r\n")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := AppendSecurityStore(once, [][]byte{[]byte("cert 2")}, nil, [][]byte{[]byte("ocsp")})
		if err != nil {
			t.Fatal(err)
		}
		d := mustOpen(t, twice)
		s := d.SecurityStore()
		if s == nil || string(bytes.Join(s.Certificates, []byte(","))) != "cert 1,cert 2" || string(s.CRLs[0]) != "crl\r\n" || string(s.OCSPs[0]) != "ocsp" {
			t.Errorf("%s: %+v", name, s)
		}
		earlier, err := d.At(2)
		if err != nil {
			t.Fatal(err)
		}
		if s := earlier.SecurityStore(); s == nil || len(s.Certificates) != 1 || len(s.OCSPs) != 0 {
			t.Errorf("%s: the store of the earlier revision is %+v", name, s)
		}
		if changes, err := d.ChangesSince(1); err != nil || len(changes) != 1 || changes[0].Kind != ChangeStore {
			t.Errorf("%s: changes %v, %v", name, changes, err)
		}
		path := filepath.Join(t.TempDir(), "store.pdf")
		write(t, path, twice)
		if out := run(t, 0, "qpdf", "--check", path); strings.Contains(out, "WARNING") {
			t.Errorf("%s: qpdf: %s", name, out)
		}
	}
}
