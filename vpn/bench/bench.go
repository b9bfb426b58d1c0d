// Package bench measures what it costs to keep a gateway as wished, on this machine, now.
package bench

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/hub"
	"trustcore/vpn/namespace"
)

const ifname = "tc-bench"

// MaxPeers bounds a run: the addresses come from a /16 and the keys are made one by one.
const MaxPeers = 20_000

// Result is what one run measured. The slices are sorted, shortest first.
type Result struct {
	Mode      vpn.Mode
	Peers     int
	Full      time.Duration   // from no peer to all of them, read back
	NoOp      []time.Duration // firewall and routes read, the device where others can change it, nothing to do
	Look      []time.Duration // what raises no event is looked for, nothing to do: the device where others can change it
	OneChange []time.Duration // one peer's pre-shared key, read back
	OneMoves  []time.Duration // one peer goes or comes: device, firewall and routes, read back
	Syncconf  []time.Duration // wg syncconf of one such change to a plain device of the kind alone; nil without the wg tool
	Resident  int64           // bytes of this process after all changes
	Plain     int64           // bytes that a plain wireguard-go with the same peers adds; 0 without the wg tool, and in the kernel
}

// Reconcile measures a hub with so many peers, each with an IPv4 and an IPv6 address, a
// pre-shared key and one service, for about the given time. As root it works in a network
// namespace of its own, firewall and routes included; else on netstack.
func Reconcile(ctx context.Context, peers int, budget time.Duration) (Result, error) {
	if peers < 1 || peers > MaxPeers {
		return Result{}, fmt.Errorf("bench: %d peers are not within 1 to %d", peers, MaxPeers)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(hub.GCPercent)) // as vpnd has it
	r := &run{Result: Result{Peers: peers}, budget: budget / 5}
	var err error
	if r.dir, err = os.MkdirTemp("", "vpn-bench-"); err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(r.dir)
	if namespace.Available() != nil {
		err = r.measure(ctx)
		return r.Result, err
	}
	space, err := namespace.New(namespace.Link{})
	if err != nil {
		return Result{}, err
	}
	err = space.Do(func() error { return r.measure(ctx) })
	return r.Result, errors.Join(err, space.Close())
}

type run struct {
	Result
	budget time.Duration // for each of the repeated measurements
	dir    string
	key    vpn.PrivateKey
	hub    *hub.Hub
	wish   vpn.Wish
	all    []vpn.PeerWish // while one moves
}

func (r *run) measure(ctx context.Context) (err error) {
	if err := r.prepare(); err != nil {
		return err
	}
	if err := r.ofHub(ctx); err != nil {
		return errors.Join(err, r.hub.Close())
	}
	if err := r.hub.Close(); err != nil || r.Mode == vpn.ModeNetstack {
		return err
	}
	return r.syncconf(ctx)
}

