package path

// profile checks the demands of the profiles strict and server.
func (b *builder) profile(o *outcome) {
}
