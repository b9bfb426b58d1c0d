package pki

import (
	"math/big"
	"sync"
	"testing"
	"time"

	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
	"trustcore/pki/tsa"
)

// TestTables tries what has to be unique on both engines, with two nodes on one database.
func TestTables(t *testing.T) {
	for name, address := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			databaseURL := address(t)
			nodes := []*store.DB{openNode(t, databaseURL), openNode(t, databaseURL)}
			t.Run("JournalKeepsEverySerialOnce", func(t *testing.T) { journalKeepsEverySerialOnce(t, nodes) })
		})
	}
}

func openNode(t *testing.T, databaseURL string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context(), "pki", schema); err != nil {
		t.Fatal(err)
	}
	return db
}

func journalKeepsEverySerialOnce(t *testing.T, nodes []*store.DB) {
	journals := []*journal{{db: nodes[0]}, {db: nodes[1]}}
	record := func(serial int) tsa.Record {
		return tsa.Record{Serial: big.NewInt(int64(serial)), Time: time.Now(), Policy: "1.2.3", Hash: "2.16", Imprint: []byte{1}}
	}
	const writers, each = 32, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := journals[w%2].append(t.Context(), record(1+w*each+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var count int
	if err := nodes[0].QueryRow(`SELECT COUNT(*) FROM pki_timestamp`).Scan(&count); err != nil || count != writers*each {
		t.Errorf("%d records, %v", count, err)
	}
	if err := journals[1].append(t.Context(), record(1)); !store.Taken(err) {
		t.Errorf("a serial number that was used before: %v", err)
	}
	if err := journals[1].append(t.Context(), record(writers*each+1)); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
}
