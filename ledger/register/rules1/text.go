package rules1

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// class says how [NameKey] treats a code point; unassigned ones are refused
// everywhere. The ranges stand in unicode15.go.
type class byte

const (
	unassigned class = iota // General_Category Cn in Unicode 15.0, surrogates too
	kept                    // letters, marks, numbers, symbols, private use
	between                 // separators, controls, punctuation: a space in a key
	joining                 // apostrophes and full stops: nothing in a key
	ignored                 // format characters and other default ignorables: nothing in a key
)

// classOf looks r up in the frozen ranges, each of which begins at
// classes[i]>>8 and lasts until the next one.
func classOf(r rune) class {
	low, high := 0, len(classes)
	for high-low > 1 {
		if middle := (low + high) / 2; rune(classes[middle]>>8) <= r {
			low = middle
		} else {
			high = middle
		}
	}
	return class(classes[low])
}

var errNotNFC = errors.New("text is not in Unicode normalisation form C (NFC): write it composed")

// checkText refuses code points that Unicode 15.0 does not assign and text that
// is not NFC. The first makes the second stable: what is assigned normalises
// alike in every later version (Unicode normalization stability policy, UAX #15
// section 3), whatever tables x/text was built with.
func checkText(s string) error {
	if isASCII(s) {
		return nil
	}
	for _, r := range s {
		if r >= utf8.RuneSelf && classOf(r) == unassigned {
			return fmt.Errorf("code point U+%04X is not assigned in Unicode 15.0", r)
		}
	}
	if !norm.NFC.IsNormalString(s) {
		return errNotNFC
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
