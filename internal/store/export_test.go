package store

// Watched reports whether Watch has looked.
func (db *DB) Watched() bool { return db.seen.Load() != nil }
