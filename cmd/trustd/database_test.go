package main

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/hsm/hsmtest"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// outageSeen and outageHealed are what no load of the machine explains. The goals are 5 s each; what was seen is logged.
const outageSeen, outageHealed = 30 * time.Second, 30 * time.Second

const lockArgument = "holder-of-a-lock"

// holdLock is another program that writes into the database and does not come to an end.
func holdLock(url string) error {
	db, err := store.Open(context.Background(), url)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	if strings.HasPrefix(url, "postgres") {
		if _, err := tx.Exec(`LOCK TABLE orders IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
	}
	fmt.Println("locked")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, tx.Rollback(), db.Close())
}

// lock lets another process hold the database's lock until release.
func (w *world) lock(url string) (release func()) {
	w.t.Helper()
	runtime.LockOSThread() // the kernel ends the process when the thread that started it ends
	cmd := exec.CommandContext(w.t.Context(), "/proc/self/exe", lockArgument, url)
	cmd.SysProcAttr, cmd.Stderr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}, os.Stderr
	input, err := cmd.StdinPipe()
	w.must(err)
	said, err := cmd.StdoutPipe()
	w.must(err)
	w.must(cmd.Start())
	if lines := bufio.NewScanner(said); !lines.Scan() {
		w.t.Fatal("nobody holds the lock")
	}
	return func() {
		w.t.Helper()
		w.must(errors.Join(input.Close(), cmd.Wait()))
		runtime.UnlockOSThread()
	}
}

// awaitFinding waits until /health speaks of what.
func (w *world) awaitFinding(what string) {
	w.t.Helper()
	for begun := time.Now(); ; <-time.After(50 * time.Millisecond) {
		var h httpserver.Health
		w.must(json.Unmarshal(w.ask(http.DefaultClient, "GET", w.url("operations")+"/health", nil).body, &h))
		for _, f := range h.Findings {
			if strings.Contains(f.What+f.Remedy, what) {
				return
			}
		}
		if time.Since(begun) > time.Minute {
			w.t.Fatalf("/health says nothing of %q: %+v", what, h)
		}
	}
}

// wantUnavailable submits an order: it is refused for now, and soon.
func (w *world) wantUnavailable(id string) {
	w.t.Helper()
	begun := time.Now()
	a := w.submit(id)
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.detail(), "ask again") && !strings.Contains(a.detail(), "try again") {
		w.t.Errorf("an order in the outage: %d %s; want 503 and to ask again", a.status, a.body)
	}
	if took := time.Since(begun); took > 15*time.Second {
		w.t.Errorf("its refusal took %v", took)
	}
}

func (w *world) submit(id string) answer {
	w.t.Helper()
	text := activationOf(id, "", keysOnly, ezd, key("seal", ""), inYears(2))
	request, err := http.NewRequestWithContext(w.t.Context(), "POST", w.url("admin")+"/v1/orders", strings.NewReader(text))
	w.must(err)
	response, err := w.client("officer-1").Do(request)
	w.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	w.must(err)
	return answer{response.StatusCode, body}
}

// outage awaits that the services can't serve, what is said of it, and after heal that they serve again.
func (w *world) outage(services []string, finding string, heal func()) {
	w.t.Helper()
	begun := time.Now()
	for _, service := range services {
		w.awaitReadiness(service, http.StatusServiceUnavailable)
	}
	w.awaitFinding(finding)
	seen := time.Since(begun)
	w.wantUnavailable("ZU-1")
	begun = time.Now()
	heal()
	for _, service := range services {
		w.awaitReadiness(service, http.StatusOK)
	}
	healed := time.Since(begun)
	if a := w.submit("ZU-2"); a.status != http.StatusOK {
		w.t.Errorf("an order after the outage: %d %s", a.status, a.body)
	}
	w.t.Logf("seen after %v, healed after %v", seen.Round(time.Millisecond), healed.Round(time.Millisecond))
	if seen > outageSeen || healed > outageHealed {
		w.t.Errorf("seen after %v, healed after %v; want %v, %v", seen, healed, outageSeen, outageHealed)
	}
}

var changing = []string{"admin", "console", "enrolment"}

// TestDatabaseLocked has another process hold the lock that every change needs: changes are refused for now, all else goes on, and
// nothing is to be started again.
func TestDatabaseLocked(t *testing.T) {
	o := newInside(t, nil)
	for _, service := range changing {
		o.awaitReadiness(service, http.StatusOK)
	}
	release := o.lock(o.cfg.DatabaseURL())
	o.outage(changing, store.ErrLocked.Error(), func() {
		for _, service := range []string{"gateway", "ocsp", "crl", "tsa"} {
			o.awaitReadiness(service, http.StatusOK)
		}
		release()
	})
}

// newOverPostgres is a world whose database is PostgreSQL.
func newOverPostgres(t *testing.T) (w *world, url string) {
	t.Helper()
	url = storetest.Postgres(t)
	return newWorld(t, func(c *Config) { c.Database = url }), url
}

// TestTableLocked locks one table of PostgreSQL, as a careless hand does.
func TestTableLocked(t *testing.T) {
	w, url := newOverPostgres(t)
	for _, service := range changing {
		w.awaitReadiness(service, http.StatusOK)
	}
	w.outage(changing, store.ErrLocked.Error(), w.lock(url))
}

// TestConnectionsExhausted has other programs take every connection that PostgreSQL gives, and trustd lose its own.
func TestConnectionsExhausted(t *testing.T) {
	w, url := newOverPostgres(t)
	greedy, err := sql.Open("pgx", url)
	w.must(err)
	defer greedy.Close()
	first, err := greedy.Conn(t.Context())
	w.must(err)
	_, err = first.ExecContext(t.Context(), `ALTER SYSTEM SET max_connections = 100`)
	w.must(err)
	var held []*sql.Conn
	take := func() {
		for range 120 {
			c, err := greedy.Conn(t.Context())
			if err != nil {
				return
			}
			held = append(held, c)
		}
	}
	for len(held) < 110 {
		before := len(held)
		take()
		_, err := first.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND query NOT LIKE '-- ping%' AND query <> '' AND pid <> pg_backend_pid()`)
		w.must(err)
		take()
		if len(held) == before {
			break
		}
	}
	w.outage(changing, "connect", func() {
		for _, c := range held {
			_ = c.Raw(func(any) error { return driver.ErrBadConn }) // makes the pool end the connection
		}
	})
}

