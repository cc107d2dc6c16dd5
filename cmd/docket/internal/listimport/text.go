package listimport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// CheckStart looks at the beginning of a file, where a wrong one gives itself away. It skips a
// byte order mark, which is of the file and not of its first row, and returns how many bytes
// that were, and what comes next, up to 512 bytes without blanks around them. want is what the
// file ought to be, as "OFAC's CSV"; again is what to do where it is not.
func CheckStart(in *bufio.Reader, name, want, again string) (start string, skipped int64, err error) {
	head, err := in.Peek(512)
	if err != nil && err != io.EOF {
		return "", 0, fmt.Errorf("reading %s: %w", name, err)
	}
	const mark, end = "\xEF\xBB\xBF", 0x1A // the end-of-file character of CP/M and DOS
	if bytes.HasPrefix(head, []byte(mark)) {
		head, skipped = head[len(mark):], int64(len(mark))
	}
	start = string(bytes.TrimSpace(head))
	switch {
	case start == "", start[0] == end:
		err = fmt.Errorf("%s: empty: %s", name, again)
	case start[0] == '<':
		err = fmt.Errorf("%s: HTML or XML, not %s (an error page?): %s", name, want, again)
	case strings.HasPrefix(start, "PK\x03\x04"), strings.HasPrefix(start, "\x1f\x8b"):
		err = fmt.Errorf("%s: compressed: unpack it first", name)
	case strings.HasPrefix(start, "\xFE\xFF"), strings.HasPrefix(start, "\xFF\xFE"):
		err = fmt.Errorf("%s: UTF-16, not %s as published: %s", name, want, again)
	default:
		_, err = in.Discard(int(skipped))
	}
	return start, skipped, err
}

// DecodeText reads bytes of a list as UTF-8 or, where they are not, as Windows-1252, in
// which older files write accented letters.
func DecodeText(text []byte) (string, error) {
	if utf8.Valid(text) {
		return string(text), nil
	}
	decoded, err := charmap.Windows1252.NewDecoder().Bytes(text)
	if err != nil || bytes.ContainsRune(decoded, utf8.RuneError) { // five bytes have no character
		return "", errors.New("neither UTF-8 nor Windows-1252: the file is damaged, download it again")
	}
	return string(decoded), nil
}

// CleanText makes text that a record may carry (RECORDS.md "Every record"): NFC, a
// blank for each control character and line separator, nothing that a reader does not
// see, no blanks around it. hidden is how many characters of the last sort were dropped.
// The subject's digest is of the bytes as published, so the original stays provable.
func CleanText(s string) (text string, hidden int) {
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			b.WriteByte(' ')
		case rules1.IsHiddenAt(s, i):
			hidden++
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(norm.NFC.String(b.String())), hidden
}

// CountryCode is the alpha-2 code of a country as a list writes it, "" if it names none:
// regions ("Region: Crimea"), territories without a code and former countries stay in
// the addresses as they are written.
func CountryCode(name string) string {
	code, err := rules1.Country(name)
	if err != nil {
		return ""
	}
	return code
}

// CountryOf is a vessel's flag, else the country that all addresses agree on (those that
// name one, by its code, or "" for a name that has none).
func CountryOf(flag string, countries []string) string {
	if flag != "" {
		return CountryCode(flag)
	}
	if all := slices.Compact(slices.Clone(countries)); len(all) == 1 {
		return all[0]
	}
	return ""
}

// AddressLine is an address on one line, as lists write it, without its country.
func AddressLine(a record.Address) string {
	var parts []string
	for _, part := range []string{a.Full, a.Street, a.City, a.Region, a.PostalCode} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}