func (r *run) ofHub(ctx context.Context) (err error) {
	started := time.Now()
	if _, err := r.hub.Apply(r.wish); err != nil {
		return err
	}
	r.Full = time.Since(started)
	r.NoOp, err = r.repeat(ctx, func(int) error {
		changes, err := r.hub.Reconcile()
		if err == nil && !changes.IsZero() {
			err = fmt.Errorf("bench: the hub was not settled: %+v", changes)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.Look, err = r.repeat(ctx, func(int) error {
		_, err := r.hub.Look()
		return err
	})
	if err != nil {
		return err
	}
	r.OneChange, err = r.repeat(ctx, func(n int) error {
		r.change(n)
		changes, err := r.hub.Apply(r.wish)
		if err == nil && changes != (hub.Changes{PeersChanged: 1}) {
			err = fmt.Errorf("bench: not one change but %+v", changes)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.OneMoves, err = r.repeat(ctx, func(n int) error {
		want := r.move(n)
		changes, err := r.hub.Apply(r.wish)
		if err == nil && (changes.PeersAdded != want || changes.PeersRemoved != 1-want || changes.PeersChanged != 0) {
			err = fmt.Errorf("bench: not one peer moved but %+v", changes)
		}
		return err
	})
	if err == nil {
		r.Resident, err = resident()
	}
	return err
}

// prepare opens a hub and wishes for the peers.
func (r *run) prepare() (err error) {
	if r.key, err = vpn.GeneratePrivateKey(); err != nil {
		return err
	}
	hubAddress := netip.MustParseAddr("10.64.0.1")
	r.hub, err = hub.Open(hub.Config{
		Interface: ifname, PrivateKey: r.key, Addresses: []netip.Prefix{netip.PrefixFrom(hubAddress, 32)}, StateDir: r.dir, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	r.Mode = r.hub.Mode()
	r.wish.Pool = []netip.Prefix{netip.MustParsePrefix("10.64.0.0/10"), netip.MustParsePrefix("fd64::/64")}
	service := vpn.Service{Name: "gateway", Proto: "tcp", Addr: netip.AddrPortFrom(hubAddress, 9443), Backend: netip.MustParseAddrPort("127.0.0.1:9443")}
	v4, v6 := netip.MustParseAddr("10.65.0.0"), netip.MustParseAddr("fd64::1:0")
	for i := range r.Peers {
		key, err := vpn.GeneratePrivateKey()
		if err != nil {
			return errors.Join(err, r.hub.Close())
		}
		v4, v6 = v4.Next(), v6.Next()
		r.wish.Peers = append(r.wish.Peers, vpn.PeerWish{
			Partner: fmt.Sprintf("office-%d", i), Site: "main", PublicKey: key.Public(), PresharedKey: vpn.PresharedKey{0: 1},
			Addresses: []netip.Prefix{netip.PrefixFrom(v4, 32), netip.PrefixFrom(v6, 128)}, Services: []vpn.Service{service},
		})
	}
	return nil
}

// change gives one peer, another one each time, a new pre-shared key.
func (r *run) change(n int) {
	peers := slices.Clone(r.wish.Peers)
	psk := &peers[n%len(peers)].PresharedKey
	psk[1]++
	if psk[1] == 0 {
		psk[2]++
	}
	r.wish.Revision, r.wish.Peers = r.wish.Revision+1, peers
}

// move takes the first peer out of the wish, or puts it back, and returns how many come.
func (r *run) move(n int) (come int) {
	if r.all == nil {
		r.all = r.wish.Peers
	}
	come = n % 2
	r.wish.Revision, r.wish.Peers = r.wish.Revision+1, r.all[1-come:]
	return come
}

// resident is what this process holds of the memory (proc(5), VmRSS).
func resident() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(status, []byte("\nVmRSS:"))
	line, _, _ := bytes.Cut(rest, []byte(" kB"))
	kilobytes, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
	return kilobytes << 10, err
}

// repeat calls f until the budget is spent, at least three times.
func (r *run) repeat(ctx context.Context, f func(n int) error) (took []time.Duration, err error) {
	for begun := time.Now(); len(took) < 3 || time.Since(begun) < r.budget; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		started := time.Now()
		if err := f(len(took)); err != nil {
			return nil, err
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	return took, nil
}

// syncconf measures the peer to compare with: a plain device that the wg tool configures. The file is written
// before the clock starts.
func (r *run) syncconf(ctx context.Context) error {
	wg, err := exec.LookPath("wg")
	if err != nil {
		return nil // not installed
	}
	debug.FreeOSMemory()
	before, err := resident()
	if err != nil {
		return err
	}
	if r.all != nil {
		r.wish.Peers = r.all
	}
	plain, err := startPlain(r.Mode)
	if err != nil {
		return err
	}
	defer plain.stop()
	file := filepath.Join(r.dir, "sync.conf")
	sync := func() error {
		out, err := exec.CommandContext(ctx, wg, "syncconf", plainName, file).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("wg syncconf: %w: %s", err, bytes.TrimSpace(out))
		}
		return err
	}
	for n, begun := 0, time.Now(); n < 4 || time.Since(begun) < r.budget; n++ {
		r.change(n)
		if err := os.WriteFile(file, r.conf(), 0o600); err != nil {
			return err
		}
		started := time.Now()
		if err := sync(); err != nil {
			return err
		}
		if n > 0 { // the first brings all peers
			r.Syncconf = append(r.Syncconf, time.Since(started))
		}
	}
	slices.Sort(r.Syncconf)
	after, err := resident()
	r.Plain = after - before
	return err
}

// conf is the wish as a file for the wg tool.
func (r *run) conf() []byte {
	var b bytes.Buffer
	secret := r.key.Reveal()
	fmt.Fprintf(&b, "[Interface]\nPrivateKey = %s\n", base64.StdEncoding.EncodeToString(secret[:]))
	for _, p := range r.wish.Peers {
		psk, _ := p.PresharedKey.MarshalText() // never fails
		fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\nPresharedKey = %s\nAllowedIPs = %v, %v\n", p.PublicKey, psk, p.Addresses[0], p.Addresses[1])
	}
	return b.Bytes()
}