// spoil damages the database's file through another program: closing one of our own descriptors would let go of SQLite's locks.
func (w *world) spoil(file, how string) {
	w.t.Helper()
	command := map[string]string{
		"overwritten":          `head -c "$(stat -c %s "$0")" /dev/urandom | dd of="$0" conv=notrunc status=none`,
		"its beginning":        `head -c 100 /dev/zero | dd of="$0" conv=notrunc status=none`,
		"a part of its middle": `head -c 8192 /dev/urandom | dd of="$0" bs=4096 seek=5 conv=notrunc status=none`,
		"cut":                  `truncate -s $(($(stat -c %s "$0") / 8192 * 4096)) "$0"`,
		"emptied":              `truncate -s 0 "$0"`,
	}[how]
	w.must(exec.CommandContext(w.t.Context(), "sh", "-c", command, file).Run())
}

// damageShows reports whether the watch has read the damage, which takes it some seconds, and waits ten for it. That a write failed is not
// enough: the page may be whole in the log beside the file, and be put back before anybody has read the file.
func (w *world) damageShows(db *store.DB) bool {
	w.t.Helper()
	for last := time.Now().Add(10 * time.Second); time.Now().Before(last); <-time.After(10 * time.Millisecond) {
		if errors.Is(db.Writable(), store.ErrDamaged) {
			return true
		}
	}
	return db.Check(w.t.Context()) != nil
}

