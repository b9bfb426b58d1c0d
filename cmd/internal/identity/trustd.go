package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"trustcore/internal/problem"
)

// OfDaemon sees to the certificate of a daemon, over trustd at url. With an empty url nobody renews it, which Findings tells.
func OfDaemon(id Identity, url string, log *slog.Logger) (*Renewal, error) {
	r := &Renewal{Identity: id, Now: time.Now, Logger: log}
	if url == "" {
		return r, nil
	}
	client, err := id.HTTP(0)
	if err != nil {
		return nil, err
	}
	r.Ask = AskTrustd(client, url)
	return r, nil
}

// maxChain bounds trustd's answer in bytes.
const maxChain = 1 << 20

// AskTrustd is the Ask of who shows trustd the certificate that is to be renewed: client has the settings of Identity.Client, url is
// that of trustd's interface for officers and daemons.
func AskTrustd(client *http.Client, url string) Ask {
	return func(ctx context.Context, request []byte) ([]byte, error) {
		body, err := json.Marshal(map[string]string{"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))})
		if err != nil {
			return nil, err
		}
		post, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/v1/renewals", bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		post.Header.Set("Content-Type", "application/json")
		response, err := client.Do(post)
		if err != nil {
			return nil, fmt.Errorf("ask trustd: %w", err)
		}
		defer response.Body.Close()
		return chainIn(response)
	}
}

func chainIn(response *http.Response) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(response.Body, maxChain))
	if err != nil {
		return nil, fmt.Errorf("trustd's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		var p problem.Problem
		if json.Unmarshal(data, &p) == nil && p.Detail != "" {
			return nil, fmt.Errorf("trustd answered %s: %s", response.Status, p.Detail)
		}
		return nil, fmt.Errorf("trustd answered %s", response.Status)
	}
	var answer struct {
		Chain string `json:"chain"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("trustd's answer: %w", err)
	}
	if answer.Chain == "" {
		return nil, errors.New("trustd's answer holds no chain")
	}
	return []byte(answer.Chain), nil
}
