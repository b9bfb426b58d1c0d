package judge

import "slices"

// latestFirst puts time-stamps, which stand in the document's order, into that in which they are judged: the latest
// first. Of those of one time, what covers a token comes before that token, a renewal before what it renews (RFC 4998
// 5.2), and else what stands later in the document comes first: clocks of seconds don't tell them apart, and if the
// older one were judged first, it would be judged as if nothing proved its age.
func latestFirst(all []proof) []proof {
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b proof) int { return b.stamp.Time.Compare(a.stamp.Time) })
	for begin := 0; begin < len(all); {
		end := begin + 1
		for end < len(all) && all[end].stamp.Time.Equal(all[begin].stamp.Time) {
			end++
		}
		if end-begin > 1 {
			copy(all[begin:end], coveringFirst(all[begin:end]))
		}
		begin = end
	}
	return all
}

// coveringFirst puts what covers a token before it, and changes the order no further. Each object that a time-stamp
// covers costs one look.
func coveringFirst(list []proof) []proof {
	if len(list) < 2 {
		return list
	}
	index := make(map[[32]byte]int, len(list))
	for i, p := range list {
		index[token(p.stamp)] = i
	}
	before := make([][]int, len(list)) // by place, the places of those that cover it
	for i, p := range list {
		for _, object := range p.stamp.Covers {
			if k, ok := index[object]; ok {
				before[k] = append(before[k], i)
			}
		}
	}
	sorted, seen := make([]proof, 0, len(list)), make([]bool, len(list))
	var visit func(i int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		for _, k := range before[i] {
			visit(k)
		}
		sorted = append(sorted, list[i])
	}
	for i := range list {
		visit(i)
	}
	return sorted
}