var damages = []string{"overwritten", "its beginning", "a part of its middle", "cut", "emptied"}

// settle writes what SQLite keeps beside the file into it, so that a damage of the file is one of the database.
func (w *world) settle(db *store.DB) {
	w.t.Helper()
	_, err := db.ExecContext(w.t.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`)
	w.must(err)
}

// TestDatabaseDamaged damages SQLite's file while trustd runs: nothing is written any more, and the finding's remedy, to end
// trustd and restore the file, leads to one that serves.
func TestDatabaseDamaged(t *testing.T) {
	for _, how := range damages {
		t.Run(how, func(t *testing.T) {
			w := &world{t: t, dir: audittest.Dir(t), replaced: true}
			if _, err := os.Stat(hsmtest.SoftHSM); err != nil {
				t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
			}
			w.must(exec.CommandContext(t.Context(), "cp", "-a", founded(t)+"/.", w.dir).Run())
			cfg := w.config()
			d, err := open(t.Context(), cfg)
			w.must(err)
			w.daemon = d
			ended := make(chan error, 1)
			ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
			defer end()
			go func() { ended <- d.run(ctx) }()
			for _, service := range changing {
				w.awaitReadiness(service, http.StatusOK)
			}
			file := filepath.Join(cfg.StateDir, "trustcore.db")
			good := filepath.Join(w.dir, "good.db")
			w.settle(d.custody.DB)
			w.must(exec.CommandContext(t.Context(), "cp", file, good).Run())
			begun := time.Now()
			for w.spoil(file, how); !w.damageShows(d.custody.DB); begun = time.Now() {
				w.settle(d.custody.DB) // a write at that very moment had the page whole in the log beside the file
				w.spoil(file, how)
			}
			for _, service := range append(changing, "gateway") {
				w.awaitReadiness(service, http.StatusServiceUnavailable)
			}
			w.awaitFinding(store.ErrDamaged.Error())
			seen := time.Since(begun)
			for d.custody.DB.Writable() == nil { // an empty file shows before Watch has looked
				<-time.After(10 * time.Millisecond)
			}
			w.wantUnavailable("ZU-1")
			t.Logf("seen after %v", seen.Round(time.Millisecond))
			end() // as the finding says
			t.Logf("trustd ended: %v", <-ended)
			_ = d.close() // SQLite's own words on the file of before
			for _, beside := range []string{"-wal", "-shm"} {
				_ = os.Remove(file + beside)
			}
			w.must(exec.CommandContext(t.Context(), "cp", good, file).Run())
			w.replaced = false
			w.start(cfg)
			w.awaitReadiness("admin", http.StatusOK)
			if a := w.submit("ZU-2"); a.status != http.StatusOK {
				t.Errorf("an order after the outage: %d %s", a.status, a.body)
			}
		})
	}
}

// TestDamagedDatabaseStopsTheStart damages the file while trustd is down: nothing is served of what is left, with a sentence on
// what to do.
func TestDamagedDatabaseStopsTheStart(t *testing.T) {
	if _, err := os.Stat(hsmtest.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	for _, how := range damages {
		t.Run(how, func(t *testing.T) {
			w := &world{t: t, dir: audittest.Dir(t)}
			w.must(exec.CommandContext(t.Context(), "cp", "-a", founded(t)+"/.", w.dir).Run())
			cfg := w.config()
			file := filepath.Join(cfg.StateDir, "trustcore.db")
			w.must(exec.CommandContext(t.Context(), "cp", file, file+".good").Run())
			w.spoil(file, how)
			if _, err := open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "restore") {
				t.Errorf("%v; want to be told to restore it", err)
			}
			w.must(exec.CommandContext(t.Context(), "cp", file+".good", file).Run())
			w.start(cfg)
			w.awaitReadiness("admin", http.StatusOK)
		})
	}
}
