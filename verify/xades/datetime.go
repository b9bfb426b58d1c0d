package xades

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dateTime is the lexical form of xs:dateTime (XML Schema 1.1 part 2, 3.3.7.1); ranges are checked afterwards.
var dateTime = regexp.MustCompile(`^(-?(?:[1-9]\d{3,}|0\d{3}))-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?$`)

const maxYearDigits = 9 // beyond that Go's times wrap around

var errDateTime = errors.New("no xs:dateTime")

// parseDateTime reads an xs:dateTime into UTC, to the nanosecond; zone tells whether it names a time zone, without which
// UTC is meant. The hour 24 is the next day's first moment. There is a year 0, and no leap second.
func parseDateTime(text string) (at time.Time, zone bool, err error) {
	m := dateTime.FindStringSubmatch(strings.Trim(text, " \t\r\n"))
	if m == nil || len(m[1]) > maxYearDigits {
		return time.Time{}, false, errDateTime
	}
	var n [7]int // year, month, day, hour, minute, second
	for i := 1; i <= 6; i++ {
		n[i], _ = strconv.Atoi(m[i]) // digits, by the expression
	}
	fraction := (strings.TrimPrefix(m[7], ".") + "000000000")[:9]
	nanoseconds, _ := strconv.Atoi(fraction)
	offset, ok := zoneOffset(m[8])
	at = time.Date(n[1], time.Month(n[2]), n[3], n[4], n[5], n[6], nanoseconds, time.UTC)
	midnight := n[4] == 24 && n[5] == 0 && n[6] == 0 && strings.Trim(m[7], ".0") == ""
	day := time.Date(n[1], time.Month(n[2]), n[3], 0, 0, 0, 0, time.UTC)
	switch {
	case !ok, day.Month() != time.Month(n[2]) || day.Day() != n[3]:
		return time.Time{}, false, errDateTime
	case !midnight && (n[4] > 23 || n[5] > 59 || n[6] > 59):
		return time.Time{}, false, errDateTime
	}
	return at.Add(-offset), m[8] != "", nil
}

// zoneOffset reads a time zone: at most 14 hours from UTC.
func zoneOffset(text string) (time.Duration, bool) {
	if text == "" || text == "Z" {
		return 0, true
	}
	hours, _ := strconv.Atoi(text[1:3])
	minutes, _ := strconv.Atoi(text[4:6])
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if text[0] == '-' {
		return -offset, minutes < 60 && offset <= 14*time.Hour
	}
	return offset, minutes < 60 && offset <= 14*time.Hour
}
