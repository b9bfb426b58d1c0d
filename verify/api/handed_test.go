package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/verify"
	"trustcore/verify/policy"
)

func hexOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// TestDigests: digests in place of files come as parts; what is wrong is refused by its field, with what to send.
func TestDigests(t *testing.T) {
	var last verify.Request
	s := newService(t, func(c *Config) {
		c.MaxDocument = 10_000
		c.Judge = func(_ context.Context, r verify.Request) (*verify.Report, error) {
			last = r
			return &verify.Report{}, nil
		}
	})
	media, body := form(t, "detached:a=content", "digest=b=SHA-256:"+hexOf("b")+"\n", "document=signature", "digest=SHA-256:"+hexOf("c"))
	status, answer, _ := s.post(validations, media, body)
	if status != http.StatusOK || len(last.Detached) != 3 || last.Detached[1].Name != "b" || last.Detached[1].Content != nil ||
		hex.EncodeToString(last.Detached[2].Digests["SHA-256"]) != hexOf("c") {
		t.Errorf("%d %v: %+v", status, answer, last.Detached)
	}
	for want, parts := range map[string][]string{
		"a digest by SHA-1 proves nothing": {"document=a", "digest=SHA-1:" + hexOf("a")[:40]},
		"[NAME=]ALGORITHM:VALUE":           {"document=a", "digest=" + hexOf("a")},
		"has two digests by SHA-256":       {"document=a", "digest=SHA-256:" + hexOf("a"), "digest=SHA-256:" + hexOf("b")},
		"give one of them":                 {"document=a", "detached:b=b", "digest=b=SHA-256:" + hexOf("b")},
	} {
		media, body := form(t, parts...)
		status, answer, _ := s.post(validations, media, body)
		if detail, _ := answer["detail"].(string); status != http.StatusBadRequest || answer["field"] != "digest" || !strings.Contains(detail, want) {
			t.Errorf("%v: %d %v, want %q", parts, status, answer, want)
		}
	}
}

// TestPasswords: the judge has them, and nothing else: no log, answer or disk, and no memory when the document is judged.
func TestPasswords(t *testing.T) {
	const secret = "hasło-7319"
	var log bytes.Buffer
	var had [][]byte
	var said []string
	fails := false
	s := newService(t, func(c *Config) {
		c.MaxDocument, c.Spool = 1<<20, 1<<20
		c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Judge = func(_ context.Context, r verify.Request) (*verify.Report, error) {
			had = r.Passwords
			for _, p := range r.Passwords {
				said = append(said, string(p))
			}
			if fails {
				return nil, errors.New("no format that is known")
			}
			return &verify.Report{}, nil
		}
	})
	var answers strings.Builder
	for _, c := range []struct {
		parts  []string
		fails  bool
		status int
		field  string
	}{
		{parts: []string{"document=a", "password=" + secret, "password= " + secret}, status: http.StatusOK},
		{parts: []string{"password=" + secret + "\r\n", "document=" + strings.Repeat("a", 3*inMemory), "password= " + secret}, status: http.StatusOK},
		{parts: []string{"password=" + secret, "document=a", "password= " + secret}, fails: true, status: 422, field: "document"},
		{parts: []string{"password=" + secret, "at=never", "document=a"}, status: 400, field: "at"},
		{parts: []string{"password=" + secret, "other=a"}, status: 400, field: "other"},
		{parts: []string{"document=a", "password=" + strings.Repeat(secret, 60)}, status: 400, field: "password"},
		{parts: []string{"document=a", "password="}, status: 400, field: "password"},
		{parts: append(slices.Repeat([]string{"password=" + secret}, 9), "document=a"), status: 400, field: "password"},
	} {
		had, said, fails = nil, nil, c.fails
		media, body := form(t, c.parts...)
		status, answer, _ := s.post(validations, media, body)
		fmt.Fprintln(&answers, answer)
		if field, _ := answer["field"].(string); status != c.status || field != c.field {
			t.Errorf("%.60q: %d %v, want %d %q", c.parts, status, answer, c.status, c.field)
		}
		if judged := status != http.StatusBadRequest; judged && !slices.Equal(said, []string{secret, " " + secret}) {
			t.Errorf("%.60q: the judge had %q", c.parts, said)
		}
		for _, p := range had {
			if strings.Trim(string(p), "\x00") != "" {
				t.Errorf("%.60q: %q is left in memory", c.parts, p)
			}
		}
	}
	_, answer, _ := s.post(validations, "multipart/form-data; boundary=x", strings.NewReader("--x\r\n"+secret+"\r\n\r\n"))
	if fmt.Fprintln(&answers, answer); answer["status"] != float64(http.StatusBadRequest) {
		t.Errorf("a form that is broken: %v", answer)
	}
	if strings.Contains(answers.String()+log.String(), "7319") {
		t.Errorf("a password is told:\n%s\n%s", answers.String(), log.String())
	}
}

