package upkeep

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/verify/trustlist"
)

// How lists are asked for.
const (
	firstBackOff = time.Minute // after a failure; doubled with each further one, up to the usual time
	atOnce       = 4           // lists that are fetched at the same time
	mimeList     = "application/vnd.etsi.tsl+xml"
	typeGeneric  = "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/EUgeneric"
)

// Run fetches lists when they are due until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	if k.cfg.Fetch == nil {
		<-ctx.Done()
		return nil
	}
	for {
		k.round(ctx, false)
		timer := time.NewTimer(k.untilDue())
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// errNothingFetched tells who asks for a refresh that there is nothing to be had so.
var errNothingFetched = errors.New("this keeper fetches nothing: its lists are carried in")

// Refresh asks for all lists now, due or not.
func (k *Keeper) Refresh(ctx context.Context) error {
	if k.cfg.Fetch == nil {
		return errNothingFetched
	}
	k.round(ctx, true)
	return ctx.Err()
}

// untilDue is the time until the next list is due.
func (k *Keeper) untilDue() time.Duration {
	jobs := k.jobs()
	k.mu.Lock()
	defer k.mu.Unlock()
	now, wait := k.cfg.Now(), k.cfg.Fetch.Every
	for _, j := range jobs {
		wait = min(wait, k.place(j.key).next.Sub(now))
	}
	return max(wait, time.Second)
}

// job is one list to ask for.
type job struct {
	key       string
	addresses []string
}

// round asks for the lists that are due, or for all: the list of the lists first, as it says where the others are and who may
// sign them. What was taken comes into use at the end, all at once, or where there was nothing before at once.
func (k *Keeper) round(ctx context.Context, all bool) {
	k.rounds.Lock()
	defer k.rounds.Unlock()
	bare := k.Set().LOTL() == nil
	changed := k.ask(ctx, job{lotl, []string{k.cfg.Fetch.LOTL}}, all)
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	jobs := k.jobs()[1:]
	results := make([]bool, len(jobs))
	for i, j := range jobs {
		g.Go(func() error {
			results[i] = k.ask(within, j, all)
			if results[i] && bare {
				_ = k.publish() // which has said what failed
			}
			return nil
		})
	}
	_ = g.Wait() // no job gives an error
	if changed || slices.Contains(results, true) {
		_ = k.publish() // which has said what failed
	}
}

// ask asks for one list if it is due. It tells whether anything about it is to be told: it was taken, failed, or does so no more.
func (k *Keeper) ask(ctx context.Context, j job, all bool) bool {
	if !all && !k.due(j.key) {
		return false
	}
	err := k.fetchOne(ctx, j.key, j.addresses)
	if ctx.Err() != nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p, now := k.place(j.key), k.cfg.Now()
	unchanged := errors.Is(err, errUnchanged) || errors.Is(err, trustlist.ErrSame)
	if err == nil || unchanged {
		told := err == nil || p.Failures > 0 || p.Lost != ""
		p.Failing, p.Failures, p.Reason, p.Confirmed, p.next = time.Time{}, 0, "", now, now.Add(spread(k.cfg.Fetch.Every))
		return told
	}
	if p.Failures == 0 {
		p.Failing = now
	}
	p.Failures++
	p.Reason = strings.Join(strings.Fields(err.Error()), " ")
	p.next = now.Add(spread(min(k.cfg.Fetch.Every, firstBackOff<<min(p.Failures-1, 16))))
	k.cfg.Logger.Warn("a trusted list was not taken, the one in use stays", "list", j.key, "failures", p.Failures, "error", p.Reason)
	return true
}

// due tells whether a list is to be asked for: its time has come, or what is in use is not usable any more.
func (k *Keeper) due(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.place(key)
	return !k.cfg.Now().Before(p.next) || p.Failures == 0 && k.unused(key)
}

func (k *Keeper) unused(key string) bool {
	return slices.ContainsFunc(k.set.Members(), func(m trustlist.Member) bool { return m.Unused != nil && m.Territory == key })
}

// spread moves a time by up to a tenth, so that not all the world asks at once.
func spread(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// jobs are the lists that are asked for, that of the lists first.
func (k *Keeper) jobs() []job {
	list := []job{{lotl, []string{k.cfg.Fetch.LOTL}}}
	if c := k.Set().LOTL(); c != nil {
		for _, p := range c.Pointers {
			if p.Type != typeGeneric || p.Territory == "" || p.Territory == lotl || p.MIME != "" && p.MIME != mimeList {
				continue
			}
			list = add(list, p.Territory, p.Location, k.cfg.Fetch.Addresses[p.Territory])
		}
	}
	for _, e := range k.cfg.Extra {
		list = append(list, job{e.Address, []string{e.Address}})
	}
	return list
}

// add adds an address of a territory's list; a configured one takes the place of all others.
func add(list []job, territory, location, configured string) []job {
	i := slices.IndexFunc(list, func(j job) bool { return j.key == territory })
	if i < 0 {
		list = append(list, job{key: territory})
		i = len(list) - 1
	}
	if configured != "" {
		list[i].addresses = []string{configured}
	} else if location != "" && !slices.Contains(list[i].addresses, location) {
		list[i].addresses = append(list[i].addresses, location)
	}
	return list
}
