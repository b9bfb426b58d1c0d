// Package person knows the numbers by which states of Europe other than Poland know people. A number that carries a
// date of birth and checks itself tells what it is wherever it stands; one that does less can be anything, and is
// taken for a person's only where a person is named.
package person

import (
	"strings"
	"time"
)

// Evident tells of a number that is a person's by itself: digits alone, of which some are a date and some check the
// others. Of a hundred numbers of 11 digits that are none, two look like one.
func Evident(text string) bool {
	d, ok := digitsOf(text)
	if !ok {
		return false
	}
	switch len(d) {
	case 11:
		return baltic(d) || latvian(d) || norwegian(d) || belgian(d)
	case 12:
		return (text[:2] == "19" || text[:2] == "20") && swedish(d[2:])
	case 13:
		return yugoslav(d)
	}
	return false
}

// Possible tells of a text that can be the number of a person who is named beside it: an evident one, and one that
// carries a date or checks itself.
func Possible(text string) bool {
	text = strings.ToUpper(text)
	if Evident(text) || spanish(text) || italian(text) || finnish(text) {
		return true
	}
	if len(text) > 7 && strings.ContainsRune("-+/", rune(text[6])) {
		text = text[:6] + text[7:]
	}
	d, ok := digitsOf(text)
	if !ok {
		return false
	}
	switch len(d) {
	case 9:
		return dutch(d) || portuguese(d) || czech(d)
	case 10:
		return swedish(d) || danish(d) || bulgarian(d) || czech(d)
	case 11:
		return Evident(text) || latvianOfNow(d) || mod11And10(d)
	case 13:
		return romanian(d)
	}
	return false
}

// digitsOf are the digits of a text of nothing else.
func digitsOf(text string) ([]int, bool) {
	const longest = 13
	if len(text) > longest {
		return nil, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return nil, false
		}
	}
	d := make([]int, len(text))
	for i := range d {
		d[i] = int(text[i] - '0')
	}
	return d, true
}

func sum(d []int, weights ...int) (total int) {
	for i, w := range weights {
		total += w * d[i]
	}
	return total
}

func two(d []int) int { return 10*d[0] + d[1] }

func isDate(year, month, day int) bool {
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return month >= 1 && month <= 12 && t.Day() == day && t.Month() == time.Month(month)
}

// isShortDate tells of a year of two digits, of whichever century.
func isShortDate(year, month, day int) bool {
	return isDate(1900+year, month, day) || isDate(2000+year, month, day)
}

// baltic is the isikukood of Estonia and the asmens kodas of Lithuania, which are made alike.
func baltic(d []int) bool {
	if d[0] < 1 || d[0] > 8 || !isDate(1800+100*((d[0]-1)/2)+two(d[1:]), two(d[3:]), two(d[5:])) {
		return false
	}
	check := sum(d, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1) % 11
	if check == 10 {
		check = sum(d, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3) % 11 % 10
	}
	return check == d[10]
}

// latvian is a personas kods with a date of birth.
func latvian(d []int) bool {
	return d[6] <= 2 && isDate(1800+100*d[6]+two(d[4:]), two(d[2:]), two(d)) && latvianCheck(d)
}

// latvianOfNow is a personas kods since 2017, which has no date.
func latvianOfNow(d []int) bool { return d[0] == 3 && d[1] >= 2 && latvianCheck(d) }

func latvianCheck(d []int) bool { return (1101-sum(d, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))%11 == d[10] }

