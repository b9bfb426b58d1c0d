package hsm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/hsm"
	"trustcore/hsm/hsmtest"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
)

// within is what a fault may take to be seen, and to heal once its cause has ended.
const within = 5 * time.Second

// scene is a token with one key, whose faults a test causes and ends.
type scene struct {
	tok    *hsmtest.Token
	key    *hsm.Key
	tokens string
	away   string
}

func (s *scene) kill(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.tok.WorkerPID(), signal); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// another makes a token of the same label and PIN, and returns its folder of tokens.
func (s *scene) another(t *testing.T) string {
	t.Helper()
	cfg := hsmtest.Config(t)
	cfg.PINFile, cfg.SOPINFile = s.tok.Config.PINFile, s.tok.Config.SOPINFile
	m, err := hsm.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	must(t, m.Close())
	return filepath.Join(cfg.TokenDir, "tokens")
}

// Every fault is seen within five seconds without anybody using the token, refuses use as unavailable and not as
// final, makes nothing in place of what is gone, and heals within five seconds of its cause's end, without a restart.
func TestFaultsAreSeenAndHeal(t *testing.T) {
	dir := func(s *scene) string { return s.tok.Config.TokenDir }
	for name, fault := range map[string]struct {
		cause, end func(*testing.T, *scene)
		says       string
	}{
		"token away": {
			func(t *testing.T, s *scene) { must(t, os.Rename(s.tokens, s.away)) },
			func(t *testing.T, s *scene) { must(t, os.Rename(s.away, s.tokens)) }, "wrong or lost token"},
		"folder away": {
			func(t *testing.T, s *scene) { must(t, os.Rename(dir(s), s.away)) },
			func(t *testing.T, s *scene) { must(t, os.Rename(s.away, dir(s))) }, "wrong or lost token"},
		"folder away, worker killed": {
			func(t *testing.T, s *scene) { must(t, os.Rename(dir(s), s.away)); s.kill(t, syscall.SIGKILL) },
			func(t *testing.T, s *scene) { must(t, os.Rename(s.away, dir(s))) }, "wrong or lost token"},
		"empty folder of tokens": {
			func(t *testing.T, s *scene) { must(t, os.Rename(s.tokens, s.away), os.Mkdir(s.tokens, 0o700)) },
			func(t *testing.T, s *scene) { must(t, os.Remove(s.tokens), os.Rename(s.away, s.tokens)) }, "there is: none"},
		"empty folder": {
			func(t *testing.T, s *scene) { must(t, os.Rename(dir(s), s.away), os.Mkdir(dir(s), 0o700)) },
			func(t *testing.T, s *scene) { must(t, os.Rename(dir(s), s.away+".wrong"), os.Rename(s.away, dir(s))) }, "wrong or lost token"},
		"another token": {
			func(t *testing.T, s *scene) {
				must(t, os.Rename(s.tokens, s.away), os.CopyFS(s.tokens, os.DirFS(s.another(t))))
			},
			func(t *testing.T, s *scene) {
				must(t, os.Rename(s.tokens, s.away+".wrong"), os.Rename(s.away, s.tokens))
			}, "there is: test"},
		"another token, number forgotten": {
			func(t *testing.T, s *scene) {
				must(t, os.Rename(dir(s), s.away), os.Mkdir(dir(s), 0o700), os.CopyFS(s.tokens, os.DirFS(s.another(t))))
			},
			func(t *testing.T, s *scene) { must(t, os.Rename(dir(s), s.away+".wrong"), os.Rename(s.away, dir(s))) }, "lacks 1 of 1 active keys"},
		"wrong PIN": {
			func(t *testing.T, s *scene) {
				must(t, os.Rename(s.tok.Config.PINFile, s.away), os.WriteFile(s.tok.Config.PINFile, []byte("not the PIN\n"), 0o600))
				s.kill(t, syscall.SIGKILL)
			},
			func(t *testing.T, s *scene) { must(t, os.Rename(s.away, s.tok.Config.PINFile)) }, "refuses the PIN"},
		"PIN that others read": {
			func(t *testing.T, s *scene) {
				must(t, os.Chmod(s.tok.Config.PINFile, 0o640))
				s.kill(t, syscall.SIGKILL)
			},
			func(t *testing.T, s *scene) { must(t, os.Chmod(s.tok.Config.PINFile, 0o600)) }, "chmod 600"},
		"worker stopped": {
			func(t *testing.T, s *scene) { s.tok.Stop(t) },
			func(*testing.T, *scene) {}, ""},
		"worker killed": {
			func(t *testing.T, s *scene) { s.kill(t, syscall.SIGKILL) },
			func(*testing.T, *scene) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := hsmtest.Config(t)
			tok := hsmtest.Start(t, cfg)
			s := &scene{tok, tok.Key(t, hsm.P256), filepath.Join(cfg.TokenDir, "tokens"), filepath.Join(filepath.Dir(cfg.TokenDir), "away")}
			before := objects(t, s.tokens)
			fault.cause(t, s)
			start := time.Now()
			waitFor(t, "the fault to be seen", func() bool {
				err := tok.Health()
				return err != nil && strings.Contains(err.Error(), fault.says)
			})
			seen := time.Since(start)
			if fault.says != "" {
				ctx, cancel := context.WithTimeout(t.Context(), within)
				defer cancel()
				began := time.Now()
				_, err := s.key.SignDigest(ctx, mechanism.ECDSASHA256, make([]byte, 32))
				if !errors.Is(err, hsm.ErrUnavailable) || time.Since(began) > time.Second {
					t.Errorf("meanwhile, after %v: %v", time.Since(began), err)
				}
				if _, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Label: "k", Algorithm: hsm.P256}); !errors.Is(err, hsm.ErrUnavailable) {
					t.Errorf("generated meanwhile: %v", err)
				}
				if err := tok.Has(s.key.Info().ID); !errors.Is(err, hsm.ErrUnavailable) {
					t.Errorf("it has the key meanwhile: %v", err)
				}
			}
			fault.end(t, s)
			start = time.Now()
			waitFor(t, "healing", func() bool { return tok.Health() == nil })
			if _, err := s.key.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
				t.Errorf("after the end: %v", err)
			}
			healed := time.Since(start)
			t.Logf("seen after %v, healed after %v", seen.Round(time.Millisecond), healed.Round(time.Millisecond))
			if seen > within || healed > within {
				t.Errorf("seen after %v, healed after %v; want %v", seen, healed, within)
			}
			if after := objects(t, s.tokens); !slices.Equal(after, before) {
				t.Errorf("the token has other objects: %v; before %v", after, before)
			}
		})
	}
}

