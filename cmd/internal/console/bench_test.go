package console_test

import "testing"

// BenchmarkPages is what pages of 54 partners with 500 units cost, over a real database and through TLS.
func BenchmarkPages(b *testing.B) {
	d := open(b)
	d.furnishMany(54, 9)
	officer := d.login(one)
	for _, path := range []string{"/", "/partners", "/partners?q=lodz+17", "/partner?id=ug-001", "/orders", "/order?id=ZU/1/2026", "/keys", "/certificates",
		"/tunnels", "/audit"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				officer.at(path)
			}
		})
	}
}
