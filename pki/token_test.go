package pki

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// TestOneTimeTokenServesOnce tries each token on two nodes at once; smallstep's own PostgreSQL store accepts nearly all of them twice.
func TestOneTimeTokenServesOnce(t *testing.T) {
	const tokens, tries = 300, 8
	for name, address := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			databaseURL := address(t)
			var nodes []*stepStore
			for range 2 {
				db, err := store.Open(t.Context(), databaseURL)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := db.Close(); err != nil {
						t.Error(err)
					}
				}()
				if err := db.Migrate(t.Context(), "pki", schema); err != nil {
					t.Fatal(err)
				}
				nodes = append(nodes, &stepStore{&CA{cfg: Config{DB: db, Now: time.Now}}})
			}
			accepted := make([]atomic.Int64, tokens)
			var wg sync.WaitGroup
			for try := range tries {
				wg.Go(func() {
					for i := range tokens {
						ok, err := nodes[try%2].UseToken(fmt.Sprint("token-", i), "")
						if err != nil {
							t.Error(err)
							return
						}
						if ok {
							accepted[i].Add(1)
						}
					}
				})
			}
			wg.Wait()
			for i := range accepted {
				if n := accepted[i].Load(); n != 1 {
					t.Errorf("token %d was accepted %d times", i, n)
				}
			}
		})
	}
}
