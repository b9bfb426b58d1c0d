// Package splice carries a connection over another.
package splice

import (
	"errors"
	"io"
	"net"
)

// Both copies between a and b until both directions have ended or one has failed, closes
// both, and gives the bytes copied. The end of one direction is passed on (half-close).
func Both(a, b net.Conn) (bytes int64) {
	defer a.Close()
	defer b.Close()
	back := make(chan int64, 1)
	go func() { back <- pump(a, b) }()
	bytes = pump(b, a)
	return bytes + <-back
}

// pump copies one direction. After a failure it closes both, so that the other direction ends too.
func pump(to, from net.Conn) int64 {
	n, err := io.Copy(to, from)
	half, can := to.(interface{ CloseWrite() error })
	if err == nil && can {
		err = half.CloseWrite()
	} else if err == nil {
		err = errors.ErrUnsupported
	}
	if err != nil {
		to.Close()
		from.Close()
	}
	return n
}
