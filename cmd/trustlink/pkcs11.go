//go:build linux || windows

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"os/user"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"trustcore/hsm/p11kit"
)

// Bounds of programs at a time.
const (
	maxPrograms          = 512
	maxProgramsOfAccount = 128
)

// account is one of this machine: the number of its user ID on Linux, its SID on Windows.
type account string

func addPKCS11(root *cobra.Command, dir *string) {
	var where string
	var users []string
	c := &cobra.Command{
		Use:   "pkcs11",
		Short: "Serve this office's keys in the data centre to programs that speak PKCS#11",
		Long: `Serves the office's HSM keys ` + pkcs11Help + `

Started by hand, it serves until it is stopped. 'trustlink pkcs11 env' says what to set for programs.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			who, err := accountsOf(users, *dir)
			if err != nil {
				return err
			}
			listeners, err := listenPKCS11(placeOf(where, *dir), who)
			if err != nil {
				return err
			}
			for _, l := range listeners {
				fmt.Fprintf(c.OutOrStdout(), "serving PKCS#11 at %s\n", l.Addr())
			}
			return servePKCS11(c.Context(), listeners, who, slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)))
		},
	}
	placeFlag(c.PersistentFlags(), &where)
	c.Flags().StringArrayVar(&users, "user", nil, "`account=folder` that may use the keys which the folder is enrolled for")
	c.AddCommand(&cobra.Command{
		Use:   "env",
		Short: "Print what programs need to find the keys",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return printPKCS11Env(c.OutOrStdout(), placeOf(where, *dir))
		},
	})
	root.AddCommand(c)
}

// accountsOf are the accounts that are served, with the keys of each.
func accountsOf(users []string, dir string) (map[account]*officeKeys, error) {
	if len(users) == 0 {
		own, err := ownAccount()
		if err != nil {
			return nil, err
		}
		return map[account]*officeKeys{own: newOfficeKeys(state{dir})}, nil
	}
	who := map[account]*officeKeys{}
	for _, text := range users {
		name, folder, ok := strings.Cut(text, "=")
		if !ok || name == "" || folder == "" {
			return nil, fmt.Errorf("--user: %q: write account=folder, such as %s", text, userExample)
		}
		found, err := user.Lookup(name)
		if err != nil {
			found, err = user.LookupId(name)
		}
		if err != nil {
			return nil, fmt.Errorf("--user: there is no account %q on this machine", name)
		}
		if who[account(found.Uid)] != nil {
			return nil, fmt.Errorf("--user: the account %s stands twice", name)
		}
		who[account(found.Uid)] = newOfficeKeys(state{folder})
	}
	return who, nil
}

// served are the programs that are served now.
type served struct {
	who    map[account]*officeKeys
	logger *slog.Logger

	mu  sync.Mutex
	of  map[account]int // guarded by mu
	all int             // guarded by mu
}

// servePKCS11 serves programs until ctx ends, or a listener fails.
func servePKCS11(ctx context.Context, listeners []net.Listener, who map[account]*officeKeys, logger *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	})
	defer stop()
	p := &served{who: who, logger: logger, of: map[account]int{}}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- p.accept(ctx, l) }()
	}
	var first error
	for range listeners {
		if err := <-ended; err != nil && first == nil {
			first = err
		}
		cancel() // one that fails ends the others
	}
	return first
}

// accept serves the programs that connect to one listener, and waits for them when ctx has ended.
func (p *served) accept(ctx context.Context, listener net.Listener) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("PKCS#11 programs: %w", err)
		}
		of, err := accountAt(conn)
		keys := p.who[of]
		full := !p.enter(of, err == nil && keys != nil)
		if err != nil || keys == nil || full {
			p.logger.Warn("a program is not served", "account", of, "known", keys != nil, "too many", full, "error", err)
			_ = conn.Close()
			continue
		}
		running.Go(func() {
			defer p.leave(of)
			err := p11kit.Serve(ctx, conn, p11kit.Config{Backend: keys, Label: keys.label(), Serial: keys.serial(), Logger: p.logger})
			if err != nil {
				p.logger.Warn("a program broke off", "account", of, "error", err)
			}
		})
	}
}

// enter takes a place for a program of an account that is known; false says that there is none.
func (p *served) enter(of account, known bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= maxPrograms || p.of[of] >= maxProgramsOfAccount {
		return false
	}
	if known {
		p.all, p.of[of] = p.all+1, p.of[of]+1
	}
	return true
}

func (p *served) leave(of account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all, p.of[of] = p.all-1, p.of[of]-1
}

// serialOf is the serial number of a token: programs tell tokens apart by it.
func serialOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
