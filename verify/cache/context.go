package cache

import "context"

// contextKey is that of the cache in a context.
type contextKey struct{}

// Within returns a context that carries the cache to whoever reads a document: a reader's budget has the context.
func Within(ctx context.Context, c *Cache) context.Context {
	if c == nil {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, c)
}

// Of returns the cache of the context, nil for none.
func Of(ctx context.Context) *Cache {
	c, _ := ctx.Value(contextKey{}).(*Cache)
	return c
}