// objects names the objects in a folder of tokens.
func objects(t *testing.T, tokens string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(tokens, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".object") && filepath.Base(path) != "token.object" {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A token restored from a backup that is older than one of its keys: that key is away, the others serve, and nothing
// new is made. The key comes back with a newer backup, or is given up.
func TestOneKeyLost(t *testing.T) {
	cfg := hsmtest.Config(t)
	tok := hsmtest.Start(t, cfg)
	tokens, newer := filepath.Join(cfg.TokenDir, "tokens"), filepath.Join(cfg.TokenDir, "newer")
	old := tok.Key(t, hsm.P256)
	backup := filepath.Join(t.TempDir(), "backup")
	must(t, os.CopyFS(backup, os.DirFS(tokens)))
	young := tok.Key(t, hsm.P256)
	must(t, os.Rename(tokens, newer), os.CopyFS(tokens, os.DirFS(backup)), syscall.Kill(tok.WorkerPID(), syscall.SIGKILL))
	waitFor(t, "the loss to be seen", func() bool {
		err := tok.Health()
		return err != nil && strings.Contains(err.Error(), "lacks 1 of 2 active keys, such as "+young.Info().ID)
	})
	if err := tok.Has(old.Info().ID); err != nil {
		t.Errorf("the other key: %v", err)
	}
	if _, err := old.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
		t.Errorf("the other key: %v", err)
	}
	if _, err := young.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("the lost key: %v", err)
	}
	if _, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Label: "k", Algorithm: hsm.P256}); !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("generated in a token that lacks keys: %v", err)
	}
	must(t, os.Rename(tokens, newer+".old"), os.Rename(newer, tokens))
	waitFor(t, "healing", func() bool { return tok.Health() == nil })
	if _, err := young.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
		t.Errorf("after its return: %v", err)
	}
	must(t, os.Rename(tokens, tokens+".replaced"), os.CopyFS(tokens, os.DirFS(backup)), syscall.Kill(tok.WorkerPID(), syscall.SIGKILL))
	waitFor(t, "the second loss to be seen", func() bool {
		err := tok.Health()
		return err != nil && strings.Contains(err.Error(), "lacks 1 of 2")
	})
	if err := tok.Destroy(t.Context(), officer, young.Info().ID); err != nil {
		t.Errorf("giving the key up: %v", err)
	}
	waitFor(t, "healing by giving up", func() bool { return tok.Health() == nil })
}

