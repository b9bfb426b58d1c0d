// Package failover has two gateways agree on which of them carries the tunnels, and moves the virtual addresses between them.
//
// Each tells the other ten times a second, by authenticated datagrams, what it does. The standby has every tunnel prepared and
// is silent; when it has not heard the other for 350 ms it asks the network for the addresses, and takes them when nobody
// answers. So two carry at once only where a network is cut in two, each for the part that it sees; when it is whole again the
// later take-over counts, and the other one lets go with the first advert that it hears. The addresses are on loan from the
// kernel: it takes them away 3 s after the last word of the process that has them.
package failover

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"trustcore/internal/durable"
	"trustcore/vpn"
)

// Config says who the two gateways are. All of it is required.
type Config struct {
	Interface string           // of the host, which has the virtual addresses while this gateway carries
	Addresses []netip.Addr     // at which offices know the hub
	Listen    netip.AddrPort   // own address and UDP port for adverts
	Peer      netip.AddrPort   // those of the other gateway
	Key       []byte           // that both have
	Hub       string           // name of the hub's interface
	Ports     []uint16         // UDP, of the hub
	StateDir  string           // folder for the number of the last take-over
	Carry     func(bool) error // has the hub carry the tunnels, or rest
	Log       *slog.Logger
}

// maxSkew is how far the clocks of the two gateways may be apart. An office takes no handshake that is older than the last one
// of the hub's key, by the hub's clock: it is silent for as long as the clock of the gateway that takes over is behind.
const maxSkew = 200 * time.Millisecond

// announcements is how often neighbours are told, with an advert each, that the addresses have moved.
const announcements = 5

// Member is one of the two gateways. Its methods may be called at the same time.
type Member struct {
	cfg       Config
	addresses *addresses
	voice     *voice
	socket    *net.UDPConn
	clock     func() time.Duration
	desired   chan bool // for the worker, the latest alone

	mu       sync.Mutex
	election election
	skew     time.Duration
	problem  error // why it could not do what was to be done
	held     error // why nothing is taken although the other gateway is silent. Guarded by mu, as is all above

	extended, ticked time.Duration // of Run alone
	announce         int
}

// Open looks at the host and says nothing yet. A gateway that carried the tunnels a moment ago, and whose kernel has the
// addresses still, goes on carrying.
func Open(cfg Config) (*Member, error) {
	a, err := openAddresses(cfg.Interface, cfg.Addresses)
	if err != nil {
		return nil, err
	}
	carrying, err := a.look()
	if err != nil {
		return nil, err
	}
	term, err := loadTerm(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(cfg.Listen))
	if err != nil {
		return nil, fmt.Errorf("listen for the other gateway: %w", err)
	}
	var session [8]byte
	rand.Read(session[:]) // never fails
	m := &Member{cfg: cfg, addresses: a, voice: newVoice(cfg.Hub, cfg.Ports), socket: socket, clock: vpn.BootTime, desired: make(chan bool, 1),
		election: election{session: binary.BigEndian.Uint64(session[:]), term: term, first: cfg.Listen.Compare(cfg.Peer) < 0}}
	m.election.begin(m.clock(), carrying)
	if err := m.hold(); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return m, nil
}

// hold has addresses and firewall be as the role wants them.
func (m *Member) hold() error {
	if !m.Active() {
		return m.voice.set(nil)
	}
	return errors.Join(m.addresses.hold(), m.voice.set(m.cfg.Addresses))
}

// Active says whether this gateway carries the tunnels.
func (m *Member) Active() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.election.role == Active
}

// Ready says whether this gateway could carry the tunnels. One that carries and is not ready gives them to one that is.
func (m *Member) Ready(is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.election.ready = is
}

// Want has the other gateway hand over, as soon as it hears of it.
func (m *Member) Want() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.election.wants = true
}

// Status tells how the two stand to each other.
func (m *Member) Status() vpn.PairStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := &m.election
	s := vpn.PairStatus{Active: e.role == Active, Ready: e.ready, Term: e.term, SkewMillis: m.skew.Milliseconds()}
	if e.alive(m.clock()) {
		s.Other, s.OtherReady = e.other.role.String(), e.other.ready
	} else if m.held != nil && e.role == Standby {
		s.Problem = m.held.Error()
	}
	if m.problem != nil {
		s.Problem = m.problem.Error()
	}
	if s.Problem == "" && m.skew.Abs() > maxSkew {
		s.Problem = fmt.Sprintf("the clocks of the two gateways are %v apart: after a take-over offices are silent for as long", m.skew.Abs().Round(time.Millisecond))
	}
	return s
}

// Run takes part until ctx ends. Then it hands the tunnels over, if it has them and there is somebody to take them.
func (m *Member) Run(ctx context.Context) error {
	heard, done := make(chan advert, 16), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { m.listen(heard, done) })
	group.Go(m.work)
	m.attend(ctx, heard)
	if m.Active() {
		m.let()
	}
	close(done)
	close(m.desired)
	err := errors.Join(m.socket.Close(), m.voice.remove())
	group.Wait()
	return err
}

