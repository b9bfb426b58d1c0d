package httpserver

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections bounds those of one listener. One too many costs its place to the connection that has been silent longest, so
// that clients who are idle, slow or send half a request never keep others out; whose request is complete keeps its place.
type connections struct {
	max int

	mu  sync.Mutex
	all map[net.Conn]*connection // guarded by mu
}

// connection is guarded by connections.mu.
type connection struct {
	heard    time.Time // when bytes of a request came last
	complete bool      // its request is complete, the answer is being made
}

// connectionKey is where a request's context has its connection.
type connectionKey struct{}

// bind makes the server keep the bound.
func (c *connections) bind(server *http.Server) {
	c.all = make(map[net.Conn]*connection)
	server.ConnState = c.changed
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, conn)
	}
	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connectionKey{}).(net.Conn)
		if r.Body != nil && r.Body != http.NoBody {
			c.hear(conn, false)
			r = r.WithContext(r.Context()) // the server looks at its own request's body, which is not to be replaced
			r.Body = &heardBody{r.Body, c, conn}
		}
		next.ServeHTTP(w, r)
	})
}

// heardBody notes when its bytes come, and when it is complete.
type heardBody struct {
	io.ReadCloser
	connections *connections
	conn        net.Conn
}

// Read reads on.
func (b *heardBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.connections.hear(b.conn, err != nil)
	return n, err
}

func (c *connections) hear(conn net.Conn, complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.all[conn]; known != nil {
		known.heard, known.complete = time.Now(), complete
	}
}

// changed is an http.Server's ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if drop := c.add(conn); drop != nil {
			end(drop)
		}
	case http.StateActive:
		c.hear(conn, true) // its head is complete; a body that is to come is noted before the handler runs
	case http.StateIdle:
		c.hear(conn, false)
	case http.StateClosed, http.StateHijacked:
		c.mu.Lock()
		delete(c.all, conn)
		c.mu.Unlock()
	}
}

// add takes a connection in, and returns the one that must go for it; the new one itself when all others are being answered.
func (c *connections) add(conn net.Conn) (drop net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) >= c.max {
		drop = c.quietest()
		if drop == nil {
			return conn
		}
		delete(c.all, drop)
	}
	c.all[conn] = &connection{heard: time.Now()}
	return drop
}

// quietest is called with mu held.
func (c *connections) quietest() (quietest net.Conn) {
	for conn, known := range c.all {
		if !known.complete && (quietest == nil || known.heard.Before(c.all[quietest].heard)) {
			quietest = conn
		}
	}
	return quietest
}

// end closes without TLS's farewell, which waits for the peer.
func end(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close() // it is gone either way
}