// The daemon starts while the token is away, makes nothing in its place, and serves when it is back.
func TestStartWithoutTheToken(t *testing.T) {
	cfg := hsmtest.Config(t)
	var id string
	t.Run("first", func(t *testing.T) { id = hsmtest.Start(t, cfg).Key(t, hsm.P256).Info().ID })
	away := cfg.TokenDir + ".away"
	must(t, os.Rename(cfg.TokenDir, away))
	tok := hsmtest.Start(t, cfg)
	key, err := tok.Signer(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Health(); err == nil || !strings.Contains(err.Error(), "wrong or lost token") {
		t.Errorf("health: %v", err)
	}
	if _, err := os.Stat(cfg.TokenDir); err == nil {
		t.Error("a folder was made where the token's is to come back")
	}
	must(t, os.Rename(away, cfg.TokenDir))
	waitFor(t, "healing", func() bool { return tok.Health() == nil })
	if _, err := key.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
		t.Error(err)
	}
}

// Rights that let others read or replace the secrets stop the start, with the remedy.
func TestStartRefusesOpenFolders(t *testing.T) {
	for name, c := range map[string]struct {
		path func(hsm.Config) string
		mode os.FileMode
	}{
		"PIN file":         {func(c hsm.Config) string { return c.PINFile }, 0o640},
		"officer's file":   {func(c hsm.Config) string { return c.SOPINFile }, 0o604},
		"folder of tokens": {func(c hsm.Config) string { return c.TokenDir }, 0o750},
		"folder of PINs":   {func(c hsm.Config) string { return filepath.Dir(c.PINFile) }, 0o770},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := hsmtest.Config(t)
			t.Run("first", func(t *testing.T) { hsmtest.Start(t, cfg).Key(t, hsm.P256) })
			must(t, os.Chmod(c.path(cfg), c.mode))
			if _, err := hsm.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "chmod") {
				t.Errorf("got %v", err)
			}
			must(t, os.Chmod(c.path(cfg), c.mode&0o700))
		})
	}
}