// norwegian is a fødselsnummer, or a D-nummer, which has 4 more in its first digit.
func norwegian(d []int) bool {
	return isShortDate(two(d[4:]), two(d[2:]), two(d)%40) && sum(d, 3, 7, 6, 1, 8, 9, 4, 5, 2, 1)%11 == 0 &&
		sum(d, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0
}

// belgian is a number of the Rijksregister or a bis number, which has 20 or 40 more in its month.
func belgian(d []int) bool {
	n := 0
	for _, digit := range d[:9] {
		n = 10*n + digit
	}
	check := two(d[9:])
	return isShortDate(two(d), two(d[2:])%20, two(d[4:])) && two(d[2:]) < 60 &&
		(check == 97-n%97 || check == 97-(2_000_000_000+n)%97)
}

// swedish is a personnummer or samordningsnummer of ten digits; the latter has 60 more in its day.
func swedish(d []int) bool { return isShortDate(two(d), two(d[2:]), two(d[4:])%60) && luhn(d) }

func luhn(d []int) bool {
	total := 0
	for i, digit := range d {
		if (len(d)-i)%2 == 0 {
			digit = digit*2/10 + digit*2%10
		}
		total += digit
	}
	return total%10 == 0
}

// danish is a CPR number; since 2007 nothing checks it.
func danish(d []int) bool { return isShortDate(two(d[4:]), two(d[2:]), two(d)) }

// bulgarian is an EGN: 20 more in the month for the century before, 40 for the one to come.
func bulgarian(d []int) bool {
	century := [...]int{1900, 1800, 2000, 0, 0}[two(d[2:])/20]
	return century > 0 && isDate(century+two(d), two(d[2:])%20, two(d[4:])) &&
		sum(d, 2, 4, 8, 5, 10, 9, 7, 3, 6)%11%10 == d[9]
}

// czech is a rodné číslo of the Czech Republic or Slovakia: 50 more in the month of women, 20 where a day had no
// numbers left; those of nine digits, until 1953, check nothing.
func czech(d []int) bool {
	if two(d[2:]) > 82 || !isShortDate(two(d), two(d[2:])%50%20, two(d[4:])) {
		return false
	}
	n := 0
	for _, digit := range d {
		n = 10*n + digit
	}
	return len(d) == 9 && two(d) <= 53 || n%11 == 0
}

// romanian is a cod numeric personal. Milliseconds since 1970 look like one too often for it to be evident.
func romanian(d []int) bool {
	const counties = 52
	county := two(d[7:])
	return d[0] >= 1 && isShortDate(two(d[1:]), two(d[3:]), two(d[5:])) && county >= 1 && county <= counties &&
		romanianCheck(d) == d[12]
}

func romanianCheck(d []int) int {
	check := sum(d, 2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9) % 11
	if check == 10 {
		return 1
	}
	return check
}

// yugoslav is the EMŠO of Slovenia, and the JMBG of other states that were Yugoslavia.
func yugoslav(d []int) bool {
	year := 100*d[4] + two(d[5:])
	if year >= 900 {
		year += 1000
	} else {
		year += 2000
	}
	return year <= 2040 && isDate(year, two(d[2:]), two(d)) && sum(d, 7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0
}

// dutch is a burgerservicenummer.
func dutch(d []int) bool { return sum(d, 9, 8, 7, 6, 5, 4, 3, 2, -1)%11 == 0 }

// portuguese is the NIF of a natural person, which begins so; those of organizations begin with 5 and above.
func portuguese(d []int) bool {
	check := 11 - sum(d, 9, 8, 7, 6, 5, 4, 3, 2)%11
	return d[0] >= 1 && d[0] <= 4 && check%11%10 == d[8]
}

// mod11And10 checks as ISO 7064, MOD 11,10 does: the OIB of Croatia and the Steuer-ID of Germany.
func mod11And10(d []int) bool {
	p := 10
	for _, digit := range d[:10] {
		if p = (p + digit) % 10; p == 0 {
			p = 10
		}
		p = 2 * p % 11
	}
	return (11-p)%10 == d[10]
}

// spanish is a DNI, or the NIE of a foreigner. What organizations have begins with other letters.
func spanish(text string) bool {
	const length, letters = 9, "TRWAGMYFPDXBNJZSQVHLCKE"
	if len(text) != length {
		return false
	}
	if i := strings.IndexByte("XYZ", text[0]); i >= 0 {
		text = string(rune('0'+i)) + text[1:]
	}
	d, ok := digitsOf(text[:8])
	if !ok {
		return false
	}
	n := 0
	for _, digit := range d {
		n = 10*n + digit
	}
	return text[8] == letters[n%len(letters)]
}

// italian is a codice fiscale of a natural person.
func italian(text string) bool {
	const form = "LLLLLLDDLDDLDDDL"
	const odd = "BAKPLCQDREVOSFTGUHMINJWZYX" // the place in it is what a letter counts at an odd place
	if len(text) != len(form) {
		return false
	}
	total := 0
	for i, kind := range []byte(form[:15]) {
		c := text[i]
		digit := c >= '0' && c <= '9'
		if !digit && (c < 'A' || c > 'Z') || kind == 'L' && digit {
			return false // letters stand for digits where two persons would have one number
		}
		value := int(c - 'A')
		if digit {
			value = int(c - '0')
		}
		if i%2 == 0 {
			value = strings.IndexByte(odd, byte('A'+value))
		}
		total += value
	}
	return text[15] == byte('A'+total%26)
}

// finnish is a henkilötunnus.
func finnish(text string) bool {
	const length, checks = 11, "0123456789ABCDEFHJKLMNPRSTUVWXY"
	if len(text) != length || !strings.ContainsRune("+-YXWVUABCDEF", rune(text[6])) {
		return false
	}
	d, ok := digitsOf(text[:6] + text[7:10])
	if !ok {
		return false
	}
	n := 0
	for _, digit := range d {
		n = 10*n + digit
	}
	return isShortDate(two(d[4:]), two(d[2:]), two(d)) && text[10] == checks[n%len(checks)]
}
