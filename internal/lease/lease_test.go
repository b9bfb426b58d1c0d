package lease

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// onEach runs a test over both engines; PostgreSQL has one server and a database for each.
func onEach(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, storetest.Postgres(t)) })
}

func open(t *testing.T, url, node string, life time.Duration) *Leases {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := Open(t.Context(), Config{DB: db, Node: node, Tasks: []string{"orders", "lists"}, life: life})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func renewed(t *testing.T, l *Leases) {
	t.Helper()
	if err := l.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wantHolds(t *testing.T, when string, l *Leases, want bool) {
	t.Helper()
	for _, task := range []string{"orders", "lists"} {
		if l.Holds(task) != want {
			t.Errorf("%s: %s holds %s: %v", when, l.node, task, !want)
		}
	}
	if l.Holds("another") {
		t.Error("a task that nobody spoke of is held")
	}
}

// wantEnded waits for the end of work whose lease is lost; it comes with the loss, or when the lease is over.
func wantEnded(t *testing.T, while context.Context) {
	t.Helper()
	select {
	case <-while.Done():
	case <-time.After(time.Minute):
		t.Fatal("who lost the task works on")
	}
}

func lives(t *testing.T, asked *Leases, holder string) (is bool) {
	t.Helper()
	err := asked.db.InTx(t.Context(), func(tx *sql.Tx) (err error) {
		is, err = asked.Lives(t.Context(), tx, holder)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// dies makes the database forget a process that does not renew any more, as its clock does.
func dies(t *testing.T, l *Leases) {
	t.Helper()
	if _, err := l.db.Exec(`UPDATE lease SET until = until - $1 WHERE holder = $2`, l.life.Milliseconds()+1, l.holder); err != nil {
		t.Fatal(err)
	}
}

// TestOneNodeDoesATask: the first has it, another when that one dies or gives it up, and the first one's work ends with its lease.
func TestOneNodeDoesATask(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		a, b := open(t, url, "a", time.Hour), open(t, url, "b", time.Hour)
		wantHolds(t, "first come", a, true)
		wantHolds(t, "second", b, false)
		while, cancel, ok := a.While(t.Context(), "orders")
		defer cancel()
		if !ok || while.Err() != nil {
			t.Fatal("the holder may not work")
		}
		if _, cancel, ok := b.While(t.Context(), "orders"); ok {
			t.Error("two may work")
		} else {
			cancel()
		}
		renewed(t, b)
		wantHolds(t, "while the first lives", b, false)
		if !lives(t, b, a.Holder()) || lives(t, b, "c/nobody") {
			t.Error("who lives?")
		}
		dies(t, a)
		if lives(t, b, a.Holder()) {
			t.Error("the dead live")
		}
		renewed(t, b)
		wantHolds(t, "after the first died", b, true)
		renewed(t, a) // it was only slow
		wantHolds(t, "come back", a, false)
		wantEnded(t, while)
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantHolds(t, "given up", b, false)
		renewed(t, a)
		wantHolds(t, "after the second gave up", a, true)
	})
}

// TestHolderStopsByItself: who can't reach the database stops before another may begin.
func TestHolderStopsByItself(t *testing.T) {
	a := open(t, storetest.SQLite(t), "a", 500*time.Millisecond)
	while, cancel, _ := a.While(t.Context(), "orders")
	defer cancel()
	if err := a.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.renew(t.Context()); err == nil {
		t.Fatal("renewed without a database")
	}
	wantEnded(t, while)
	if a.Holds("orders") {
		t.Error("it is held on")
	}
}

// TestRestartGoesOnAtOnce: a node that starts again has its tasks, and what its earlier process was at is nobody's.
func TestRestartGoesOnAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		before := open(t, url, "a", time.Hour)
		beside := open(t, url, "a_", time.Hour) // % and _ are letters here
		again := open(t, url, "a", time.Hour)
		wantHolds(t, "started again", again, true)
		if lives(t, again, before.Holder()) || !lives(t, again, beside.Holder()) || !lives(t, again, again.Holder()) {
			t.Error("who lives?")
		}
		if err := before.renew(t.Context()); !errors.Is(err, errReplaced) {
			t.Errorf("two processes of one node: %v", err)
		}
		wantHolds(t, "replaced", before, false)
		wantHolds(t, "not disturbed", again, true)
	})
}

// TestNodes: a node that died or was stopped is known as such until it is forgotten; one that lives is not.
func TestNodes(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		a, b, c := open(t, url, "a", time.Hour), open(t, url, "b", time.Hour), open(t, url, "c", time.Hour)
		want := func(when, names string) {
			t.Helper()
			nodes, err := a.Nodes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var told []string
			for _, n := range nodes {
				state := n.Name
				if n.Lives {
					state += "+"
				}
				if since := time.Since(n.Until); n.Lives != (since < 0) || since > 2*time.Hour {
					t.Errorf("%s: node %s until %v", when, n.Name, n.Until)
				}
				told = append(told, state)
			}
			if got := strings.Join(told, " "); got != names {
				t.Errorf("%s: %s, want %s", when, got, names)
			}
		}
		want("all live", "a+ b+ c+")
		dies(t, b)
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("one died, one was stopped", "a+ b c")
		for name, why := range map[string]error{"a": ErrLives, "d": ErrUnknownNode, "": ErrUnknownNode, "%": ErrUnknownNode} {
			if err := a.Forget(t.Context(), name); !errors.Is(err, why) {
				t.Errorf("%q forgotten: %v", name, err)
			}
		}
		if err := errors.Join(a.Forget(t.Context(), "b"), a.Forget(t.Context(), "c")); err != nil {
			t.Error(err)
		}
		want("forgotten", "a+")
		renewed(t, b) // it was only slow
		want("come back", "a+ b+")
	})
}

// TestAlone: a process without leases does all.
func TestAlone(t *testing.T) {
	var none *Leases
	while, cancel, ok := none.While(context.Background(), "orders")
	defer cancel()
	if nodes, err := none.Nodes(t.Context()); err != nil || nodes != nil || !errors.Is(none.Forget(t.Context(), "a"), ErrUnknownNode) {
		t.Error(nodes, err)
	}
	if !ok || while.Err() != nil || !none.Holds("orders") || none.Holder() != "" {
		t.Error("it does not")
	}
}
