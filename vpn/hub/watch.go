package hub

// listen tells Disturbed of events until the hub closes. It reads none: who is told looks at them.
func (h *Hub) listen() {
	if h.link == nil {
		return
	}
	for _, await := range []func() error{h.link.Await, h.table.Await} {
		go func() { // ends when Close closes the sockets
			for await() == nil {
				select {
				case h.news <- struct{}{}:
				case <-h.closing:
					return
				}
			}
		}()
	}
}

// Disturbed gives a value when something happened to the host's interfaces, addresses, routes or firewall: call
// [Hub.Look] then. In mode netstack there is nothing to happen to.
func (h *Hub) Disturbed() <-chan struct{} { return h.news }

// Look repairs what somebody else changed since the last look, and costs little when nobody did: events of the host
// tell of everything but the state of WireGuard in the kernel, which is read. Where this process carries the device
// nobody else can change it.
func (h *Hub) Look() (Changes, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.disturbed() && (h.device.Guarded() || !h.differs()) {
		return Changes{}, h.shut()
	}
	return h.reconcile()
}

// disturbed says whether somebody else changed something, or may have. The caller holds h.mu.
func (h *Hub) disturbed() bool {
	foreign, lease := h.hear()
	if lease && h.fence.Extend() != nil {
		foreign = true
	}
	return foreign || !h.settled
}

// hear takes the events that are there, and holds them against what is wished.
func (h *Hub) hear() (foreign, lease bool) {
	if h.link == nil {
		return false, false
	}
	link := h.link.Hear(h.routes, h.hosts(), h.ranges)
	table := h.table.Hear(h.policy)
	return link || table.Foreign, table.Lease
}

// differs says whether the device is not as wished.
func (h *Hub) differs() bool {
	state, err := h.device.Read()
	if err != nil {
		return true
	}
	plan := h.plan(state)
	return plan.added+plan.removed+plan.changed > 0 || h.deviceChange(state) != nil
}
