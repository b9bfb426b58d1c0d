package registry_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/store/storetest"
)

// TestATokenServesOnceOverTwoNodes: of eight who use a token at once, at two nodes, one kind of keys wins, and whoever sent those is told so.
func TestATokenServesOnceOverTwoNodes(t *testing.T) {
	rounds := 30
	if os.Getenv("TRUSTCORE_CORPUS") != "" { // make conformance
		rounds = 300
	}
	t.Run("sqlite", func(t *testing.T) { tokensServeOnce(t, storetest.SQLite(t), rounds) })
	t.Run("postgres", func(t *testing.T) { tokensServeOnce(t, storetest.Postgres(t), rounds) })
}

func tokensServeOnce(t *testing.T, url string, rounds int) {
	a, _ := open(t, url)
	b, _ := open(t, url)
	nodes := []*registry.Registry{a, b}
	for round := range rounds {
		id := fmt.Sprintf("ZU-%d", round)
		o := parse(t, strings.NewReplacer("ZU-2026-001", id, "um-przykladowo", fmt.Sprintf("um-%d", round)).Replace(orderYAML))
		must(t, a.Submit(t.Context(), one, o))
		must(t, a.Approve(t.Context(), two, id))
		token, err := a.NewToken(t.Context(), two, id)
		must(t, err)
		sent := make([]registry.Enrolment, 8)
		failed := make([]error, len(sent))
		var wg sync.WaitGroup
		for i := range sent {
			key := fmt.Sprintf("key %d of round %d", max(i, 3), round) // the first four are one request, sent again and again
			sent[i] = registry.Enrolment{PublicKey: base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%-32s", key)), CSR: "csr of " + key}
			wg.Go(func() { _, failed[i] = nodes[i%2].Enrol(t.Context(), token, sent[i]) })
		}
		wg.Wait()
		took, err := b.Enrolment(t.Context(), id)
		must(t, err)
		if took == nil {
			t.Fatalf("%s: nobody enrolled: %v", id, failed)
		}
		for i, err := range failed {
			var no *registry.Refusal
			switch won := sent[i].PublicKey == took.PublicKey; {
			case won && err != nil:
				t.Errorf("%s: caller %d, whose keys were taken, is told %v", id, i, err)
			case !won && (!errors.As(err, &no) || !strings.Contains(no.Reason, "already with other keys")):
				t.Errorf("%s: caller %d, with other keys, is told %v", id, i, err)
			}
		}
	}
}
