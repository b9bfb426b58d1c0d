package store

// Watched reports whether Watch has looked.
func (db *DB) Watched() bool { return db.seen.Load() != nil }

// CheckPostgres says why a URL of PostgreSQL's is refused before anything is connected to.
func CheckPostgres(rawURL string) error {
	u, err := parseURL(rawURL)
	if err == nil {
		_, err = postgresConfig(u, rawURL)
	}
	return err
}
