package cache

import (
	"context"

	"trustcore/internal/budget"
	"trustcore/verify/certificate"
)

// contextKey is that of the cache in a context.
type contextKey struct{}

// Within returns a context that carries the cache to whoever reads a document: a reader's budget has the context.
func Within(ctx context.Context, c *Cache) context.Context {
	if c == nil {
		return ctx
	}
	return context.WithValue(budget.WithDigests(ctx, c.sum), contextKey{}, c)
}

// Of returns the cache of the context, nil for none.
func Of(ctx context.Context) *Cache {
	c, _ := ctx.Value(contextKey{}).(*Cache)
	return c
}

// Certificate reads a certificate of a document, with the cache of the budget's context. The octets are not to change
// while the budget is in use. What it costs is the caller's to spend, but for the octets.
func Certificate(b *budget.Budget, der []byte) (*certificate.Certificate, error) {
	c := Of(b.Context())
	if c == nil {
		return certificate.Parse(der)
	}
	digest, err := b.Digest(der)
	if err != nil {
		return nil, err
	}
	return c.ParseOf(digest, der)
}