// A wrong PIN is tried once: tokens lock after a few. It is tried again with another PIN file.
func TestWrongPINIsTriedOnce(t *testing.T) {
	cfg := hsmtest.Config(t)
	seen := prometheus.NewRegistry()
	cfg.Metrics = seen
	tok := hsmtest.Start(t, cfg)
	tok.Key(t, hsm.P256)
	count := func(name string) float64 {
		families, err := seen.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == name {
				return f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		return -1
	}
	pin, err := os.ReadFile(cfg.PINFile)
	must(t, err)
	wrong := bytes.Replace(pin, pin[:1], []byte("!"), 1) // as long: only its time tells the one file from the other
	must(t, os.WriteFile(cfg.PINFile, wrong, 0o600), syscall.Kill(tok.WorkerPID(), syscall.SIGKILL))
	waitFor(t, "several tries", func() bool { return count("hsm_worker_restarts_total") >= 4 })
	if n := count("hsm_pin_refusals_total"); n != 1 {
		t.Errorf("the token was asked %v times with the wrong PIN", n)
	}
	if err := tok.Health(); err == nil || !strings.Contains(err.Error(), "PIN") {
		t.Errorf("health: %v", err)
	}
	must(t, os.WriteFile(cfg.PINFile, pin, 0o600))
	waitFor(t, "healing", func() bool { return tok.Health() == nil })
}

// A call that the worker took and did not answer is not made again by itself: each use of the token has its own audit
// entry.
func TestUncertainCallIsNotRepeated(t *testing.T) {
	cfg := hsmtest.Config(t)
	cfg.SignTimeout = time.Minute // nobody but the test ends the worker
	tok := hsmtest.Start(t, cfg)
	key := tok.Key(t, hsm.P256)
	pid := tok.WorkerPID()
	tok.Stop(t)
	outcome := make(chan error, 1)
	go func() { _, err := key.Sign(nil, make([]byte, 32), crypto.SHA256); outcome <- err }()
	waitFor(t, "the call to reach the worker", func() bool { return hsm.Unanswered(tok.Module) >= 2 }) // and a look
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	if err := <-outcome; !errors.Is(err, hsm.ErrUncertain) || !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := key.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// A call's own deadline bounds it, whatever hangs, and does not cost the others their worker.
func TestDeadlineBoundsTheCall(t *testing.T) {
	cfg := hsmtest.Config(t)
	cfg.SignTimeout = time.Minute
	tok := hsmtest.Start(t, cfg)
	key := tok.Key(t, hsm.P256)
	pid := tok.WorkerPID()
	tok.Stop(t)
	for range cfg.Sessions + 2 { // the last ones find no free session
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		_, err := key.SignDigest(ctx, mechanism.ECDSASHA256, make([]byte, 32))
		if !errors.Is(err, hsm.ErrUnavailable) || time.Since(start) > time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		cancel()
	}
	must(t, syscall.Kill(pid, syscall.SIGCONT))
	if _, err := key.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil || tok.WorkerPID() != pid {
		t.Errorf("afterwards: %v", err)
	}
}

// A registry whose database is held by another caller delays nobody beyond the own deadline.
func TestRegistryWaitIsBounded(t *testing.T) {
	tok := hsmtest.Start(t, hsmtest.Config(t))
	id := tok.Key(t, hsm.P256).Info().ID
	release := hsm.HoldRegistry(tok.Module)
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := tok.Module.Key(ctx, id); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// The proof of a destruction needs the right token: the absence of a key in another one proves nothing.
func TestDestroyNeedsTheRightToken(t *testing.T) {
	cfg := hsmtest.Config(t)
	tok := hsmtest.Start(t, cfg)
	p, err := tok.Partition("partner-1")
	must(t, err)
	keys, err := p.Ensure(t.Context(), officer, "order-1", []hsm.KeySpec{{Label: "seal", Algorithm: hsm.P256}})
	must(t, err)
	s := &scene{tok: tok, tokens: filepath.Join(cfg.TokenDir, "tokens")}
	away := cfg.TokenDir + ".away"
	must(t, os.Rename(cfg.TokenDir, away), os.Mkdir(cfg.TokenDir, 0o700), os.CopyFS(s.tokens, os.DirFS(s.another(t))))
	waitFor(t, "the wrong token to be seen", func() bool {
		err := tok.Health()
		return err != nil && strings.Contains(err.Error(), "lacks 1 of 1 active keys")
	})
	if err := p.Destroy(t.Context(), officer, "order-1"); !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("destroyed in the wrong token: %v", err)
	}
	must(t, os.Rename(cfg.TokenDir, away+".wrong"), os.Rename(away, cfg.TokenDir))
	waitFor(t, "the key's token", func() bool { return strings.Contains(destroy(t, p), "<nil>") })
	if n := len(objects(t, s.tokens)); n != 0 {
		t.Errorf("%d objects are left", n)
	}
	k, err := tok.Module.Key(t.Context(), keys[0].ID)
	if err != nil || k.State != hsm.Destroyed {
		t.Errorf("%+v, %v", k, err)
	}
	var outcomes []string
	waitFor(t, "the log", func() bool {
		entries, err := cfg.Audit.List(t.Context(), audit.Filter{Action: "hsm.key.destroy", Order: "order-1", Partner: "partner-1"})
		outcomes = nil
		for _, e := range entries {
			outcomes = append(outcomes, e.Outcome)
		}
		return err == nil && len(outcomes) >= 3 && outcomes[len(outcomes)-1] == audit.Granted
	})
	if outcomes[0] != audit.Granted || outcomes[1] != audit.Failed {
		t.Errorf("outcomes in the log: %v", outcomes)
	}
}

func destroy(t *testing.T, p *hsm.Partition) string {
	err := p.Destroy(t.Context(), officer, "order-1")
	if err == nil {
		return "<nil>"
	}
	return err.Error()
}

// The token of the worker that answers counts, not that of the worker before it.
func TestDestroyAsksTheTokenThatAnswers(t *testing.T) {
	cfg := hsmtest.Config(t)
	tok := hsmtest.Start(t, cfg)
	id := tok.Key(t, hsm.P256).Info().ID
	s := &scene{tok: tok}
	wrong, away, pid := s.another(t), cfg.TokenDir+".away", tok.WorkerPID()
	tok.Stop(t)
	must(t, os.Rename(cfg.TokenDir, away), os.Mkdir(cfg.TokenDir, 0o700), os.CopyFS(filepath.Join(cfg.TokenDir, "tokens"), os.DirFS(wrong)))
	result := make(chan error)
	go func() { result <- tok.Destroy(t.Context(), officer, id) }()
	waitFor(t, "the destruction to begin", func() bool {
		k, err := tok.Module.Key(t.Context(), id)
		return err == nil && k.State == hsm.Suspended
	})
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	if err := <-result; !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("destroyed in the wrong token: %v", err)
	}
	must(t, os.Rename(cfg.TokenDir, away+".wrong"), os.Rename(away, cfg.TokenDir))
	waitFor(t, "the key's token", func() bool { return tok.Destroy(t.Context(), officer, id) == nil })
	if n := len(objects(t, filepath.Join(cfg.TokenDir, "tokens"))); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

// No key is made in another token than the one that was looked through, however late the worker is another one.
func TestGenerateAsksTheTokenThatAnswers(t *testing.T) {
	cfg := hsmtest.Config(t)
	tok := hsmtest.Start(t, cfg)
	tok.Key(t, hsm.P256)
	wrong, pid := (&scene{tok: tok}).another(t), tok.WorkerPID()
	release := hsm.HoldRegistry(tok.Module)
	result := make(chan error)
	go func() {
		_, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Label: "late", Algorithm: hsm.P256})
		result <- err
	}()
	waitFor(t, "the generation to begin", func() bool {
		entries, err := cfg.Audit.List(t.Context(), audit.Filter{Action: "hsm.key.generate"})
		return err == nil && len(entries) == 2
	})
	tokens := filepath.Join(cfg.TokenDir, "tokens")
	// Moved, not removed: the worker still looks into the token, and leaves lock files where it does.
	must(t, os.Rename(tokens, cfg.TokenDir+".away"), os.CopyFS(tokens, os.DirFS(wrong)))
	must(t, os.Remove(filepath.Join(cfg.TokenDir, "token.serial")), syscall.Kill(pid, syscall.SIGKILL))
	waitFor(t, "another worker", func() bool { return tok.WorkerPID() != 0 && tok.WorkerPID() != pid })
	release()
	if err := <-result; !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("generated in the wrong token: %v", err)
	}
	if n := len(objects(t, tokens)); n != 0 {
		t.Errorf("%d objects in the wrong token", n)
	}
}

