// Package pesel knows numbers of the Polish register of persons.
package pesel

import "time"

// Valid tells whether the text is a number of the Polish register of persons (art. 15 of the act on the register of the
// population): eleven digits, of which the first six are a date, with the century in the month, and the last one checks the
// others.
func Valid(text string) bool {
	const length = 11
	if len(text) != length {
		return false
	}
	weights := [length]int{1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1}
	sum := 0
	for i, w := range weights {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
		sum += w * int(text[i]-'0')
	}
	return sum%10 == 0 && isBirth(text[:6])
}

// isBirth tells whether six digits of a PESEL are a date: twenty a century are added to the month, from 1900 on, and 80
// for the years from 1800.
func isBirth(digits string) bool {
	number := func(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }
	year, month, day := number(digits), number(digits[2:]), number(digits[4:])
	century := [...]int{1900, 2000, 2100, 2200, 1800}[month/20]
	month %= 20
	born := time.Date(century+year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return month >= 1 && month <= 12 && born.Day() == day && born.Month() == time.Month(month)
}