// TestFormIsWiped: the octets of a form that came in are wiped when it had a password, also when it is refused.
func TestFormIsWiped(t *testing.T) {
	for _, last := range []string{"at=", "other=a"} {
		media, text := form(t, "document=a", "password=hasło-7319", last)
		s := &Server{cfg: Config{Policies: func() []*verify.Policy { return nil }}}
		_, boundary, _ := strings.Cut(media, "boundary=")
		c := &call{media: "multipart/form-data", parameters: map[string]string{"boundary": boundary},
			body: &body{size: int64(text.Len()), memory: text.Bytes()}}
		in, _ := s.readDocument(c)
		if len(in.Passwords) != 1 || bytes.Contains(c.body.memory, []byte("7319")) {
			t.Errorf("%s: %q is left", last, c.body.memory)
		}
	}
}

// TestSpoolIsEnciphered: what waits on the disk is not what came in, and no two bodies have one key.
func TestSpoolIsEnciphered(t *testing.T) {
	sp := &spool{dir: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	sp.room.max = 1 << 20
	data := bytes.Repeat([]byte("hasło-7319 "), inMemory/8)
	var seen [][]byte
	for range 2 {
		b, err := sp.receive(bytes.NewReader(data), int64(len(data)), false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.close)
		raw := make([]byte, b.size)
		if _, err := b.file.ReadAt(raw, 0); err != nil {
			t.Fatal(err)
		}
		whole, err := b.bytes()
		again, err2 := io.ReadAll(b.reader())
		if err := errors.Join(err, err2); err != nil || !bytes.Equal(whole, data) || !bytes.Equal(again, data) {
			t.Errorf("%v: another body is read", err)
		}
		if bytes.Contains(raw, []byte("7319")) {
			t.Error("the body stands on the disk as it came in")
		}
		seen = append(seen, raw)
	}
	if bytes.Equal(seen[0], seen[1]) {
		t.Error("two bodies have one key")
	}
}

// TestPolicies: a caller chooses among those that are configured, by name; another name is refused with those.
func TestPolicies(t *testing.T) {
	strict, err := policy.Named(policy.Strict)
	if err != nil {
		t.Fatal(err)
	}
	dss, err := policy.Named(policy.DSSDefault)
	if err != nil {
		t.Fatal(err)
	}
	chosen := "?"
	s := newService(t, func(c *Config) {
		c.Policies = func() []*verify.Policy { return []*verify.Policy{strict, dss} }
		c.Judge = func(_ context.Context, r verify.Request) (*verify.Report, error) {
			chosen = ""
			if r.Policy != nil {
				chosen = r.Policy.Name()
			}
			return &verify.Report{ValidationTime: time.Now()}, nil
		}
	})
	for query, want := range map[string]string{"": "", "?policy=": "", "?policy=strict": "strict", "?policy=dss-default": "dss-default"} {
		if status, answer, _ := s.post(validations+query, "", strings.NewReader("a")); status != http.StatusOK || chosen != want {
			t.Errorf("%s: %d %v, judged by %q", query, status, answer, chosen)
		}
	}
	media, body := form(t, "document=a", "policy=dss-default\n")
	if status, answer, _ := s.post(validations, media, body); status != http.StatusOK || chosen != "dss-default" {
		t.Errorf("a part: %d %v, judged by %q", status, answer, chosen)
	}
	_, answer, _ := s.post(validations+"?policy=lax", "", strings.NewReader("a"))
	if detail := fmt.Sprint(answer["detail"]); !strings.Contains(detail, `"lax" is no policy`) || !strings.Contains(detail, "strict, dss-default") {
		t.Error(detail)
	}
	s.wantProblem(validations+"?policy=lax", "", "a", 400, "policy")
	s.wantProblem(validations+"?policy=/etc/policy.yaml", "", "a", 400, "policy")
	media, body = form(t, "document=a", "policy=lax")
	s.wantProblem(validations, media, body.String(), 400, "policy")
	media, body = form(t, "document=a", "policy=strict")
	s.wantProblem(validations+"?policy=dss-default", media, body.String(), 400, "policy")
	bare := newService(t, nil)
	if status, answer, _ := bare.post(validations+"?policy=strict", "", strings.NewReader("a")); status != http.StatusOK {
		t.Errorf("the default: %d %v", status, answer)
	}
	bare.wantProblem(validations+"?policy=dss-default", "", "a", 400, "policy")
}