// A destroyed key that came back with an old backup is found by the token's own list and destroyed again.
func TestDestroyFindsWhatCameBack(t *testing.T) {
	cfg := hsmtest.Config(t)
	tok := hsmtest.Start(t, cfg)
	p, err := tok.Partition("partner-1")
	must(t, err)
	_, err = p.Ensure(t.Context(), officer, "order-1", []hsm.KeySpec{{Label: "seal", Algorithm: hsm.P256}})
	must(t, err)
	tokens, backup := filepath.Join(cfg.TokenDir, "tokens"), filepath.Join(t.TempDir(), "backup")
	must(t, os.CopyFS(backup, os.DirFS(tokens)), p.Destroy(t.Context(), officer, "order-1"))
	must(t, os.Rename(tokens, tokens+".replaced"), os.CopyFS(tokens, os.DirFS(backup)), syscall.Kill(tok.WorkerPID(), syscall.SIGKILL))
	if n := len(objects(t, tokens)); n == 0 {
		t.Fatal("the backup holds no key")
	}
	must(t, p.Destroy(t.Context(), officer, "order-1"))
	if n := len(objects(t, tokens)); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

// What a generation left half done does not stand in the way, and is never doubled, without a restart.
func TestEnsureGoesOnAfterAFailure(t *testing.T) {
	cfg := hsmtest.Config(t)
	tok := hsmtest.Start(t, cfg)
	p, err := tok.Partition("partner-1")
	must(t, err)
	specs := []hsm.KeySpec{{Label: "seal", Algorithm: hsm.P256}}
	first, err := p.Ensure(t.Context(), officer, "order-1", specs)
	must(t, err)
	if _, err := cfg.DB.Exec(`UPDATE hsm_keys SET state = 'pending', spki = NULL`); err != nil { // as a crash before the last step leaves it
		t.Fatal(err)
	}
	second, err := p.Ensure(t.Context(), officer, "order-1", specs)
	must(t, err)
	if second[0].ID == first[0].ID || second[0].State != hsm.Active {
		t.Errorf("%+v", second[0])
	}
	if n := len(objects(t, filepath.Join(cfg.TokenDir, "tokens"))); n != 2 {
		t.Errorf("%d objects in the token, want the two halves of one key", n)
	}
	keys, err := tok.Keys(t.Context(), hsm.Filter{Partner: "partner-1", Order: "order-1"})
	if err != nil || len(keys) != 2 || keys[0].State != hsm.Destroyed {
		t.Errorf("%+v, %v", keys, err)
	}
	waitFor(t, "the log", func() bool {
		entries, err := cfg.Audit.List(t.Context(), audit.Filter{Action: "hsm.key.generate", Subject: first[0].ID})
		return err == nil && len(entries) == 2 && entries[1].Outcome == audit.Failed && entries[1].Order == "order-1"
	})
}

// A partner that comes back gets its suspended keys under its new order, by choice, and nobody else's.
func TestResumeUnderANewOrder(t *testing.T) {
	ctx := t.Context()
	tok := hsmtest.Start(t, hsmtest.Config(t))
	p, err := tok.Partition("partner-1")
	must(t, err)
	stranger, err := tok.Partition("partner-2")
	must(t, err)
	specs := []hsm.KeySpec{{Label: "seal", Algorithm: hsm.P256}, {Label: "upo", Algorithm: hsm.P256}}
	keys, err := p.Ensure(ctx, officer, "order-1", specs)
	must(t, err)
	if _, err := p.Resume(ctx, officer, "order-3", []string{keys[0].ID}); !errors.Is(err, hsm.ErrNotActive) {
		t.Errorf("an active key is taken from its order: %v", err)
	}
	must(t, p.Suspend(ctx, officer, "order-1"))
	if _, err := stranger.Resume(ctx, officer, "order-3", []string{keys[0].ID}); !errors.Is(err, hsm.ErrUnknownKey) {
		t.Errorf("another partner's key: %v", err)
	}
	for range 2 { // it may be repeated
		back, err := p.Resume(ctx, officer, "order-3", []string{keys[0].ID})
		if err != nil || len(back) != 1 || back[0].Order != "order-3" || back[0].State != hsm.Active {
			t.Fatalf("%+v, %v", back, err)
		}
	}
	again, err := p.Ensure(ctx, officer, "order-3", specs)
	if err != nil || again[0].ID != keys[0].ID || again[1].ID == keys[1].ID {
		t.Errorf("the chosen key and a new one: %+v, %v", again, err)
	}
	if _, err := p.Resume(ctx, officer, "order-3", []string{keys[1].ID}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second key of one label: %v", err)
	}
	must(t, p.Suspend(ctx, officer, "order-1")) // the old order ends once more: the key is no longer its own
	if k, err := tok.Signer(ctx, keys[0].ID); err != nil {
		t.Error(err)
	} else if _, err := k.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
		t.Error(err)
	}
	must(t, p.Destroy(ctx, officer, "order-1"))
	if _, err := p.Resume(ctx, officer, "order-4", []string{keys[1].ID}); !errors.Is(err, hsm.ErrNotActive) {
		t.Errorf("a destroyed key: %v", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(again[0].Public)
	if err != nil || !bytes.Equal(spki, keys[0].SPKI) {
		t.Errorf("the key is another: %v", err)
	}
}

// A token that answers nothing is seen by its silence, before the worker is given up.
func TestSilenceIsSeen(t *testing.T) {
	cfg := hsmtest.Config(t)
	cfg.SignTimeout = time.Minute
	tok := hsmtest.Start(t, cfg)
	pid := tok.WorkerPID()
	tok.Stop(t)
	defer func() { must(t, syscall.Kill(pid, syscall.SIGCONT)) }()
	start := time.Now()
	waitFor(t, "the silence to be seen", func() bool { return tok.Health() != nil || time.Since(start) > within })
	if err := tok.Health(); err == nil || !strings.Contains(err.Error(), "has not answered for") {
		t.Errorf("got %v", err)
	}
}

// The keys are looked through at the start already, before any is used.
func TestStartLooksForTheKeys(t *testing.T) {
	cfg := hsmtest.Config(t)
	tokens, backup := filepath.Join(cfg.TokenDir, "tokens"), filepath.Join(t.TempDir(), "backup")
	t.Run("first", func(t *testing.T) {
		tok := hsmtest.Start(t, cfg)
		tok.Key(t, hsm.P256)
		must(t, os.CopyFS(backup, os.DirFS(tokens)))
		tok.Key(t, hsm.P256)
	})
	must(t, os.RemoveAll(tokens), os.CopyFS(tokens, os.DirFS(backup)))
	m, err := hsm.Start(t.Context(), cfg) // nobody runs Run: nothing looks later
	must(t, err)
	if err := m.Health(); err == nil || !strings.Contains(err.Error(), "lacks 1 of 2 active keys") {
		t.Errorf("got %v", err)
	}
	must(t, m.Close())
}
