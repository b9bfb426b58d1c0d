package person

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// numbers are of each kind one, as authorities show them in examples.
var numbers = map[string]struct{ evident, possible []string }{
	"Estonia":   {[]string{"37605030299", "37910015225", "47101010033"}, nil},
	"Lithuania": {[]string{"37412260478", "33309240064"}, nil},
	"Latvia":    {[]string{"16117519997"}, []string{"161175-19997", "32345678906"}},
	"Norway":    {[]string{"11077941012"}, nil},
	"Belgium":   {[]string{"85073003328", "65030202936", "80053049331"}, nil},
	"Sweden":    {[]string{"198112289874"}, []string{"811228-9874", "8112289874"}},
	"Romania":   {nil, []string{"1800101221144"}},
	"Slovenia":  {[]string{"0101006500006"}, nil},
	"Denmark":   {nil, []string{"070761-4285", "0707614285"}},
	"Bulgaria":  {nil, []string{"7523169263", "8205301708"}},
	"Czechia":   {nil, []string{"710319/2745", "7103192745", "455228/123"}},
	"Holland":   {nil, []string{"111222333"}},
	"Portugal":  {nil, []string{"123456789"}},
	"Croatia":   {nil, []string{"69435151530"}},
	"Germany":   {nil, []string{"86095742719"}},
	"Spain":     {nil, []string{"12345678Z", "x1234567l", "99999990S"}},
	"Italy":     {nil, []string{"RSSMRA85T10A562S"}},
	"Finland":   {nil, []string{"131052-308T"}},
}

func TestNumbers(t *testing.T) {
	for state, n := range numbers {
		for _, text := range n.evident {
			if !Evident(text) || !Possible(text) {
				t.Errorf("%s: %s is no number: %v %v", state, text, Evident(text), Possible(text))
			}
			last := len(text) - 1
			if other := text[:last] + string('0'+(text[last]-'0'+1)%10); Evident(other) {
				t.Errorf("%s: %s is a number, its last digit checks nothing", state, other)
			}
		}
		for _, text := range n.possible {
			if Evident(text) || !Possible(text) {
				t.Errorf("%s: %s: evident %v, possible %v", state, text, Evident(text), Possible(text))
			}
		}
	}
}

// TestChecksThemselves: with another last sign no number of those that check themselves is one.
func TestChecksThemselves(t *testing.T) {
	for _, text := range []string{"161175-19998", "811228-9875", "7523169264", "710319/2746", "111992334", "123456780",
		"69435151531", "86095742718", "12345678A", "X1234567A", "RSSMRA85T10A562T", "131052-308U", "Q3890349H", "B83395988",
		"", "-", "131399-9999", "ABCDEFGHIJKLMNOP", "000000000000000"} {
		if Possible(text) {
			t.Errorf("%q is a number", text)
		}
	}
}

// TestOthersAreNone: what is no personal number hardly ever looks like one: times, and numbers by chance.
func TestOthersAreNone(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	share := func(name string, most float64, next func() string) {
		const tries = 20_000
		found := 0
		for range tries {
			if Evident(next()) {
				found++
			}
		}
		if got := float64(found) / tries; got > most {
			t.Errorf("%s: %.4f of them look like personal numbers, want at most %v", name, got, most)
		}
	}
	for length, most := range map[int]float64{9: 0, 10: 0, 11: 0.012, 12: 0.001, 13: 0.004, 14: 0, 19: 0} {
		share(strconv.Itoa(length)+" digits", most, func() string {
			var b strings.Builder
			for range length {
				b.WriteByte('0' + byte(random.IntN(10)))
			}
			return b.String()
		})
	}
	moment := func() time.Time { return time.Unix(1_000_000_000+random.Int64N(1_000_000_000), 0).UTC() }
	share("milliseconds since 1970", 0.002, func() string { return strconv.FormatInt(moment().UnixMilli(), 10) })
	share("seconds since 1970", 0, func() string { return strconv.FormatInt(moment().Unix(), 10) })
	share("days", 0, func() string { return moment().Format("20060102") })
	share("days with seconds", 0, func() string { return moment().Format("20060102150405") })
}
