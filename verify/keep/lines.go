package keep

// wrap cuts a text into lines of a width: at spaces, and within a word that has no room on a line of its own.
func wrap(text string, l letters, width float64) (lines []string) {
	begin, space, taken, behind := 0, -1, 0.0, 0.0 // behind is the width up to the space and with it
	for i, r := range text {
		advance := l.face.Width(string(r), l.size)
		if taken+advance > width && i > begin {
			end := i
			if space >= begin {
				end = space
				taken -= behind
				lines = append(lines, text[begin:end])
				begin = end + 1
			} else {
				taken = 0
				lines = append(lines, text[begin:end])
				begin = end
			}
			space = -1
		}
		taken += advance
		if r == ' ' {
			space, behind = i, taken
		}
	}
	return append(lines, text[begin:])
}

// fit cuts a text to a width.
func fit(text string, l letters, width float64) string {
	if l.face.Width(text, l.size) <= width {
		return text
	}
	room, taken := width-l.face.Width("…", l.size), 0.0
	for i, r := range text {
		if taken += l.face.Width(string(r), l.size); taken > room {
			return text[:i] + "…"
		}
	}
	return text
}