// attend is the loop of Run.
func (m *Member) attend(ctx context.Context, heard <-chan advert) {
	tick := time.NewTicker(advertEvery)
	defer tick.Stop()
	var probed chan bool // nil while nobody is asked for the addresses
	m.ticked = m.clock()
	for {
		do := stay
		select {
		case <-ctx.Done():
			return
		case a := <-heard:
			do = m.decide(func(e *election, now time.Duration) verdict { return e.hear(a, now) })
		case <-tick.C:
			if do = m.decide((*election).tick); m.overslept() {
				do = yield
			}
			m.say()
		case free := <-probed:
			probed = nil
			if free && m.decide((*election).tick) == ask {
				do = take
			}
		}
		switch {
		case do == ask && probed == nil:
			probed = make(chan bool, 1)
			go m.ask(probed)
		case do == take:
			m.take()
		case do == yield:
			m.let()
		case do == tell:
			m.announce = announcements
			m.note(m.addresses.announce())
		}
		if m.Active() {
			m.keep()
		}
	}
}

func (m *Member) decide(by func(*election, time.Duration) verdict) verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	return by(&m.election, m.clock())
}

// overslept says whether this process, or the machine, stood still for so long that the kernel may have taken the addresses
// away, and the other gateway them: who carried does so no more.
func (m *Member) overslept() bool {
	now := m.clock()
	slept := now-m.ticked > addressLife-extendEvery
	m.ticked = now
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slept || m.election.role != Active {
		return false
	}
	m.election.leave(now)
	return true
}

// say sends an advert. One that does not arrive is missed by the other gateway.
func (m *Member) say() {
	m.mu.Lock()
	a := m.election.next(time.Now())
	m.mu.Unlock()
	_, _ = m.socket.WriteToUDPAddrPort(a.seal(m.cfg.Key), m.cfg.Peer)
}

// listen hears adverts until the socket is closed.
func (m *Member) listen(heard chan<- advert, done <-chan struct{}) {
	datagram := make([]byte, advertLen+1)
	for {
		n, _, err := m.socket.ReadFromUDPAddrPort(datagram)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		a, bad := openAdvert(m.cfg.Key, datagram[:n])
		if err != nil || bad != nil {
			continue
		}
		m.mu.Lock()
		m.skew = time.Until(a.clock)
		m.mu.Unlock()
		select {
		case heard <- a:
		case <-done:
			return
		}
	}
}

// ask finds out whether nobody has the addresses.
func (m *Member) ask(free chan<- bool) {
	holder, err := m.addresses.probe(!m.election.first)
	switch {
	case err != nil:
		m.note(err)
	case holder != nil:
		m.holds(fmt.Errorf("the other gateway is not heard, but its machine (%v) has the addresses: nothing is taken", holder))
	}
	free <- err == nil && holder == nil
}

func (m *Member) holds(problem error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.cfg.Log.Warn("the pair of gateways", "problem", problem)
	}
	m.held = problem
}

func (m *Member) note(problem error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if problem != nil && (m.problem == nil || m.problem.Error() != problem.Error()) {
		m.cfg.Log.Warn("the pair of gateways", "problem", problem)
	}
	m.problem = problem
}

// take has this gateway carry: the addresses come first, so that the hub speaks from them.
func (m *Member) take() {
	err := errors.Join(m.addresses.hold(), m.voice.set(m.cfg.Addresses), m.addresses.announce())
	m.mu.Lock()
	if err == nil {
		m.election.took()
		m.held = nil
	}
	term, now := m.election.term, m.clock()
	m.mu.Unlock()
	m.note(err)
	if err != nil {
		m.let()
		return
	}
	m.say()
	m.want(true)
	m.extended, m.announce = now, announcements
	m.cfg.Log.Warn("this gateway carries the tunnels now", "term", term)
	if err := saveTerm(m.cfg.StateDir, term); err != nil {
		m.note(err)
	}
}

// let has this gateway be silent: it says so when it is.
func (m *Member) let() {
	m.mu.Lock()
	was := m.election.role == Active
	if was {
		m.election.leave(m.clock())
	}
	m.mu.Unlock()
	err := errors.Join(m.voice.set(nil), m.addresses.let())
	m.say()
	m.want(false)
	m.note(err)
	m.cfg.Log.Warn("this gateway does not carry the tunnels any more")
}

// keep lets the kernel have the addresses for another while, tells the neighbours again after a take-over, and has the firewall
// be there.
func (m *Member) keep() {
	now := m.clock()
	if m.announce > 0 {
		m.announce--
		m.note(m.addresses.announce())
	}
	if now-m.extended < extendEvery {
		return
	}
	m.extended = now
	err := m.addresses.hold()
	if stands, seen := m.voice.stands(m.cfg.Addresses); seen != nil || !stands {
		err = errors.Join(err, m.voice.set(m.cfg.Addresses))
	}
	m.note(err)
}

// want has the worker bring the hub to what the role wants; what it has not begun by then is not done.
func (m *Member) want(carry bool) {
	select {
	case <-m.desired:
	default:
	}
	m.desired <- carry
}

// work has the hub carry or rest, which may take long where there are many peers. A hub that can't carry leaves that to the
// other gateway.
func (m *Member) work() {
	for carry := range m.desired {
		if err := m.cfg.Carry(carry); err != nil {
			m.note(err)
			m.Ready(false)
		}
	}
}

const (
	termFile = "pair.json"
	maxTerm  = 4 << 10 // bytes
)

// termRecord is the number of the last take-over: this gateway's next one is later.
type termRecord struct {
	Term uint64 `json:"term"`
}

func loadTerm(dir string) (uint64, error) {
	data, err := durable.ReadFile(filepath.Join(dir, termFile), maxTerm)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	var r termRecord
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", termFile, err)
	}
	return r.Term, nil
}

func saveTerm(dir string, term uint64) error {
	data, err := json.Marshal(termRecord{term})
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, termFile), data, 0o600)
}
